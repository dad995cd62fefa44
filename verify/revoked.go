package verify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pawlauth/pawl/token"
)

// A Feed tells which sessions were ended lately.
type Feed interface {
	// EndedSince returns every session whose end is visible and was stamped
	// no longer than window ago, by the feed's own clock. Repeating one is
	// harmless; leaving one out is not.
	EndedSince(ctx context.Context, window time.Duration) ([]token.ID, error)
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
	feed Feed
	opts FollowOptions

	mu      sync.RWMutex
	ended   map[token.ID]time.Time // guarded by mu: when each entry may be forgotten, by the node's clock
	fresh   time.Time              // guarded by mu: the last successful poll, by the node's clock
	whole   time.Time              // guarded by mu: the last successful read of the whole window
	started bool                   // guarded by mu: the whole window was read once
}

// NewRevoked returns an empty set that refuses everything until it was polled.
func NewRevoked(feed Feed, opts FollowOptions) (*Revoked, error) {
	if feed == nil || opts.Keep <= 0 || opts.Overlap <= 0 || opts.WholeEvery <= 0 || opts.Stale <= 0 {
		return nil, errors.New("verify: a feed and four positive durations are required to follow revocations")
	}
	return &Revoked{feed: feed, opts: opts, ended: make(map[token.ID]time.Time)}, nil
}

// Check implements [Revocations].
func (r *Revoked) Check(session token.ID, now time.Time) error {
	r.mu.RLock()
	_, ended := r.ended[session]
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
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(session, now)
}

// add needs mu. An entry is kept from when it was learned, by this node's own
// clock, so that the clocks of node and store need not agree.
func (r *Revoked) add(session token.ID, now time.Time) {
	if _, known := r.ended[session]; !known {
		r.ended[session] = now.Add(r.opts.Keep)
	}
}

// Poll reads the feed once. On failure the set stays as it was, and grows
// stale. Call it a few times a second, from one goroutine; now is the node's
// clock before the call.
func (r *Revoked) Poll(ctx context.Context, now time.Time) error {
	r.mu.RLock()
	window := r.opts.Overlap
	readWhole := !r.started || now.Sub(r.whole) >= r.opts.WholeEvery || now.Sub(r.fresh) > r.opts.Overlap/2
	r.mu.RUnlock()
	if readWhole {
		window = r.opts.Keep
	}
	entries, err := r.feed.EndedSince(ctx, window)
	if err != nil {
		return fmt.Errorf("verify: read revocations: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range entries {
		r.add(id, now)
	}
	r.fresh = now
	if readWhole {
		r.started, r.whole = true, now
		for id, until := range r.ended {
			if now.After(until) {
				delete(r.ended, id)
			}
		}
	}
	return nil
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
