package session_test

import (
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
)

// The scenarios that no peer gets right all at once: the theft is found, and
// the honest client is not logged out. A thief holds a copy of the cookies, so
// he shows all that the owner shows, except for a bound key.

// The owner renews and uses what that brought; the thief renews a step behind.
// He is found the first time.
//
// Rows: 112, 113, A37.
func TestThiefOneStepBehindIsFoundAtHisFirstRenewal(t *testing.T) {
	w := newWorld(t, nil)
	stolen := w.login(nil)
	w.clock.Advance(time.Hour)
	owner := w.renew(stolen)
	w.uses(owner)
	w.clock.Advance(10 * time.Second)
	w.wantRefused(asks(stolen), session.ReasonReuse, true)
	w.wantOver(session.ReasonReuse, stolen, owner)
}

// The thief renews first and lets it be seen; the owner is a step behind.
//
// Rows: 112, 113, A37.
func TestThiefOneStepAheadIsFoundWhenTheOwnerRenews(t *testing.T) {
	w := newWorld(t, nil)
	owner := w.login(nil)
	w.clock.Advance(time.Hour)
	thief := w.renew(owner)
	w.uses(thief)
	w.clock.Advance(time.Hour)
	w.wantRefused(asks(owner), session.ReasonReuse, true)
	w.wantOver(session.ReasonReuse, owner, thief)
}

// The thief follows one step behind an owner whose uses nobody reports: every
// renewal of his looks like a lost answer, and the fourth gives him away.
//
// Rows: 112, A37.
func TestShadowOfAnOwnerWhoIsNeverSeenIsFoundWithinFourRenewals(t *testing.T) {
	w := newWorld(t, nil)
	owner := w.login(nil)
	thief := owner
	for round := 1; ; round++ {
		w.clock.Advance(time.Hour)
		owner = w.renew(owner)
		w.clock.Advance(30 * time.Minute)
		if round == 4 {
			w.wantRefused(asks(thief), session.ReasonShadow, true)
			break
		}
		thief = w.renew(thief)
		w.sameTokens(owner, thief)
		// One step behind: he holds what the owner is about to replace.
	}
	w.wantOver(session.ReasonShadow, owner, thief)
}

// The thief renews a step ahead and keeps silent. The owner is answered, for
// his answer may have been lost, and counted.
//
// Rows: 112, A37.
func TestSilentThiefAheadIsFoundAtTheFourthLateRepeat(t *testing.T) {
	w := newWorld(t, nil)
	owner := w.login(nil)
	for round := 1; round <= 3; round++ {
		w.clock.Advance(time.Hour)
		w.renew(owner) // the thief, with a copy
		w.clock.Advance(time.Hour)
		owner = w.renew(owner)
		if owner.Row.Generation != uint32(round)+1 {
			t.Fatalf("round %d: generation %d", round, owner.Row.Generation)
		}
	}
	w.clock.Advance(time.Hour)
	thief := w.renew(owner)
	w.clock.Advance(time.Hour)
	w.wantRefused(asks(owner), session.ReasonShadow, true)
	w.wantOver(session.ReasonShadow, owner, thief)
}

// A token is recognised for as long as the session lives, however many came
// after it.
//
// Rows: 112.
func TestEveryEarlierTokenIsRecognised(t *testing.T) {
	for _, step := range []int{0, 1, 100, 298} {
		w := newWorld(t, nil)
		holders := []session.Issued{w.login(nil)}
		for range 300 {
			w.clock.Advance(time.Hour)
			holders = append(holders, w.renew(holders[len(holders)-1]))
		}
		w.uses(holders[300])
		w.clock.Advance(time.Hour)
		w.wantRefused(asks(holders[step]), session.ReasonReuse, true)
		w.wantOver(session.ReasonReuse, holders[300])
	}
}

// Reuse ends this session only, never the user's others.
//
// Rows: A44.
func TestReuseEndsThisSessionOnly(t *testing.T) {
	w := newWorld(t, nil)
	stolen, other := w.login(nil), w.login(nil)
	w.clock.Advance(time.Hour)
	w.uses(w.renew(stolen))
	w.clock.Advance(time.Hour)
	w.wantRefused(asks(stolen), session.ReasonReuse, true)
	w.renew(other)
}

// Two tabs renew at once and their answers arrive in either order: both bring
// the same bytes, so it does not matter which is stored last.
//
// Rows: 115.
func TestReorderedTabsAreNeverLoggedOut(t *testing.T) {
	for _, key := range []string{"", "shared"} {
		w := newWorld(t, nil)
		held := w.login(nil)
		for round := range 1000 {
			w.clock.Advance(5 * time.Minute)
			r := asks(held)
			if key != "" {
				r.IdempotencyKey = key + string(rune(round))
			}
			one := w.renewAs(r)
			w.clock.Advance(time.Duration(round%9) * time.Second)
			two := w.renewAs(r)
			w.sameTokens(one, two)
			// The later answer arrives first: the jar ends with the earlier one.
			held = one
			if round%3 == 0 {
				w.uses(held)
			}
		}
		if row := w.row(held.Row.ID); row.LateRepeats != 0 || row.Generation != 1001 {
			t.Errorf("key %q: late repeats %08b in generation %d; want none in 1001", key, row.LateRepeats, row.Generation)
		}
	}
}

// The tab that asked last gets its answer, and a slower tab comes with the
// token before: within the race window of the first use it is answered.
//
// Rows: 115.
func TestSlowTabIsAnsweredWithinTheRaceWindow(t *testing.T) {
	w := newWorld(t, nil)
	first := w.login(nil)
	w.clock.Advance(time.Hour)
	r := asks(first)
	r.IdempotencyKey = "shared"
	second := w.renewAs(r)
	w.uses(second)
	w.clock.Advance(10*time.Second - time.Microsecond)
	w.sameTokens(second, w.renewAs(r))
	w.clock.Advance(time.Microsecond)
	w.wantRefused(r, session.ReasonReuse, true)
}

// The lid closed before the answer came, and opens eight hours later.
//
// Rows: 115.
func TestLostResponseIsRetriedEightHoursLater(t *testing.T) {
	for _, test := range []struct {
		name, key string
		late      uint8
	}{
		{"with the same key it is the same attempt", "key", 0},
		{"without a key it is counted once", "", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, nil)
			held := w.login(nil)
			w.clock.Advance(time.Hour)
			r := asks(held)
			r.IdempotencyKey = test.key
			lost := w.renewAs(r)
			for range 3 {
				w.clock.Advance(8 * time.Hour)
				w.sameTokens(lost, w.renewAs(r))
			}
			if row := w.row(held.Row.ID); row.LateRepeats != test.late || row.Generation != 2 {
				t.Errorf("late repeats %08b in generation %d; want %08b in 2", row.LateRepeats, row.Generation, test.late)
			}
		})
	}
}

// An honest client that loses every second answer and keeps its key lives for
// as long as it likes.
//
// Rows: 115.
func TestClientThatLosesEverySecondAnswerLives(t *testing.T) {
	w := newWorld(t, nil)
	held := w.login(nil)
	for round := range 200 {
		w.clock.Advance(time.Hour)
		r := asks(held)
		r.IdempotencyKey = string(rune('a' + round))
		got := w.renewAs(r)
		if round%2 == 0 {
			w.clock.Advance(time.Hour)
			again := w.renewAs(r)
			w.sameTokens(got, again)
		}
		held = got
	}
}

// A browser that crashes before its jar is on disk comes back with the pair
// before; the use it made of the lost one was too early to confirm it.
func TestCrashBeforeTheJarIsWrittenLogsNobodyOut(t *testing.T) {
	w := newWorld(t, nil)
	onDisk := w.login(nil)
	w.clock.Advance(time.Hour)
	lost := w.renew(onDisk)
	w.clock.Advance(29 * time.Second)
	u := session.Use{Session: lost.Row.ID, Generation: 2, IssuedAt: time.Unix(w.claims(lost).IssuedAt, 0)}
	if early, err := w.engine.Confirm(t.Context(), []session.Use{u}); err != nil || len(early) != 1 {
		t.Fatalf("early: %v, %v; want the use to be too early", early, err)
	}
	w.clock.Advance(time.Hour)
	w.sameTokens(lost, w.renew(onDisk))
}

// The store lost its last write and is one behind: the token that proves it is
// answered with the same bytes. A store from a backup is further behind, and
// cannot be trusted with the session.
//
// Rows: A45.
func TestStoreThatLostWritesIsNoticed(t *testing.T) {
	w := newWorld(t, nil)
	first := w.login(nil)
	w.clock.Advance(time.Hour)
	second := w.renew(first)
	atSecond := w.inner.Clone(w.clock.Now)
	w.clock.Advance(time.Hour)
	third := w.renew(second)
	w.clock.Advance(time.Hour)
	fourth := w.renew(third)
	w.clock.Advance(time.Hour)

	w.engine = w.node(atSecond.Clone(w.clock.Now), nil)
	caughtUp := w.renew(third)
	w.sameTokens(third, caughtUp)
	w.clock.Advance(time.Hour)
	w.sameTokens(fourth, w.renew(caughtUp))

	restored := atSecond.Clone(w.clock.Now)
	w.engine, w.inner = w.node(restored, nil), restored
	w.wantRefused(asks(fourth), session.ReasonStoreBehind, true)
	w.wantOver(session.ReasonStoreBehind, second, third, fourth)
}

// A device that proves its key may come back with an old jar once a day; an
// app that proves a DPoP key may not.
//
// Rows: 122.
func TestDeviceMayComeBackWithAnOldJarOnceADay(t *testing.T) {
	w := newWorld(t, nil)
	first := w.login(func(l *session.Login) { l.Binding = session.Binding{Kind: session.DBSC, Thumbprint: "device"} })
	held := first
	for range 3 {
		w.clock.Advance(time.Hour)
		held = w.renew(held)
	}
	w.uses(held)
	w.clock.Advance(time.Hour)
	w.sameTokens(held, w.renew(first))
	w.clock.Advance(24*time.Hour - time.Microsecond)
	held = w.renew(held)
	w.uses(held)
	w.clock.Advance(time.Hour) // a day has passed
	w.sameTokens(held, w.renew(first))
	w.clock.Advance(24*time.Hour - time.Microsecond)
	w.wantRefused(asks(first), session.ReasonReuse, true)
	w.wantOver(session.ReasonReuse, first, held)

	w = newWorld(t, nil)
	app := w.login(func(l *session.Login) {
		l.Transport, l.Binding = session.Bearer, session.Binding{Kind: session.DPoP, Thumbprint: "key"}
	})
	w.clock.Advance(time.Hour)
	w.uses(w.renew(app))
	w.clock.Advance(time.Hour)
	w.wantRefused(asks(app), session.ReasonReuse, true)
}

// A thief without the device's key is refused and changes nothing, with the
// newest token and with an old one.
//
// Rows: 122.
func TestThiefWithoutTheKeyCanNeitherRenewNorLogOut(t *testing.T) {
	for _, kind := range []session.BindingKind{session.DPoP, session.DBSC} {
		w := newWorld(t, nil)
		first := w.login(func(l *session.Login) { l.Binding = session.Binding{Kind: kind, Thumbprint: "key"} })
		w.clock.Advance(time.Hour)
		second := w.renew(first)
		w.uses(second)
		w.clock.Advance(time.Hour)
		before := w.row(first.Row.ID)
		for _, held := range []session.Issued{first, second} {
			thief := asks(held)
			thief.Thumbprint = "his own"
			w.wantRefused(thief, session.ReasonUnproved, false)
		}
		w.wantRow(before)
		w.renew(second)
	}
}

// Strict: an old token is reuse as soon as the new one was seen in use.
//
// Rows: 115.
func TestStrictHasNoLeeway(t *testing.T) {
	w := newWorld(t, func(o *session.Options) { o.Policy = o.Policy.MakeStrict() })
	first := w.login(nil)
	second := w.renew(first)
	if second.Row.Generation != 2 {
		t.Fatalf("generation %d, want 2 at once", second.Row.Generation)
	}
	u := session.Use{Session: second.Row.ID, Generation: 2, IssuedAt: w.clock.Now()}
	if early, err := w.engine.Confirm(t.Context(), []session.Use{u}); err != nil || len(early) != 0 {
		t.Fatalf("early: %v, %v; want it confirmed at once", early, err)
	}
	w.wantRefused(asks(first), session.ReasonReuse, true)
	w.wantOver(session.ReasonReuse, first, second)
}
