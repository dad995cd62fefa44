package verify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pawlauth/pawl/token"
)

// Endings tell which sessions were ended.
type Endings struct {
	Sessions []token.ID
	// Epoch ended every session of that time and before; no token that was
	// issued until then is good. Zero: there was none.
	Epoch time.Time
	// Now is the feed's own clock; zero: not told.
	Now time.Time
}

// A Feed tells which sessions were ended lately.
type Feed interface {
	// Ended returns every session whose end is visible and was stamped no
	// longer than window ago, by the feed's own clock, and the epoch. Repeating
	// a session is harmless; leaving one out is not.
	Ended(ctx context.Context, window time.Duration) (Endings, error)
}

// FollowOptions say how closely a feed is followed. All fields are required.
type FollowOptions struct {
	// Keep is how long an ended session must be remembered: the longest life
	// of an access token, its leeway, and a minute.
	Keep time.Duration
	// Overlap is how far back each poll reads. An end is stamped before it
	// becomes visible, so a cursor on time alone would miss one that commits
	// late. It must exceed the store's statement timeout.
	Overlap time.Duration
	// WholeEvery is how often the whole of Keep is read again.
	WholeEvery time.Duration
	// Stale is how long the feed may be unreadable before every token is
	// refused.
	Stale time.Duration
}

// Revoked is the set of sessions that were ended within the last access life,
// filled from a [Feed] by [Revoked.Poll]. It fails closed: before the first
// whole read, and when no poll succeeded for longer than Stale, it refuses
// everything. It is safe for concurrent use.
type Revoked struct {
	opts FollowOptions

	mu      sync.RWMutex
	ended   map[token.ID]entry // guarded by mu
	order   []token.ID         // guarded by mu: in which they were learned; those forgotten are passed over
	learned uint64             // guarded by mu: how many were; an epoch counts as one
	epoch   time.Time          // guarded by mu
	changed chan struct{}      // guarded by mu: closed when something is learned
	fresh   time.Time          // guarded by mu: the last successful poll, by the node's clock
	whole   time.Time          // guarded by mu: the last successful read of the whole window
	failed  bool               // guarded by mu: the last poll failed
	started bool               // guarded by mu: the whole window was read once
}

// An entry is kept from when it was learned, by this node's own clock, so that
// the clocks of node and store need not agree.
type entry struct {
	until time.Time // when it may be forgotten
	since time.Time // when it ended at the earliest
	place uint64    // which it was of those that were learned, from 1
}

// NewRevoked returns an empty set that refuses everything until it was filled.
func NewRevoked(opts FollowOptions) (*Revoked, error) {
	if opts.Keep <= 0 || opts.Overlap <= 0 || opts.WholeEvery <= 0 || opts.Stale <= 0 {
		return nil, errors.New("verify: four positive durations are required to follow revocations")
	}
	return &Revoked{opts: opts, ended: make(map[token.ID]entry), changed: make(chan struct{})}, nil
}

// Check implements [Revocations].
func (r *Revoked) Check(session token.ID, issued, now time.Time) error {
	r.mu.RLock()
	_, ended := r.ended[session]
	ended = ended || !r.epoch.IsZero() && !issued.After(r.epoch)
	stale := !r.started || now.Sub(r.fresh) > r.opts.Stale
	r.mu.RUnlock()
	switch {
	case ended:
		return ErrRevoked
	case stale:
		return ErrStale
	}
	return nil
}

// Add refuses a session from now on, without waiting for the feed: the node
// that ends a session refuses it before it answers.
func (r *Revoked) Add(session token.ID, now time.Time) {
	r.add(Endings{Sessions: []token.ID{session}}, now)
}

// AddEpoch refuses whatever was issued until then, without waiting for the
// feed.
func (r *Revoked) AddEpoch(epoch, now time.Time) { r.add(Endings{Epoch: epoch}, now) }

func (r *Revoked) add(e Endings, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.learn(e, r.opts.Overlap, now)
}

// learn needs mu. What is learned ended no longer than window ago.
func (r *Revoked) learn(e Endings, window time.Duration, now time.Time) {
	before, since := r.learned, now.Add(-window)
	for _, id := range e.Sessions {
		old, known := r.ended[id]
		switch {
		case !known:
			r.learned++
			r.ended[id] = entry{until: now.Add(r.opts.Keep), since: since, place: r.learned}
			r.order = append(r.order, id)
		case since.After(old.since):
			old.since = since
			r.ended[id] = old
		}
	}
	if e.Epoch.After(r.epoch) {
		r.learned++
		r.epoch = e.Epoch
	}
	if r.learned != before {
		close(r.changed)
		r.changed = make(chan struct{})
	}
}

// Poll reads a feed once. On failure the set stays as it was, and grows stale.
// Call it a few times a second, from one goroutine, with the same feed; now is
// the node's clock before the call.
//
// It returns what the feed should have told and did not: ends that were known
// here and that its store has lost, as a standby that was promoted may have.
// Whoever can write to the store ends those again.
func (r *Revoked) Poll(ctx context.Context, feed Feed, now time.Time) (lost Endings, err error) {
	r.mu.RLock()
	window, place, epoch := r.opts.Overlap, r.learned, r.epoch
	whole := !r.started || r.failed || now.Sub(r.whole) >= r.opts.WholeEvery || now.Sub(r.fresh) > r.opts.Overlap/2
	r.mu.RUnlock()
	if whole {
		window = r.opts.Keep
	}
	endings, err := feed.Ended(ctx, window)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed = err != nil; r.failed {
		return Endings{}, fmt.Errorf("verify: read revocations: %w", err)
	}
	if whole {
		lost.Sessions = r.missing(endings.Sessions, place, now)
	}
	if epoch.After(endings.Epoch) {
		lost.Epoch = epoch
	}
	r.take(endings, whole, now)
	return lost, nil
}

// Take takes in what was told of the feed; whole says that this was all of
// Keep. What is told without an end says that the feed is alive.
func (r *Revoked) Take(e Endings, whole bool, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.take(e, whole, now)
}

// take needs mu.
func (r *Revoked) take(e Endings, whole bool, now time.Time) {
	r.fresh = now
	if !whole {
		r.learn(e, r.opts.Overlap, now)
		return
	}
	r.learn(e, r.opts.Keep, now)
	r.started, r.whole = true, now
	kept := r.order[:0]
	for _, id := range r.order {
		if now.After(r.ended[id].until) {
			delete(r.ended, id)
			continue
		}
		kept = append(kept, id)
	}
	r.order = kept
}

// missing needs mu. It returns what was known here when the feed was read, the
// first so many that were learned, and is not there although it ended within
// the feed's window: the time of the call and a clock that drifts are less than
// an overlap.
func (r *Revoked) missing(there []token.ID, place uint64, now time.Time) (lost []token.ID) {
	told := make(map[token.ID]bool, len(there))
	for _, id := range there {
		told[id] = true
	}
	for id, e := range r.ended {
		if e.place <= place && !told[id] && now.Sub(e.since) < r.opts.Keep-r.opts.Overlap {
			lost = append(lost, id)
		}
	}
	return lost
}

// Since returns what was learned after a place, and the place up to which that
// is; 0 is before everything. changed is closed when there is more. A place
// that this set never gave counts as 0.
func (r *Revoked) Since(place uint64) (e Endings, next uint64, changed <-chan struct{}) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if place > r.learned {
		place = 0
	}
	// The newest are at the end.
	from := len(r.order)
	for from > 0 && r.ended[r.order[from-1]].place > place {
		from--
	}
	e.Sessions = append(e.Sessions, r.order[from:]...)
	if place < r.learned {
		e.Epoch = r.epoch
	}
	return e, r.learned, r.changed
}

// Age is how long ago the feed was last read.
func (r *Revoked) Age(now time.Time) time.Duration {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return now.Sub(r.fresh)
}

// Ready reports whether tokens can be accepted.
func (r *Revoked) Ready(now time.Time) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.started && now.Sub(r.fresh) <= r.opts.Stale
}

// Len returns how many ended sessions are remembered.
func (r *Revoked) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.ended)
}
