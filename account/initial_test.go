package account_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
)

// mustInitial adds a user with an initial password.
func (b *bench) mustInitial(t *testing.T, name string) (account.User, account.Password) {
	t.Helper()
	user, text, err := b.AddInitial(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return user, account.NewPassword(text)
}

// Rows: 178
func TestInitialPasswordsAreRandomAndExpire(t *testing.T) {
	b := newBench(t)
	ada, first, err := b.AddInitial(t.Context(), "Ada")
	if err != nil || ada.Name != "ada" || ada.Display != "Ada" || !ada.InitialUntil.Equal(ada.CreatedAt.Add(account.InitialLife)) {
		t.Fatalf("got %+v, %v", ada, err)
	}
	_, second, err := b.AddInitial(t.Context(), "bob")
	if err != nil || len(first) < 26 || len(second) < 26 || first == second { // 5 bits a character
		t.Errorf("passwords of %d and %d characters, %v", len(first), len(second), err)
	}
	third, err := b.SetInitial(t.Context(), ada.ID)
	if err != nil || third == first || len(third) < 26 {
		t.Errorf("another: %d characters, %v", len(third), err)
	}
	if again, err := b.ByID(t.Context(), ada.ID); err != nil || !again.InitialUntil.After(ada.InitialUntil) || !again.PasswordChangedAt.After(ada.PasswordChangedAt) {
		t.Errorf("got %+v, %v", again, err)
	}
	_, err = b.Authenticate(t.Context(), "ada", account.NewPassword(first), home)
	requireRefused(t, err, account.ReasonWrongPassword)

	for name, want := range map[string]error{"ADA": account.ErrNameTaken, "a b": account.ErrName, "p\u0430ypal": account.ErrName} {
		if user, text, err := b.AddInitial(t.Context(), name); !errors.Is(err, want) || user != (account.User{}) || text != "" {
			t.Errorf("AddInitial(%q): %v, want %v", name, err, want)
		}
	}
	if text, err := b.SetInitial(t.Context(), "u_nobody"); !errors.Is(err, account.ErrNotFound) || text != "" {
		t.Errorf("SetInitial of nobody: %v", err)
	}
}

// An initial password is no way in, and can be replaced once, until it expires.
//
// Rows: 178
func TestInitialPasswordIsOnlyForChoosingAnother(t *testing.T) {
	b := newBench(t)
	user, initial := b.mustInitial(t, "ada")
	got, err := b.Authenticate(t.Context(), "ada", initial, home)
	if !errors.Is(err, account.ErrInitialPassword) || errors.Is(err, account.ErrCredentials) || account.Reason(err) != account.ReasonInitialPassword || got != (account.User{}) {
		t.Fatalf("got %+v, %v with reason %q", got, err, account.Reason(err))
	}
	if stored, err := b.ByID(t.Context(), user.ID); err != nil || stored != user {
		t.Errorf("a login that was none is stamped: %+v, %v", stored, err)
	}
	_, err = b.Authenticate(t.Context(), "ada", wrong, home)
	requireRefused(t, err, account.ReasonWrongPassword)

	b.store.Advance(account.InitialLife - time.Minute)
	chosen, err := b.ReplaceInitial(t.Context(), "Ada", initial, other, home)
	if err != nil || chosen.ID != user.ID || !chosen.InitialUntil.IsZero() {
		t.Fatalf("got %+v, %v", chosen, err)
	}
	if err := b.Recheck(t.Context(), chosen); err != nil {
		t.Errorf("the user that is returned is not the present one: %v", err)
	}
	if stored, err := b.ByID(t.Context(), user.ID); err != nil || stored.LastSignIn.IsZero() {
		t.Errorf("the login is not stamped: %+v, %v", stored, err)
	}
	_, err = b.ReplaceInitial(t.Context(), "ada", initial, account.NewPassword("a third horse"), home)
	requireRefused(t, err, account.ReasonWrongPassword)
	b.store.Advance(account.InitialLife)
	if _, err := b.Authenticate(t.Context(), "ada", other, home); err != nil {
		t.Errorf("what was chosen expires: %v", err)
	}
	if _, err := b.ReplaceInitial(t.Context(), "ada", other, password, home); !errors.Is(err, account.ErrNotInitial) || errors.Is(err, account.ErrCredentials) || account.Reason(err) != account.ReasonNotInitial {
		t.Errorf("of a user's own: %v", err)
	}
	if _, err := b.Authenticate(t.Context(), "ada", other, home); err != nil {
		t.Errorf("a user's own was replaced: %v", err)
	}
}

// Rows: 178
func TestExpiredInitialPasswordsAreGoodForNothing(t *testing.T) {
	for name, by := range map[string]time.Duration{"a week": account.InitialLife, "a clock put back a year": -365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			user, initial := b.mustInitial(t, "ada")
			b.store.Advance(by)
			_, err := b.Authenticate(t.Context(), "ada", initial, home)
			requireRefused(t, err, account.ReasonInitialExpired)
			_, err = b.ReplaceInitial(t.Context(), "ada", initial, other, home)
			requireRefused(t, err, account.ReasonInitialExpired)
			_, err = b.ChangePassword(t.Context(), user.ID, initial, other, home)
			requireRefused(t, err, account.ReasonInitialExpired)

			text, err := b.SetInitial(t.Context(), user.ID)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.ReplaceInitial(t.Context(), "ada", account.NewPassword(text), other, home); err != nil {
				t.Errorf("the next one: %v", err)
			}
		})
	}
}

// Whoever does not have the password learns nothing: what is wrong with the next one is the same for everybody, and the rest is
// the refusal of a login.
//
// Rows: 156, 162, 178
func TestReplaceInitialTellsNothing(t *testing.T) {
	b := newBench(t)
	_, initial := b.mustInitial(t, "ada")
	b.mustAdd(t, "bob")
	gone, _ := b.mustInitial(t, "eve")
	if err := b.Disable(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	for name, reason := range map[string]string{"ada": account.ReasonWrongPassword, "bob": account.ReasonWrongPassword, "eve": account.ReasonDisabled,
		"nobody": account.ReasonUnknownUser, "no body": account.ReasonMalformedName} {
		b.hashes = nil
		_, err := b.ReplaceInitial(t.Context(), name, wrong, other, home)
		requireRefused(t, err, reason)
		if len(b.hashes) != 1 {
			t.Errorf("%s: %d hashes, want 1", name, len(b.hashes))
		}
		_, err = b.ReplaceInitial(t.Context(), name, account.NewPassword(""), other, home)
		requireRefused(t, err, account.ReasonPasswordSize)
		_, err = b.ReplaceInitial(t.Context(), name, wrong, account.NewPassword("short"), home)
		requireRule(t, name, err, account.PasswordTooShort)
		_, err = b.ReplaceInitial(t.Context(), name, other, other, home)
		requireRule(t, name, err, account.PasswordInitial)
	}
	_, err := b.ReplaceInitial(t.Context(), "ada", initial, initial, home)
	requireRule(t, "the same again", err, account.PasswordInitial)
	_, err = b.ReplaceInitial(t.Context(), "ada", initial, account.NewPassword("ada"+"12345"), home)
	requireRule(t, "the name", err, account.PasswordContext)
	if _, err := b.Authenticate(t.Context(), "ada", initial, home); !errors.Is(err, account.ErrInitialPassword) {
		t.Errorf("it was replaced: %v", err)
	}
}

// Guesses count as those at a login do; the right one is given back, and makes no network known.
//
// Rows: 169, 178
func TestInitialPasswordsAreHeldUpAsLogins(t *testing.T) {
	b := newBench(t)
	_, initial := b.mustInitial(t, "ada")
	for n := range 60 {
		if _, err := b.Authenticate(t.Context(), "ada", initial, home); !errors.Is(err, account.ErrInitialPassword) {
			t.Fatalf("login %d: %v", n, err)
		}
	}
	for n := range 5 {
		if n%2 == 0 {
			b.guess(t, "ada", home)
			continue
		}
		_, err := b.ReplaceInitial(t.Context(), "ada", wrong, other, home)
		requireRefused(t, err, account.ReasonWrongPassword)
	}
	b.hashes = nil
	_, login := b.Authenticate(t.Context(), "ada", initial, home)
	_, replace := b.ReplaceInitial(t.Context(), "ada", initial, other, home)
	if !errors.Is(login, account.ErrThrottled) || !errors.Is(replace, account.ErrThrottled) || len(b.hashes) != 0 {
		t.Errorf("got %v and %v after %d hashes", login, replace, len(b.hashes))
	}
	b.store.Advance(time.Minute)
	if _, err := b.ReplaceInitial(t.Context(), "ada", initial, other, home); err != nil {
		t.Fatal(err)
	}
	if wait := b.guess(t, "ada", home); wait != 0 {
		t.Errorf("held up for %v after the right password", wait)
	}
}

// An operator's next password wins against who replaces the one before, whenever it comes in between.
//
// Rows: 140, 178
func TestReplaceInitialLosesAgainstTheOperator(t *testing.T) {
	for _, at := range []int{1, 2} { // while the initial one is verified, or while the next one is hashed
		b := newBench(t)
		user, initial := b.mustInitial(t, "ada")
		count := 0
		var text string
		b.hasher.OnDerive(func(account.Params) {
			if count++; count == at {
				var err error
				if text, err = b.SetInitial(t.Context(), user.ID); err != nil {
					t.Error(err)
				}
			}
		})
		_, err := b.ReplaceInitial(t.Context(), "ada", initial, other, home)
		requireRefused(t, err, account.ReasonPasswordChanged)
		if _, err := b.Authenticate(t.Context(), "ada", account.NewPassword(text), home); !errors.Is(err, account.ErrInitialPassword) {
			t.Errorf("at %d: the operator's is not the present one: %v", at, err)
		}
	}
}

// No error shows an initial password.
func TestErrorsDoNotCarryInitialPasswords(t *testing.T) {
	b := newBench(t)
	_, text, err := b.AddInitial(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	_, login := b.Authenticate(t.Context(), "ada", account.NewPassword(text), home)
	_, same := b.ReplaceInitial(t.Context(), "ada", account.NewPassword(text), account.NewPassword(text), home)
	for _, err := range []error{login, same} {
		if err == nil || strings.Contains(err.Error(), text[:4]) {
			t.Errorf("got %v", err)
		}
	}
}

// overtaken lets the operator set a password right after the user has changed it.
type overtaken struct {
	account.Store
	act func(id string)
}

func (s overtaken) ChangePassword(ctx context.Context, user account.User, hash account.Hash) error {
	err := s.Store.ChangePassword(ctx, user, hash)
	s.act(user.ID)
	return err
}

// Who changed a password is not taken for who has the one that replaced it at once.
//
// Rows: 140, 178
func TestChangesThatAreOvertakenAreRefused(t *testing.T) {
	b := newBench(t)
	user := b.mustAdd(t, "ada")
	_, initial := b.mustInitial(t, "bob")
	slow, err := account.New(account.Options{Hasher: b.hasher, Key: testKey, Store: overtaken{b.store, func(id string) {
		if _, err := b.SetInitial(t.Context(), id); err != nil {
			t.Error(err)
		}
	}}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := slow.ChangePassword(t.Context(), user.ID, password, other, home)
	requireRefused(t, err, account.ReasonPasswordChanged)
	if got != (account.User{}) {
		t.Errorf("got %+v", got)
	}
	_, err = slow.ReplaceInitial(t.Context(), "bob", initial, other, home)
	requireRefused(t, err, account.ReasonPasswordChanged)
}
