package session_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/session"
)

// Whatever is issued after an epoch says so, although it tells whole seconds;
// and there is time for the epoch to become visible before it comes.
//
// Rows: 143
func TestNothingIssuedAfterAnEpochLooksOlder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.UnixMicro(rapid.Int64Range(1e15, 4e15).Draw(t, "now")).UTC()
		epoch := session.NextEpoch(now)
		if ahead := epoch.Sub(now); ahead < 2*time.Second-time.Microsecond || ahead > session.EpochMargin {
			t.Errorf("%v ahead", ahead)
		}
		first := epoch.Add(time.Microsecond) // the first moment at which a session outlives it
		if issued := time.Unix(first.Unix(), 0); !issued.After(epoch) {
			t.Errorf("what is issued at %v says %v, which is not after the epoch %v", first, issued, epoch)
		}
	})
}
