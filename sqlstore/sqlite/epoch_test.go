package sqlite_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/storetest"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
)

// A commit that takes longer than the margin is done again, so that no clock
// that was read before the epoch could be seen is later than it.
//
// Rows: 143.
func TestEpochOutrunsASlowCommit(t *testing.T) {
	start := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	var reads atomic.Int64
	clock := func() time.Time { // goes on by three seconds at each of the first reads
		return start.Add(3 * time.Second * time.Duration(min(reads.Add(1), 6)))
	}
	s := open(t, newPath(t), clock)
	epoch, err := s.EndEveryone(t.Context(), time.Time{}, session.ReasonEveryone)
	if now := clock(); err != nil || epoch.At.Before(now) || epoch.At.After(now.Add(session.EpochMargin)) {
		t.Errorf("epoch %v, %v; want one from %v on", epoch, err, now)
	}
	if n := reads.Load(); n < 6 {
		t.Errorf("the clock was read %d times, too few for it to have been set again", n)
	}
	told, err := s.Ended(t.Context(), time.Minute)
	if err != nil || !told.Epoch.Equal(epoch.At) {
		t.Errorf("the feed tells of %v, %v; want the one that was returned, %v", told.Epoch, err, epoch.At)
	}
}

// The epoch is written into the rows in steps, and a process that ends in
// between is followed by one that goes on: no row is gone through twice.
func TestEpochIsWrittenInSteps(t *testing.T) {
	const rows, step = 50, 7
	lowest := session.ID{15: 1} // before all others
	path, clock := newPath(t), storetest.NewClock()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	for range rows {
		if err := s.Create(t.Context(), newRow(clock.Now())); err != nil {
			t.Fatal(err)
		}
	}
	everyone := func() {
		t.Helper()
		if _, err := s.EndEveryone(t.Context(), time.Time{}, session.ReasonFenced); err != nil {
			t.Fatal(err)
		}
		clock.Advance(2 * time.Hour)
	}
	sweep := func() (n int) {
		t.Helper()
		if n, err = s.Sweep(t.Context(), step, time.Hour); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = sqlite.Open(t.Context(), sqlite.Options{Path: path, Now: clock.Now}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	over := func() bool { t.Helper(); row := load(t, s, lowest); return row.Ended() }
	salts := func() (n int) {
		t.Helper()
		if err := s.Reader().QueryRow("SELECT count(*) FROM sessions WHERE salt <> zeroblob(16)").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	defer func() { s.Close() }()

	everyone()
	live := newRow(clock.Now())
	live.ID = lowest
	if err := s.Create(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	total := 0
	for i := 1; ; i++ {
		n := sweep()
		total += n
		if want := max(1, rows+2-i*step); salts() != want && n == step {
			t.Fatalf("%d salts are left after %d steps, want %d", salts(), i, want)
		}
		if n < step {
			break
		}
	}
	if total != rows+1 || salts() != 1 || over() {
		t.Errorf("went through %d of %d rows; %d salts are left, want that of the live one", total, rows+1, salts())
	}
	if n := sweep(); n != 0 {
		t.Errorf("went through %d rows again", n)
	}
	// The next epoch begins anew.
	everyone()
	for sweep() == step {
	}
	if n := salts(); n != 0 || !over() {
		t.Errorf("%d salts are left after the next epoch", n)
	}
	sound(t, s)
}
