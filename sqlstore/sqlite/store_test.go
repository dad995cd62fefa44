package sqlite_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/storetest"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
	"github.com/pawlauth/pawl/token"
)

func TestStoreKeepsTheContractOfKeys(t *testing.T) {
	keyringtest.Run(t, func(t *testing.T) keyring.Store { return open(t, newPath(t), time.Now) })
}

// That there is one active key and one next key does not rest on any code: the
// schema refuses a second, whoever writes it.
func TestSchemaKeepsOneNextAndOneActiveKey(t *testing.T) {
	path := newPath(t)
	open(t, path, time.Now)
	db := raw(t, path)
	insert := `INSERT INTO keys (id, algorithm, header, public, master, sealed, state, created_at, changed_at)
		VALUES (?, 'EdDSA', 'h', x'01', x'01020304', ?, ?, 1, 1)`
	for i, state := range []string{"next", "active", "retiring", "retiring", "gone", "gone", "withdrawn", "withdrawn"} {
		run(t, db, insert, i, nil, state)
	}
	for _, state := range []string{"next", "active", "unheard"} {
		if _, err := db.Exec(insert, "second "+state, nil, state); err == nil {
			t.Errorf("a second key in state %q was accepted", state)
		}
	}
	if _, err := db.Exec(`UPDATE keys SET state = 'active' WHERE state = 'next'`); err == nil {
		t.Error("two keys became active")
	}
}

// Nothing brings an ended session back, whoever writes it.
func TestSchemaKeepsAnEndedSessionEnded(t *testing.T) {
	path := newPath(t)
	s := open(t, path, time.Now)
	row := create(t, s)
	if _, err := s.End(t.Context(), session.Selection{Session: row.ID}, session.ReasonOperator); err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	for _, set := range []string{"ended_at = NULL, end_reason = ''", "salt = randomblob(16)", "end_reason = 'other'", "ended_at = ended_at + 1"} {
		if _, err := db.Exec("UPDATE sessions SET " + set); err == nil {
			t.Errorf("an ended session was changed: %s", set)
		}
	}
	other := create(t, s)
	if _, err := db.Exec("UPDATE sessions SET ended_at = 1, end_reason = 'x' WHERE id = ?", other.ID[:]); err == nil {
		t.Error("an ended session kept its salt")
	}
	sound(t, s)
}

func TestEndRefusesASelectionOfNothing(t *testing.T) {
	s := open(t, newPath(t), time.Now)
	row := create(t, s)
	for _, which := range []session.Selection{{}, {Except: token.NewID()}, {User: "u_alice", Session: row.ID}} {
		if ended, err := s.End(t.Context(), which, session.ReasonOperator); err == nil || len(ended) > 0 {
			t.Errorf("%+v: ended %d, %v; want an error", which, len(ended), err)
		}
	}
	if got := load(t, s, row.ID); got.Ended() {
		t.Error("a session was ended")
	}
}

func TestCreateRefusesMethodsItCannotKeep(t *testing.T) {
	s := open(t, newPath(t), time.Now)
	for _, methods := range [][]string{{""}, {"pwd", ""}, {"pwd\notp"}} {
		row := newRow(time.Now())
		row.Methods = methods
		if err := s.Create(t.Context(), row); err == nil {
			t.Errorf("methods %q were accepted", methods)
		}
	}
}

// Rows: 237.
func TestEventsComeInOrderAndWhole(t *testing.T) {
	clock := storetest.NewClock()
	s := open(t, newPath(t), clock.Now)
	want := []session.Event{
		{Time: clock.Now().Add(-time.Microsecond), Type: session.EventStarted, Reason: "reason", UserID: "u_alice", Session: "pseudonym",
			Generation: 1<<32 - 1, ClientID: "web", Actor: "operator", Key: "key",
			Origin: session.Origin{Address: "192.0.2.0/24", UserAgent: "agent\n\"quoted\"", RequestID: "r1"}},
		{Type: session.EventEnded}, // stamped by the store
		{Time: clock.Now(), Type: session.EventRenewed},
	}
	if err := s.Append(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	want[1].Time = clock.Now()
	if err := s.Append(t.Context(), nil); err != nil {
		t.Error(err)
	}
	var got []session.Event
	var last int64
	for {
		page, err := s.Events(t.Context(), last, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			if e.Cursor <= last {
				t.Errorf("cursor %d after %d", e.Cursor, last)
			}
			last, got = e.Cursor, append(got, e.Event)
		}
		if len(page) == 0 {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// Who follows by cursor misses nothing, however many write.
func TestEventsAreNotMissedByWhoFollows(t *testing.T) {
	path := newPath(t)
	stores := []*sqlite.Store{open(t, path, time.Now), open(t, path, time.Now)}
	const writers, each = 8, 40
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				e := session.Event{Type: session.EventRenewed, UserID: string(rune('a' + w)), Generation: uint32(i)}
				if err := stores[w%2].Append(t.Context(), []session.Event{e, e}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen, next := 0, make(map[string]uint32)
	var last int64
	until(t, "all events came", func() bool {
		page, err := stores[0].Events(t.Context(), last, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			if e.Cursor <= last || e.Generation != next[e.UserID]/2 {
				t.Errorf("event %d of %s at %d, want %d", e.Generation, e.UserID, e.Cursor, next[e.UserID]/2)
			}
			last = e.Cursor
			next[e.UserID]++
			seen++
		}
		return seen == 2*writers*each
	})
	wg.Wait()
}

func TestTrimEventsKeepsTheYoungAndTheCursors(t *testing.T) {
	clock := storetest.NewClock()
	s := open(t, newPath(t), clock.Now)
	for range 10 {
		if err := s.Append(t.Context(), []session.Event{{Type: session.EventRenewed}}); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Hour)
	}
	if n, err := s.TrimEvents(t.Context(), 4*time.Hour, 2); err != nil || n != 2 {
		t.Errorf("trimmed %d, %v; want the limit of 2", n, err)
	}
	if n, err := s.TrimEvents(t.Context(), 4*time.Hour, 100); err != nil || n != 4 {
		t.Errorf("trimmed %d, %v; want 4", n, err)
	}
	events, err := s.Events(t.Context(), 0, 100)
	if err != nil || len(events) != 4 {
		t.Fatalf("%d events are left, %v; want 4", len(events), err)
	}
	last := events[3].Cursor
	if n, err := s.TrimEvents(t.Context(), -time.Hour, 100); err != nil || n != 4 {
		t.Errorf("trimmed %d, %v; want the rest", n, err)
	}
	if err := s.Append(t.Context(), []session.Event{{Type: session.EventRenewed}}); err != nil {
		t.Fatal(err)
	}
	if events, err = s.Events(t.Context(), 0, 100); err != nil || len(events) != 1 || events[0].Cursor <= last {
		t.Errorf("a cursor was given again: %+v after %d, %v", events, last, err)
	}
	sound(t, s)
}

// Other processes on the same data: what one writes every other one reads.
func TestTwoStoresShareEverything(t *testing.T) {
	path := newPath(t)
	a, b := open(t, path, time.Now), open(t, path, time.Now)
	row := create(t, a)
	if got := load(t, b, row.ID); got.ID != row.ID {
		t.Error("another row")
	}
	if err := replace(t, b, turn(row, time.Now())); err != nil {
		t.Fatal(err)
	}
	if err := replace(t, a, turn(row, time.Now())); !errors.Is(err, session.ErrConflict) {
		t.Errorf("got %v, want ErrConflict", err)
	}
	if ended, err := b.End(t.Context(), session.Selection{Session: row.ID}, session.ReasonSignOut); err != nil || len(ended) != 1 {
		t.Errorf("ended %d, %v", len(ended), err)
	}
	if told, err := a.Ended(t.Context(), time.Minute); err != nil || !slices.Contains(told.Sessions, row.ID) {
		t.Errorf("the feed has %v, %v", told.Sessions, err)
	}
}
