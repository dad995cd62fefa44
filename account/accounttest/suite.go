package accounttest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/pawlauth/pawl/account"
)

// Run proves the contract of account.Store, except for durability, with stores that open makes. Each store must be empty and
// of its own; open registers what closes it with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) account.Store) {
	for _, tier := range []struct {
		name string
		test func(*testing.T, account.Store)
	}{
		{"CreateStoresWhatWasGiven", testCreate},
		{"NameIsUnique", testNameTaken},
		{"IDIsUnique", testIDTaken},
		{"ComparesByteForByte", testByteForByte},
		{"UnknownIsNotFound", testNotFound},
		{"SetPasswordChangesHashAndStamp", testSetPassword},
		{"InitialPasswordEndsByTheStoresClock", testInitialPassword},
		{"SetDisabledChangesTheFlag", testSetDisabled},
		{"UsersAreOrderedByName", testUsers},
		{"EndedContextIsNoAnswer", testEndedContext},
		{"OneOfConcurrentCreatesWins", testConcurrentCreate},
		{"ConcurrentChangesLoseNothing", testConcurrentChanges},
		{"PasswordStampAlwaysMovesOn", testPasswordStamp},
		{"SignedInStampsAndReplacesTheHash", testSignedIn},
		{"ChangePasswordNeedsTheUserAsVerified", testChangePassword},
		{"TallyCountsWhatIsLetIn", testTally},
		{"TallyIsOneStep", testTallyAtOnce},
		{"TallyOfSuccessMakesKnown", testTallySuccess},
		{"GiveBackLeavesNothing", testGiveBack},
		{"ForgetAttemptsLeavesKnown", testForgetAttempts},
		{"ForgetNetworksLeavesTheLatest", testForgetNetworks},
		{"SweepRemovesTheSurplus", testSweepSurplus},
		{"DeleteUserLeavesNothing", testDelete},
		{"DeletedWhileInUseStaysDeleted", testDeleteInUse},
	} {
		t.Run(tier.name, func(t *testing.T) { tier.test(t, open(t)) })
	}
}

// sample returns a user whose fields differ from each other and from those of other samples.
func sample(n int) account.User {
	return account.User{
		ID:      fmt.Sprintf("u_SAMPLE%020d", n),
		Name:    fmt.Sprintf("näme%03d", n),
		Display: fmt.Sprintf("NÄME%03d", n),
		Hash:    sampleHash(n),
	}
}

func sampleHash(n int) account.Hash {
	return account.Hash("$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$" +
		base64.RawStdEncoding.EncodeToString(fmt.Appendf(nil, "%016d", n)))
}

func mustCreate(t *testing.T, store account.Store, user account.User) account.User {
	t.Helper()
	if err := store.CreateUser(t.Context(), user, 0); err != nil {
		t.Fatalf("CreateUser: %v", err)
	}
	return mustByID(t, store, user.ID)
}

func mustByID(t *testing.T, store account.Store, id string) account.User {
	t.Helper()
	user, err := store.UserByID(t.Context(), id)
	if err != nil {
		t.Fatalf("UserByID: %v", err)
	}
	return user
}

// requireSame compares all fields. Times are compared as moments, since a store may return them in any zone.
func requireSame(t *testing.T, got, want account.User) {
	t.Helper()
	if !got.CreatedAt.Equal(want.CreatedAt) || !got.PasswordChangedAt.Equal(want.PasswordChangedAt) {
		t.Errorf("times: got %v and %v, want %v and %v", got.CreatedAt, got.PasswordChangedAt, want.CreatedAt, want.PasswordChangedAt)
	}
	if !got.LastSignIn.Equal(want.LastSignIn) {
		t.Errorf("last sign-in: got %v, want %v", got.LastSignIn, want.LastSignIn)
	}
	if !got.InitialUntil.Equal(want.InitialUntil) {
		t.Errorf("initial until: got %v, want %v", got.InitialUntil, want.InitialUntil)
	}
	got.CreatedAt, got.PasswordChangedAt, got.LastSignIn, got.InitialUntil = want.CreatedAt, want.PasswordChangedAt, want.LastSignIn, want.InitialUntil
	if got != want {
		// Hashes print redacted; these are samples.
		t.Errorf("got %+v with hash %s\nwant %+v with hash %s", got, string(got.Hash), want, string(want.Hash))
	}
}

func requireError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got error %v, want %v", what, got, want)
	}
}

func testCreate(t *testing.T, store account.Store) {
	want := sample(1)
	got := mustCreate(t, store, want)
	if got.CreatedAt.IsZero() || !got.PasswordChangedAt.Equal(got.CreatedAt) {
		t.Errorf("stamps: created %v, password %v; want one moment", got.CreatedAt, got.PasswordChangedAt)
	}
	want.CreatedAt, want.PasswordChangedAt = got.CreatedAt, got.PasswordChangedAt
	requireSame(t, got, want)
	named, err := store.UserByName(t.Context(), want.Name)
	if err != nil {
		t.Fatalf("UserByName: %v", err)
	}
	requireSame(t, named, want)

	// The caller's times are ignored, the flag is not.
	other := sample(2)
	other.Disabled = true
	other.CreatedAt = got.CreatedAt.AddDate(-50, 0, 0)
	other.PasswordChangedAt = got.CreatedAt.AddDate(50, 0, 0)
	other.LastSignIn, other.InitialUntil = got.CreatedAt.AddDate(50, 0, 0), got.CreatedAt.AddDate(50, 0, 0)
	stored := mustCreate(t, store, other)
	if !stored.Disabled {
		t.Error("created as disabled, stored as enabled")
	}
	if !stored.LastSignIn.IsZero() {
		t.Errorf("who was never signed in was at %v", stored.LastSignIn)
	}
	if !stored.InitialUntil.IsZero() {
		t.Errorf("a password that is no initial one ends at %v", stored.InitialUntil)
	}
	if stored.CreatedAt.Before(got.CreatedAt) || !stored.PasswordChangedAt.Equal(stored.CreatedAt) {
		t.Errorf("the caller's times were stored: %v and %v", stored.CreatedAt, stored.PasswordChangedAt)
	}
}

func testNameTaken(t *testing.T, store account.Store) {
	first := mustCreate(t, store, sample(1))
	second := sample(2)
	second.Name = first.Name
	requireError(t, "CreateUser", store.CreateUser(t.Context(), second, 0), account.ErrNameTaken)
	if err := store.SetDisabled(t.Context(), first.ID, true); err != nil {
		t.Fatal(err)
	}
	requireError(t, "CreateUser with the name of a disabled user", store.CreateUser(t.Context(), second, 0), account.ErrNameTaken)
	_, err := store.UserByID(t.Context(), second.ID)
	requireError(t, "UserByID of the refused user", err, account.ErrNotFound)
	first.Disabled = true
	requireSame(t, mustByID(t, store, first.ID), first)
}

func testIDTaken(t *testing.T, store account.Store) {
	first := mustCreate(t, store, sample(1))
	second := sample(2)
	second.ID = first.ID
	err := store.CreateUser(t.Context(), second, 0)
	if err == nil || errors.Is(err, account.ErrNameTaken) || errors.Is(err, account.ErrNotFound) {
		t.Errorf("CreateUser: got %v, want an error that is no sentinel", err)
	}
	requireSame(t, mustByID(t, store, first.ID), first)
	_, err = store.UserByName(t.Context(), second.Name)
	requireError(t, "UserByName of the refused user", err, account.ErrNotFound)
}

func testByteForByte(t *testing.T, store account.Store) {
	user := sample(1)
	user.Name = "caf\u00e9_100%"
	user.ID = "u_MixedCase"
	mustCreate(t, store, user)
	for _, name := range []string{
		"CAF\u00c9_100%", "cafe\u0301_100%", "caf\u00e9_100% ", " caf\u00e9_100%", "cafe_100%", "caf\u00e9_100%\x00",
		"%", "caf\u00e9_%", "caf\u00e9-100%", "", "' OR ''='",
	} {
		if _, err := store.UserByName(t.Context(), name); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("UserByName(%q): got %v, want ErrNotFound", name, err)
		}
	}
	for _, id := range []string{"u_mixedcase", "u_MixedCase ", "u_%", ""} {
		if _, err := store.UserByID(t.Context(), id); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("UserByID(%q): got %v, want ErrNotFound", id, err)
		}
	}
	// What differs in one byte is another name.
	other := sample(2)
	other.Name = "cafe\u0301_100%"
	mustCreate(t, store, other)
}

func testNotFound(t *testing.T, store account.Store) {
	mustCreate(t, store, sample(1))
	stranger := sample(2)
	_, err := store.UserByName(t.Context(), stranger.Name)
	requireError(t, "UserByName", err, account.ErrNotFound)
	_, err = store.UserByID(t.Context(), stranger.ID)
	requireError(t, "UserByID", err, account.ErrNotFound)
	requireError(t, "SetPassword", store.SetPassword(t.Context(), stranger.ID, stranger.Hash, 0), account.ErrNotFound)
	requireError(t, "SetDisabled", store.SetDisabled(t.Context(), stranger.ID, true), account.ErrNotFound)
	users, err := store.Users(t.Context())
	if err != nil || len(users) != 1 {
		t.Errorf("Users: got %d and %v, want the one that was created", len(users), err)
	}
}

func testSetPassword(t *testing.T, store account.Store) {
	before := mustCreate(t, store, sample(1))
	bystander := mustCreate(t, store, sample(2))
	if err := store.SetDisabled(t.Context(), before.ID, true); err != nil {
		t.Fatal(err)
	}
	before.Disabled = true
	// The clock may stand still between two calls, but not for ever.
	const attempts = 2000
	for n := range attempts {
		hash := sampleHash(100 + n)
		if err := store.SetPassword(t.Context(), before.ID, hash, 0); err != nil {
			t.Fatalf("SetPassword: %v", err)
		}
		got := mustByID(t, store, before.ID)
		if got.PasswordChangedAt.Before(before.PasswordChangedAt) {
			t.Fatalf("PasswordChangedAt went back from %v to %v", before.PasswordChangedAt, got.PasswordChangedAt)
		}
		moved := got.PasswordChangedAt.After(before.PasswordChangedAt)
		before.Hash, before.PasswordChangedAt = hash, got.PasswordChangedAt
		requireSame(t, got, before)
		if moved {
			requireSame(t, mustByID(t, store, bystander.ID), bystander)
			return
		}
	}
	t.Errorf("PasswordChangedAt did not move in %d changes", attempts)
}

func testSetDisabled(t *testing.T, store account.Store) {
	want := mustCreate(t, store, sample(1))
	bystander := mustCreate(t, store, sample(2))
	for _, disabled := range []bool{false, true, true, false} {
		if err := store.SetDisabled(t.Context(), want.ID, disabled); err != nil {
			t.Fatalf("SetDisabled: %v", err)
		}
		want.Disabled = disabled
		requireSame(t, mustByID(t, store, want.ID), want)
		requireSame(t, mustByID(t, store, bystander.ID), bystander)
	}
}

func testUsers(t *testing.T, store account.Store) {
	if users, err := store.Users(t.Context()); err != nil || len(users) != 0 {
		t.Fatalf("Users of an empty store: got %d and %v", len(users), err)
	}
	want := map[string]account.User{}
	names := []string{"zoe", "émile", "adam", "a-b", "a.b", "ab", "日本", "a"}
	for n, name := range names {
		user := sample(n)
		user.Name, user.Disabled = name, n%2 == 0
		want[name] = mustCreate(t, store, user)
	}
	users, err := store.Users(t.Context())
	if err != nil {
		t.Fatalf("Users: %v", err)
	}
	var got []string
	for _, user := range users {
		got = append(got, user.Name)
		requireSame(t, user, want[user.Name])
	}
	slices.Sort(names) // Go compares strings by bytes
	if !slices.Equal(got, names) {
		t.Errorf("order: got %q, want %q", got, names)
	}
}

func testEndedContext(t *testing.T, store account.Store) {
	user := mustCreate(t, store, sample(1))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	answers := map[string]error{}
	_, answers["UserByName"] = store.UserByName(ended, user.Name)
	_, answers["UserByID"] = store.UserByID(ended, user.ID)
	_, answers["Users"] = store.Users(ended)
	answers["SetPassword"] = store.SetPassword(ended, user.ID, user.Hash, 0)
	answers["SetDisabled"] = store.SetDisabled(ended, user.ID, false)
	answers["CreateUser"] = store.CreateUser(ended, sample(2), 0)
	answers["SignedIn"] = store.SignedIn(ended, user, "")
	answers["ChangePassword"] = store.ChangePassword(ended, user, user.Hash)
	answers["DeleteUser"] = store.DeleteUser(ended, user.ID, account.Tag{1})
	answers["ForgetAttempts"] = store.ForgetAttempts(ended, account.Tag{1})
	_, answers["Tally"] = store.Tally(ended, attempt(1, 1).Take())
	_, answers["SweepAttempts"] = store.SweepAttempts(ended, 1, 1)
	for method, err := range answers {
		if err == nil || errors.Is(err, account.ErrNotFound) || errors.Is(err, account.ErrNameTaken) {
			t.Errorf("%s with an ended context: got %v, want an error that is no sentinel", method, err)
		}
	}
}

func testConcurrentCreate(t *testing.T, store account.Store) {
	const callers = 16
	outcomes := make([]error, callers)
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() {
			user := sample(n)
			user.Name = "contended"
			outcomes[n] = store.CreateUser(t.Context(), user, 0)
		})
	}
	wg.Wait()
	winner := -1
	for n, err := range outcomes {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("callers %d and %d both got the name", winner, n)
		case err == nil:
			winner = n
		case !errors.Is(err, account.ErrNameTaken):
			t.Errorf("caller %d: got %v, want ErrNameTaken", n, err)
		}
	}
	users, err := store.Users(t.Context())
	if err != nil || len(users) != 1 || winner < 0 || users[0].ID != sample(winner).ID {
		t.Errorf("Users: got %d and %v, want the winner %d alone", len(users), err, winner)
	}
}

func testConcurrentChanges(t *testing.T, store account.Store) {
	const callers, rounds = 8, 5
	for n := range callers {
		mustCreate(t, store, sample(n))
	}
	var wg sync.WaitGroup
	for n := range callers {
		user := sample(n)
		wg.Go(func() {
			for round := range rounds {
				hash := sampleHash(100*n + round)
				if err := store.SetPassword(t.Context(), user.ID, hash, 0); err != nil {
					t.Errorf("SetPassword: %v", err)
				}
				if got, err := store.UserByName(t.Context(), user.Name); err != nil || string(got.Hash) != string(hash) {
					t.Errorf("a change that returned is not seen: %v", err)
				}
			}
		})
		wg.Go(func() {
			for range rounds {
				if err := store.SetDisabled(t.Context(), user.ID, true); err != nil {
					t.Errorf("SetDisabled: %v", err)
				}
			}
		})
	}
	wg.Wait()
	for n := range callers {
		user := mustByID(t, store, sample(n).ID)
		if !user.Disabled || string(user.Hash) != string(sampleHash(100*n+rounds-1)) {
			t.Errorf("user %d: a change was lost: %+v", n, user)
		}
	}
}
