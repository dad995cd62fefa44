package keyring_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
)

// Once RS256 is not allowed any more, what an RS256 key signed is refused.
//
// Rows: 72, 89
func TestKeyOfAnAlgorithmNoLongerAllowedIsWithdrawn(t *testing.T) {
	s, m, o := keyringtest.NewStore(newClock().Now), newMaster(t), options()
	o.Algorithm, o.DangerouslySignWithRS256 = keyring.RS256, true
	before := sign(t, open(t, s, m, o))
	o.Algorithm, o.DangerouslySignWithRS256 = keyring.EdDSA, false
	r := open(t, s, m, o)
	if before.verifies(r) {
		t.Error("a token of the RS256 key is accepted")
	}
	if after := sign(t, r); !after.verifies(r) || in(t, s, keyring.Active).Algorithm != keyring.EdDSA {
		t.Error("no EdDSA key took its place")
	}
}

// A key that does not open can be withdrawn, and another signs.
//
// Rows: 186
func TestDamagedKeyCanBeWithdrawn(t *testing.T) {
	m, clock := newMaster(t), newClock()
	good := keyringtest.NewStore(clock.Now)
	open(t, good, m, options())
	damaged := in(t, good, keyring.Active)
	damaged.Sealed = append([]byte(nil), damaged.Sealed...)
	damaged.Sealed[20] ^= 1
	s := keyringtest.NewStore(clock.Now, damaged)
	if _, err := keyring.Open(t.Context(), s, m, options()); !errors.Is(err, keyring.ErrDamaged) {
		t.Fatalf("open: %v, want ErrDamaged", err)
	}
	if err := keyring.Withdraw(t.Context(), s, m, damaged.ID); err != nil {
		t.Fatal(err)
	}
	if r := open(t, s, m, options()); !sign(t, r).verifies(r) {
		t.Error("no key took its place")
	}
}

// Who has another master key can neither rotate nor withdraw: what was made
// with it would open nowhere.
//
// Rows: 195
func TestOperatingWithAWrongMasterChangesNothing(t *testing.T) {
	s := keyringtest.NewStore(newClock().Now)
	open(t, s, newMaster(t), options())
	before := states(t, s)
	if _, err := keyring.Rotate(t.Context(), s, newMaster(t), time.Hour); !errors.Is(err, keyring.ErrWrongMaster) {
		t.Errorf("rotate: %v", err)
	}
	if err := keyring.Withdraw(t.Context(), s, newMaster(t), in(t, s, keyring.Active).ID); !errors.Is(err, keyring.ErrWrongMaster) {
		t.Errorf("withdraw: %v", err)
	}
	if after := states(t, s); after != before {
		t.Errorf("changed from %s to %s", before, after)
	}
}

// A withdrawn key is refused although another stored key cannot be opened, and
// no token is made with it.
//
// Rows: 186, A61
func TestWithdrawnKeyIsRefusedWhateverElseIsWrong(t *testing.T) {
	clock, old, both := newClock(), parse(t, masterText(1)), parse(t, masterText(2), masterText(1))
	s := keyringtest.NewStore(clock.Now)
	server := open(t, s, old, options())
	before := sign(t, server)
	// An operator who has the next master key already publishes a key under it.
	if _, err := keyring.Rotate(t.Context(), s, both, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := keyring.Withdraw(t.Context(), s, both, in(t, s, keyring.Active).ID); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Sync(t.Context()); !errors.Is(err, keyring.ErrWrongMaster) {
		t.Errorf("sync: %v, want ErrWrongMaster", err)
	}
	if before.verifies(server) {
		t.Error("a token of the withdrawn key is accepted")
	}
	if _, err := server.Signer().Sign([]byte("m")); err == nil {
		t.Error("something signs")
	}
}
