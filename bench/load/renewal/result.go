package renewal

import (
	"maps"
	"time"

	"github.com/pawlauth/pawl/bench/load/cputime"
)

// A Result is what a run found. Counts and processor time are of what was
// answered while it counted; durations are of what was begun then, with a rate
// of what was to begin then.
type Result struct {
	Workers  int
	Sessions int
	Rate     float64       // that was asked for; 0: none
	Wall     time.Duration // that counted

	Rotated  uint64 // answers with another refresh token
	Repeated uint64 // answers with the same one, or none
	// Failures are answers that were no renewal, by status and code, and
	// answers that did not come, whose names begin with "lost". Those with 429
	// or 5xx, and the lost ones, leave the chain alive; others end it.
	Failures map[string]uint64
	// Unanswered is how many renewals were due and still not answered when the
	// run ended. Took has how long each had waited then.
	Unanswered uint64
	// Took counts how long renewals took, lost answers included.
	Took Histogram
	// Lag counts, if there is a rate, how late the generator itself said that a
	// renewal was due: what it adds to Took.
	Lag Histogram

	// Processors counts processor time; the first process is the generator.
	Processors cputime.Reading
	// Tokens are the newest of the chains that did not end.
	Tokens []string
}

// Renewed is how many renewals were answered.
func (r *Result) Renewed() uint64 { return r.Rotated + r.Repeated }

// PerSecond is how many of them a second.
func (r *Result) PerSecond() float64 { return float64(r.Renewed()) / r.Wall.Seconds() }

// Failed is how many answers were none.
func (r *Result) Failed() (n uint64) {
	for _, count := range r.Failures {
		n += count
	}
	return n
}

func (r *Result) fill(t *tally) {
	r.Rotated, r.Repeated, r.Unanswered, r.Failures = t.rotated, t.repeated, t.unanswered, t.failures
	r.Took, r.Lag = t.took, t.lag
}

// maxKinds bounds the kinds of failure: codes come from the server.
const maxKinds = 64

// A tally is what one worker counts.
type tally struct {
	rotated, repeated, unanswered uint64
	failures                      map[string]uint64
	took, lag                     Histogram
}

func newTally() *tally { return &tally{failures: make(map[string]uint64)} }

func (t *tally) fail(kind string, n uint64) {
	if _, known := t.failures[kind]; !known && len(t.failures) >= maxKinds {
		kind = "others"
	}
	t.failures[kind] += n
}

func (t *tally) merge(other *tally) {
	t.rotated += other.rotated
	t.repeated += other.repeated
	t.unanswered += other.unanswered
	for kind, n := range maps.All(other.failures) {
		t.fail(kind, n)
	}
	t.took.Merge(&other.took)
	t.lag.Merge(&other.lag)
}
