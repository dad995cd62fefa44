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
	"github.com/pawlauth/pawl/verify"
)

var (
	_ session.Store = (*Store)(nil)
	_ verify.Feed   = (*Store)(nil)
)

// A Store keeps sessions in memory. It is safe for concurrent use.
type Store struct {
	now func() time.Time

	mu    sync.Mutex
	rows  map[session.ID]session.Row // guarded by mu
	epoch session.Epoch              // guarded by mu
}

// New returns an empty store with the given clock.
func New(now func() time.Time) *Store {
	return &Store{now: now, rows: make(map[session.ID]session.Row)}
}

// Clone returns a store with the same content and the given clock.
func (s *Store) Clone(now func() time.Time) *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Store{now: now, rows: maps.Clone(s.rows), epoch: s.epoch}
}

// row needs mu. It returns a row as it is seen.
func (s *Store) row(id session.ID) (session.Row, bool) {
	row, ok := s.rows[id]
	return s.epoch.Apply(row), ok
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
		if row, ok := s.row(id); ok {
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
		row, ok := s.row(c.ID)
		if !ok || row.Ended() || row.Generation != c.From || row.Binding.Kind != c.Bound {
			errs[i] = session.ErrConflict
			continue
		}
		s.rows[c.ID] = row.Apply(c, now)
	}
	return errs
}

// Bind implements [session.Ratchet].
func (s *Store) Bind(_ context.Context, id session.ID, generation uint32, to session.Binding) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, ok := s.row(id)
	if !ok || row.Ended() || row.Generation != generation || row.Binding.Kind != session.Unbound {
		return session.ErrConflict
	}
	row.Binding.Kind, row.Binding.Thumbprint = to.Kind, to.Thumbprint
	s.rows[id] = row
	return nil
}

// Confirm implements [session.Ratchet].
func (s *Store) Confirm(_ context.Context, uses []session.Use, settle time.Duration) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, u := range uses {
		row, ok := s.row(u.Session)
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
	for id := range s.rows {
		row, _ := s.row(id)
		named := id == which.Session || (which.User != "" && row.UserID == which.User)
		if !named || id == which.Except || row.Ended() {
			continue
		}
		row.EndedAt, row.EndReason, row.Salt = now, reason, token.Salt{}
		s.rows[id] = row
		ended = append(ended, session.Ended{Session: id, UserID: row.UserID})
	}
	return ended, nil
}

// EndEveryone implements [session.Directory].
func (s *Store) EndEveryone(_ context.Context, at time.Time, reason session.Reason) (session.Epoch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.IsZero() {
		at = session.NextEpoch(s.now())
	}
	if at.After(s.epoch.At) {
		s.epoch = session.Epoch{At: at, Reason: reason}
	}
	return s.epoch, nil
}

// List implements [session.Directory].
func (s *Store) List(_ context.Context, q session.Query) ([]session.Row, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []session.Row
	for id := range s.rows {
		row, _ := s.row(id)
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
	now, taken := s.now(), 0
	told := now.Sub(s.epoch.At) > feedKeep
	for id, stored := range s.rows {
		row, _ := s.row(id)
		switch {
		case taken == limit:
			return taken, nil
		case !now.Before(row.AbsoluteEnd) && (!row.Ended() || now.Sub(row.EndedAt) > feedKeep):
			delete(s.rows, id)
			taken++
		case told && row.Ended() && !stored.Ended():
			s.rows[id] = row
			taken++
		}
	}
	return taken, nil
}

// Ended implements [verify.Feed].
func (s *Store) Ended(_ context.Context, window time.Duration) (verify.Endings, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	endings := verify.Endings{Epoch: s.epoch.At, Now: now}
	for id, row := range s.rows { // those of the epoch are not told one by one
		if row.Ended() && now.Sub(row.EndedAt) <= window {
			endings.Sessions = append(endings.Sessions, id)
		}
	}
	return endings, nil
}
