package session_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/memstore"
	"github.com/pawlauth/pawl/session/storetest"
	"pgregory.net/rapid"
)

// A slowStore takes its time for every Load and remembers what it was asked.
// It runs in a synctest bubble, where time passes only while all wait.
type slowStore struct {
	*memstore.Store
	delay time.Duration

	beforeReplace func([]session.Change) []error // nil result: go on

	mu      sync.Mutex
	loading int                // guarded by mu
	most    int                // of loading; guarded by mu
	loaded  [][]session.ID     // guarded by mu
	changes [][]session.Change // guarded by mu
}

func (s *slowStore) Load(ctx context.Context, ids []session.ID) ([]session.Row, time.Time, error) {
	if len(ids) > 0 {
		s.mu.Lock()
		s.loaded = append(s.loaded, slices.Clone(ids))
		s.loading++
		s.most = max(s.most, s.loading)
		s.mu.Unlock()
		defer func() {
			s.mu.Lock()
			s.loading--
			s.mu.Unlock()
		}()
		select {
		case <-time.After(s.delay):
		case <-ctx.Done():
			return nil, time.Time{}, ctx.Err()
		}
	}
	return s.Store.Load(ctx, ids)
}

func (s *slowStore) Replace(ctx context.Context, changes []session.Change) []error {
	s.mu.Lock()
	s.changes = append(s.changes, slices.Clone(changes))
	s.mu.Unlock()
	if s.beforeReplace != nil {
		if errs := s.beforeReplace(changes); errs != nil {
			return errs
		}
	}
	return s.Store.Replace(ctx, changes)
}

// A queueWorld is an engine over a slow store, and sessions that can turn.
type queueWorld struct {
	*testing.T
	store  *slowStore
	engine *session.Engine
	held   []session.Issued
	wait   sync.WaitGroup
	got    []session.Issued // by number of the request
	errs   []error
}

// inQueue runs a test in a bubble, with n sessions.
func inQueue(t *testing.T, n int, edit func(*session.Options), test func(*queueWorld)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &queueWorld{T: t, store: &slowStore{Store: memstore.New(time.Now), delay: 50 * time.Millisecond}}
		w.engine = storetest.NewEngine(t, w.store, edit)
		for range n {
			issued, err := w.engine.Start(t.Context(), session.Login{UserID: "u_alice", ClientID: "web", Audience: "app", Transport: session.Cookie})
			if err != nil {
				t.Fatalf("Start: %v", err)
			}
			w.held = append(w.held, issued)
		}
		time.Sleep(time.Hour)
		test(w)
		if err := storetest.Check(context.WithoutCancel(t.Context()), w.store.Store); err != nil {
			t.Errorf("the store is not sound afterwards: %v", err)
		}
	})
}

// ask sends a renewal in the background and waits until it waits.
func (w *queueWorld) ask(ctx context.Context, held session.Issued) (number int) {
	number = len(w.got)
	w.got, w.errs = append(w.got, session.Issued{}), append(w.errs, nil)
	w.wait.Go(func() {
		issued, err := w.engine.Refresh(ctx, asks(held))
		w.store.mu.Lock()
		defer w.store.mu.Unlock()
		w.got[number], w.errs[number] = issued, err
	})
	synctest.Wait()
	return number
}

// settle waits for every answer and fails if one is an error.
func (w *queueWorld) settle() {
	w.Helper()
	w.wait.Wait()
	for i, err := range w.errs {
		if err != nil {
			w.Fatalf("request %d: %v", i, err)
		}
	}
}

func (w *queueWorld) wantBatches(sizes ...int) {
	w.Helper()
	var got []int
	for _, ids := range w.store.loaded {
		got = append(got, len(ids))
	}
	if !slices.Equal(got, sizes) {
		w.Errorf("batches of %v sessions, want %v", got, sizes)
	}
}

// The first comes alone; fifty gather while it is decided, and are loaded,
// decided and replaced together.
func TestRenewalsGatherWhileABatchCommits(t *testing.T) {
	inQueue(t, 51, nil, func(w *queueWorld) {
		start := time.Now()
		for _, held := range w.held {
			w.ask(w.Context(), held)
		}
		w.settle()
		w.wantBatches(1, 50)
		if len(w.store.changes) != 2 || len(w.store.changes[1]) != 50 {
			w.Errorf("%d calls of Replace, want 2", len(w.store.changes))
		}
		if took := time.Since(start); took != 100*time.Millisecond {
			w.Errorf("took %v, want the time of two batches", took)
		}
		if !slices.IsSortedFunc(w.store.loaded[1], session.ID.Compare) {
			w.Error("ids are not in order, so that two nodes may lock rows in different orders")
		}
	})
}

// Fifty requests for one session in one batch: one row, one change, one
// lineage.
//
// Rows: 114, A39.
func TestRequestsOfOneSessionShareOneChange(t *testing.T) {
	inQueue(t, 2, nil, func(w *queueWorld) {
		w.ask(w.Context(), w.held[0])
		for range 50 {
			w.ask(w.Context(), w.held[1])
		}
		w.settle()
		w.wantBatches(1, 1)
		if len(w.store.changes) != 2 || len(w.store.changes[1]) != 1 {
			w.Errorf("%d calls of Replace; want 2, of one change each", len(w.store.changes))
		}
		for _, g := range w.got[1:] {
			if g.Row.Generation != 2 || g.Refresh.Reveal() != w.got[1].Refresh.Reveal() {
				w.Fatalf("generation %d, or other bytes; want one successor", g.Row.Generation)
			}
		}
	})
}

// A batch is bounded. One that is full begins beside those under way, of which
// there are not more than four.
func TestFullBatchesDoNotWait(t *testing.T) {
	inQueue(t, 601, nil, func(w *queueWorld) {
		start := time.Now()
		for _, held := range w.held {
			w.ask(w.Context(), held)
		}
		w.settle()
		w.wantBatches(1, 64, 64, 64, 64, 64, 64, 64, 64, 64, 24)
		if w.store.most != 4 {
			t.Errorf("%d batches under way at once, want 4", w.store.most)
		}
		// Those left over are no full batch: they wait until none is under way.
		if took := time.Since(start); took != 200*time.Millisecond {
			t.Errorf("took %v, want the time of four batches", took)
		}
	})
}

// Whoever goes at whatever moment, those who stay are served.
func TestQueueSurvivesThoseWhoGo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		patience := rapid.SliceOfN(rapid.IntRange(0, 250), 80, 150).Draw(rt, "patience")
		inQueue(t, len(patience), nil, func(w *queueWorld) {
			for i, held := range w.held {
				if patience[i] > 200 { // stays
					w.ask(w.Context(), held)
					continue
				}
				ctx, cancel := context.WithTimeout(w.Context(), time.Duration(patience[i])*time.Millisecond)
				defer cancel()
				w.ask(ctx, held)
			}
			w.wait.Wait()
			for i, err := range w.errs {
				if err != nil && (patience[i] > 200 || !errors.Is(err, context.DeadlineExceeded)) {
					t.Fatalf("request %d, with patience %d: %v", i, patience[i], err)
				}
			}
			if _, err := w.engine.Refresh(w.Context(), asks(w.held[0])); err != nil {
				t.Fatalf("afterwards: %v", err)
			}
		})
	})
}

func TestFullQueueIsBusy(t *testing.T) {
	inQueue(t, 4, func(o *session.Options) { o.MaxQueue = 2 }, func(w *queueWorld) {
		for _, held := range w.held[:3] {
			w.ask(w.Context(), held)
		}
		start := time.Now()
		if _, err := w.engine.Refresh(w.Context(), asks(w.held[3])); !errors.Is(err, session.ErrBusy) || errors.Is(err, session.ErrRefused) {
			w.Errorf("Refresh with a full queue: %v, want ErrBusy", err)
		}
		if time.Since(start) != 0 {
			w.Error("a request that finds the queue full waits")
		}
		w.settle()
		if _, err := w.engine.Refresh(w.Context(), asks(w.held[3])); err != nil {
			w.Errorf("Refresh when the queue is empty again: %v", err)
		}
	})
}

// Who has gone before his batch began is not decided for.
func TestCanceledWaiterLeaves(t *testing.T) {
	inQueue(t, 4, nil, func(w *queueWorld) {
		ctx, cancel := context.WithCancel(w.Context())
		w.ask(w.Context(), w.held[0])
		w.ask(w.Context(), w.held[1])
		gone := w.ask(ctx, w.held[2])
		w.ask(w.Context(), w.held[3])
		start := time.Now()
		cancel()
		synctest.Wait()
		w.store.mu.Lock()
		err := w.errs[gone]
		w.errs[gone] = nil
		w.store.mu.Unlock()
		if !errors.Is(err, context.Canceled) || time.Since(start) != 0 {
			w.Errorf("canceled: %v after %v, want its context's error at once", err, time.Since(start))
		}
		w.settle()
		w.wantBatches(1, 2)
		if row := w.load(w.held[2].Row.ID); row.Generation != 1 {
			w.Error("a renewal that nobody waited for was decided")
		}
	})
}

// load returns a row.
func (w *queueWorld) load(id session.ID) session.Row {
	w.Helper()
	rows, _, err := w.store.Store.Load(context.WithoutCancel(w.Context()), []session.ID{id})
	if err != nil || len(rows) != 1 {
		w.Fatalf("Load: %d rows, %v", len(rows), err)
	}
	return rows[0]
}

// The next leader goes in the very moment in which it is made the leader. It
// may lead or leave, but those behind it are served.
func TestCanceledLeaderPassesTheLead(t *testing.T) {
	for range 100 {
		inQueue(t, 4, nil, func(w *queueWorld) {
			w.ask(w.Context(), w.held[0])
			ctx, cancel := context.WithTimeout(w.Context(), w.store.delay)
			defer cancel()
			w.ask(ctx, w.held[1])
			w.ask(ctx, w.held[2])
			w.ask(w.Context(), w.held[3])
			w.wait.Wait()
			if w.errs[0] != nil || w.errs[3] != nil {
				w.Fatalf("those who stayed: %v, %v", w.errs[0], w.errs[3])
			}
			for _, err := range w.errs[1:3] {
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					w.Fatalf("those who left: %v", err)
				}
			}
			if _, err := w.engine.Refresh(w.Context(), asks(w.got[3])); err != nil {
				w.Fatalf("afterwards: %v", err)
			}
		})
	}
}

// The leader decides for others: that its own caller has gone is not their
// concern.
func TestLeaderWhoseCallerHasGoneFinishesItsBatch(t *testing.T) {
	inQueue(t, 3, nil, func(w *queueWorld) {
		w.ask(w.Context(), w.held[0])
		ctx, cancel := context.WithTimeout(w.Context(), w.store.delay+time.Millisecond)
		defer cancel()
		gone := w.ask(ctx, w.held[1]) // leads the second batch
		w.ask(w.Context(), w.held[2])
		w.wait.Wait()
		if !errors.Is(w.errs[gone], context.DeadlineExceeded) {
			w.Errorf("gone: %v, want its context's error", w.errs[gone])
		}
		w.errs[gone] = nil
		w.settle()
		w.wantBatches(1, 2)
	})
}

// Who goes while the rows are read is not decided for: the request may have
// waited in a machine that stood still, and its caller may have renewed
// elsewhere and used what he got. His old token would end his session.
//
// Rows: 114, A96.
func TestCallerWhoGoesWhileRowsAreReadIsNotDecidedFor(t *testing.T) {
	inQueue(t, 2, func(o *session.Options) { o.Policy = o.Policy.MakeStrict() }, func(w *queueWorld) {
		ctx, cancel := context.WithTimeout(w.Context(), w.store.delay/2)
		defer cancel()
		gone := w.ask(ctx, w.held[0])
		beside := w.ask(w.Context(), w.held[1])
		// Meanwhile, at another node over the same store.
		other := storetest.NewEngine(w.T, w.store.Store, func(o *session.Options) { o.Policy = o.Policy.MakeStrict() })
		moved, err := other.Refresh(w.Context(), asks(w.held[0]))
		if err != nil {
			w.Fatal(err)
		}
		use := session.Use{Session: moved.Row.ID, Generation: moved.Row.Generation, IssuedAt: moved.Now}
		if _, err := other.Confirm(w.Context(), []session.Use{use}); err != nil {
			w.Fatal(err)
		}
		w.wait.Wait()
		if !errors.Is(w.errs[gone], context.DeadlineExceeded) || w.got[gone].Refresh != "" {
			w.Errorf("gone: %v, want its context's error", w.errs[gone])
		}
		if w.errs[beside] != nil {
			w.Errorf("who shared the batch: %v", w.errs[beside])
		}
		if row := w.load(w.held[0].Row.ID); row.Generation != 2 || row.Ended() {
			w.Errorf("generation %d, ended %v because of %q; want 2, not ended", row.Generation, row.Ended(), row.EndReason)
		}
	})
}

// Who goes while what was decided is stored sees no outcome, but it is stored.
func TestCallerWhoGoesDuringItsBatchIsDecidedAllTheSame(t *testing.T) {
	inQueue(t, 2, nil, func(w *queueWorld) {
		ctx, cancel := context.WithCancel(w.Context())
		w.store.beforeReplace = func([]session.Change) []error {
			w.store.beforeReplace = nil
			cancel()
			time.Sleep(time.Millisecond)
			return nil
		}
		w.ask(ctx, w.held[0])
		w.ask(w.Context(), w.held[1])
		w.wait.Wait()
		if row := w.load(w.held[0].Row.ID); row.Generation != 2 {
			w.Errorf("generation %d, want 2", row.Generation)
		}
		// Its retry gets what it would have got.
		if again, err := w.engine.Refresh(w.Context(), asks(w.held[0])); err != nil || again.Row.Generation != 2 {
			w.Errorf("retry: generation %d, %v; want 2", again.Row.Generation, err)
		}
	})
}

// Rows: 252, A96.
func TestSlowStoreIsUnavailable(t *testing.T) {
	inQueue(t, 3, func(o *session.Options) { o.Timeout = 5 * time.Second }, func(w *queueWorld) {
		w.store.delay = time.Hour
		start := time.Now()
		for _, held := range w.held {
			w.ask(w.Context(), held)
		}
		w.wait.Wait()
		for i, err := range w.errs {
			if !errors.Is(err, session.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || w.got[i].Refresh != "" {
				w.Errorf("request %d: %v, want ErrUnavailable", i, err)
			}
		}
		// The first batch and the one that gathered meanwhile.
		if took := time.Since(start); took != 10*time.Second {
			w.Errorf("took %v, want two timeouts", took)
		}
		w.store.delay = 0
		for _, held := range w.held {
			if _, err := w.engine.Refresh(w.Context(), asks(held)); err != nil {
				w.Errorf("when the store is quick again: %v", err)
			}
		}
	})
}
