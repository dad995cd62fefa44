package explore

import (
	"fmt"
	"slices"
	"time"
)

// emit takes a state that can be reached in one step.
type emit func(next *state, found *finding, label label)

// A label says what a step did. It is asked only for traces.
type label func() string

// moves emits every state that one step leads to, in a fixed order.
func (k *walk) moves(s *state, emit emit) {
	if s.row.Ended() && s.ghost.ended {
		k.decisions(s, emit) // what is under way may still try
		return
	}
	emit(k.later(s), nil, k.passing)
	k.sends(s, emit)
	k.decisions(s, emit)
	k.arrivals(s, emit)
	k.uses(s, emit)
	k.faults(s, emit)
	k.robs(s, emit)
}

// later returns the state a tick later: what is too late is lost.
func (k *walk) later(s *state) *state {
	next := s.clone()
	next.now++
	next.flight = slices.DeleteFunc(next.flight, func(m message) bool { return !k.inTime(m, next.now) })
	next.former = slices.DeleteFunc(next.former, func(f former) bool {
		return next.now-f.until > k.world.ticks(k.world.FlushTime)
	})
	return next
}

// inTime: a message that is still under way at the tick may still arrive.
func (k *walk) inTime(m message, tick int) bool {
	limit := k.world.RequestTime
	switch m.kind {
	case answer:
		limit = k.world.AnswerTime
	case report:
		return true
	}
	return tick-m.sent <= k.world.ticks(limit)
}

// sends: either tab asks for a renewal with what the jar holds now. Tabs that
// talk to each other are alike, so one stands for both.
func (k *walk) sends(s *state, emit emit) {
	w := k.world
	if s.count(request, owner) >= w.Requests {
		return
	}
	tabs := s.known[:1]
	if w.OwnTimers {
		tabs = s.known[:]
	}
	for tab, newest := range tabs {
		if !w.OwnTimers {
			newest = s.jar.minted
		}
		if s.now-newest < w.refreshIn() {
			continue
		}
		for _, kind := range w.Keys {
			m := message{kind: request, pair: pair{gen: s.jar.gen}, key: keyFor(kind, s.jar.gen), tab: uint8(tab), sent: s.now}
			next := s.clone()
			next.flight = append(next.flight, m)
			emit(next, nil, func() string { return fmt.Sprintf("the owner sends %s", m.text()) })
		}
	}
}

// An intruder is something that can reach the store between the first
// decision of a renewal and its write.
type intruder struct {
	label label
	act   func(*step)
}

// decisions: a request of the owner reaches the engine.
func (k *walk) decisions(s *state, emit emit) {
	for i, m := range s.flight {
		if m.kind == request && !slices.Contains(s.flight[:i], m) {
			k.decide(s.without(i), m, emit)
		}
	}
}

// decide emits what comes of a request that is no longer under way in rest:
// alone, and with each intruder in between.
func (k *walk) decide(rest *state, m message, emit emit) {
	who := "the owner's"
	if m.party == robber {
		who = "the thief's"
	}
	for _, longer := range k.lengths(rest) {
		alone := k.try(rest, emit, func() string { return fmt.Sprintf("%s %s is decided", who, m.text()) },
			func(t *step) { t.renew(m, longer, nil) })
		if !alone.wrote {
			continue // there is no write for anything to come before
		}
		for _, in := range k.intruders(rest, m, longer) {
			k.try(rest, emit, func() string {
				return fmt.Sprintf("%s %s is decided, and before it is stored, %s", who, m.text(), in.label())
			},
				func(t *step) { t.renew(m, longer, func() { in.act(t) }) })
		}
	}
}

// lengths: where a threshold is met exactly, the engine is asked with either
// outcome; see doc.go.
func (k *walk) lengths(s *state) []bool {
	p, now := &k.world.Policy, k.world.at(s.now)
	met := now.Sub(s.row.RotatedAt) == p.TurnInterval
	for _, t := range []time.Time{s.row.RotatedAt, s.row.ConfirmedAt, s.row.PriorUsedAt} {
		met = met || now.Sub(t) == p.RaceWindow
	}
	if met {
		return []bool{false, true}
	}
	return []bool{false}
}

func (k *walk) intruders(s *state, first message, longer bool) []intruder {
	var in []intruder
	for i, m := range s.flight {
		if slices.Contains(s.flight[:i], m) {
			continue
		}
		gone := func(t *step) { t.state.flight = slices.Delete(t.state.flight, i, i+1) }
		switch m.kind {
		case request:
			in = append(in, intruder{func() string { return m.text() + " is" }, func(t *step) { gone(t); t.renew(m, longer, nil) }})
		case report:
			in = append(in, intruder{func() string { return m.text() + " lands" }, func(t *step) { gone(t); t.report(m) }})
		}
	}
	if k.world.SignOut {
		in = append(in, intruder{func() string { return "the owner signs out" }, func(t *step) { t.signOut() }})
	}
	if first.party == robber || k.inTime(first, s.now+1) {
		in = append(in, intruder{k.passing, func(t *step) { t.wait() }})
	}
	if first.party == owner {
		for _, m := range k.thefts(s) {
			in = append(in, intruder{func() string { return "the thief's " + m.text() + " is" }, func(t *step) { t.renew(m, longer, nil) }})
		}
	}
	return in
}

// arrivals: answers reach the jar, uses a verifier, reports the store.
func (k *walk) arrivals(s *state, emit emit) {
	for i, m := range s.flight {
		if slices.Contains(s.flight[:i], m) {
			continue
		}
		switch m.kind {
		case answer:
			next := s.without(i)
			if k.world.Crashes {
				next.former = append(next.former, former{pair: s.jar, until: s.now})
			}
			next.jar = m.pair
			next.known[m.tab] = m.pair.minted
			emit(next, nil, func() string { return m.text() + " arrives" })
		case use:
			if k.counts(s, m.pair) {
				next := s.without(i)
				next.flight = append(next.flight, message{kind: report, pair: m.pair})
				emit(next, nil, func() string { return m.text() + " is seen" })
			}
		case report:
			k.try(s.without(i), emit, func() string { return m.text() + " lands" },
				func(t *step) { t.report(m) })
		}
	}
}

// counts: a verifier, whose clock may be ahead, takes a use for settled and
// reports it. That it does not is the same as that the use is lost.
func (k *walk) counts(s *state, p pair) bool {
	w := k.world
	return s.count(report, owner) < w.Reports && k.used(p).Settled(w.at(s.now).Add(w.Ahead), w.Policy.Settle)
}

// uses: the owner's access token is sent with some request. One that will not
// have settled on arrival does nothing.
func (k *walk) uses(s *state, emit emit) {
	w := k.world
	latest := w.at(s.now).Add(w.RequestTime + w.Ahead)
	if s.count(use, owner) >= w.Uses || !k.used(s.jar).Settled(latest, w.Policy.Settle) {
		return
	}
	m := message{kind: use, pair: s.jar, sent: s.now}
	next := s.clone()
	next.flight = append(next.flight, m)
	emit(next, nil, func() string { return "the owner sends " + m.text() })
}

// faults: the browser crashes, the store fails over, the owner signs out.
func (k *walk) faults(s *state, emit emit) {
	w := k.world
	if w.Crashes {
		for _, f := range s.former {
			next := s.clone()
			next.jar, next.former = f.pair, nil
			next.known = [2]int{f.pair.minted, f.pair.minted}
			next.flight = slices.DeleteFunc(next.flight, func(m message) bool { return m.kind == answer })
			for i := range next.flight {
				next.flight[i].deaf = next.flight[i].kind == request
			}
			emit(next, nil, func() string { return fmt.Sprintf("the browser crashes; its jar is back at %s", f.pair.text()) })
		}
	}
	if s.undo != nil && s.failovers < w.Failovers {
		emit(k.failover(s), nil, func() string { return "the store loses its last write" })
	}
	if w.SignOut {
		k.try(s, emit, func() string { return "the owner signs out" }, func(t *step) { t.signOut() })
	}
}

// robs: the thief copies the jar, renews, or uses an access token. How slow
// his messages are is up to him, so they are not under way for long.
func (k *walk) robs(s *state, emit emit) {
	w := k.world
	if w.Thief != NoThief && !s.thief.done || w.Thief == Watcher && s.jar.gen > s.thief.newest.gen {
		next := s.clone()
		next.thief.take(s.jar)
		emit(next, nil, func() string { return fmt.Sprintf("the thief copies %s", s.jar.text()) })
	}
	for _, m := range k.thefts(s) {
		k.decide(s, m, emit)
	}
	if p := s.thief.newest; s.thief.done && k.counts(s, p) {
		next := s.clone()
		next.thief.acted = true
		next.flight = append(next.flight, message{kind: report, pair: p})
		emit(next, nil, func() string { return "the thief uses an access token of " + p.text() })
	}
}

// take puts a pair into the thief's hands.
func (r *robbery) take(p pair) {
	if !r.done {
		r.prior = p
	} else if p.gen != r.newest.gen {
		r.prior = r.newest
	}
	r.done, r.newest = true, p
}

// thefts are what the thief can send: his newest token, or the one before.
func (k *walk) thefts(s *state) []message {
	r := &s.thief
	if !r.done {
		return nil
	}
	var ms []message
	for _, kind := range k.world.ThiefKeys {
		ms = append(ms, message{kind: request, party: robber, pair: r.newest, key: keyFor(kind, r.newest.gen)})
		if r.prior.gen != r.newest.gen {
			ms = append(ms, message{kind: request, party: robber, pair: r.prior, key: keyFor(kind, r.prior.gen)})
		}
	}
	return ms
}
