package explore

import (
	"context"
	"time"

	"github.com/pawlauth/pawl/session"
)

// A step does one thing, or one within another, to a state with the real
// engine.
type step struct {
	walk    *walk
	state   *state        // being made
	store   session.Store // of the state being made
	answers []message     // that somebody waits for
	found   *finding
	clock   *int // of the store, in ticks
	wrote   bool // a renewal changed the store, or tried to
	broken  bool // an assumption does not hold: nothing follows
}

// try does something to a clone of the state, and emits what may come of it:
// every answer may be lost. It returns the step.
func (k *walk) try(s *state, emit emit, label label, do func(*step)) *step {
	t := &step{walk: k, state: s.clone()}
	clock := s.now
	t.clock = &clock
	store := s.store.Clone(func() time.Time { return k.world.at(clock) })
	t.state.store, t.store = store, k.world.without(&ledger{Store: store, step: t})
	do(t)
	t.settle()
	if t.broken && t.found == nil {
		return t
	}
	room := k.world.Answers - t.state.count(answer, owner)
	for arriving := range 1 << len(t.answers) {
		next := t.state.clone()
		for i, a := range t.answers {
			if arriving>>i&1 == 1 {
				next.flight = append(next.flight, a)
			}
		}
		if len(next.flight)-len(t.state.flight) <= room {
			emit(next, t.found, func() string {
				return label() + lost(len(t.answers), len(next.flight)-len(t.state.flight))
			})
		}
	}
	return t
}

func lost(answers, arriving int) string {
	switch {
	case answers == 0:
		return ""
	case arriving == answers:
		return "; answered"
	default:
		return "; an answer is lost"
	}
}

// renew lets the engine decide a request. Between its first decision and its
// first write, something else may reach the store.
func (t *step) renew(m message, longer bool, between func()) {
	t.state.thief.acted = t.state.thief.acted || m.party == robber
	n := &node{Store: t.store, step: t, between: between}
	c := t.walk.issuer.clerk(n, longer)
	defer t.walk.issuer.dismiss(c, longer)
	issued, err := c.engine.Refresh(context.Background(), session.Renewal{
		Refresh: t.walk.issuer.held(m.pair.gen), Transport: session.Cookie,
		Witness: t.walk.issuer.id, IdempotencyKey: m.key.text(),
	})
	t.judge(verdict{message: m, longer: longer, at: t.walk.world.tickOf(n.read), seen: n.seen, event: c.event, issued: issued, err: err})
	if err != nil {
		return
	}
	brought := pair{gen: issued.Row.Generation, minted: t.walk.world.tickOf(issued.Now)}
	switch {
	case m.party == robber:
		t.state.thief.take(brought)
	case !m.deaf:
		t.answers = append(t.answers, message{kind: answer, pair: brought, tab: m.tab, sent: brought.minted})
	}
}

// wait lets a tick pass.
func (t *step) wait() {
	t.state = t.walk.later(t.state)
	*t.clock = t.state.now
}

// report lets the engine confirm.
func (t *step) report(m message) {
	c := t.walk.issuer.clerk(t.store, false)
	defer t.walk.issuer.dismiss(c, false)
	if _, err := c.engine.Confirm(context.Background(), []session.Use{t.walk.used(m.pair)}); err != nil {
		t.fail(NoFalseAlarm, "the engine failed: %v", err)
	}
	t.confirmed(m.pair)
}

// signOut lets the engine end the session.
func (t *step) signOut() {
	c := t.walk.issuer.clerk(t.store, false)
	defer t.walk.issuer.dismiss(c, false)
	which := session.Selection{Session: t.walk.issuer.id}
	if _, err := c.engine.End(context.Background(), which, session.ReasonSignOut, "", session.Origin{}); err != nil {
		t.fail(NoResurrection, "the engine failed: %v", err)
	}
	t.state.ghost.ended = true
}

// used is the use of an access token as a verifier reports it. "iat" is in
// whole seconds rounded down: it makes the token look older, at worst by a
// second.
func (k *walk) used(p pair) session.Use {
	return session.Use{Session: k.issuer.id, Generation: p.gen, IssuedAt: k.world.at(p.minted).Add(-time.Second)}
}
