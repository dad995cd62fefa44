package session_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/memstore"
	"github.com/pawlauth/pawl/session/storetest"
)

// One call ends the sessions of all users, and nobody's token is good after it.
//
// Rows: 118, 143.
func TestEndEveryoneRefusesEveryTokenOfEverybody(t *testing.T) {
	w := newWorld(t, nil)
	alice := w.login(nil)
	bob := w.login(func(l *session.Login) { l.UserID = "u_bob" })
	w.clock.Advance(time.Hour)
	turned := w.renew(bob)
	w.journal.Take()

	epoch, err := w.engine.EndEveryone(t.Context(), session.ReasonEveryone, "operator", session.Origin{Address: "192.0.2.0/24"})
	if err != nil || epoch.Before(w.clock.Now()) {
		t.Fatalf("EndEveryone: %v, %v; want an epoch from %v on", epoch, err, w.clock.Now())
	}
	want := session.Event{Type: session.EventEpoch, Reason: "everyone", Actor: "operator", Origin: session.Origin{Address: "192.0.2.0/24"}}
	if diff := cmp.Diff([]session.Event{want}, w.journal.Take()); diff != "" {
		t.Errorf("events differ (-want +got):\n%s", diff)
	}
	for _, held := range []session.Issued{alice, bob, turned} {
		w.wantRefused(asks(held), session.ReasonEnded, false)
		if rows, _, err := w.engine.List(t.Context(), held.Row.UserID); err != nil || len(rows) != 0 {
			t.Errorf("%d sessions of %s are listed, %v", len(rows), held.Row.UserID, err)
		}
	}
	if !w.epoch.Equal(epoch) {
		t.Errorf("this node refuses what was issued until %v, want %v", w.epoch, epoch)
	}
	if told, err := w.inner.Ended(t.Context(), time.Minute); err != nil || !told.Epoch.Equal(epoch) {
		t.Errorf("the other nodes were told of %v, %v; want %v", told.Epoch, err, epoch)
	}
	w.clock.Advance(session.EpochMargin + time.Second)
	again := w.login(nil)
	w.clock.Advance(time.Hour)
	w.renew(again)
}

// Rows: 94, 252.
func TestEndEveryoneOnAFailingStoreTellsNothing(t *testing.T) {
	w := newWorld(t, nil)
	held := w.login(nil)
	w.journal.Take()
	w.store.Fail(storetest.EndEveryone, 1, storetest.Lost)
	if _, err := w.engine.EndEveryone(t.Context(), session.ReasonEveryone, "", session.Origin{}); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	if events := w.journal.Take(); len(events) != 0 || !w.epoch.IsZero() {
		t.Errorf("told of an end that was not: %v, epoch %v", events, w.epoch)
	}
	w.clock.Advance(time.Hour)
	w.renew(held)
}

// A store that has lost its last writes is told of the ends again.
//
// Rows: 114, 118.
func TestEndAgainWritesWhatTheStoreLost(t *testing.T) {
	w := newWorld(t, nil)
	lost, kept := w.login(nil), w.login(nil)
	before := w.inner.Clone(w.clock.Now)
	w.end(session.Selection{Session: lost.Row.ID}, session.ReasonSignOut)
	w.journal.Take()

	w.store.Store = before
	w.inner = before
	w.wantRefused(asks(lost), session.ReasonEnded, false)
	if row, _, err := w.engine.Get(t.Context(), lost.Row.ID); err != nil || !row.Ended() || row.EndReason != session.ReasonForgotten {
		t.Errorf("Get: ended %t by %q, %v; want an end that was forgotten", row.Ended(), row.EndReason, err)
	}
	if rows, _, err := w.engine.List(t.Context(), "u_alice"); err != nil || len(rows) != 1 || rows[0].ID != kept.Row.ID {
		t.Errorf("listed %d sessions, %v; want the one that lives", len(rows), err)
	}
	w.journal.Take()
	unknown := session.ID{1}
	if err := w.engine.EndAgain(t.Context(), []session.ID{unknown, lost.Row.ID}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	w.wantOver(session.ReasonForgotten, lost)
	if told, err := w.inner.Ended(t.Context(), time.Minute); err != nil || !told.Epoch.IsZero() {
		t.Errorf("an epoch was set: %v, %v", told.Epoch, err)
	}
	if n := w.journal.Count(session.EventEnded); n != 1 {
		t.Errorf("%d ends are recorded, want 1", n)
	}

	epoch := w.clock.Now()
	for _, call := range []storetest.Call{storetest.End, storetest.EndEveryone} {
		w.store.Fail(call, 1, storetest.Lost)
		if err := w.engine.EndAgain(t.Context(), []session.ID{kept.Row.ID}, epoch); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("when %s fails: %v, want ErrUnavailable", call, err)
		}
	}
	if err := w.engine.EndAgain(t.Context(), nil, epoch); err != nil {
		t.Fatal(err)
	}
	if told, err := w.inner.Ended(t.Context(), time.Minute); err != nil || !told.Epoch.Equal(epoch) {
		t.Errorf("the epoch is %v, %v; want %v", told.Epoch, err, epoch)
	}
}

// A standby is a store that can take the place of another: one that had not
// got the last writes.
type standby struct{ session.Store }

// Whatever the store forgets, and however often: a node renews no session that
// it knows to have ended, and shows none.
//
// Rows: 112, 114, 118, 143.
func TestEndedStaysEndedThoughTheStoreForgets(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		clock := storetest.NewClock()
		current := memstore.New(clock.Now)
		store, node := &standby{current}, &world{T: t}
		engine := storetest.NewEngine(t, store, func(o *session.Options) { o.Ends = (*ends)(node) })
		var held []session.Issued
		var copies []*memstore.Store
		gone := func(i session.Issued) bool { return (*ends)(node).Has(i.Row.ID, i.Row.CreatedAt) }
		pick := func(rt *rapid.T) *session.Issued {
			if len(held) == 0 {
				rt.Skip("there is no session yet")
			}
			return &held[rapid.IntRange(0, len(held)-1).Draw(rt, "session")]
		}
		rt.Repeat(map[string]func(*rapid.T){
			"login": func(rt *rapid.T) {
				if len(held) == 6 {
					rt.Skip("there are enough")
				}
				issued, err := engine.Start(t.Context(), session.Login{UserID: "u_alice", ClientID: "web", Audience: "app", Transport: session.Cookie})
				if err != nil {
					rt.Fatal(err)
				}
				held = append(held, issued)
			},
			"renew": func(rt *rapid.T) {
				with := pick(rt)
				over := gone(*with)
				issued, err := engine.Refresh(t.Context(), asks(*with))
				switch {
				case err == nil && over:
					rt.Fatal("an ended session was renewed")
				case err == nil:
					*with = issued
				case !errors.Is(err, session.ErrRefused):
					rt.Fatal(err)
				}
			},
			"end": func(rt *rapid.T) {
				if _, err := engine.End(t.Context(), session.Selection{Session: pick(rt).Row.ID}, session.ReasonSignOut, "", session.Origin{}); err != nil {
					rt.Fatal(err)
				}
			},
			"end everyone": func(rt *rapid.T) {
				if _, err := engine.EndEveryone(t.Context(), session.ReasonEveryone, "", session.Origin{}); err != nil {
					rt.Fatal(err)
				}
			},
			"wait": func(rt *rapid.T) {
				clock.Advance(time.Duration(rapid.IntRange(1, 3600).Draw(rt, "seconds")) * time.Second)
			},
			"copy": func(*rapid.T) { copies = append(copies, current.Clone(clock.Now)) },
			"fail over": func(rt *rapid.T) {
				if len(copies) == 0 {
					rt.Skip("there is no copy yet")
				}
				current = rapid.SampledFrom(copies).Draw(rt, "copy").Clone(clock.Now)
				store.Store = current
			},
			"end again": func(rt *rapid.T) {
				if err := engine.EndAgain(t.Context(), slices.Clone(node.ended), node.epoch); err != nil {
					rt.Fatal(err)
				}
				rows, _, err := current.List(t.Context(), session.Query{Limit: 100})
				if err != nil {
					rt.Fatal(err)
				}
				for _, row := range rows {
					if gone(session.Issued{Row: row}) {
						rt.Error("a session lives in the store after it was ended again")
					}
				}
			},
			"": func(rt *rapid.T) {
				rows, _, err := engine.List(t.Context(), "u_alice")
				if err != nil {
					rt.Fatal(err)
				}
				for _, row := range rows {
					if gone(session.Issued{Row: row}) {
						rt.Error("an ended session is listed")
					}
				}
				for _, i := range held {
					if row, _, err := engine.Get(t.Context(), i.Row.ID); err == nil && gone(i) && !row.Ended() {
						rt.Error("an ended session is told to live")
					}
				}
			},
		})
	})
}
