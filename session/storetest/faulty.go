package storetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pawlauth/pawl/session"
)

// ErrFault is what a [Faulty] store fails with. It says nothing about whether
// the call took effect, as the errors of real stores do not.
var ErrFault = errors.New("storetest: injected fault")

// A Call is a method of a store.
type Call string

// The methods of a store.
const (
	Create  Call = "Create"
	Load    Call = "Load"
	Replace Call = "Replace"
	Bind    Call = "Bind"
	Confirm Call = "Confirm"
	End     Call = "End"
	List    Call = "List"
	Sweep   Call = "Sweep"

	EndEveryone Call = "EndEveryone"
)

// Writes are the calls that change a store.
var Writes = []Call{Create, Replace, Bind, Confirm, End, EndEveryone, Sweep}

// A Fault is how a call fails.
type Fault string

// The ways in which a call fails. For a call that only reads they are one.
const (
	Lost       Fault = "lost"       // it did not take effect
	Unanswered Fault = "unanswered" // it took effect, and was reported failed
)

// A Faulty store passes every call on to the store inside, except those that
// were told to fail. It is safe for concurrent use.
type Faulty struct {
	session.Store

	mu    sync.Mutex
	calls map[Call]int           // guarded by mu: so far
	plan  map[Call]map[int]Fault // guarded by mu: by number of the call, from 1
}

// NewFaulty returns a store that fails when [Faulty.Fail] says so.
func NewFaulty(store session.Store) *Faulty {
	return &Faulty{Store: store, calls: make(map[Call]int), plan: make(map[Call]map[int]Fault)}
}

// Fail makes the nth of the coming calls of a method fail; 1 is the next one.
func (f *Faulty) Fail(call Call, nth int, how Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.plan[call] == nil {
		f.plan[call] = make(map[int]Fault)
	}
	f.plan[call][f.calls[call]+nth] = how
}

// Calls returns how often a method was called, failing or not.
func (f *Faulty) Calls(call Call) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[call]
}

// next counts a call and returns how it fails; empty: it does not.
func (f *Faulty) next(call Call) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[call]++
	return f.plan[call][f.calls[call]]
}

// Create implements [session.Ratchet].
func (f *Faulty) Create(ctx context.Context, row session.Row) error {
	fault := f.next(Create)
	if fault == Lost {
		return ErrFault
	}
	err := f.Store.Create(ctx, row)
	if fault != "" {
		return ErrFault
	}
	return err
}

// Load implements [session.Ratchet].
func (f *Faulty) Load(ctx context.Context, ids []session.ID) ([]session.Row, time.Time, error) {
	if f.next(Load) != "" {
		return nil, time.Time{}, ErrFault
	}
	return f.Store.Load(ctx, ids)
}

// Replace implements [session.Ratchet]. All changes of a call fail alike.
func (f *Faulty) Replace(ctx context.Context, changes []session.Change) []error {
	fault := f.next(Replace)
	var errs []error
	if fault == Lost {
		errs = make([]error, len(changes))
	} else {
		errs = f.Store.Replace(ctx, changes)
	}
	if fault != "" {
		for i := range errs {
			errs[i] = ErrFault
		}
	}
	return errs
}

// Bind implements [session.Ratchet].
func (f *Faulty) Bind(ctx context.Context, id session.ID, generation uint32, to session.Binding) error {
	fault := f.next(Bind)
	if fault == Lost {
		return ErrFault
	}
	err := f.Store.Bind(ctx, id, generation, to)
	if fault != "" {
		return ErrFault
	}
	return err
}

// Confirm implements [session.Ratchet].
func (f *Faulty) Confirm(ctx context.Context, uses []session.Use, settle time.Duration) (time.Time, error) {
	fault := f.next(Confirm)
	if fault == Lost {
		return time.Time{}, ErrFault
	}
	now, err := f.Store.Confirm(ctx, uses, settle)
	if fault != "" {
		return time.Time{}, ErrFault
	}
	return now, err
}

// End implements [session.Directory].
func (f *Faulty) End(ctx context.Context, which session.Selection, reason session.Reason) ([]session.Ended, error) {
	fault := f.next(End)
	if fault == Lost {
		return nil, ErrFault
	}
	ended, err := f.Store.End(ctx, which, reason)
	if fault != "" {
		return nil, ErrFault
	}
	return ended, err
}

// EndEveryone implements [session.Directory].
func (f *Faulty) EndEveryone(ctx context.Context, at time.Time, reason session.Reason) (session.Epoch, error) {
	fault := f.next(EndEveryone)
	if fault == Lost {
		return session.Epoch{}, ErrFault
	}
	epoch, err := f.Store.EndEveryone(ctx, at, reason)
	if fault != "" {
		return session.Epoch{}, ErrFault
	}
	return epoch, err
}

// List implements [session.Directory].
func (f *Faulty) List(ctx context.Context, query session.Query) ([]session.Row, time.Time, error) {
	if f.next(List) != "" {
		return nil, time.Time{}, ErrFault
	}
	return f.Store.List(ctx, query)
}

// Sweep implements [session.Directory].
func (f *Faulty) Sweep(ctx context.Context, limit int, feedKeep time.Duration) (int, error) {
	fault := f.next(Sweep)
	if fault == Lost {
		return 0, ErrFault
	}
	n, err := f.Store.Sweep(ctx, limit, feedKeep)
	if fault != "" {
		return 0, ErrFault
	}
	return n, err
}
