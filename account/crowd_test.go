package account_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/account"
)

// With the limits of a network used up, nobody there sees which accounts exist, nor which have been in from there: the answers are the
// same, so is the work, and what can be seen later.
//
// Rows: 156, 169, A77
func TestCrowdedNetworkTellsNothingAboutAccounts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		names := []string{"ada", "eve", "dis", "nobody", "no body\x00"} // ada has been here, eve elsewhere
		worlds := map[string]*bench{}
		for _, name := range names {
			b := newBench(t)
			dis := b.mustAdd(t, "dis")
			b.mustAdd(t, "ada")
			b.mustAdd(t, "eve")
			b.mustEnter(t, "ada", home)
			b.mustEnter(t, "eve", ipv4(9))
			b.mustEnter(t, "dis", home)
			if err := b.Disable(t.Context(), dis.ID); err != nil {
				t.Fatal(err)
			}
			for n := range 50 {
				b.guess(t, fmt.Sprintf("user%d", n), home)
			}
			worlds[name] = b
		}
		for range rapid.IntRange(1, 30).Draw(rt, "attempts") {
			pause := time.Duration(rapid.IntRange(0, 900).Draw(rt, "pause")) * time.Millisecond
			crowd := rapid.IntRange(0, 3).Draw(rt, "crowd")
			type seen struct {
				wait   time.Duration
				hashes int
			}
			want := seen{-1, 0}
			for _, name := range names {
				b := worlds[name]
				for n := range crowd {
					b.guess(t, fmt.Sprintf("more%d", n), home)
				}
				b.hashes = nil
				got := seen{b.guess(t, name, home), 0}
				if got.hashes = len(b.hashes); want.wait < 0 {
					want = got
				}
				if got != want {
					rt.Fatalf("%s: %+v; %s: %+v", name, got, names[0], want)
				}
				b.store.Advance(pause)
			}
		}
	})
}

// Nor does the time to wait tell who has been there, where strangers attack the account at the same time.
//
// Rows: 156, A77
func TestCrowdedNetworkTellsNothingDuringAnAttack(t *testing.T) {
	var waits []time.Duration
	for _, name := range []string{"ada", "nobody"} {
		b := newBench(t)
		b.mustAdd(t, "ada")
		b.mustEnter(t, "ada", home)
		for n := range 50 {
			b.guess(t, fmt.Sprintf("user%d", n), home)
		}
		for n := range 25 {
			b.guess(t, name, ipv4(n%5))
		}
		if hold := b.mustHold(t, name); hold.Wait < 2*time.Second {
			t.Fatalf("%s: %+v", name, hold)
		}
		waits = append(waits, b.guess(t, name, home))
	}
	if waits[0] != waits[1] || waits[0] == 0 {
		t.Errorf("waits %v", waits)
	}
}

// Work for those who are held up is done for one at a time; the others get the same answer at once.
//
// Rows: 170, A77, A83
func TestAttemptsAreJudgedAsideOneAtATime(t *testing.T) {
	b := newBench(t)
	for n := range 50 {
		b.guess(t, fmt.Sprintf("user%d", n), home)
	}
	nested := 0
	b.hasher.OnDerive(func(account.Params) {
		nested++
		hashed := len(b.hashes)
		if b.guess(t, "another", home) == 0 || len(b.hashes) != hashed {
			t.Error("another one is judged meanwhile")
		}
	})
	for range 2 { // each has a turn
		if b.guess(t, "ada", home) == 0 {
			t.Error("not held up")
		}
	}
	if nested != 2 {
		t.Errorf("%d were judged aside, want 2", nested)
	}
}

// One attacker, with all the addresses that one customer has, holds nobody up but himself, however long he stays.
//
// Rows: 167, A79
func TestOneAttackerHoldsNobodyElseUp(t *testing.T) {
	for what, from := range map[string]func(n int) netip.Addr{
		"one address": func(int) netip.Addr { return ipv4(1) },
		"one /48":     func(n int) netip.Addr { return ipv6(n) },
	} {
		b := newBench(t)
		b.mustAdd(t, "ada")
		guesses := 0
		for minute := range 60 * 24 * 60 / 5 {
			b.store.Advance(5 * time.Minute)
			if b.guess(t, "ada", from(minute)) == 0 {
				guesses++
			}
			if hold := b.mustHold(t, "ada"); hold.Wait != 0 || hold.Failures > 10 {
				t.Fatalf("%s, day %d: %+v", what, minute/288, hold)
			}
		}
		if guesses < 60 {
			t.Errorf("%s: %d guesses in 60 days", what, guesses)
		}
	}
}

// Networks that have added their share still hold the account up where they are many together.
//
// Rows: 167, A78
func TestSharesOfManyNetworksStillHoldTheAccountUp(t *testing.T) {
	b := newBench(t)
	attack := func(n int) (string, netip.Addr) { return "ada", ipv4(n % 25) }
	b.siege(t, 30*day, attack)
	if n := b.siege(t, 60*day, attack); n > 120 {
		t.Errorf("%d guesses in 60 days", n)
	}
}

// Logins that succeed are bounded too: each leaves a session.
//
// Rows: 167, 169
func TestLoginsThatSucceedAreLimited(t *testing.T) {
	b := newBench(t)
	b.hasher.FakeDerive(func() {})
	b.mustAdd(t, "ada")
	b.mustAdd(t, "bob")
	enter := func() error {
		_, err := b.Authenticate(t.Context(), "ada", password, home)
		return err
	}
	in := 0
	err := enter()
	for ; err == nil && in < 1000; err = enter() {
		in++
	}
	throttled, ok := errors.AsType[*account.ThrottledError](err)
	if !ok || throttled.RetryAfter > time.Minute || account.Reason(err) != account.ReasonThrottledLogins || in < 60 || in > 62 {
		t.Fatalf("after %d logins in a minute: %v, %q", in, err, account.Reason(err))
	}
	b.mustEnter(t, "bob", home) // others are not held up
	if hold := b.mustHold(t, "ada"); hold != (account.Hold{}) {
		t.Errorf("strangers are held up: %+v", hold)
	}
	b.store.Advance(throttled.RetryAfter)
	if err := enter(); err != nil {
		t.Errorf("a minute later: %v", err)
	}
	// Who goes on costs no more work than who guesses.
	hashes := 0
	b.hasher.FakeDerive(func() { hashes++ })
	again := 0
	for range 100 {
		if enter() == nil {
			again++
		}
	}
	if again > 3 || hashes > again+5 || hashes == again {
		t.Errorf("%d more logins after %d hashes", again, hashes)
	}
}

// An account knows a bounded number of networks, the latest.
//
// Rows: 169, 243
func TestAnAccountKnowsItsLatestNetworks(t *testing.T) {
	b := newBench(t)
	b.mustAdd(t, "ada")
	for n := range 40 {
		b.store.Advance(10 * time.Minute)
		b.mustEnter(t, "ada", ipv4(n))
	}
	b.siege(t, day, func(n int) (string, netip.Addr) { return "ada", ipv4(1000 + n) })
	b.guess(t, "ada", ipv4(5000))
	for n, known := range map[int]bool{0: false, 7: false, 8: true, 39: true} {
		if held := b.guess(t, "ada", ipv4(n)) > 0; held == known {
			t.Errorf("network %d is held up: %v", n, held)
		}
	}
	for n := range 40 {
		if err := b.Unlock(t.Context(), "bob", ipv4(n)); err != nil {
			t.Fatal(err)
		}
		b.store.Advance(time.Second)
	}
	b.siege(t, day, func(n int) (string, netip.Addr) { return "bob", ipv4(1000 + n) })
	b.guess(t, "bob", ipv4(5000))
	if b.guess(t, "bob", ipv4(0)) == 0 || b.guess(t, "bob", ipv4(39)) > 0 {
		t.Error("an operator makes more networks known than an account may know")
	}
}

// Who makes an account is known to it where it was made, whatever strangers do to it before the first login.
//
// Rows: 167, A79
func TestSignUpMakesItsNetworkKnown(t *testing.T) {
	b := newBench(t)
	if _, err := b.SignUp(t.Context(), "Ada", password, home); err != nil {
		t.Fatal(err)
	}
	b.siege(t, day, func(n int) (string, netip.Addr) { return "ada", ipv4(n % 1000) })
	b.guess(t, "ada", ipv4(2000))
	if b.guess(t, "ada", ipv4(2001)) == 0 {
		t.Error("strangers are not held up")
	}
	b.mustEnter(t, "ada", home)
}
