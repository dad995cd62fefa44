package keyring

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// MinPublication is the shortest time for which a key is published before it
// signs: longer than anybody may cache the key set.
const MinPublication = 6 * time.Minute

func errPublication(d time.Duration) error {
	return fmt.Errorf("publication of %v is too short; give at least %v, for which the key set may be cached", d, MinPublication)
}

// Options say how a ring lets its keys live. All fields are required.
type Options struct {
	Algorithm Algorithm
	// DangerouslySignWithRS256 allows Algorithm to be RS256, whose padding
	// (PKCS #1 v1.5) current guidance disallows.
	DangerouslySignWithRS256 bool
	// Rotation is how long a key signs; at least twice Publication.
	Rotation time.Duration
	// Publication is how long a key is in the key set before it signs, so
	// that every verifier's cache knows it by then; at least MinPublication.
	Publication time.Duration
	// TokenLife is the longest time for which a token may still be presented
	// after it was signed, leeway included. A key retires for that long, and
	// a minute more for processes that learn late that it no longer signs.
	TokenLife time.Duration
}

// learnTime is within what time every process has seen a change of the keys.
const learnTime = time.Minute

// allows reports whether a key of that algorithm may be used. An RS256 key
// that is there from when it was allowed is withdrawn once it is not.
func (o Options) allows(alg Algorithm) bool {
	return alg == EdDSA || alg == ES256 || alg == RS256 && o.DangerouslySignWithRS256
}

// Validate returns every fault of the options at once.
func (o Options) Validate() error {
	var faults []error
	if !o.allows(o.Algorithm) {
		faults = append(faults, fmt.Errorf("signing algorithm %q: %w", o.Algorithm, ErrAlgorithm))
	}
	if o.Publication < MinPublication {
		faults = append(faults, errPublication(o.Publication))
	}
	if o.Rotation < 2*o.Publication {
		faults = append(faults, fmt.Errorf("rotation of %v is too short; give at least twice the publication of %v", o.Rotation, o.Publication))
	}
	if o.TokenLife <= 0 {
		faults = append(faults, errors.New("token life is missing; give the longest life of an access token"))
	}
	return errors.Join(faults...)
}

// A Ring holds the signing keys of one process and keeps them in step with
// the store. It is safe for concurrent use; [Ring.Signer] and [Ring.Set] never
// block.
type Ring struct {
	store  Store
	master *Master
	opts   Options

	mu     sync.Mutex           // serialises Sync
	opened map[string]*Signer   // guarded by mu: what was opened and proved, by key id
	view   atomic.Pointer[view] // replaced whole
}

type view struct {
	signer *Signer
	set    *Set
}

// Open loads the keys, makes the first one if there is none, and proves each.
// It fails with [ErrWrongMaster] before it changes anything if a stored key
// was sealed under another master key.
func Open(ctx context.Context, store Store, master *Master, opts Options) (*Ring, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	r := &Ring{store: store, master: master, opts: opts, opened: make(map[string]*Signer)}
	if _, err := r.Sync(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// Signer returns the key that signs now. If there is none that can be used, it
// returns one whose Sign fails.
func (r *Ring) Signer() *Signer {
	if s := r.view.Load().signer; s != nil {
		return s
	}
	return &Signer{}
}

// Set returns the keys that verify now.
func (r *Ring) Set() *Set { return r.view.Load().set }

// Sync brings the ring in step with the store: it makes whatever change is
// due, loads the keys, and swaps the view. It returns the changes that this
// call itself made, for the record. If it fails, the old view stays.
func (r *Ring) Sync(ctx context.Context) ([]Change, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var made []Change
	// Another process may be first; a few rounds settle that.
	for range maxRounds {
		records, now, err := r.store.Keys(ctx)
		if err != nil {
			return made, fmt.Errorf("keyring: load keys: %w", err)
		}
		next, err := r.build(records)
		if err != nil {
			if r.view.Load() != nil && next.set != nil {
				r.view.Store(next)
			}
			return made, err
		}
		changes, err := r.plan(records, now)
		if err != nil {
			return made, err
		}
		if len(changes) == 0 {
			r.view.Store(next)
			return made, nil
		}
		switch err := r.store.ChangeKeys(ctx, changes); {
		case err == nil:
			made = append(made, changes...)
		case !errors.Is(err, ErrConflict):
			return made, fmt.Errorf("keyring: change keys: %w", err)
		}
	}
	return made, ErrConflict
}

// Rotate is [Rotate] on the ring's store, followed by [Ring.Sync].
func (r *Ring) Rotate(ctx context.Context) (Record, error) {
	next, err := Rotate(ctx, r.store, r.master, r.opts.Publication)
	if err != nil {
		return Record{}, err
	}
	_, err = r.Sync(ctx)
	return next, err
}

// Withdraw is [Withdraw] on the ring's store, followed by [Ring.Sync]: what
// the key signed is refused here when Withdraw returns.
func (r *Ring) Withdraw(ctx context.Context, id string) error {
	if err := Withdraw(ctx, r.store, r.master, id); err != nil {
		return err
	}
	_, err := r.Sync(ctx)
	return err
}

// plan returns the changes that are due, all of one transaction. Order
// matters to stores with constraints: a state is left before it is entered.
func (r *Ring) plan(records []Record, now time.Time) ([]Change, error) {
	var changes []Change
	for _, record := range records {
		switch {
		case record.State == Retiring && !now.Before(record.DueAt):
			changes = append(changes, move(record, Gone, now, time.Time{}))
		case record.verifies() && !r.opts.allows(record.Algorithm):
			changes = append(changes, move(record, Withdrawn, now, time.Time{}))
		}
	}
	active, next := r.allowed(Active, records), r.allowed(Next, records)
	switch {
	case active == nil:
		first, err := successor(r.master, next, r.opts.Algorithm, now)
		return append(changes, first), err
	case next != nil && !now.Before(next.DueAt):
		changes = append(changes,
			move(*active, Retiring, now, now.Add(r.opts.TokenLife+learnTime)),
			move(*next, Active, now, time.Time{}))
	case next == nil && (active.Algorithm != r.opts.Algorithm || now.Sub(active.ChangedAt) >= r.opts.Rotation-r.opts.Publication):
		fresh, err := newRecord(r.master, r.opts.Algorithm, Next, now, now.Add(r.opts.Publication))
		if err != nil {
			return nil, err
		}
		changes = append(changes, Change{To: fresh})
	}
	return changes, nil
}

// allowed returns the key in that state, unless the options rule it out.
func (r *Ring) allowed(state State, records []Record) *Record {
	record := in(state, records)
	if record != nil && !r.opts.allows(record.Algorithm) {
		return nil
	}
	return record
}

// build makes the view: every public key is checked, every private key that
// is new is opened and proved before it is used. A private key that does not
// open is an error but does not keep the set of keys that verify from being
// brought up to date: a withdrawn key is refused whatever else is wrong. A
// view without a signer makes no tokens.
func (r *Ring) build(records []Record) (*view, error) {
	v := &view{}
	var public []*PublicKey
	var faults []error
	for i := range records {
		record := &records[i]
		if !record.verifies() {
			delete(r.opened, record.ID)
			continue
		}
		key, err := record.public()
		if err != nil {
			faults = append(faults, err)
			continue
		}
		public = append(public, key)
		if record.State == Retiring {
			delete(r.opened, record.ID)
			continue
		}
		if r.opened[record.ID] == nil {
			signer, err := record.signer(r.master, key)
			if err != nil {
				faults = append(faults, err)
				continue
			}
			r.opened[record.ID] = signer
		}
		if record.State == Active {
			v.signer = r.opened[record.ID]
		}
	}
	set, err := newSet(public)
	v.set = set
	return v, errors.Join(append(faults, err)...)
}
