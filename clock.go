package pawl

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/pawlauth/pawl/verify"
)

// A clock is this machine's, set by the store's: all nodes that share a store
// tell the same time, so that a node whose own clock is wrong refuses no token
// that another one has just made. It is safe for concurrent use.
type clock struct {
	offset atomic.Int64 // what the store's clock is ahead by, in nanoseconds
}

// slowRead is how long a reading may take that the clock is set by: it is off
// by as much at most, well below [Leeway].
const slowRead = time.Second

// now moves when the clock is set: what measures how long something takes goes
// by the machine's.
func (c *clock) now() time.Time { return time.Now().Round(0).Add(c.ahead()) }

// ahead is what the store's clock is ahead by.
func (c *clock) ahead() time.Duration { return time.Duration(c.offset.Load()) }

// A timedFeed sets a clock by whatever a feed tells.
type timedFeed struct {
	verify.Feed
	clock *clock
}

// Ended implements [verify.Feed].
func (f timedFeed) Ended(ctx context.Context, window time.Duration) (verify.Endings, error) {
	before := time.Now()
	told, err := f.Feed.Ended(ctx, window)
	if err == nil && !told.Now.IsZero() && time.Since(before) < slowRead {
		f.clock.offset.Store(int64(told.Now.Sub(before.Round(0)))) // of the walls
	}
	return told, err
}
