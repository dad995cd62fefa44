package accounttest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
)

func attempt(of, network byte) account.Attempt {
	return account.Attempt{Account: account.Tag{of}, Network: account.Tag{15: network}}
}

func mustTally(t *testing.T, store account.Store, step account.Step) account.Outcome {
	t.Helper()
	outcome, err := store.Tally(t.Context(), step)
	if err != nil {
		t.Fatalf("Tally: %v", err)
	}
	return outcome
}

// letIn takes attempts until one is not let in, and returns how many were.
func letIn(t *testing.T, store account.Store, attempts func(n int) account.Attempt) int {
	t.Helper()
	const most = 1000
	for n := range most {
		if !mustTally(t, store, attempts(n).Take()).LetIn() {
			return n
		}
	}
	return most
}

// Two passwords that are set one after the other are told apart by their stamps, even if the clock stands still.
func testPasswordStamp(t *testing.T, store account.Store) {
	user := mustCreate(t, store, sample(1))
	for n := range 50 {
		err := error(nil)
		if n%2 == 1 {
			err = store.ChangePassword(t.Context(), user, sampleHash(n))
		} else {
			err = store.SetPassword(t.Context(), user.ID, sampleHash(n), time.Hour)
		}
		if err != nil {
			t.Fatal(err)
		}
		next := mustByID(t, store, user.ID)
		if !next.PasswordChangedAt.After(user.PasswordChangedAt) {
			t.Fatalf("PasswordChangedAt went from %v to %v", user.PasswordChangedAt, next.PasswordChangedAt)
		}
		user = next
	}
}

func testSignedIn(t *testing.T, store account.Store) {
	user := mustCreate(t, store, sample(1))
	bystander := mustCreate(t, store, sample(2))
	for n, hash := range []account.Hash{"", sampleHash(7), ""} {
		if err := store.SignedIn(t.Context(), user, hash); err != nil {
			t.Fatalf("SignedIn: %v", err)
		}
		got := mustByID(t, store, user.ID)
		if got.LastSignIn.Before(user.CreatedAt) || got.LastSignIn.Before(user.LastSignIn) {
			t.Errorf("login %d: last sign-in %v, created %v", n, got.LastSignIn, user.CreatedAt)
		}
		user.LastSignIn = got.LastSignIn
		if hash != "" {
			user.Hash = hash
		}
		requireSame(t, got, user) // the password is the same one, so its stamp stays
	}
	requireSame(t, mustByID(t, store, bystander.ID), bystander)
	refusesTheStale(t, store, user, store.SignedIn)
}

func testChangePassword(t *testing.T, store account.Store) {
	user := mustCreate(t, store, sample(1))
	bystander := mustCreate(t, store, sample(2))
	if err := store.ChangePassword(t.Context(), user, sampleHash(7)); err != nil {
		t.Fatalf("ChangePassword: %v", err)
	}
	got := mustByID(t, store, user.ID)
	user.Hash, user.PasswordChangedAt = sampleHash(7), got.PasswordChangedAt
	requireSame(t, got, user)
	requireSame(t, mustByID(t, store, bystander.ID), bystander)
	refusesTheStale(t, store, user, store.ChangePassword)
}

// What makes a password initial is stamped by the store, with each password anew; only another password ends it.
func testInitialPassword(t *testing.T, store account.Store) {
	const life = 3 * time.Hour
	want := sample(1)
	if err := store.CreateUser(t.Context(), want, life); err != nil {
		t.Fatalf("CreateUser: %v", err)
	}
	user := mustByID(t, store, want.ID)
	want.CreatedAt, want.PasswordChangedAt, want.InitialUntil = user.CreatedAt, user.PasswordChangedAt, user.CreatedAt.Add(life)
	requireSame(t, user, want)
	bystander := mustCreate(t, store, sample(2))
	listed, err := store.Users(t.Context())
	if err != nil || len(listed) != 2 {
		t.Fatalf("Users: %d, %v", len(listed), err)
	}
	requireSame(t, listed[0], want)

	set := func(n int, initial time.Duration) account.User {
		t.Helper()
		if err := store.SetPassword(t.Context(), want.ID, sampleHash(n), initial); err != nil {
			t.Fatalf("SetPassword: %v", err)
		}
		return mustByID(t, store, want.ID)
	}
	user = set(10, 0)
	want.Hash, want.PasswordChangedAt, want.InitialUntil = sampleHash(10), user.PasswordChangedAt, time.Time{}
	requireSame(t, user, want)
	user = set(11, life)
	if until := user.InitialUntil; until.Before(user.CreatedAt.Add(life)) || until.After(user.PasswordChangedAt.Add(life)) {
		t.Errorf("initial until %v, set at %v", until, user.PasswordChangedAt)
	}
	want.Hash, want.PasswordChangedAt, want.InitialUntil = sampleHash(11), user.PasswordChangedAt, user.InitialUntil
	requireSame(t, user, want)
	for _, disabled := range []bool{true, false} {
		if err := store.SetDisabled(t.Context(), want.ID, disabled); err != nil {
			t.Fatal(err)
		}
	}
	requireSame(t, mustByID(t, store, want.ID), want)
	if err := store.ChangePassword(t.Context(), user, sampleHash(12)); err != nil {
		t.Fatalf("ChangePassword: %v", err)
	}
	if user = mustByID(t, store, want.ID); !user.InitialUntil.IsZero() || user.Hash != sampleHash(12) {
		t.Errorf("after the change: initial until %v", user.InitialUntil)
	}
	requireSame(t, mustByID(t, store, bystander.ID), bystander)
}

// refusesTheStale: act does nothing for users who are not as given.
func refusesTheStale(t *testing.T, store account.Store, user account.User, act func(context.Context, account.User, account.Hash) error) {
	t.Helper()
	requireError(t, "for nobody", act(t.Context(), sample(9), sampleHash(8)), account.ErrNotFound)
	if err := store.SetDisabled(t.Context(), user.ID, true); err != nil {
		t.Fatal(err)
	}
	requireError(t, "for a disabled user", act(t.Context(), user, sampleHash(8)), account.ErrNotFound)
	if err := store.SetDisabled(t.Context(), user.ID, false); err != nil {
		t.Fatal(err)
	}
	requireSame(t, mustByID(t, store, user.ID), user)
	if err := store.SetPassword(t.Context(), user.ID, sampleHash(9), 0); err != nil {
		t.Fatal(err)
	}
	changed := mustByID(t, store, user.ID)
	requireError(t, "after another password", act(t.Context(), user, sampleHash(8)), account.ErrNotFound)
	requireSame(t, mustByID(t, store, user.ID), changed)
}

// Pairs, accounts and networks are counted apart and under the right keys.
func testTally(t *testing.T, store account.Store) {
	if n := letIn(t, store, func(int) account.Attempt { return attempt(1, 1) }); n != 5 {
		t.Errorf("one account from one network: %d attempts let in, want 5", n)
	}
	if n := letIn(t, store, func(int) account.Attempt { return attempt(1, 2) }); n != 5 {
		t.Errorf("one account from another network: %d attempts let in, want 5", n)
	}
	if n := letIn(t, store, func(int) account.Attempt { return attempt(2, 1) }); n != 5 {
		t.Errorf("another account from one network: %d attempts let in, want 5", n)
	}
	if n := letIn(t, store, func(n int) account.Attempt { return attempt(3, byte(10+n)) }); n != 20 {
		t.Errorf("one account from many networks: %d attempts let in, want 20", n)
	}
	if n := letIn(t, store, func(n int) account.Attempt { return attempt(byte(10+n), 200) }); n != 50 {
		t.Errorf("many accounts from one network: %d attempts let in, want 50", n)
	}
	// What is refused is not counted under its other keys.
	if n := letIn(t, store, func(int) account.Attempt { return attempt(200, 200) }); n != 0 {
		t.Errorf("from a closed network: %d attempts let in", n)
	}
	if n := letIn(t, store, func(int) account.Attempt { return attempt(200, 201) }); n != 5 {
		t.Errorf("an account that was refused elsewhere: %d attempts let in, want 5", n)
	}
	// Bytes of tags are compared, all of them.
	if n := letIn(t, store, func(int) account.Attempt {
		return account.Attempt{Account: account.Tag{1, 15: 1}, Network: account.Tag{0, 1, 15: 1}}
	}); n != 5 {
		t.Errorf("tags that differ in one byte: %d attempts let in, want 5", n)
	}
	if n := letIn(t, store, func(n int) account.Attempt {
		return account.Attempt{Network: account.Tag{byte(n), 9}, Site: account.Tag{9, 9}}
	}); n != 120 {
		t.Errorf("sign-ups of one site: %d let in, want 120", n)
	}
}

// Rows: 169, A83
func testTallyAtOnce(t *testing.T, store account.Store) {
	const callers = 64
	outcomes, errs := make([]account.Outcome, callers), make([]error, callers)
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() { outcomes[n], errs[n] = store.Tally(t.Context(), attempt(1, byte(1+n)).Take()) })
	}
	wg.Wait()
	in := 0
	for n, outcome := range outcomes {
		if errs[n] != nil {
			t.Errorf("caller %d: %v", n, errs[n])
		} else if outcome.LetIn() {
			in++
		}
	}
	if in != 20 {
		t.Errorf("%d of %d concurrent attempts at one account were let in, want 20", in, callers)
	}
}

func testTallySuccess(t *testing.T, store account.Store) {
	for range 3 {
		mustTally(t, store, attempt(1, 1).Take())
	}
	mustTally(t, store, mustTally(t, store, attempt(1, 1).Take()).Succeed())
	// Strangers close the account for strangers only; what the owner's network owed on it is forgiven.
	if n := letIn(t, store, func(n int) account.Attempt { return attempt(1, byte(10+n)) }); n != 20 {
		t.Errorf("%d strangers let in, want 20", n)
	}
	if n := letIn(t, store, func(int) account.Attempt { return attempt(1, 1) }); n != 5 {
		t.Errorf("%d attempts let in from a known network, want 5", n)
	}
}

func testGiveBack(t *testing.T, store account.Store) {
	for range 60 {
		mustTally(t, store, mustTally(t, store, attempt(1, 1).Take()).GiveBack())
	}
	if n := letIn(t, store, func(int) account.Attempt { return attempt(1, 1) }); n != 5 {
		t.Errorf("%d attempts let in, want 5", n)
	}
	// Also where the attempt had closed the key for the others.
	last := mustTally(t, store, attempt(2, 2).Take())
	for range 4 {
		last = mustTally(t, store, attempt(2, 2).Take())
	}
	mustTally(t, store, last.GiveBack())
	if n := letIn(t, store, func(int) account.Attempt { return attempt(2, 2) }); n != 1 {
		t.Errorf("%d attempts let in, want 1", n)
	}
}

func testForgetAttempts(t *testing.T, store account.Store) {
	mustTally(t, store, mustTally(t, store, attempt(1, 1).Take()).Succeed())
	letIn(t, store, func(int) account.Attempt { return attempt(1, 1) })
	letIn(t, store, func(n int) account.Attempt { return attempt(1, byte(10+n)) })
	letIn(t, store, func(int) account.Attempt { return attempt(2, 1) })
	if err := store.ForgetAttempts(t.Context(), account.Tag{1}); err != nil {
		t.Fatalf("ForgetAttempts: %v", err)
	}
	if mustTally(t, store, attempt(2, 1).Take()).LetIn() {
		t.Error("another account's failures were forgotten")
	}
	if n := letIn(t, store, func(n int) account.Attempt { return attempt(1, byte(50+n)) }); n != 20 {
		t.Errorf("%d strangers let in, want 20", n)
	}
	if n := letIn(t, store, func(int) account.Attempt { return attempt(1, 1) }); n != 5 {
		t.Errorf("%d attempts let in from the network that was known, want 5", n)
	}
}

// Of the networks that an account knows, the latest stay, and all that is counted does.
func testForgetNetworks(t *testing.T, store account.Store) {
	for n := 1; n <= 6; n++ {
		mustTally(t, store, mustTally(t, store, attempt(1, byte(n)).Take()).Succeed())
		mustCreate(t, store, sample(n)) // so that the clock moves on
		mustTally(t, store, mustTally(t, store, attempt(2, byte(n)).Take()).Succeed())
	}
	for range 3 {
		mustTally(t, store, attempt(1, 1).Take())
	}
	forget := func(keep int) {
		t.Helper()
		if err := store.ForgetNetworks(t.Context(), account.Tag{1}, keep); err != nil {
			t.Fatalf("ForgetNetworks: %v", err)
		}
	}
	forget(6)
	forget(4)
	for _, of := range []byte{1, 2} {
		letIn(t, store, func(n int) account.Attempt { return attempt(of, byte(100+n)) })
	}
	for n := 1; n <= 6; n++ {
		if in := mustTally(t, store, attempt(1, byte(n)).Take()).LetIn(); in != (n > 2) {
			t.Errorf("network %d of 6, 4 of which are kept, is let in: %v", n, in)
		}
		if !mustTally(t, store, attempt(2, byte(n)).Take()).LetIn() {
			t.Errorf("network %d of another account was forgotten", n)
		}
	}
	if err := store.ForgetAttempts(t.Context(), account.Tag{1}); err != nil {
		t.Fatal(err)
	}
	letIn(t, store, func(int) account.Attempt { return attempt(3, 3) })
	if err := store.ForgetNetworks(t.Context(), account.Tag{3}, 0); err != nil {
		t.Fatal(err)
	}
	if mustTally(t, store, attempt(3, 3).Take()).LetIn() {
		t.Error("failures were forgotten")
	}
}

// Of what has not ended, that which says least goes first, and known networks stay.
func testSweepSurplus(t *testing.T, store account.Store) {
	mustTally(t, store, mustTally(t, store, attempt(9, 9).Take()).Succeed())
	for range 5 {
		mustTally(t, store, attempt(1, 1).Take())
	}
	for n := range 20 { // each leaves two tallies, and one of the network
		mustTally(t, store, attempt(byte(20+n), 3).Take())
	}
	sweep := func(keep, limit int) int {
		t.Helper()
		n, err := store.SweepAttempts(t.Context(), keep, limit)
		if err != nil {
			t.Fatalf("SweepAttempts: %v", err)
		}
		return n
	}
	if n := sweep(1000, 1000); n != 0 {
		t.Errorf("removed %d though there is room", n)
	}
	if n := sweep(4, 7); n != 7 {
		t.Errorf("removed %d, want the limit of 7", n)
	}
	total := 7
	for n := 7; n == 7; total += n {
		n = sweep(4, 7)
	}
	if total != 41 { // 45 tallies without known ones: 1 of the login, 3 of attempts 1, 40 and 1
		t.Errorf("removed %d, want 41", total)
	}
	if mustTally(t, store, attempt(1, 1).Take()).LetIn() {
		t.Error("what said most was removed")
	}
	letIn(t, store, func(n int) account.Attempt { return attempt(9, byte(100+n)) })
	if !mustTally(t, store, attempt(9, 9).Take()).LetIn() {
		t.Error("a known network was removed")
	}
}
