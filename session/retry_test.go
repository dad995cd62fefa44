package session_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlauth/pawl/session"
)

// contend makes every change of a session a conflict, for the first so many
// tries, and returns when they were made.
func (w *queueWorld) contend(id session.ID, tries int) *[]time.Time {
	at := new([]time.Time)
	w.store.beforeReplace = func(changes []session.Change) []error {
		i := slices.IndexFunc(changes, func(c session.Change) bool { return c.ID == id })
		if i < 0 {
			return nil
		}
		*at = append(*at, time.Now())
		if len(*at) > tries {
			return nil
		}
		errs := w.store.Store.Replace(w.Context(), slices.Delete(slices.Clone(changes), i, i+1))
		return slices.Insert(errs, i, session.ErrConflict)
	}
	return at
}

// Whoever shares a batch with a row that others are changing gets his answer
// with that batch; only who wants the row tries again.
//
// Rows: 114, 252, A39.
func TestOthersOfABatchDoNotWaitForAContendedRow(t *testing.T) {
	inQueue(t, 8, nil, func(w *queueWorld) {
		contended := w.held[3].Row.ID
		w.contend(contended, 5)
		start := time.Now()
		for _, held := range w.held {
			w.ask(w.Context(), held)
		}
		time.Sleep(2*w.store.delay + time.Millisecond) // the first batch, and the one of all others
		synctest.Wait()
		w.store.mu.Lock()
		for i, got := range w.got {
			if answered := got.Row.Generation == 2; answered != (i != 3) {
				w.Errorf("request %d is answered: %t, %v", i, answered, w.errs[i])
			}
		}
		w.store.mu.Unlock()
		w.settle()
		w.wantBatches(1, 7, 1, 1, 1, 1, 1)
		if w.got[3].Row.Generation != 2 {
			w.Errorf("generation %d, want 2", w.got[3].Row.Generation)
		}
		// Two batches and five tries, with pauses of 0, 1, 2, 4 and 8 ms.
		if took := time.Since(start); took != 7*w.store.delay+15*time.Millisecond {
			w.Errorf("took %v", took)
		}
	})
}

func TestPausesBetweenTriesDouble(t *testing.T) {
	inQueue(t, 1, nil, func(w *queueWorld) {
		w.store.delay = 0
		at := w.contend(w.held[0].Row.ID, 100)
		if _, err := w.engine.Refresh(w.Context(), asks(w.held[0])); !errors.Is(err, session.ErrUnavailable) {
			w.Errorf("Refresh: %v, want ErrUnavailable", err)
		}
		var pauses, want []time.Duration
		for i := 1; i < len(*at); i++ {
			pauses = append(pauses, (*at)[i].Sub((*at)[i-1]))
		}
		want = append(want, 0)
		for pause := time.Millisecond; len(want) < 11; pause *= 2 {
			want = append(want, pause)
		}
		if !slices.Equal(pauses, want) {
			w.Errorf("pauses of %v, want %v", pauses, want)
		}
	})
}

// All tries together take no longer than two timeouts of the store.
//
// Rows: 252.
func TestTriesEndWithTheTimeout(t *testing.T) {
	inQueue(t, 1, func(o *session.Options) { o.Timeout = 100 * time.Millisecond }, func(w *queueWorld) {
		start := time.Now()
		w.contend(w.held[0].Row.ID, 100)
		_, err := w.engine.Refresh(w.Context(), asks(w.held[0]))
		if !errors.Is(err, session.ErrUnavailable) {
			w.Errorf("Refresh: %v, want ErrUnavailable", err)
		}
		if took := time.Since(start); took > 200*time.Millisecond+w.store.delay || len(w.store.loaded) > 5 {
			w.Errorf("took %v and %d tries", took, len(w.store.loaded))
		}
	})
}

// Who goes is not tried for again, whether he goes in a pause or in a batch.
func TestCallerWhoGoesIsNotTriedForAgain(t *testing.T) {
	for name, goes := range map[string]time.Duration{
		"in the first batch": 10 * time.Millisecond,
		"in a later batch":   160 * time.Millisecond,
		"in a pause":         4*50*time.Millisecond + 3*time.Millisecond + 2*time.Millisecond, // of 4 ms
	} {
		t.Run(name, func(t *testing.T) {
			inQueue(t, 2, nil, func(w *queueWorld) {
				w.contend(w.held[0].Row.ID, 100)
				ctx, cancel := context.WithCancel(w.Context())
				defer cancel()
				gone := w.ask(ctx, w.held[0])
				time.Sleep(goes)
				synctest.Wait()
				w.store.mu.Lock()
				tries := len(w.store.loaded)
				w.store.mu.Unlock()
				cancel()
				w.wait.Wait()
				if err := w.errs[gone]; !errors.Is(err, context.Canceled) || errors.Is(err, session.ErrUnavailable) {
					w.Errorf("gone: %v, want its context's error", err)
				}
				if n := len(w.store.loaded); n != tries {
					w.Errorf("%d tries after he went", n-tries)
				}
				// The queue goes on.
				if _, err := w.engine.Refresh(w.Context(), asks(w.held[1])); err != nil {
					w.Errorf("another: %v", err)
				}
			})
		})
	}
}
