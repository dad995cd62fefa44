package account_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/account/accounttest"
)

func TestAuthenticateReturnsTheUser(t *testing.T) {
	b := newBench(t)
	user := b.mustAdd(t, "ada")
	bob := b.mustAdd(t, "bob")
	for _, name := range []string{"ada", "Ada", "ＡＤＡ"} {
		got, err := b.Authenticate(t.Context(), name, password, home)
		if err != nil || got != user {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
		// It tells of the login before; the store knows of this one.
		stored, err := b.ByID(t.Context(), user.ID)
		if err != nil || !stored.LastSignIn.After(user.LastSignIn) {
			t.Errorf("%s: last sign-in %v after %v, %v", name, stored.LastSignIn, user.LastSignIn, err)
		}
		user.LastSignIn = stored.LastSignIn
	}
	if _, err := b.Authenticate(t.Context(), "bob", wrong, home); !errors.Is(err, account.ErrCredentials) {
		t.Fatal(err)
	}
	if stored, err := b.ByID(t.Context(), bob.ID); err != nil || stored != bob {
		t.Errorf("a failed login changed %+v to %+v, %v", bob, stored, err)
	}
}

// refusals are all ways in which Authenticate refuses after hashing. Each prepares b and returns name and password.
var refusals = map[string]func(t *testing.T, b *bench) (string, account.Password){
	account.ReasonUnknownUser:   func(*testing.T, *bench) (string, account.Password) { return "nobody", password },
	account.ReasonMalformedName: func(*testing.T, *bench) (string, account.Password) { return "no body\x00", password },
	account.ReasonWrongPassword: func(t *testing.T, b *bench) (string, account.Password) { return b.mustAdd(t, "ada").Name, wrong },
	account.ReasonDisabled: func(t *testing.T, b *bench) (string, account.Password) {
		user := b.mustAdd(t, "ada")
		if err := b.Disable(t.Context(), user.ID); err != nil {
			t.Fatal(err)
		}
		return user.Name, password
	},
	account.ReasonInitialExpired: func(t *testing.T, b *bench) (string, account.Password) {
		user, initial, err := b.AddInitial(t.Context(), "ada")
		if err != nil {
			t.Fatal(err)
		}
		b.store.Advance(account.InitialLife)
		return user.Name, account.NewPassword(initial)
	},
	account.ReasonUnusableHash: func(t *testing.T, b *bench) (string, account.Password) {
		user := b.mustAdd(t, "ada")
		if err := b.store.SetPassword(t.Context(), user.ID, "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW", 0); err != nil {
			t.Fatal(err)
		}
		return user.Name, password
	},
}

// Rows: 140, 156, 157, 159
func TestAuthenticateRefusesAlikeAfterTheSameWork(t *testing.T) {
	want := account.DangerouslyWeakParamsForTests()
	for reason, prepare := range refusals {
		t.Run(reason, func(t *testing.T) {
			b := newBench(t)
			name, secret := prepare(t, b)
			b.hashes = nil
			user, err := b.Authenticate(t.Context(), name, secret, home)
			requireRefused(t, err, reason)
			if user != (account.User{}) {
				t.Errorf("returned %+v", user)
			}
			if len(b.hashes) != 1 || b.hashes[0].Memory != want.Memory || b.hashes[0].Time != want.Time || b.hashes[0].Parallelism != want.Parallelism {
				t.Errorf("work: %+v; want one hash with the current parameters", b.hashes)
			}
		})
	}
}

// requireRefused checks that the error is ErrCredentials, shows no more to whom it is passed on, and knows its reason.
func requireRefused(t *testing.T, err error, reason string) {
	t.Helper()
	if !errors.Is(err, account.ErrCredentials) || account.Reason(err) != reason {
		t.Fatalf("got %v with reason %q; want ErrCredentials with %q", err, account.Reason(err), reason)
	}
	if text := account.ErrCredentials.Error(); err.Error() != text || fmt.Sprintf("%+v", err) != text {
		t.Errorf("the text tells the reason: %+v", err)
	}
	for _, other := range []error{account.ErrNotFound, account.ErrName, account.ErrPassword, account.ErrHash, account.ErrBusy, account.ErrUnavailable} {
		if errors.Is(err, other) {
			t.Errorf("a refusal matches %v too", other)
		}
	}
	if wrapped := fmt.Errorf("login: %w", err); account.Reason(wrapped) != reason {
		t.Errorf("the reason is lost by wrapping: %q", account.Reason(wrapped))
	}
}

// The decoy is made with the hasher's parameters, so that unknown users cost what known ones do.
//
// Rows: 157
func TestUnknownUsersCostOneHashWithTheConfiguredParameters(t *testing.T) {
	params := account.Params{Memory: 12 * 1024, Time: 3, Parallelism: 2}
	hasher := mustHasher(t, params, 1, 10*time.Second)
	var seen []account.Params
	hasher.OnDerive(func(p account.Params) { seen = append(seen, p) })
	accounts, err := account.New(account.Options{Store: accounttest.NewMemory(), Hasher: hasher, Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	_, err = accounts.Authenticate(t.Context(), "nobody", password, home)
	requireRefused(t, err, account.ReasonUnknownUser)
	if !slices.Equal(seen, []account.Params{params, params}) {
		t.Errorf("hashes: %+v; want one when made and one for the login", seen)
	}
}

// Rows: 156, 162, A80
func TestAuthenticateRefusesSizesWithoutWork(t *testing.T) {
	for _, size := range []int{0, 1025, 1 << 20} {
		for _, name := range []string{"ada", "nobody", "no body"} {
			b := newBench(t)
			b.mustAdd(t, "ada")
			b.hashes = nil
			accounts, err := account.New(account.Options{Store: untouchable{t: t}, Hasher: b.hasher, Key: testKey})
			if err != nil {
				t.Fatal(err)
			}
			b.hashes = nil
			_, err = accounts.Authenticate(t.Context(), name, account.NewPassword(strings.Repeat("x", size)), home)
			requireRefused(t, err, account.ReasonPasswordSize)
			if len(b.hashes) != 0 {
				t.Errorf("%s with %d bytes: %d hashes", name, size, len(b.hashes))
			}
		}
	}
}

// untouchable is a store that must not be asked for a user.
type untouchable struct {
	account.Store
	t *testing.T
}

func (s untouchable) UserByName(context.Context, string) (account.User, error) {
	s.t.Error("the store was asked")
	return account.User{}, account.ErrNotFound
}

// What happens to the user while the password is being hashed counts.
//
// Rows: 140
func TestAuthenticateSeesChangesMadeMeanwhile(t *testing.T) {
	for reason, change := range map[string]func(context.Context, *accounttest.Memory, string) error{
		account.ReasonDisabled: func(ctx context.Context, s *accounttest.Memory, id string) error { return s.SetDisabled(ctx, id, true) },
		account.ReasonPasswordChanged: func(ctx context.Context, s *accounttest.Memory, id string) error {
			return s.SetPassword(ctx, id, good, 0)
		},
		account.ReasonUnknownUser: func(ctx context.Context, s *accounttest.Memory, id string) error {
			return s.DeleteUser(ctx, id, account.Tag{})
		},
	} {
		t.Run(reason, func(t *testing.T) {
			b := newBench(t)
			user := b.mustAdd(t, "ada")
			b.hasher.OnDerive(func(account.Params) {
				if err := change(t.Context(), b.store, user.ID); err != nil {
					t.Error(err)
				}
			})
			got, err := b.Authenticate(t.Context(), "ada", password, home)
			requireRefused(t, err, reason)
			if got != (account.User{}) {
				t.Errorf("returned %+v", got)
			}
		})
	}
}

// Rows: 140
func TestRecheckSeesChangesMadeSinceTheLogin(t *testing.T) {
	b := newBench(t)
	b.mustAdd(t, "ada")
	user, err := b.Authenticate(t.Context(), "ada", password, home)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Recheck(t.Context(), user); err != nil {
		t.Errorf("without a change: %v", err)
	}
	if err := b.Disable(t.Context(), user.ID); err != nil {
		t.Fatal(err)
	}
	requireRefused(t, b.Recheck(t.Context(), user), account.ReasonDisabled)
	if err := b.Enable(t.Context(), user.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.Recheck(t.Context(), user); err != nil {
		t.Errorf("enabled again: %v", err)
	}
	// The same password again is a change too: its caller ends the sessions.
	if err := b.SetPassword(t.Context(), user.ID, password); err != nil {
		t.Fatal(err)
	}
	requireRefused(t, b.Recheck(t.Context(), user), account.ReasonPasswordChanged)
	requireRefused(t, b.Recheck(t.Context(), account.User{ID: "u_nobody"}), account.ReasonUnknownUser)
}

// Rows: 156, 161
func TestBusyIsTheSameForKnownAndUnknownUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hasher := mustHasher(t, account.DangerouslyWeakParamsForTests(), 1, time.Second)
		accounts, err := account.New(account.Options{Store: accounttest.NewMemory(), Hasher: hasher, Key: testKey})
		if err != nil {
			t.Fatal(err)
		}
		user, err := accounts.Add(t.Context(), "ada", password)
		if err != nil {
			t.Fatal(err)
		}
		gate := make(chan struct{})
		hasher.FakeDerive(func() { <-gate })
		go hasher.Hash(t.Context(), password)
		synctest.Wait()
		for _, name := range []string{"ada", "nobody", "no body"} {
			_, err := accounts.Authenticate(t.Context(), name, password, home)
			busy, ok := errors.AsType[*account.BusyError](err)
			if !ok || busy.RetryAfter != time.Second || errors.Is(err, account.ErrCredentials) || account.Reason(err) != "" {
				t.Errorf("%s: got %v, want ErrBusy", name, err)
			}
		}
		if err := accounts.SetPassword(t.Context(), user.ID, password); !errors.Is(err, account.ErrBusy) {
			t.Errorf("SetPassword: %v", err)
		}
		close(gate)
	})
}

func TestReasonOfOtherErrorsIsEmpty(t *testing.T) {
	for _, err := range []error{nil, account.ErrCredentials, account.ErrBusy, errDisk} {
		if got := account.Reason(err); got != "" {
			t.Errorf("%v: got %q", err, got)
		}
	}
}
