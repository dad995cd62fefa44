package pawl

import (
	"context"
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
	sweepEvery   = time.Minute
	sweepRows    = 1000 // removed at a time, so that the writer is not held for long
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
	t.every(ctx, log, "follow revocations", pollEvery, func(ctx context.Context) error { return p.revoked.Poll(ctx, time.Now()) })
	t.every(ctx, log, "keep keys", syncEvery, p.syncKeys)
	t.every(ctx, log, "confirm", confirmEvery, p.uses.Flush)
	t.every(ctx, log, "sweep", sweepEvery, p.sweep)
	t.recorder.Go(func() { p.recorder.Run(recording) })
	return t
}

// stop ends the tasks and waits for them.
func (t *tasks) stop() {
	t.cancel()
	t.group.Wait()
	t.cancelRecorder()
	t.recorder.Wait()
}

// every runs a task again and again. A failure is logged when it begins and
// when it ends, not in between.
func (t *tasks) every(ctx context.Context, log *slog.Logger, name string, interval time.Duration, task func(context.Context) error) {
	t.group.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		failing := false
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			bounded, cancel := context.WithTimeout(ctx, storeTimeout)
			err := task(bounded)
			cancel()
			switch {
			case err != nil && !failing && ctx.Err() == nil:
				log.Error("task fails; it is tried again", "task", name, "error", err)
			case err == nil && failing:
				log.Info("task works again", "task", name)
			}
			failing = err != nil
		}
	})
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
	for {
		n, err := p.engine.Sweep(ctx, sweepRows, p.options.Policy.FeedKeep(Leeway))
		if err != nil || n < sweepRows {
			return err
		}
	}
}
