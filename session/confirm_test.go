package session_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/storetest"
	"github.com/pawlauth/pawl/token"
)

// seen is the use of an issued access token.
func (w *world) seen(held session.Issued) session.Use {
	return session.Use{Session: held.Row.ID, Generation: held.Row.Generation, IssuedAt: time.Unix(w.claims(held).IssuedAt, 0)}
}

func (w *world) flush(c *session.Confirmations) {
	w.Helper()
	if err := c.Flush(w.Context()); err != nil {
		w.Fatalf("Flush: %v", err)
	}
}

func TestConfirmationsReportTheFirstSettledUseOnce(t *testing.T) {
	w := newWorld(t, nil)
	c := session.NewConfirmations(w.engine)
	held := w.login(nil)
	u := w.seen(held)

	c.Note(u, w.clock.Advance(75*time.Second))
	w.flush(c)
	if w.store.Calls(storetest.Confirm) != 0 {
		t.Error("a use was reported that had not settled")
	}
	now := w.clock.Advance(time.Second)
	for range 100 {
		c.Note(u, now)
	}
	w.flush(c)
	if row := w.row(held.Row.ID); !row.ConfirmedAt.Equal(now) {
		t.Errorf("confirmed at %v, want %v", row.ConfirmedAt, now)
	}
	c.Note(u, w.clock.Advance(time.Minute))
	w.flush(c)
	if n := w.store.Calls(storetest.Confirm); n != 1 {
		t.Errorf("reported %d times, want once", n)
	}

	// The next generation is news; an older token is none.
	w.clock.Advance(time.Hour)
	next := w.renew(held)
	now = w.clock.Advance(77 * time.Second)
	c.Note(w.seen(next), now)
	c.Note(u, now)
	w.flush(c)
	if n := w.store.Calls(storetest.Confirm); n != 2 || w.row(held.Row.ID).ConfirmedAt.IsZero() {
		t.Errorf("reported %d times, confirmed %v; want the new generation reported", n, w.row(held.Row.ID).ConfirmedAt)
	}
}

// This node's clock is ahead: what it takes for settled is too early for the
// store, and noted again at the token's next use.
func TestUsesThatTheStoreFindsTooEarlyAreNotedAgain(t *testing.T) {
	w := newWorld(t, nil)
	c := session.NewConfirmations(w.engine)
	held := w.login(nil)
	u := w.seen(held)
	const ahead = time.Minute
	now := w.clock.Advance(30 * time.Second)
	c.Note(u, now.Add(ahead))
	w.flush(c)
	if row := w.row(held.Row.ID); !row.ConfirmedAt.IsZero() {
		t.Fatalf("confirmed %v after the token was made", row.ConfirmedAt.Sub(row.RotatedAt))
	}
	now = w.clock.Advance(time.Minute)
	c.Note(u, now.Add(ahead))
	w.flush(c)
	if row := w.row(held.Row.ID); !row.ConfirmedAt.Equal(now) {
		t.Errorf("confirmed at %v, want %v", row.ConfirmedAt, now)
	}
}

// Rows: 252.
func TestUsesThatTheStoreDidNotTakeAreNotedAgain(t *testing.T) {
	for _, fault := range []storetest.Fault{storetest.Lost, storetest.Unanswered} {
		w := newWorld(t, nil)
		c := session.NewConfirmations(w.engine)
		held := w.login(nil)
		now := w.clock.Advance(2 * time.Minute)
		w.store.Fail(storetest.Confirm, 1, fault)
		c.Note(w.seen(held), now)
		if err := c.Flush(t.Context()); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("Flush: %v, want ErrUnavailable", err)
		}
		w.flush(c) // nothing is pending
		if n := w.store.Calls(storetest.Confirm); n != 1 {
			t.Errorf("reported %d times without a use", n)
		}
		c.Note(w.seen(held), now)
		w.flush(c)
		if row := w.row(held.Row.ID); !row.ConfirmedAt.Equal(now) {
			t.Errorf("%s: confirmed at %v, want %v", fault, row.ConfirmedAt, now)
		}
	}
}

// counting counts the uses that it is told of.
type counting struct {
	session.Store
	uses []int
}

func (s *counting) Confirm(ctx context.Context, uses []session.Use, settle time.Duration) (time.Time, error) {
	s.uses = append(s.uses, len(uses))
	return s.Store.Confirm(ctx, uses, settle)
}

// What a node holds back is bounded while the store is not asked, and what was
// passed over is taken in later.
func TestConfirmationsAreBounded(t *testing.T) {
	const bound = 1 << 16
	w := newWorld(t, nil)
	store := &counting{Store: w.inner}
	c := session.NewConfirmations(w.node(store, nil))
	now := w.clock.Now()
	passedOver := session.Use{Session: token.NewID(), Generation: 1, IssuedAt: now.Add(-time.Hour)}
	var earlier session.Use
	for range bound {
		earlier = session.Use{Session: token.NewID(), Generation: 1, IssuedAt: now.Add(-time.Hour)}
		c.Note(earlier, now)
	}
	c.Note(passedOver, now)
	w.flush(c)
	c.Note(passedOver, now)
	w.flush(c)
	// What was noted is remembered within the same bound: all of it was
	// forgotten for the last one.
	c.Note(earlier, now)
	w.flush(c)
	if len(store.uses) != 3 || store.uses[0] != bound || store.uses[1] != 1 || store.uses[2] != 1 {
		t.Errorf("reported %v uses; want %d, 1 and 1", store.uses, bound)
	}
}

func TestConfirmationsAreSafeForConcurrentUse(t *testing.T) {
	w := newWorld(t, nil)
	c := session.NewConfirmations(w.engine)
	var uses []session.Use
	for range 20 {
		uses = append(uses, w.seen(w.login(nil)))
	}
	now := w.clock.Advance(2 * time.Minute)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for _, u := range uses {
				c.Note(u, now)
			}
		})
		wait.Go(func() {
			if err := c.Flush(t.Context()); err != nil {
				t.Errorf("Flush: %v", err)
			}
		})
	}
	wait.Wait()
	w.flush(c)
	for _, u := range uses {
		if w.row(u.Session).ConfirmedAt.IsZero() {
			t.Fatal("a use was lost")
		}
	}
}
