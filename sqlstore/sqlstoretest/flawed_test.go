package sqlstoretest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
	"github.com/pawlauth/pawl/sqlstore/sqlstoretest"
)

// flaws says which test of the suite each flaw must fail. A suite that cannot
// fail proves nothing.
var flaws = []struct{ flaw, test string }{
	{"append reverses", "Events/ComeInOrderAndWhole"},
	{"append loses the browser", "Events/ComeInOrderAndWhole"},
	{"append stamps by another clock", "Events/ComeInOrderAndWhole"},
	{"events begin with the last", "Events/ComeInOrderAndWhole"},
	{"events know no limit", "Events/ComeInOrderAndWhole"},
	{"events come in pairs", "Events/AreNotMissedByWhoFollows"},
	{"events of a user are of everybody", "Events/OfAUser"},
	{"events of a user begin at the first", "Events/OfAUser"},
	{"trim knows no limit", "Events/TrimKeepsTheYoungAndTheCursors"},
	{"trim takes the young", "Events/TrimKeepsTheYoungAndTheCursors"},
	{"trim looks at one event", "Events/TrimGoesPastTheFuture"},
	{"erase does nothing", "Erase/SessionsStayEnded"},
	{"erase counts once more", "Erase/SessionsStayEnded"},
	{"erase does nothing", "Erase/SessionsThatTheEpochEnded"},
	{"erase leaves events", "Erase/EventsKeepWhatHappened"},
	{"feed is of this process", "Processes/WhatOneWritesTheOtherReads"},
	{"users are of this process", "Processes/WhatOneWritesTheOtherReads"},
	{"close closes nothing", "Processes/NothingIsForgottenWhenAllAreClosed"},
	{"attempts are counted under nothing", "Processes/AttemptsAreSharedAndSurviveARestart"},
	{"keys know no conflict", "Processes/OneOfTwoActivatesAKey"},
	{"keys know no conflict", "Keys/OneNextOneActive"},
	{"fsck counts nothing", "Upkeep/FsckCountsAndFindsNothing"},
	{"fsck finds nothing", "Upkeep/FsckFindsWhatIsUnsound"},
	{"fsck finds too much", "Upkeep/FsckCountsAndFindsNothing"},
	{"fsck finds too much", "Events/OfAUser"},
}

// A flawed store is sound but for one flaw, named by what it does wrong.
type flawed struct {
	sqlstore.Store
	flaw string
	own  map[string]bool // users that this process made
}

func (s *flawed) has(flaw string) bool { return s.flaw == flaw }

func (s *flawed) Append(ctx context.Context, events []session.Event) error {
	events = slices.Clone(events)
	for i := range events {
		if s.has("append loses the browser") {
			events[i].UserAgent = ""
		}
		if s.has("append stamps by another clock") && events[i].Time.IsZero() {
			events[i].Time = time.Now().UTC().Truncate(time.Microsecond)
		}
	}
	if s.has("append reverses") {
		slices.Reverse(events)
	}
	return s.Store.Append(ctx, events)
}

func (s *flawed) Events(ctx context.Context, after int64, limit int) ([]sqlstore.StoredEvent, error) {
	switch {
	case s.has("events begin with the last") && after > 0:
		after--
	case s.has("events know no limit"):
		limit = 1000
	}
	events, err := s.Store.Events(ctx, after, limit)
	if s.has("events come in pairs") && len(events) > 1 && after > 0 {
		events = events[1:]
	}
	return events, err
}

func (s *flawed) EventsOf(ctx context.Context, user string, after int64, limit int) ([]sqlstore.StoredEvent, error) {
	if s.has("events of a user are of everybody") {
		return s.Store.Events(ctx, after, limit)
	}
	if s.has("events of a user begin at the first") {
		after = 0
	}
	return s.Store.EventsOf(ctx, user, after, limit)
}

func (s *flawed) TrimEvents(ctx context.Context, keep time.Duration, limit int) (int, error) {
	if s.has("trim knows no limit") {
		limit = 1000
	}
	if s.has("trim takes the young") {
		keep -= time.Hour
	}
	if s.has("trim looks at one event") {
		limit = min(limit, 1)
	}
	return s.Store.TrimEvents(ctx, keep, limit)
}

func (s *flawed) EraseSessions(ctx context.Context, user string) (erased, removed int, err error) {
	if s.has("erase does nothing") {
		return 0, 0, nil
	}
	erased, removed, err = s.Store.EraseSessions(ctx, user)
	if s.has("erase counts once more") {
		erased++
	}
	return erased, removed, err
}

func (s *flawed) EraseEvents(ctx context.Context, user string) (int, error) {
	if s.has("erase leaves events") {
		return 7999 / 2, nil
	}
	return s.Store.EraseEvents(ctx, user)
}

func (s *flawed) End(ctx context.Context, which session.Selection, reason session.Reason) ([]session.Ended, error) {
	if s.has("feed is of this process") {
		return []session.Ended{{Session: which.Session}}, nil
	}
	return s.Store.End(ctx, which, reason)
}

func (s *flawed) CreateUser(ctx context.Context, user account.User, initial time.Duration) error {
	s.own[user.Name] = true
	return s.Store.CreateUser(ctx, user, initial)
}

func (s *flawed) UserByName(ctx context.Context, name string) (account.User, error) {
	if s.has("users are of this process") && !s.own[name] {
		return account.User{}, account.ErrNotFound
	}
	return s.Store.UserByName(ctx, name)
}

func (s *flawed) Tally(ctx context.Context, step account.Step) (account.Outcome, error) {
	if s.has("attempts are counted under nothing") {
		step.Keys = nil
	}
	return s.Store.Tally(ctx, step)
}

func (s *flawed) ChangeKeys(ctx context.Context, changes []keyring.Change) error {
	err := s.Store.ChangeKeys(ctx, changes)
	if s.has("keys know no conflict") && errors.Is(err, keyring.ErrConflict) {
		return nil
	}
	return err
}

func (s *flawed) Close() error {
	if s.has("close closes nothing") {
		return nil
	}
	return s.Store.Close()
}

func (s *flawed) Fsck(ctx context.Context) (sqlstore.Report, error) {
	report, err := s.Store.Fsck(ctx)
	switch {
	case s.has("fsck counts nothing"):
		report = sqlstore.Report{Faults: report.Faults}
	case s.has("fsck finds nothing"):
		report.Faults = nil
	case s.has("fsck finds too much"):
		report.Fault("nothing")
	}
	return report, err
}

// flawVariable tells the child process which flaw its store has.
const flawVariable = "SQLSTORETEST_FLAW"

// TestStoreWithOneFlaw runs the suite on a store that has none, unless
// TestSuiteFindsEachFlaw runs it as a child process.
func TestStoreWithOneFlaw(t *testing.T) {
	paths := make(map[sqlstore.Store]string)
	open := func(t *testing.T, path string, now func() time.Time) sqlstore.Store {
		s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return &flawed{Store: s, flaw: os.Getenv(flawVariable), own: make(map[string]bool)}
	}
	sqlstoretest.Run(t, sqlstoretest.Maker{
		Open: func(t *testing.T, now func() time.Time) sqlstore.Store {
			path := filepath.Join(t.TempDir(), "pawl.db")
			s := open(t, path, now)
			paths[s] = path
			return s
		},
		Again: func(t *testing.T, first sqlstore.Store, now func() time.Time) sqlstore.Store {
			return open(t, paths[first], now)
		},
	})
}

func TestSuiteFindsEachFlaw(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range flaws {
		t.Run(f.flaw+"/"+f.test, func(t *testing.T) {
			pattern := "^TestStoreWithOneFlaw$/^" + strings.ReplaceAll(f.test, "/", "$/^") + "$"
			child := exec.CommandContext(t.Context(), self, "-test.run="+pattern, "-test.timeout=1m")
			child.Env = append(os.Environ(), flawVariable+"="+f.flaw)
			out, err := child.CombinedOutput()
			if _, failed := errors.AsType[*exec.ExitError](err); !failed {
				t.Fatalf("the suite passes a store that has the flaw: %s (%v)", f.flaw, err)
			}
			if !strings.Contains(string(out), "--- FAIL: TestStoreWithOneFlaw/"+f.test) {
				t.Errorf("failed elsewhere:\n%.2000s", out)
			}
		})
	}
}
