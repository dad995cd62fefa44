package keyring_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
	"github.com/pawlauth/pawl/token"
)

// Rows: 186, 93, A61
func TestWithdrawRefusesAtOnce(t *testing.T) {
	for _, state := range []keyring.State{keyring.Active, keyring.Next, keyring.Retiring} {
		t.Run(string(state), func(t *testing.T) {
			c, m := newClock(), newMaster(t)
			s := keyringtest.NewStore(c.Now)
			r, other := open(t, s, m, options()), open(t, s, m, options())
			oldest := sign(t, r)
			if _, err := r.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if state == keyring.Retiring {
				c.advance(published)
				mustSync(t, r)
			}
			mustSync(t, other)
			victim := in(t, s, state)
			if r.Set().Lookup(victim.Header) == nil || other.Set().Lookup(victim.Header) == nil {
				t.Fatal("the key does not verify before it is withdrawn")
			}
			if err := r.Withdraw(t.Context(), victim.ID); err != nil {
				t.Fatal(err)
			}
			if r.Set().Lookup(victim.Header) != nil {
				t.Error("still verifies in the ring that withdrew it")
			}
			mustSync(t, other)
			if other.Set().Lookup(victim.Header) != nil {
				t.Error("still verifies in the other ring after its sync")
			}
			if state != keyring.Next && oldest.verifies(other) {
				t.Error("a token of the withdrawn key verifies")
			}
			w := in(t, s, keyring.Withdrawn)
			if w.ID != victim.ID || len(w.Sealed) != 0 {
				t.Error("another key was withdrawn, or the private key was kept")
			}
			active := in(t, s, keyring.Active)
			if r.Signer().Header() != active.Header || other.Signer().Header() != active.Header || !sign(t, r).verifies(other) {
				t.Error("the rings do not sign with the active key")
			}
			if err := r.Withdraw(t.Context(), victim.ID); !errors.Is(err, keyring.ErrNoKey) {
				t.Errorf("withdrawn twice: %v", err)
			}
			// What is withdrawn does not come back.
			c.advance(2 * rotation)
			mustSync(t, r)
			if r.Set().Lookup(victim.Header) != nil {
				t.Error("the withdrawn key came back")
			}
		})
	}
}

// Rows: 186
func TestWithdrawActiveWithoutNextMakesANewKey(t *testing.T) {
	c := newClock()
	s := keyringtest.NewStore(c.Now)
	r := open(t, s, newMaster(t), options())
	old := sign(t, r)
	if err := r.Withdraw(t.Context(), in(t, s, keyring.Active).ID); err != nil {
		t.Fatal(err)
	}
	if old.verifies(r) || !sign(t, r).verifies(r) {
		t.Error("the old key verifies, or the new one does not")
	}
	if got := states(t, s); got != "next 0 active 1 retiring 0 gone 0 withdrawn 1" {
		t.Error(got)
	}
}

func TestWithdrawUnknown(t *testing.T) {
	c := newClock()
	s := keyringtest.NewStore(c.Now)
	r := open(t, s, newMaster(t), options())
	before := stored(t, s)
	for _, id := range []string{"", "nope", in(t, s, keyring.Active).Header} {
		if err := r.Withdraw(t.Context(), id); !errors.Is(err, keyring.ErrNoKey) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if len(stored(t, s)) != len(before) || in(t, s, keyring.Active).ID != before[0].ID {
		t.Error("something was changed")
	}
}

// A faulty store fails or reports a conflict when it is told to.
type faulty struct {
	keyring.Store
	keys, change func() error // called first; an error is the answer
}

func (f *faulty) Keys(ctx context.Context) ([]keyring.Record, time.Time, error) {
	if f.keys != nil {
		if err := f.keys(); err != nil {
			return nil, time.Time{}, err
		}
	}
	return f.Store.Keys(ctx)
}

func (f *faulty) ChangeKeys(ctx context.Context, changes []keyring.Change) error {
	if f.change != nil {
		if err := f.change(); err != nil {
			return err
		}
	}
	return f.Store.ChangeKeys(ctx, changes)
}

var errDown = errors.New("store is down")

// Rows: 94
func TestStoreFailureKeepsTheView(t *testing.T) {
	c := newClock()
	s := &faulty{Store: keyringtest.NewStore(c.Now)}
	r := open(t, s, newMaster(t), options())
	before := sign(t, r)
	c.advance(rotation)
	for name, break_ := range map[string]func(){
		"reading":  func() { s.keys, s.change = func() error { return errDown }, nil },
		"changing": func() { s.keys, s.change = nil, func() error { return errDown } },
	} {
		break_()
		if _, err := r.Sync(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := r.Rotate(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("%s: rotate: %v", name, err)
		}
		if err := r.Withdraw(t.Context(), r.Set().Lookup(before.header).ID); !errors.Is(err, errDown) {
			t.Errorf("%s: withdraw: %v", name, err)
		}
		if !before.verifies(r) || !sign(t, r).verifies(r) {
			t.Errorf("%s: the view is gone", name)
		}
		if _, err := keyring.Open(t.Context(), s, newMaster(t), options()); err == nil {
			t.Errorf("%s: a ring opens", name)
		}
	}
}

// Rows: 186
func TestWithdrawWinsOverAConflict(t *testing.T) {
	c := newClock()
	s := &faulty{Store: keyringtest.NewStore(c.Now)}
	m := newMaster(t)
	r, other := open(t, s, m, options()), open(t, s.Store, m, options())
	old := sign(t, r)
	tries := 0
	s.change = func() error {
		// Another process publishes a key between the read and the change,
		// and this change meets a conflict of its own making.
		if tries++; tries == 1 {
			if _, err := other.Rotate(t.Context()); err != nil {
				return err
			}
			return keyring.ErrConflict
		}
		return nil
	}
	if err := r.Withdraw(t.Context(), in(t, s, keyring.Active).ID); err != nil {
		t.Fatal(err)
	}
	if tries < 2 || old.verifies(r) {
		t.Errorf("%d tries; the key still verifies: %t", tries, old.verifies(r))
	}
	s.change = func() error { return keyring.ErrConflict }
	if err := r.Withdraw(t.Context(), in(t, s, keyring.Active).ID); !errors.Is(err, keyring.ErrConflict) {
		t.Errorf("without end: %v", err)
	}
	c.advance(2 * rotation)
	if _, err := r.Sync(t.Context()); !errors.Is(err, keyring.ErrConflict) {
		t.Errorf("a sync without end: %v", err)
	}
}

// Rows: 89, 192
func TestOptionsReportEveryFault(t *testing.T) {
	s := keyringtest.NewStore(newClock().Now)
	faults := func(o keyring.Options) int {
		_, err := keyring.Open(t.Context(), s, newMaster(t), o)
		if err == nil {
			return 0
		}
		many, ok := errors.AsType[interface {
			error
			Unwrap() []error
		}](err)
		if !ok {
			return 1
		}
		return len(many.Unwrap())
	}
	if n := faults(keyring.Options{}); n != 3 { // 0 of rotation is twice 0 of publication
		t.Errorf("the zero value has %d faults, want 3", n)
	}
	if n := faults(keyring.Options{Algorithm: "none", Rotation: time.Second, Publication: time.Millisecond * 999, TokenLife: -1}); n != 4 {
		t.Errorf("%d faults, want 4", n)
	}
	if len(stored(t, s)) != 0 {
		t.Error("a refused configuration made a key")
	}
	for _, alg := range []keyring.Algorithm{"", "none", "HS256", "eddsa", "es256", "ES384", "PS256", "RS256", "Ed25519"} {
		o := options()
		o.Algorithm = alg
		if _, err := keyring.Open(t.Context(), s, newMaster(t), o); !errors.Is(err, keyring.ErrAlgorithm) {
			t.Errorf("%q: %v", alg, err)
		}
	}
	for _, alg := range []keyring.Algorithm{keyring.EdDSA, keyring.ES256} {
		o := options()
		o.Algorithm = alg
		open(t, keyringtest.NewStore(newClock().Now), newMaster(t), o)
	}
}

// Rows: 240
func TestRingViewIsImmutable(t *testing.T) {
	c := newClock()
	s := keyringtest.NewStore(c.Now)
	r := open(t, s, newMaster(t), options())
	set, document := r.Set(), slices.Clone(r.Set().Document())
	if _, err := r.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if set.Len() != 1 || !slices.Equal(set.Document(), document) || r.Set() == set {
		t.Error("a set that was handed out has changed")
	}
	var _ token.Signer = r.Signer()
}
