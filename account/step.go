package account

import (
	"slices"
	"time"
)

// A Step is one change of a few tallies. A store carries it out by reading the tallies of Keys, calling Apply and storing what it says,
// as one. Apply is arithmetic: it has no effects, does not wait, and may be called again.
type Step struct {
	Keys   []TallyKey
	limits []*limit // of each key
	kind   stepKind
	taken  *Outcome // of an earlier step, which this one undoes
}

type stepKind int

const (
	take stepKind = iota
	aside
	giveBack
	succeed
	introduce
	look
)

// An Outcome is what a step does.
type Outcome struct {
	// Next is what is to be stored under the step's keys, in their order; nil means that nothing changes.
	Next []Tally

	step    Step
	before  []Tally // settled
	added   []int   // failures, under each key
	now     time.Time
	wait    time.Duration // how long the attempt is held up
	by      string        // by which limit
	known   bool          // the network is known to the account
	crowded bool          // networks hold it up, and the pair does not: it may be judged aside
	hopeful bool          // judged aside, it can get in
}

// GiveBack is the step that takes back an attempt that was let in but was not a guess.
func (o Outcome) GiveBack() Step { return o.then(giveBack) }

// Succeed is the step that takes back an attempt that proved the password, and all earlier failures of this network on this
// account (NIST SP 800-63B-4 §3.2.2), but no others: who has an account of his own must not wash away with it what he did to
// those of others. It makes the network known to the account. If logins that succeed are too many, it is not let in, and stays
// counted on this account from this network: it was no guess, but cost as much work.
func (o Outcome) Succeed() Step { return o.then(succeed) }

func (o Outcome) then(kind stepKind) Step {
	return Step{Keys: o.step.Keys, limits: o.step.limits, kind: kind, taken: &o}
}

// LetIn reports whether the attempt is counted and may go on.
func (o Outcome) LetIn() bool { return o.wait == 0 }

// throttled is the answer to an attempt that is not let in.
func (o Outcome) throttled() error { return &ThrottledError{RetryAfter: o.wait, reason: o.by} }

// Apply returns what s makes of the tallies under its keys.
func (s Step) Apply(now time.Time, have []Tally) Outcome {
	o := Outcome{step: s, before: make([]Tally, len(s.Keys)), added: make([]int, len(s.Keys)), now: now}
	for i := range o.before {
		o.before[i] = s.limits[i].settled(have[i], now)
	}
	switch s.kind {
	case take, aside:
		o.take()
	case giveBack:
		o.takeBack(s.taken)
	case succeed:
		o.succeed(s.taken)
	case introduce:
		o.Next = slices.Clone(o.before)
		o.Next[0].Known = now.Add(knownFor)
	}
	return o
}

// take judges an attempt and counts it.
func (o *Outcome) take() {
	o.judge()
	if o.wait > 0 && !(o.crowded && o.step.kind == aside) {
		return
	}
	o.Next = slices.Clone(o.before)
	for i, l := range o.step.limits {
		if !o.counts(i, l) {
			continue
		}
		o.added[i] = 1
		if l == perAccount && o.shared() {
			o.added[i] = 0 // it closes the account for as long as the failures that are there do
		}
		o.Next[i] = l.counted(o.before[i], o.added[i], o.now)
		o.hopeful = o.hopeful || l == perAside
	}
}

// judge says whether the attempt is held up, and by what.
func (o *Outcome) judge() {
	var pair, strangers, networks time.Duration
	for i, l := range o.step.limits {
		wait := max(0, o.before[i].Closed.Sub(o.now))
		switch l {
		case perPair:
			pair, o.known = wait, o.before[i].Known.After(o.now)
		case perAccount:
			strangers = wait
		case perAside, perLogin, perShare:
		default:
			networks = max(networks, wait)
		}
	}
	if networks == 0 && o.known {
		strangers = 0 // where networks are held up, all hear the same
	}
	o.crowded = networks > 0 && pair == 0 && o.step.limits[0] == perPair
	for _, held := range []struct {
		wait time.Duration
		by   string
	}{{pair, ReasonThrottledPair}, {strangers, ReasonThrottledAccount}, {networks, ReasonThrottledNetwork}} {
		if held.wait > o.wait {
			o.wait, o.by = held.wait, held.by
		}
	}
}

// counts reports whether an attempt that is judged is counted under the i-th key.
func (o *Outcome) counts(i int, l *limit) bool {
	if o.wait > 0 {
		return l == perAside && o.known && !o.before[i].Closed.After(o.now)
	}
	switch l {
	case perAside, perLogin:
		return false
	case perAccount: // it is about strangers
		return !o.known
	case perShare:
		return !o.known && !o.shared()
	}
	return true
}

// shared reports whether the network, or its site, has added to the failures on the account what one may.
func (o *Outcome) shared() bool {
	for i, l := range o.step.limits {
		if (l == perPair || l == perShare) && l.failures(o.before[i], o.now) >= l.free {
			return true
		}
	}
	return false
}

func (o *Outcome) takeBack(taken *Outcome) {
	o.Next = slices.Clone(o.before)
	for i := range o.Next {
		o.forgive(taken, i, taken.added[i])
	}
}

func (o *Outcome) succeed(taken *Outcome) {
	o.Next = slices.Clone(o.before)
	excess := false
	for i, l := range o.step.limits {
		if wait := o.before[i].Closed.Sub(o.now); l == perLogin && wait > 0 {
			excess, o.wait, o.by = true, wait, ReasonThrottledLogins
		}
	}
	failures := max(1, perPair.failures(o.before[0], o.now))
	for i, l := range o.step.limits {
		switch {
		case excess && (l == perPair || l == perAside):
		case excess:
			o.forgive(taken, i, taken.added[i])
		case l == perPair:
			o.Next[i] = Tally{Known: o.now.Add(knownFor)}
		case l == perAside:
			o.Next[i] = Tally{}
		case l == perLogin:
			o.Next[i] = l.counted(o.before[i], 1, o.now)
		case l == perAccount || l == perShare:
			if !taken.known {
				o.forgive(taken, i, min(failures, perPair.free))
			}
		case taken.added[i] > 0:
			o.forgive(taken, i, failures)
		}
	}
}

// forgive takes back some failures under the i-th key. If nothing came in between, the attempt has closed nothing.
func (o *Outcome) forgive(taken *Outcome, i, failures int) {
	t := &o.Next[i]
	t.Owed = t.Owed.Add(-time.Duration(failures) * o.step.limits[i].forgive)
	if t.Closed.Equal(taken.Next[i].Closed) {
		t.Closed = taken.before[i].Closed
	}
}
