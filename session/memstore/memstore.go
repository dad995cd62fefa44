// Package memstore is the reference store: sessions in memory, gone with the
// process. It is the example to copy when writing a store, and what the
// explorer walks. It owns no rule: rows change as [session.Row.Apply] says.
package memstore

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

var _ session.Store = (*Store)(nil)

// A Store keeps sessions in memory. It is safe for concurrent use.
type Store struct {
	now func() time.Time

	mu   sync.Mutex
	rows map[session.ID]session.Row // guarded by mu
	feed map[session.ID]time.Time   // guarded by mu: when each session was ended
}

// New returns an empty store with the given clock.
func New(now func() time.Time) *Store {
	return &Store{now: now, rows: make(map[session.ID]session.Row), feed: make(map[session.ID]time.Time)}
}

// Clone returns a store with the same content and the given clock.
func (s *Store) Clone(now func() time.Time) *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Store{now: now, rows: maps.Clone(s.rows), feed: maps.Clone(s.feed)}
}

// Create implements [session.Ratchet].
func (s *Store) Create(_ context.Context, row session.Row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.rows[row.ID]; taken {
		return session.ErrExists
	}
	s.rows[row.ID] = row
	return nil
}

// Load implements [session.Ratchet].
func (s *Store) Load(_ context.Context, ids []session.ID) ([]session.Row, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	ids = slices.Clone(ids)
	slices.SortFunc(ids, session.ID.Compare)
	var rows []session.Row
	for _, id := range slices.Compact(ids) {
		if row, ok := s.rows[id]; ok {
			rows = append(rows, row)
		}
	}
	return rows, now, nil
}

// Replace implements [session.Ratchet].
func (s *Store) Replace(_ context.Context, changes []session.Change) []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	errs := make([]error, len(changes))
	for i, c := range changes {
		row, ok := s.rows[c.ID]
		if !ok || row.Ended() || row.Generation != c.From {
			errs[i] = session.ErrConflict
			continue
		}
		s.rows[c.ID] = row.Apply(c, now)
		if c.End != "" {
			s.feed[c.ID] = now
		}
	}
	return errs
}

// Confirm implements [session.Ratchet].
func (s *Store) Confirm(_ context.Context, uses []session.Use, settle time.Duration) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, u := range uses {
		row, ok := s.rows[u.Session]
		if ok && !row.Ended() && row.Generation == u.Generation && row.ConfirmedAt.IsZero() && u.Settled(now, settle) {
			row.ConfirmedAt = now
			s.rows[u.Session] = row
		}
	}
	return now, nil
}

// End implements [session.Directory].
func (s *Store) End(_ context.Context, which session.Selection, reason session.Reason) ([]session.Ended, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	var ended []session.Ended
	for id, row := range s.rows {
		named := which.Everyone || id == which.Session || (which.User != "" && row.UserID == which.User)
		if !named || id == which.Except || row.Ended() {
			continue
		}
		row.EndedAt, row.EndReason, row.Salt = now, reason, token.Salt{}
		s.rows[id], s.feed[id] = row, now
		ended = append(ended, session.Ended{Session: id, UserID: row.UserID})
	}
	return ended, nil
}

// List implements [session.Directory].
func (s *Store) List(_ context.Context, q session.Query) ([]session.Row, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []session.Row
	for _, row := range s.rows {
		if (q.User == "" || row.UserID == q.User) && (q.WithEnded || !row.Ended()) && row.ID.Compare(q.After) > 0 {
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b session.Row) int { return a.ID.Compare(b.ID) })
	return rows[:min(len(rows), q.Limit)], s.now(), nil
}

// Sweep implements [session.Directory].
func (s *Store) Sweep(_ context.Context, limit int, feedKeep time.Duration) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, removed := s.now(), 0
	for id, row := range s.rows {
		if removed < limit && !now.Before(row.AbsoluteEnd) {
			delete(s.rows, id)
			removed++
		}
	}
	maps.DeleteFunc(s.feed, func(_ session.ID, at time.Time) bool { return now.Sub(at) > feedKeep })
	return removed, nil
}

// EndedSince implements the feed that package verify follows.
func (s *Store) EndedSince(_ context.Context, window time.Duration) ([]session.ID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	var ids []session.ID
	for id, at := range s.feed {
		if now.Sub(at) <= window {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
