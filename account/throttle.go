package account

import (
	"slices"
	"time"
)

// The numbers of the throttle. "Failure" is every attempt that did not prove the password: attempts are counted before the password is
// hashed, and taken back if it was right or was not looked at.
var (
	// perPair holds for one account from one network. People who doubt which password it was try three or four; the sixth waits
	// 10 s, the tenth under 3 min. It is all that holds up who comes from a known network, so it ends at an hour: whoever shares
	// that network with the owner gets 5 guesses, then 24 a day in the end, and can keep the owner waiting there for an
	// hour at a time.
	perPair = &limit{name: ReasonThrottledPair, free: 5, first: 10 * time.Second, doubles: 1, most: time.Hour, forgive: 24 * time.Hour, worst: 20}

	// perAccount holds for one account from all networks that it does not know, however many. 100 failures in a row are what NIST
	// SP 800-63B-4 §3.2.2 allows before a password must be disabled; that would let any stranger lock anybody out, so here the
	// hundredth closes for most of a day, which is after a week of guessing without a pause, and leaves one guess a day. After an hour of an attack it closes for 5 min, so that an owner on a new network still gets in.
	perAccount = &limit{name: ReasonThrottledAccount, free: 20, first: 10 * time.Second, doubles: 6, most: 24 * time.Hour, forgive: 24 * time.Hour, worst: 100}

	// perNetwork holds for one network on all accounts: the one who tries one password on each of them. An office or a mobile
	// carrier's gateway is one network too. Of its users those who get in take their failures back, so that what is
	// outstanding are the typing errors of a few minutes, and one more is forgiven every 5 min. Who only guesses gets
	// about 430 guesses on the first day, then 288 a day, over all accounts together.
	perNetwork = &limit{name: ReasonThrottledNetwork, free: 50, first: time.Second, doubles: 10, most: 5 * time.Minute, forgive: 5 * time.Minute, worst: 140}

	// perSite holds for the /48 around an IPv6 network: that is what one customer of many providers has (RFC 6177 §2), so 65,536
	// networks may be one attacker. It may also be a pool of a mobile carrier, hence as much as four networks.
	perSite = perNetwork.times(4)

	// perSignUp holds for the accounts that one network makes, and perSiteSignUp for those of a site: a class of 30 signs up at once,
	// later ones every few minutes. What was made is not taken back.
	perSignUp     = &limit{name: ReasonThrottledNetwork, free: 30, first: 10 * time.Second, doubles: 4, most: 10 * time.Minute, forgive: 10 * time.Minute, worst: 60}
	perSiteSignUp = perSignUp.times(4)
)

const (
	// knownFor is how long a network stays known to an account after a login. It is longer than sessions live (90 days in the
	// default policy), so that who logs in again when one has ended is still known.
	knownFor = 100 * 24 * time.Hour
	// knownTries is how many failures a known pair may have while the network's limits do not count for it: strangers behind the same
	// address, who use these limits up, do not keep out those who have been in from there. It is less than perPair.free, since whoever
	// guesses from such a network has this many guesses for each account that is known there.
	knownTries = 3
	// maxTallies is how many tallies are kept, those of known networks apart. One takes about 180 bytes in SQLite.
	maxTallies = 1 << 20
)

// An Attempt is what a login or a sign-up is counted under. A zero Account makes it a sign-up; a zero Site means that there is none.
type Attempt struct{ Account, Network, Site Tag }

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
	giveBack
	succeed
	introduce
	look
)

// An Outcome is what a step does.
type Outcome struct {
	// Next is what is to be stored under the step's keys, in their order; nil means that nothing changes.
	Next []Tally

	step   Step
	before []Tally // settled
	now    time.Time
	wait   time.Duration // how long the attempt is held up
	by     string        // by which limit
	known  bool          // the network is known to the account
}

// Take is the step that judges an attempt and counts it: under all of its keys if it is let in, under none if it is not.
func (a Attempt) Take() Step {
	if a.Account == (Tag{}) {
		return Step{Keys: networkKeys(a), limits: []*limit{perSignUp, perSiteSignUp}[:len(networkKeys(a))]}
	}
	limits := []*limit{perPair, perAccount, perNetwork, perSite}
	keys := append([]TallyKey{{a.Account, a.Network}, {Account: a.Account}}, networkKeys(a)...)
	return Step{Keys: keys, limits: limits[:len(keys)]}
}

func networkKeys(a Attempt) []TallyKey {
	if a.Site == (Tag{}) {
		return []TallyKey{{Network: a.Network}}
	}
	return []TallyKey{{Network: a.Network}, {Network: a.Site}}
}

// introduce is the step that makes the network known to the account.
func (a Attempt) introduce() Step {
	return Step{Keys: []TallyKey{{a.Account, a.Network}}, limits: []*limit{perPair}, kind: introduce}
}

// look is the step that changes nothing and reads what strangers did to the account.
func (a Attempt) look() Step {
	return Step{Keys: []TallyKey{{Account: a.Account}}, limits: []*limit{perAccount}, kind: look}
}

// GiveBack is the step that takes back an attempt that was let in but was not a guess.
func (o Outcome) GiveBack() Step {
	return Step{Keys: o.step.Keys, limits: o.step.limits, kind: giveBack, taken: &o}
}

// Succeed is the step that takes back an attempt that proved the password, and all earlier failures of this network on this
// account (NIST SP 800-63B-4 §3.2.2), but no others: who has an account of his own must not wash away with it what he did to
// those of others. It makes the network known to the account.
func (o Outcome) Succeed() Step {
	return Step{Keys: o.step.Keys, limits: o.step.limits, kind: succeed, taken: &o}
}

// LetIn reports whether the attempt is counted and may go on.
func (o Outcome) LetIn() bool { return o.wait == 0 }

// Apply returns what s makes of the tallies under its keys.
func (s Step) Apply(now time.Time, have []Tally) Outcome {
	before := make([]Tally, len(s.Keys))
	for i := range before {
		before[i] = s.limits[i].settled(have[i], now)
	}
	o := Outcome{step: s, before: before, now: now}
	switch s.kind {
	case take:
		s.take(&o)
	case giveBack, succeed:
		s.takeBack(&o)
	case introduce:
		o.Next = slices.Clone(before)
		o.Next[0].Known = now.Add(knownFor)
	}
	return o
}

func (s Step) take(o *Outcome) {
	fresh := false // known, and hardly a failure since the last login
	if s.limits[0] == perPair {
		o.known = o.before[0].Known.After(o.now)
		fresh = o.known && perPair.failures(o.before[0], o.now) < knownTries
	}
	for i, l := range s.limits {
		if l == perAccount && o.known || l != perPair && fresh {
			continue
		}
		if wait := o.before[i].Closed.Sub(o.now); wait > o.wait {
			o.wait, o.by = wait, l.name
		}
	}
	if o.wait > 0 {
		return
	}
	o.Next = slices.Clone(o.before)
	for i, l := range s.limits {
		if l == perAccount && o.known {
			continue // it is about strangers
		}
		o.Next[i] = l.counted(o.before[i], o.now)
	}
}

func (s Step) takeBack(o *Outcome) {
	o.Next = slices.Clone(o.before)
	failures := 1
	if s.kind == succeed {
		failures = max(1, perPair.failures(o.before[0], o.now))
		o.Next[0] = Tally{Known: o.now.Add(knownFor)}
	}
	for i, l := range s.limits {
		if l == perPair && s.kind == succeed || l == perAccount && s.taken.known {
			continue
		}
		t := &o.Next[i]
		t.Owed = t.Owed.Add(-time.Duration(failures) * l.forgive)
		// If nothing came in between, the attempt has closed nothing.
		if t.Closed.Equal(s.taken.Next[i].Closed) {
			t.Closed = s.taken.before[i].Closed
		}
	}
}
