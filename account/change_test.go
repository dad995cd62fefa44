package account_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlauth/pawl/account"
)

// Rows: 166
func TestChangePasswordNeedsTheCurrentOne(t *testing.T) {
	b := newBench(t)
	user := b.mustAdd(t, "ada")
	_, err := b.ChangePassword(t.Context(), user.ID, wrong, other, home)
	requireRefused(t, err, account.ReasonWrongPassword)
	_, err = b.ChangePassword(t.Context(), user.ID, account.NewPassword(""), other, home)
	requireRefused(t, err, account.ReasonPasswordSize)
	b.mustEnter(t, "ada", home)

	changed, err := b.ChangePassword(t.Context(), user.ID, password, other, home)
	if err != nil || changed.ID != user.ID || !changed.PasswordChangedAt.After(user.PasswordChangedAt) {
		t.Fatalf("got %+v, %v", changed, err)
	}
	if err := b.Recheck(t.Context(), changed); err != nil {
		t.Errorf("the user that is returned is not the present one: %v", err)
	}
	_, err = b.Authenticate(t.Context(), "ada", password, home)
	requireRefused(t, err, account.ReasonWrongPassword)
	if _, err := b.Authenticate(t.Context(), "ada", other, home); err != nil {
		t.Error(err)
	}

	if err := b.Disable(t.Context(), user.ID); err != nil {
		t.Fatal(err)
	}
	_, err = b.ChangePassword(t.Context(), user.ID, other, password, home)
	requireRefused(t, err, account.ReasonDisabled)
	if _, err := b.ChangePassword(t.Context(), "u_nobody", other, password, home); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("for nobody: %v", err)
	}
}

// Who knows the current password is not held up for what is wrong with the next one.
//
// Rows: 166
func TestChangePasswordForgivesWhoKnowsTheCurrentOne(t *testing.T) {
	b := newBench(t)
	user := b.mustAdd(t, "ada")
	stolen, err := account.New(account.Options{Store: b.store, Hasher: b.hasher, Key: testKey, Rules: account.Rules{Breached: stolenSet{}}})
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		b.guess(t, "ada", home)
	}
	if _, err := stolen.ChangePassword(t.Context(), user.ID, password, other, home); !errors.Is(err, account.ErrPassword) {
		t.Fatal(err)
	}
	for n := range 5 {
		if wait := b.guess(t, "ada", home); wait != 0 {
			t.Fatalf("failure %d is held up for %v", n, wait)
		}
	}
}

// stolenSet has every password.
type stolenSet struct{}

func (stolenSet) Contains(context.Context, []byte) (bool, error) { return true, nil }

// Whoever has got hold of a session guesses no faster than whoever has not.
//
// Rows: 166, 169
func TestChangePasswordIsHeldUpAsALogin(t *testing.T) {
	b := newBench(t)
	user := b.mustAdd(t, "ada")
	for range 3 {
		b.guess(t, "ada", home)
	}
	for range 2 {
		_, err := b.ChangePassword(t.Context(), user.ID, wrong, other, home)
		requireRefused(t, err, account.ReasonWrongPassword)
	}
	b.hashes = nil
	if _, err := b.ChangePassword(t.Context(), user.ID, password, other, home); !errors.Is(err, account.ErrThrottled) || len(b.hashes) != 0 {
		t.Errorf("got %v after %d hashes", err, len(b.hashes))
	}
	b.store.Advance(10 * time.Second)
	if _, err := b.ChangePassword(t.Context(), user.ID, password, other, home); err != nil {
		t.Fatal(err)
	}
	if wait := b.guess(t, "ada", home); wait != 0 {
		t.Errorf("held up for %v after the right password", wait)
	}
}

// A password that an operator sets while its thief changes it stays.
//
// Rows: 140, 166
func TestChangePasswordLosesAgainstAnotherChange(t *testing.T) {
	b := newBench(t)
	user := b.mustAdd(t, "ada")
	third := account.NewPassword("a third horse")
	first := true
	b.hasher.OnDerive(func(account.Params) {
		if first { // while the current one is being verified
			first = false
			if err := b.SetPassword(t.Context(), user.ID, third); err != nil {
				t.Error(err)
			}
		}
	})
	_, err := b.ChangePassword(t.Context(), user.ID, password, other, home)
	requireRefused(t, err, account.ReasonPasswordChanged)
	if _, err := b.Authenticate(t.Context(), "ada", third, home); err != nil {
		t.Error(err)
	}
}

// Rows: 160
func TestHashIsMadeAnewWhenParametersRise(t *testing.T) {
	b := newBench(t)
	user := b.mustAdd(t, "ada")
	params := account.Params{Memory: 12 * 1024, Time: 3, Parallelism: 1}
	strong, err := account.New(account.Options{Store: b.store, Hasher: mustHasher(t, params, 2, 10*time.Second), Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	_, err = strong.Authenticate(t.Context(), "ada", wrong, home)
	requireRefused(t, err, account.ReasonWrongPassword)
	if stored, _ := b.ByID(t.Context(), user.ID); stored.Hash != user.Hash {
		t.Error("a wrong password was hashed anew")
	}

	// Of many that come at once, none is refused because another has replaced the hash.
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			got, err := strong.Authenticate(t.Context(), "ada", password, ipv4(n))
			if err == nil {
				err = strong.Recheck(t.Context(), got)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	stored, err := strong.ByID(t.Context(), user.ID)
	if err != nil {
		t.Fatal(err)
	}
	if made, err := stored.Hash.Params(); err != nil || made != params {
		t.Errorf("stored with %+v, %v", made, err)
	}
	if !stored.PasswordChangedAt.Equal(user.PasswordChangedAt) {
		t.Error("the password counts as changed")
	}
	for range 2 { // it stays, also where parameters are lower
		got, err := b.Authenticate(t.Context(), "ada", password, home)
		if err != nil || got.Hash != stored.Hash {
			t.Errorf("%v; the hash was replaced: %v", err, got.Hash != stored.Hash)
		}
	}
}

// A login does not fail for want of the time to hash anew.
//
// Rows: 160
func TestLoginGoesOnWithoutANewHash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		user := b.mustAdd(t, "ada")
		strong := mustHasher(t, account.Params{Memory: 12 * 1024, Time: 3, Parallelism: 1}, 1, time.Second)
		accounts, err := account.New(account.Options{Store: b.store, Hasher: strong, Key: testKey})
		if err != nil {
			t.Fatal(err)
		}
		var calls atomic.Int32
		gate := make(chan struct{})
		strong.OnDerive(func(account.Params) {
			if calls.Add(1) == 1 { // the login's own; whoever comes now is next, and takes his time
				go strong.Hash(t.Context(), password)
				synctest.Wait()
				return
			}
			<-gate
		})
		got, err := accounts.Authenticate(t.Context(), "ada", password, home)
		if err != nil || got != user || calls.Load() != 2 {
			t.Errorf("got %+v, %v after %d hashes", got, err, calls.Load())
		}
		close(gate)
	})
}

// Rows: 168, 169
func TestSignUpIsLimitedByNetwork(t *testing.T) {
	for what, c := range map[string]struct {
		from func(n int) netip.Addr
		most int
	}{
		"one address": {func(int) netip.Addr { return home }, 30},
		"one /48":     {ipv6, 120},
	} {
		b := newBench(t)
		b.hasher.FakeDerive(func() {})
		made := 0
		for n := range 200 {
			user, err := b.SignUp(t.Context(), fmt.Sprintf("User%d", n), password, c.from(n))
			b.store.Advance(-time.Second) // adding a user moves the clock on
			switch {
			case err == nil && !user.Disabled && user.Name == fmt.Sprintf("user%d", n):
				made++
			case !errors.Is(err, account.ErrThrottled):
				t.Fatalf("%s: %+v, %v", what, user, err)
			}
		}
		if made != c.most {
			t.Errorf("%s: %d accounts at once, want %d", what, made, c.most)
		}
		b.store.Advance(10 * time.Minute)
		if _, err := b.SignUp(t.Context(), "late", password, c.from(200)); err != nil {
			t.Errorf("%s: ten minutes later: %v", what, err)
		}
		// It has nothing to do with logins from there.
		b.mustEnter(t, "user1", c.from(1))
	}
}

// Asking for names that are taken is counted; what breaks a rule is not.
//
// Rows: 158, 169
func TestSignUpCountsQuestionsForNames(t *testing.T) {
	b := newBench(t)
	b.mustAdd(t, "ada")
	for range 100 {
		if _, err := b.SignUp(t.Context(), "a b", password, home); !errors.Is(err, account.ErrName) {
			t.Fatal(err)
		}
		if _, err := b.SignUp(t.Context(), "ada", account.NewPassword("short"), home); !errors.Is(err, account.ErrPassword) {
			t.Fatal(err)
		}
	}
	asked := 0
	for {
		_, err := b.SignUp(t.Context(), "ada", password, home)
		if errors.Is(err, account.ErrThrottled) {
			break
		}
		if asked++; !errors.Is(err, account.ErrNameTaken) || asked > 30 {
			t.Fatalf("%v after %d", err, asked)
		}
	}
	if asked != 30 {
		t.Errorf("%d names could be asked for at once", asked)
	}
}
