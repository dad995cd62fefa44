package pawl

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/session"
)

// How often each task runs.
const (
	pollEvery    = 250 * time.Millisecond // the feed of ended sessions; another process's end shows within a second
	syncEvery    = 500 * time.Millisecond // signing keys; a withdrawn one is refused within a second
	confirmEvery = 50 * time.Millisecond
	recordEvery  = 50 * time.Millisecond
	sweepEvery   = time.Minute
	sweepRows    = 1000                  // removed at a time, so that the writer is not held for long
	wakeGap      = 10 * time.Millisecond // between two reads of the feed that another node's ends asked for
	listenAgain  = time.Second           // between two attempts to listen for them
	quietFor     = 10 * time.Second      // between two log lines of one failing task
)

// tasks are the goroutines of a Pawl. The recorder stops last, so that it
// writes what the others still have to tell.
type tasks struct {
	cancel         context.CancelFunc
	group          sync.WaitGroup
	cancelRecorder context.CancelFunc
	recorder       sync.WaitGroup
}

// start runs every task until stop.
func (p *Pawl) start() *tasks {
	ctx, cancel := context.WithCancel(context.Background())
	recording, cancelRecorder := context.WithCancel(context.Background())
	t := &tasks{cancel: cancel, cancelRecorder: cancelRecorder}
	log := p.options.Log
	t.every(ctx, log, "follow revocations", pollEvery, t.listen(ctx, log, p.data.Store), p.follow)
	t.every(ctx, log, "write lost ends", pollEvery, nil, p.endAgain)
	t.every(ctx, log, "keep keys", syncEvery, nil, p.syncKeys)
	t.every(ctx, log, "confirm", confirmEvery, nil, p.uses.Flush)
	t.every(ctx, log, "sweep", sweepEvery, nil, p.sweep)
	t.recorder.Go(func() { p.recorder.Run(recording) })
	return t
}

// stop ends the tasks, waits for them, and does what is last before the
// recorder stops.
func (t *tasks) stop(last func()) {
	t.cancel()
	t.group.Wait()
	last()
	t.cancelRecorder()
	t.recorder.Wait()
}

// A waker is a store that tells when another node has ended a session. It is
// an optional part of a store: the feed is polled anyway.
type waker interface {
	Wake(ctx context.Context, wake func()) error
}

// listen returns a channel that receives when there is something to read in
// the feed; nil if the store tells of nothing.
func (t *tasks) listen(ctx context.Context, log *slog.Logger, store any) <-chan struct{} {
	w, ok := store.(waker)
	if !ok {
		return nil
	}
	woken := make(chan struct{}, 1)
	t.group.Go(func() {
		for failing := false; ; {
			err := w.Wake(ctx, func() {
				failing = false
				select {
				case woken <- struct{}{}:
				default:
				}
			})
			if ctx.Err() != nil {
				return
			}
			if !failing {
				log.Warn("other nodes' ends of sessions are polled for only", "every", pollEvery, "error", err)
			}
			failing = true
			select {
			case <-ctx.Done():
				return
			case <-time.After(listenAgain):
			}
		}
	})
	return woken
}

// every runs a task again and again, and when it is woken. A failure is logged
// when it begins, not while it lasts.
func (t *tasks) every(ctx context.Context, log *slog.Logger, name string, interval time.Duration, woken <-chan struct{}, task func(context.Context) error) {
	t.group.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		var failed time.Time // last
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			case <-woken:
				time.Sleep(wakeGap) // for many ends one read is enough
			}
			bounded, cancel := context.WithTimeout(ctx, storeTimeout)
			err := task(bounded)
			cancel()
			if err == nil || ctx.Err() != nil {
				continue
			}
			if time.Since(failed) > quietFor {
				log.Error("task fails; it is tried again", "task", name, "error", err)
			}
			failed = time.Now()
		}
	})
}

// A paced log stores events at most every so often, so that those of many
// requests share one commit. The recorder gathers meanwhile.
type paced struct {
	log   session.EventLog
	every time.Duration
	last  time.Time // owned by the recorder's goroutine
}

// Append implements [session.EventLog].
func (p *paced) Append(ctx context.Context, events []session.Event) error {
	timer := time.NewTimer(time.Until(p.last.Add(p.every)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	p.last = time.Now()
	return p.log.Append(ctx, events)
}

// follow reads the feed of ended sessions, and notes what the store has lost of
// it.
func (p *Pawl) follow(ctx context.Context) error {
	lost, err := p.revoked.Poll(ctx, timedFeed{p.data.Store, &p.clock}, time.Now())
	p.lost.replace(lost)
	return err
}

// syncKeys makes due changes and records them.
func (p *Pawl) syncKeys(ctx context.Context) error {
	changes, err := p.ring.Sync(ctx)
	types := map[keyring.State]session.EventType{keyring.Next: session.EventKeyPublished, keyring.Active: session.EventKeyActivated,
		keyring.Retiring: session.EventKeyRetiring, keyring.Gone: session.EventKeyGone, keyring.Withdrawn: session.EventKeyWithdrawn}
	for _, c := range changes {
		p.record(session.Event{Type: types[c.To.State], Key: c.To.ID})
	}
	return err
}

// sweep removes what has expired, a step at a time.
func (p *Pawl) sweep(ctx context.Context) error {
	rows, err := steps(ctx, func() (int, error) { return p.engine.Sweep(ctx, sweepRows, p.options.Policy.FeedKeep(Leeway)) })
	events, more := steps(ctx, func() (int, error) { return p.data.Store.TrimEvents(ctx, p.options.KeepEvents, sweepRows) })
	attempts, last := steps(ctx, func() (int, error) { return p.accounts.SweepAttempts(ctx, sweepRows) })
	codes, least := steps(ctx, func() (int, error) { return p.services.Sweep(ctx, sweepRows) })
	if rows+events+attempts+codes > 0 {
		p.options.Log.Info("swept", "sessions", rows, "events", events, "attempts", attempts, "codes", codes)
	}
	return errors.Join(err, more, last, least)
}

// steps repeats a step of at most sweepRows until it finds less to do, or the
// time of the task is over; then the rest is for the next time.
func steps(ctx context.Context, step func() (int, error)) (total int, err error) {
	for {
		n, err := step()
		total += n
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
			return total, nil
		}
		if err != nil || n < sweepRows {
			return total, err
		}
	}
}
