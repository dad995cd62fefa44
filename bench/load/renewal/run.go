package renewal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawlauth/pawl/bench/load/cputime"
)

// Options say what is run. Unless a comment says otherwise, the zero value of a
// field is an error.
type Options struct {
	// Targets are servers of the same sessions. Workers are spread over them,
	// and one that got no answer goes on to the next.
	Targets []*Target
	Request Request
	// Tokens are the newest refresh tokens of sessions, one each; at least as
	// many as there are workers.
	Tokens []string
	// Workers is how many requests are in flight at most, each on a connection
	// of its own.
	Workers int
	// Rate is how many renewals a second are begun, evenly, whatever becomes of
	// the earlier ones. 0: as many as there are workers for, each beginning one
	// when its last is done.
	Rate float64
	// WarmUp is how long renewals go on before any counts; may be 0.
	WarmUp time.Duration
	// Duration is how long they count.
	Duration time.Duration
	// Timeout is of one exchange, connecting included.
	Timeout time.Duration
	// Processes are those whose processor time is told, besides this one's; may
	// be empty.
	Processes []cputime.Process

	dialer dialer
	sleep  func() func(time.Duration) // preciseSleep, but in tests
}

// maxRate bounds Options.Rate to what one machine can send.
const maxRate = 1_000_000

func (o *Options) check() error {
	switch {
	case len(o.Targets) == 0:
		return errors.New("there is no target")
	case o.Workers < 1 || len(o.Tokens) < o.Workers:
		return fmt.Errorf("there are %d workers and %d sessions; there must be at least as many sessions, and one worker", o.Workers, len(o.Tokens))
	case !(o.Rate >= 0 && o.Rate <= maxRate):
		return fmt.Errorf("a rate is 0 to %d a second", maxRate)
	case o.WarmUp < 0 || o.Duration <= 0 || o.Timeout <= 0:
		return errors.New("warm-up, duration and timeout are not negative, and the last two not 0")
	}
	seen := make(map[string]bool, len(o.Tokens))
	for i, t := range o.Tokens {
		if !isSendable([]byte(t)) {
			return fmt.Errorf("token %d is none: 1 to %d visible ASCII characters", i+1, maxToken)
		}
		if seen[t] {
			return fmt.Errorf("token %d comes twice: two chains of one session would look like theft", i+1)
		}
		seen[t] = true
	}
	return nil
}

// A run is in progress.
type run struct {
	*Options
	pool *pool
	due  chan time.Time // with a rate: when the next renewal was to begin
	stop context.Context
	halt context.CancelFunc // no chain is left

	from, till moment // of what counts
	meter      *cputime.Meter
}

// A moment is set once, while others look.
type moment struct{ p atomic.Pointer[time.Time] }

func (m *moment) set(t time.Time)           { m.p.Store(&t) }
func (m *moment) reached(at time.Time) bool { t := m.p.Load(); return t != nil && !at.Before(*t) }

func (r *run) counts(at time.Time) bool { return r.from.reached(at) && !r.till.reached(at) }

// Run carries the chains on until the time is over, ctx ends, or no chain is
// left. What is in flight then is waited for. It returns an error only if
// nothing could be counted; what servers answer is in the result.
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.dialer == nil {
		o.dialer = plainDialer
	}
	if o.sleep == nil {
		o.sleep = preciseSleep
	}
	r := &run{Options: &o, pool: newPool(o.Tokens)}
	r.stop, r.halt = context.WithCancel(ctx)
	defer r.halt()
	out := &Result{Workers: o.Workers, Sessions: len(o.Tokens), Rate: o.Rate}
	if o.WarmUp == 0 {
		if err := r.open(); err != nil {
			return nil, err
		}
	}
	total, running := r.start()
	err := r.watch(out)
	r.halt()
	running.Wait()
	if err != nil {
		return nil, err
	}
	for len(r.due) > 0 { // was to be done, and was not
		r.unanswered(total[0], <-r.due)
	}
	for _, t := range total[1:] {
		total[0].merge(t)
	}
	out.fill(total[0])
	out.Tokens = r.pool.tokens()
	return out, nil
}

// start lets the workers go, and the pacer, and returns what each counts.
func (r *run) start() (tallies []*tally, running *sync.WaitGroup) {
	running = new(sync.WaitGroup)
	pacer := newTally()
	if tallies = append(tallies, pacer); r.Rate > 0 {
		// Room for a second; when there is none the pacer waits, and says the
		// same times.
		r.due = make(chan time.Time, max(1, int(r.Rate)))
		running.Go(func() { r.pace(pacer) })
	}
	for n := range r.Workers {
		w := &worker{run: r, wire: newWire(r.Targets, n, r.dialer, r.Timeout), tally: newTally(), request: r.Request.clone()}
		tallies = append(tallies, w.tally)
		running.Go(w.work)
	}
	return tallies, running
}

// open begins what counts.
func (r *run) open() (err error) {
	r.meter, err = cputime.Start(append([]cputime.Process{cputime.Self("generator")}, r.Processes...)...)
	r.from.set(time.Now())
	return err
}

// watch waits for the warm-up and for the time that counts.
func (r *run) watch(out *Result) (err error) {
	if r.WarmUp > 0 {
		wait(r.stop, r.WarmUp)
		if err := r.open(); err != nil {
			return err
		}
	}
	wait(r.stop, r.Duration)
	r.till.set(time.Now())
	out.Wall = r.till.p.Load().Sub(*r.from.p.Load())
	out.Processors, err = r.meter.Read()
	return err
}

// pace says when renewals are due, at the rate, and notes how late it says so
// itself.
func (r *run) pace(t *tally) {
	sleep, begin := r.sleep(), time.Now()
	held := false // by workers, not by itself
	for n := 0; ; n++ {
		at := begin.Add(time.Duration(float64(n) * float64(time.Second) / r.Rate))
		for d := time.Until(at); d > 0 && r.stop.Err() == nil; d = time.Until(at) {
			sleep(min(d, 50*time.Millisecond)) // and see whether to stop
			held = false
		}
		if !held && r.counts(at) && r.stop.Err() == nil {
			t.lag.Add(time.Since(at))
		}
		held = held || len(r.due) == cap(r.due)
		if r.stop.Err() != nil && (r.till.reached(at) || at.After(time.Now())) {
			return
		}
		select {
		case <-r.stop.Done():
			r.unanswered(t, at)
		case r.due <- at:
		}
	}
}

// unanswered notes a renewal that was due and has no answer: it took at least
// until now. To leave it out would forgive the slowest.
func (r *run) unanswered(t *tally, due time.Time) {
	if r.counts(due) {
		t.unanswered++
		t.took.Add(time.Since(due))
	}
}

// wait returns when the time has passed or the run stops.
func wait(stop context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-stop.Done():
	}
}
