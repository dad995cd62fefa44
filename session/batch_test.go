package session_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/storetest"
)

// Rows: 252, A96.
func TestOneFailingRowFailsAlone(t *testing.T) {
	inQueue(t, 6, nil, func(w *queueWorld) {
		bad := w.held[3].Row.ID
		w.store.beforeReplace = func(changes []session.Change) []error {
			var errs []error
			for _, c := range changes {
				err := errBroken
				if c.ID != bad {
					err = w.store.Store.Replace(w.Context(), []session.Change{c})[0]
				}
				errs = append(errs, err)
			}
			return errs
		}
		for _, held := range w.held {
			w.ask(w.Context(), held)
		}
		w.wait.Wait()
		for i, err := range w.errs {
			if failed := i == 3; failed != errors.Is(err, session.ErrUnavailable) || (!failed && err != nil) {
				w.Errorf("request %d: %v; want it to fail: %t", i, err, failed)
			}
		}
		if !errors.Is(w.errs[3], errBroken) || w.got[3].Refresh != "" {
			w.Errorf("the failing one: %v", w.errs[3])
		}
		w.wantBatches(1, 5)
	})
}

// Another node turns the session between Load and Replace: the request is
// decided anew and gets the same successor. The others of its batch are not.
//
// Rows: 114, A39.
func TestLoserOfARaceIsDecidedAnew(t *testing.T) {
	inQueue(t, 3, nil, func(w *queueWorld) {
		raced := w.held[1]
		var other session.Issued
		w.store.beforeReplace = func(changes []session.Change) []error {
			for _, c := range changes {
				if c.ID == raced.Row.ID && other.Refresh == "" {
					node := w.otherNode()
					var err error
					if other, err = node.Refresh(w.Context(), asks(raced)); err != nil {
						w.Errorf("the other node: %v", err)
					}
				}
			}
			return nil
		}
		for _, held := range w.held {
			w.ask(w.Context(), held)
		}
		w.settle()
		w.wantBatches(1, 2, 1)
		if w.got[1].Refresh.Reveal() != other.Refresh.Reveal() || w.got[1].Row.Generation != 2 {
			w.Errorf("generation %d, or other bytes than the other node's; want one successor", w.got[1].Row.Generation)
		}
	})
}

// Rows: 252.
func TestEndlessContentionIsUnavailable(t *testing.T) {
	inQueue(t, 1, nil, func(w *queueWorld) {
		w.store.beforeReplace = func(changes []session.Change) []error {
			errs := make([]error, len(changes))
			for i := range errs {
				errs[i] = session.ErrConflict
			}
			return errs
		}
		_, err := w.engine.Refresh(w.Context(), asks(w.held[0]))
		if !errors.Is(err, session.ErrUnavailable) {
			w.Errorf("Refresh: %v, want ErrUnavailable", err)
		}
		if n := len(w.store.loaded); n != 12 {
			w.Errorf("tried %d times, want 12", n)
		}
	})
}

// A store that panics, before its work or after it, or that leaves answers
// out: the panic is its caller's, the others of the batch get no tokens, and
// the queue goes on.
//
// Rows: 252.
func TestPanicOfTheStoreGrantsNothing(t *testing.T) {
	for name, fault := range map[string]func(*queueWorld, []session.Change) []error{
		"before": func(*queueWorld, []session.Change) []error { panic(errBroken) },
		"after": func(w *queueWorld, changes []session.Change) []error {
			w.store.Store.Replace(w.Context(), changes)
			panic(errBroken)
		},
		"answers left out": func(*queueWorld, []session.Change) []error { return []error{} },
	} {
		t.Run(name, func(t *testing.T) {
			inQueue(t, 4, nil, func(w *queueWorld) {
				calls := 0
				w.store.beforeReplace = func(changes []session.Change) []error {
					if calls++; calls == 2 {
						return fault(w, changes)
					}
					return nil
				}
				w.ask(w.Context(), w.held[0])
				panicked := false
				w.wait.Go(func() {
					defer func() { panicked = recover() != nil }()
					_, _ = w.engine.Refresh(w.Context(), asks(w.held[1]))
				})
				synctest.Wait()
				followers := []int{w.ask(w.Context(), w.held[2]), w.ask(w.Context(), w.held[3])}
				w.wait.Wait()
				if !panicked {
					w.Error("nobody saw the panic")
				}
				for _, i := range followers {
					if !errors.Is(w.errs[i], session.ErrUnavailable) || w.got[i].Refresh != "" || w.got[i].Access != "" {
						w.Errorf("a follower: %v, tokens: %t; want ErrUnavailable", w.errs[i], w.got[i].Refresh != "")
					}
				}
				for _, held := range w.held {
					if _, err := w.engine.Refresh(w.Context(), asks(held)); err != nil {
						w.Errorf("afterwards: %v", err)
					}
				}
			})
		})
	}
}

// Owner and thief meet in one batch. The owner's turn would be stored with the
// end that the thief's token brings, so that its generation never is: nothing
// is given to either.
//
// Rows: 112, 113, A37.
func TestOwnerAndThiefInOneBatchBothEndWithNothing(t *testing.T) {
	for _, order := range []string{"owner first", "thief first"} {
		t.Run(order, func(t *testing.T) {
			inQueue(t, 2, nil, func(w *queueWorld) {
				thief := w.held[1]
				owner, err := w.engine.Refresh(w.Context(), asks(thief))
				if err != nil {
					w.Fatal(err)
				}
				time.Sleep(77 * time.Second)
				u := session.Use{Session: owner.Row.ID, Generation: 2, IssuedAt: owner.Now}
				if _, err := w.engine.Confirm(w.Context(), []session.Use{u}); err != nil {
					w.Fatal(err)
				}
				time.Sleep(time.Hour)

				first, second := owner, thief
				if order == "thief first" {
					first, second = thief, owner
				}
				w.ask(w.Context(), w.held[0]) // so that the two gather
				a, b := w.ask(w.Context(), first), w.ask(w.Context(), second)
				w.wait.Wait()
				for _, i := range []int{a, b} {
					if !errors.Is(w.errs[i], session.ErrRefused) || w.got[i].Refresh != "" || w.got[i].Access != "" {
						w.Errorf("%v, tokens: %t; want a refusal", w.errs[i], w.got[i].Refresh != "")
					}
				}
				if row := w.load(owner.Row.ID); !row.Ended() || row.EndReason != session.ReasonReuse {
					w.Errorf("ended %t, reason %q; want reuse", row.Ended(), row.EndReason)
				}
			})
		})
	}
}

// Requests of one session in one batch see what those before them did: a
// repeat that is counted and a turn are stored as one change.
func TestBatchStoresTheSumOfItsDecisions(t *testing.T) {
	inQueue(t, 2, nil, func(w *queueWorld) {
		first := w.held[1]
		second, err := w.engine.Refresh(w.Context(), asks(first))
		if err != nil {
			w.Fatal(err)
		}
		time.Sleep(time.Hour)
		w.ask(w.Context(), w.held[0])
		late, turns, follows := w.ask(w.Context(), first), w.ask(w.Context(), second), w.ask(w.Context(), second)
		w.settle()
		if w.got[late].Row.Generation != 2 || w.got[turns].Row.Generation != 3 || w.got[follows].Row.Generation != 3 {
			w.Errorf("generations %d, %d, %d; want 2, 3, 3", w.got[late].Row.Generation, w.got[turns].Row.Generation, w.got[follows].Row.Generation)
		}
		row := w.load(first.Row.ID)
		if row.Generation != 3 || row.LateRepeats != 0b10 {
			w.Errorf("row in generation %d, late repeats %08b; want 3, and the repeat of the one before", row.Generation, row.LateRepeats)
		}
		if n := len(w.store.changes[len(w.store.changes)-1]); n != 1 {
			w.Errorf("%d changes of one session", n)
		}
	})
}

// otherNode is another engine on the same rows.
func (w *queueWorld) otherNode() *session.Engine {
	return storetest.NewEngine(w, w.store.Store, nil)
}
