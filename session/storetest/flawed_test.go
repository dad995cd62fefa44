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
	"github.com/pawlauth/pawl/verify"
)

// A flawed store is sound but for one flaw, named by what it does wrong.
type flawed struct {
	now  func() time.Time
	flaw string

	mu    sync.Mutex
	rows  map[session.ID]session.Row // guarded by mu
	feed  map[session.ID]time.Time   // guarded by mu
	first time.Time                  // guarded by mu: what the clock showed at the first Load
	epoch session.Epoch              // guarded by mu
}

func newFlawed(flaw string, now func() time.Time) *flawed {
	return &flawed{now: now, flaw: flaw, rows: make(map[session.ID]session.Row), feed: make(map[session.ID]time.Time)}
}

// has reports whether this is the store's flaw.
func (s *flawed) has(flaw string) bool { return s.flaw == flaw }

// row needs mu. It returns a row as it is seen by a call, unless that one
// ignores the epoch.
func (s *flawed) row(id session.ID, call string) (session.Row, bool) {
	row, ok := s.rows[id]
	seen := s.epoch.Apply(row)
	switch {
	case s.has(call + " ignores the epoch"):
		return row, ok
	case s.has("epoch ends all but the last moment") && row.CreatedAt.Equal(s.epoch.At):
		return row, ok
	case s.has("epoch ends what comes later") && !s.epoch.At.IsZero() && !row.Ended():
		seen = session.Epoch{At: row.CreatedAt.Add(time.Hour), Reason: s.epoch.Reason}.Apply(row)
	case s.has("epoch ends once more") && s.epoch.Ended(row.CreatedAt):
		seen.EndedAt, seen.EndReason = s.epoch.At, s.epoch.Reason
	case s.has("epoch keeps the salt"):
		seen.Salt = row.Salt
	}
	return seen, ok
}

// look returns a row. A store with this flaw lets go of the lock between
// looking and writing.
func (s *flawed) look(id session.ID, unlocked string) (session.Row, bool) {
	call, _, _ := strings.Cut(unlocked, " ")
	row, ok := s.row(id, call)
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
		if row, ok := s.row(id, "load"); ok {
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
			(row.Generation != c.From && !s.has("replace ignores the generation")) ||
			(row.Binding.Kind != c.Bound && !s.has("replace ignores the binding")) {
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

func (s *flawed) Bind(_ context.Context, id session.ID, generation uint32, to session.Binding) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, ok := s.look(id, "bind without a lock")
	if !ok || (row.Ended() && !s.has("bind touches the ended")) ||
		(row.Generation != generation && !s.has("bind ignores the generation")) ||
		(row.Binding.Kind != session.Unbound && !s.has("bind binds again")) {
		return session.ErrConflict
	}
	row.Binding.Kind, row.Binding.Thumbprint = to.Kind, to.Thumbprint
	s.rows[id] = row
	return nil
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
		named := id == which.Session || (which.User != "" && user)
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
	for id := range s.rows {
		row, _ := s.row(id, "list")
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

func (s *flawed) EndEveryone(_ context.Context, at time.Time, reason session.Reason) (session.Epoch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case at.IsZero() && s.has("epoch lies behind"):
		at = s.now().Add(-time.Microsecond)
	case at.IsZero() && s.has("epoch lies far ahead"):
		at = s.now().Add(time.Hour)
	case at.IsZero() || s.has("epoch knows no given time"):
		at = s.now()
	}
	if s.has("epoch is seen late") {
		s.mu.Unlock()
		for range 100 {
			runtime.Gosched()
		}
		s.mu.Lock()
	}
	if at.After(s.epoch.At) || s.has("epoch moves back") {
		s.epoch = session.Epoch{At: at, Reason: reason}
	}
	return s.epoch, nil
}

func (s *flawed) Sweep(_ context.Context, limit int, feedKeep time.Duration) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, taken := s.now(), 0
	if s.has("sweep stops short") {
		limit--
	}
	for id, stored := range s.rows {
		if taken >= limit && !s.has("sweep knows no limit") {
			break
		}
		row, _ := s.row(id, "sweep")
		past := !now.Before(row.AbsoluteEnd)
		if s.has("sweep spares the moment itself") {
			past = now.After(row.AbsoluteEnd)
		}
		if s.has("sweep takes the ended") {
			past = past || row.Ended()
		}
		if row.Ended() && now.Sub(row.EndedAt) <= feedKeep && !s.has("sweep takes the feed along") {
			past = false
		}
		told := now.Sub(s.epoch.At) > feedKeep || s.has("sweep writes the epoch early")
		switch {
		case past:
			delete(s.rows, id)
			delete(s.feed, id)
		case s.has("sweep shortens the feed"):
			delete(s.feed, id)
		case told && row.Ended() && !stored.Ended() && !s.has("sweep writes no epoch"):
			s.rows[id], s.feed[id] = row, row.EndedAt
			if s.has("sweep tells the feed of the epoch's") {
				s.feed[id] = now
			}
		default:
			continue
		}
		taken++
	}
	return taken, nil
}

func (s *flawed) Ended(_ context.Context, window time.Duration) (verify.Endings, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	told := verify.Endings{Epoch: s.epoch.At, Now: s.now()}
	if s.has("feed does not tell of the epoch") {
		told.Epoch = time.Time{}
	}
	for id, at := range s.feed {
		if age := now.Sub(at); age < window || age == window && !s.has("feed leaves out the oldest") {
			told.Sessions = append(told.Sessions, id)
		}
	}
	return told, nil
}
