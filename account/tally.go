package account

import "time"

// A Tag is the keyed hash of a user name, as it is looked up, or of a network. The zero Tag stands for any.
type Tag [16]byte

// opposite returns a Tag that no name and no network has: what else is counted under a key.
func (t Tag) opposite() Tag {
	for i := range t {
		t[i] = ^t[i]
	}
	return t
}

// A TallyKey is what attempts are counted under: an account, a network or site, or a pair of both.
type TallyKey struct{ Account, Network Tag }

// A Tally is what a store keeps under one key. The zero Tally is that of a key of which nothing is known; times are by the store's
// clock, in whole microseconds.
type Tally struct {
	// Owed is when the failures counted so far will all have been forgiven.
	Owed time.Time
	// Closed is when the next attempt is let in.
	Closed time.Time
	// Known is until when the network is known to the account; only under a pair.
	Known time.Time
}

// Ends returns when t says nothing any more and may be removed.
func (t Tally) Ends() time.Time {
	ends := t.Owed
	for _, other := range []time.Time{t.Closed, t.Known} {
		if other.After(ends) {
			ends = other
		}
	}
	return ends
}

// A limit is how attempts under one kind of key are held up: after free failures in a row the key closes, each time for longer.
// No limit is ever for good: a failure is forgiven after forgive, one after the other.
type limit struct {
	free    int           // failures that close nothing
	first   time.Duration // for which the next one does
	doubles int           // failures after which that is twice as long
	most    time.Duration // that it is ever closed
	forgive time.Duration // one failure
	worst   int           // failures that are remembered at most
}

// times returns a limit that lets pass n times as much.
func (l limit) times(n int) *limit {
	d := time.Duration(n)
	return &limit{free: l.free * n, first: l.first / d, doubles: l.doubles * n, most: l.most / d, forgive: l.forgive / d, worst: l.worst * n}
}

// closes returns for how long the failure that is the n-th outstanding closes its key.
func (l *limit) closes(n int) time.Duration {
	if n < l.free {
		return 0
	}
	closed := l.first
	for range (n - l.free) / l.doubles {
		closed *= 2
		if closed >= l.most {
			return l.most
		}
	}
	return closed
}

// failures is how many failures of t are outstanding.
func (l *limit) failures(t Tally, now time.Time) int {
	if !t.Owed.After(now) {
		return 0
	}
	return int((t.Owed.Sub(now) + l.forgive - 1) / l.forgive)
}

// clockStep is how far a clock is put back without making known networks unknown, or initial passwords worthless. It only prolongs
// what they are.
const clockStep = 24 * time.Hour

// settled returns t without what cannot be: stamps farther ahead than any that this limit makes were written by a clock that has
// been put back since. What is left of them must not hold anybody up until the clock is there again.
func (l *limit) settled(t Tally, now time.Time) Tally {
	if t.Closed.After(now.Add(l.most)) {
		t.Closed = time.Time{}
	}
	if most := now.Add(time.Duration(l.worst) * l.forgive); t.Owed.After(most) {
		t.Owed = most
	}
	if t.Known.After(now.Add(knownFor + clockStep)) {
		t.Known = time.Time{}
	}
	return t
}

// counted returns t, settled, with so many failures more, the last of which is now.
func (l *limit) counted(t Tally, failures int, now time.Time) Tally {
	if t.Owed.Before(now) {
		t.Owed = now
	}
	t.Owed = t.Owed.Add(time.Duration(failures) * l.forgive)
	t = l.settled(t, now)
	if closed := l.closes(l.failures(t, now)); closed > 0 && now.Add(closed).After(t.Closed) {
		t.Closed = now.Add(closed)
	}
	return t
}
