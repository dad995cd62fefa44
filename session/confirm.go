package session

import (
	"context"
	"sync"
	"time"
)

// maxNoted bounds what a [Confirmations] remembers and what it holds back.
const maxNoted = 1 << 16

// Confirmations collects the first settled use of each generation from the
// verifiers of this node and reports them in batches, so that verifying stays
// free of writes. It is safe for concurrent use.
type Confirmations struct {
	engine *Engine

	mu      sync.RWMutex
	noted   map[ID]Use // guarded by mu: the newest use noted; forgotten as a whole when full
	pending []Use      // guarded by mu: not reported yet
}

// NewConfirmations returns an empty collection that reports to the engine.
func NewConfirmations(e *Engine) *Confirmations {
	return &Confirmations{engine: e, noted: make(map[ID]Use)}
}

// Note takes in the use of an access token. It never blocks on the store. Uses
// that are not settled by the node's clock are passed over; the store judges
// again by its own.
func (c *Confirmations) Note(u Use, now time.Time) {
	c.mu.RLock()
	known := c.knows(u)
	c.mu.RUnlock()
	if known || !u.Settled(now, c.engine.Policy.Settle) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// What is passed over now is noted at the session's next use.
	if c.knows(u) || len(c.pending) >= maxNoted {
		return
	}
	if len(c.noted) >= maxNoted {
		clear(c.noted)
	}
	c.noted[u.Session] = u
	c.pending = append(c.pending, u)
}

// knows needs mu. A newer token of the same generation is noted again: after a
// failover the store may have forgotten that the generation was there.
func (c *Confirmations) knows(u Use) bool {
	n := c.noted[u.Session]
	return n.Generation > u.Generation || n.Generation == u.Generation && !u.IssuedAt.After(n.IssuedAt)
}

// Flush reports what was noted. What confirmed nothing, because the store
// failed or because its clock says that the token is too young, is forgotten,
// so that the next use of the token is noted again.
func (c *Confirmations) Flush(ctx context.Context) error {
	c.mu.Lock()
	uses := c.pending
	c.pending = nil
	c.mu.Unlock()
	if len(uses) == 0 {
		return nil
	}
	early, err := c.engine.Confirm(ctx, uses)
	if err != nil {
		early = uses
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, u := range early {
		delete(c.noted, u.Session)
	}
	return err
}
