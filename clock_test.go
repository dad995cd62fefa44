package pawl

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlauth/pawl/verify"
)

// A toldFeed tells a clock that is off, after a while.
type toldFeed struct {
	off, takes time.Duration
	err        error
}

func (f toldFeed) Ended(context.Context, time.Duration) (verify.Endings, error) {
	now := time.Now().Add(f.off)
	time.Sleep(f.takes)
	return verify.Endings{Now: now}, f.err
}

func TestNodesGoByTheClockOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		read := func(f toldFeed) { _, _ = timedFeed{f, &c}.Ended(t.Context(), time.Minute) }
		off := func() time.Duration { return time.Until(c.now()) }
		if off() != 0 {
			t.Errorf("off by %v before anything was told", off())
		}
		for _, want := range []time.Duration{5 * time.Minute, -5 * time.Minute, 0, time.Hour} {
			if read(toldFeed{off: want, takes: 300 * time.Millisecond}); off() != want {
				t.Errorf("off by %v, want %v", off(), want)
			}
		}
		read(toldFeed{off: 0, takes: time.Minute})
		read(toldFeed{off: 0, err: errors.New("broken")})
		if off() != time.Hour {
			t.Errorf("set by a reading that is too old, or failed: off by %v", off())
		}
	})
}
