package storetest_test

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// A flawed store is sound but for one flaw, named by what it does wrong.
type flawed struct {
	now  func() time.Time
	flaw string

	mu    sync.Mutex
	rows  map[session.ID]session.Row // guarded by mu
	feed  map[session.ID]time.Time   // guarded by mu
	first time.Time                  // guarded by mu: what the clock showed at the first Load
}

func newFlawed(flaw string, now func() time.Time) *flawed {
	return &flawed{now: now, flaw: flaw, rows: make(map[session.ID]session.Row), feed: make(map[session.ID]time.Time)}
}

// has reports whether this is the store's flaw.
func (s *flawed) has(flaw string) bool { return s.flaw == flaw }

// look returns a row. A store with this flaw lets go of the lock between
// looking and writing.
func (s *flawed) look(id session.ID, unlocked string) (session.Row, bool) {
	row, ok := s.rows[id]
	if s.has(unlocked) {
		s.mu.Unlock()
		for range 20 {
			runtime.Gosched()
		}
		s.mu.Lock()
	}
	return row, ok
}

func (s *flawed) Create(_ context.Context, row session.Row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.look(row.ID, "create without a lock"); taken && !s.has("create overwrites") {
		return session.ErrExists
	}
	if s.has("create loses the methods") {
		row.Methods = nil
	}
	s.rows[row.ID] = row
	return nil
}

func (s *flawed) Load(_ context.Context, ids []session.ID) ([]session.Row, time.Time, error) {
	s.mu.Lock()
	now := s.now()
	if s.first.IsZero() {
		s.first = now
	}
	first := s.first
	ids = slices.Clone(ids)
	slices.SortFunc(ids, session.ID.Compare)
	if !s.has("load repeats rows") {
		ids = slices.Compact(ids)
	}
	var rows []session.Row
	for _, id := range ids {
		if row, ok := s.rows[id]; ok {
			rows = append(rows, row)
		}
	}
	s.mu.Unlock()
	if s.has("load keeps the clock") {
		now = first
	}
	if s.has("load reads the clock last") {
		for range 20 {
			runtime.Gosched()
		}
		now = s.now()
	}
	return rows, now, nil
}

func (s *flawed) Replace(_ context.Context, changes []session.Change) []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	errs := make([]error, len(changes))
	stopped := false
	for i, c := range changes {
		row, ok := s.look(c.ID, "replace without a lock")
		if !ok || stopped || (row.Ended() && !s.has("replace renews the ended")) ||
			(row.Generation != c.From && !s.has("replace ignores the generation")) {
			errs[i] = session.ErrConflict
			stopped = s.has("replace stops at a conflict")
			continue
		}
		after := row.Apply(c, now)
		s.spoil(&after, row, c, now)
		s.rows[c.ID] = after
		if c.End != "" && !s.has("replace does not tell of an end") {
			s.feed[c.ID] = now
		}
	}
	if s.has("replace answers backward") {
		slices.Reverse(errs)
	}
	return errs
}

// spoil is what the flaws of Replace make of a row.
func (s *flawed) spoil(after *session.Row, row session.Row, c session.Change, now time.Time) {
	switch {
	case s.has("replace keeps the confirmation"):
		after.ConfirmedAt = row.ConfirmedAt
	case s.has("replace forgets the confirmation"):
		after.ConfirmedAt = time.Time{}
	case s.has("replace overwrites late repeats"):
		after.LateRepeats = c.LateRepeats
	case s.has("replace keeps the salt"):
		after.Salt = row.Salt
	case s.has("replace loses the return"):
		after.Binding.RolledBackAt = row.Binding.RolledBackAt
	case s.has("replace stamps the turn itself") && c.Generation != row.Generation && c.End == "":
		after.RotatedAt = now
	case s.has("times in milliseconds"):
		after.RotatedAt, after.EndedAt = after.RotatedAt.Truncate(time.Millisecond), after.EndedAt.Truncate(time.Millisecond)
	}
}

func (s *flawed) Confirm(_ context.Context, uses []session.Use, settle time.Duration) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, u := range uses {
		row, ok := s.look(u.Session, "confirm without a lock")
		settled := u.Settled(now, settle) ||
			(s.has("confirm a second early") && now.Sub(u.IssuedAt) >= settle) || s.has("confirm ignores the age")
		if !ok || !settled ||
			(row.Ended() && !s.has("confirm touches the ended")) ||
			(row.Generation != u.Generation && !s.has("confirm ignores the generation")) ||
			(!row.ConfirmedAt.IsZero() && !s.has("confirm moves the stamp")) {
			continue
		}
		row.ConfirmedAt = now
		s.rows[u.Session] = row
	}
	return now, nil
}

func (s *flawed) End(ctx context.Context, which session.Selection, reason session.Reason) ([]session.Ended, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	var ended []session.Ended
	for id := range maps.Clone(s.rows) {
		if s.has("end stops when canceled") && ctx.Err() != nil && len(ended) > 0 {
			return nil, ctx.Err()
		}
		row, _ := s.look(id, "end without a lock")
		user := row.UserID == which.User || (s.has("end folds names") && strings.EqualFold(row.UserID, which.User))
		named := which.Everyone || id == which.Session || (which.User != "" && user)
		if !named || (id == which.Except && !s.has("end knows no exception")) {
			continue
		}
		if row.Ended() {
			if s.has("end tells of the ended") {
				ended = append(ended, session.Ended{Session: id, UserID: row.UserID})
			}
			if !s.has("end stamps again") {
				continue
			}
		}
		if !s.has("end keeps the salt") {
			row.Salt = token.Salt{}
		}
		row.EndedAt, row.EndReason = now, reason
		s.rows[id] = row
		if !s.has("end does not tell the feed") {
			s.feed[id] = now
		}
		ended = append(ended, session.Ended{Session: id, UserID: row.UserID})
	}
	return ended, nil
}

func (s *flawed) List(_ context.Context, q session.Query) ([]session.Row, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []session.Row
	for _, row := range s.rows {
		order := row.ID.Compare(q.After)
		if (q.User == "" || row.UserID == q.User) && (q.WithEnded || !row.Ended() || s.has("list shows the ended")) &&
			(order > 0 || (order == 0 && s.has("list begins with the last"))) {
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b session.Row) int {
		if s.has("list orders by signed bytes") {
			return int(int8(a.ID[0])) - int(int8(b.ID[0]))
		}
		return a.ID.Compare(b.ID)
	})
	if s.has("list knows no limit") {
		return rows, s.now(), nil
	}
	return rows[:min(len(rows), q.Limit)], s.now(), nil
}

func (s *flawed) Sweep(_ context.Context, limit int, feedKeep time.Duration) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, removed := s.now(), 0
	for id, row := range s.rows {
		past := !now.Before(row.AbsoluteEnd)
		if s.has("sweep spares the moment itself") {
			past = now.After(row.AbsoluteEnd)
		}
		if s.has("sweep takes the ended") {
			past = past || row.Ended()
		}
		if !past || (removed >= limit && !s.has("sweep knows no limit")) {
			continue
		}
		delete(s.rows, id)
		if s.has("sweep takes the feed along") {
			delete(s.feed, id)
		}
		removed++
	}
	maps.DeleteFunc(s.feed, func(_ session.ID, at time.Time) bool {
		age := now.Sub(at)
		return age > feedKeep && !s.has("sweep leaves the feed") || age == feedKeep && s.has("sweep takes the feed early")
	})
	return removed, nil
}

func (s *flawed) EndedSince(_ context.Context, window time.Duration) ([]session.ID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	var ids []session.ID
	for id, at := range s.feed {
		if age := now.Sub(at); age < window || age == window && !s.has("feed leaves out the oldest") {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
