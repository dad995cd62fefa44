package account_test

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/account/accounttest"
)

// bench is Accounts over a memory store whose hashes are counted.
type bench struct {
	*account.Accounts
	store  *accounttest.Memory
	hasher *account.Hasher
	hashes []account.Params // of each hash since the last reset
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{store: accounttest.NewMemory(), hasher: weakHasher(t)}
	b.hasher.OnDerive(func(p account.Params) { b.hashes = append(b.hashes, p) })
	var err error
	if b.Accounts, err = account.New(account.Options{Store: b.store, Hasher: b.hasher, Key: testKey}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) mustAdd(t *testing.T, name string) account.User {
	t.Helper()
	user, err := b.Add(t.Context(), name, password)
	if err != nil {
		t.Fatal(err)
	}
	return user
}

var wrong = account.NewPassword("wrong horse")

func TestAddStoresTheUser(t *testing.T) {
	b := newBench(t)
	user := b.mustAdd(t, "ＡDA")
	if user.Name != "ada" || user.Display != "ＡDA" || user.Disabled || user.CreatedAt.IsZero() || !user.PasswordChangedAt.Equal(user.CreatedAt) {
		t.Errorf("got %+v", user)
	}
	byID, err := b.ByID(t.Context(), user.ID)
	if err != nil || byID != user {
		t.Errorf("ByID: %+v, %v", byID, err)
	}
	byName, err := b.ByName(t.Context(), "Ada")
	if err != nil || byName != user {
		t.Errorf("ByName: %+v, %v", byName, err)
	}
	other := b.mustAdd(t, "Aaron")
	if users, err := b.List(t.Context()); err != nil || !slices.Equal(users, []account.User{other, user}) {
		t.Errorf("List: %+v, %v", users, err)
	}
}

// Rows: A85
func TestAddRefusesAnotherSpellingOfAName(t *testing.T) {
	b := newBench(t)
	b.mustAdd(t, "Admin")
	for _, name := range []string{"Admin", "admin", "ADMIN", "ＡＤＭＩＮ", "ａdmin"} {
		if user, err := b.Add(t.Context(), name, password); !errors.Is(err, account.ErrNameTaken) || user != (account.User{}) {
			t.Errorf("%s: got %+v, %v; want ErrNameTaken", name, user, err)
		}
	}
}

// Rows: 162
func TestAddRefusesNamesAndPasswords(t *testing.T) {
	b := newBench(t)
	b.hashes = nil
	for _, c := range []struct {
		name, password string
		want           error
	}{
		{"", "correct horse", account.ErrName},
		{"a b", "correct horse", account.ErrName},
		{"ada", "", account.ErrPassword},
		{"ada", "1234567", account.ErrPassword},
		{"ada", "ééééééé", account.ErrPassword}, // 7 runes in 14 bytes
		{"ada", strings.Repeat("x", 1025), account.ErrPassword},
		{"ada", strings.Repeat("x", 1<<20), account.ErrPassword},
	} {
		if _, err := b.Add(t.Context(), c.name, account.NewPassword(c.password)); !errors.Is(err, c.want) {
			t.Errorf("Add(%q, %.10q): got %v, want %v", c.name, c.password, err, c.want)
		}
	}
	if users, err := b.List(t.Context()); err != nil || len(users) != 0 || len(b.hashes) != 0 {
		t.Errorf("%d users after %d hashes, %v", len(users), len(b.hashes), err)
	}
	for n, text := range []string{"1734562x", "éàéèéùéâ", "\x00\x01\x00\x02\x00\x03\x00\x04", strings.Repeat("vowel7x.", 8), strings.Repeat("vowel7x.", 128), "spaces and 😀"} {
		name := fmt.Sprintf("user%d", n)
		if _, err := b.Add(t.Context(), name, account.NewPassword(text)); err != nil {
			t.Errorf("a password of %d bytes: %v", len(text), err)
		}
		if _, err := b.Authenticate(t.Context(), name, account.NewPassword(text), home); err != nil {
			t.Errorf("a password of %d bytes at login: %v", len(text), err)
		}
	}
}

// Rows: 140
func TestDisabledUsersAreRefusedUntilEnabled(t *testing.T) {
	b := newBench(t)
	user := b.mustAdd(t, "ada")
	for range 2 {
		if err := b.Disable(t.Context(), user.ID); err != nil {
			t.Fatal(err)
		}
		_, err := b.Authenticate(t.Context(), "ada", password, home)
		requireRefused(t, err, account.ReasonDisabled)
		_, err = b.Authenticate(t.Context(), "ada", wrong, home)
		requireRefused(t, err, account.ReasonDisabled)
	}
	if err := b.Enable(t.Context(), user.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Authenticate(t.Context(), "ada", password, home); err != nil || got != user {
		t.Errorf("enabled again: %+v, %v", got, err)
	}
}

func TestSetPasswordReplacesThePassword(t *testing.T) {
	b := newBench(t)
	user := b.mustAdd(t, "ada")
	next := account.NewPassword("another horse")
	if err := b.SetPassword(t.Context(), user.ID, account.NewPassword("short")); !errors.Is(err, account.ErrPassword) {
		t.Errorf("a short password: %v", err)
	}
	if _, err := b.Authenticate(t.Context(), "ada", password, home); err != nil {
		t.Errorf("after the refused change: %v", err)
	}
	if err := b.SetPassword(t.Context(), user.ID, next); err != nil {
		t.Fatal(err)
	}
	_, err := b.Authenticate(t.Context(), "ada", password, home)
	requireRefused(t, err, account.ReasonWrongPassword)
	got, err := b.Authenticate(t.Context(), "ada", next, home)
	if err != nil || !got.PasswordChangedAt.After(user.PasswordChangedAt) || !got.CreatedAt.Equal(user.CreatedAt) {
		t.Errorf("with the new password: %+v, %v", got, err)
	}
}

func TestUnknownUsersAreNotFoundByOperators(t *testing.T) {
	b := newBench(t)
	b.mustAdd(t, "ada")
	answers := map[string]error{
		"SetPassword": b.SetPassword(t.Context(), "u_nobody", password),
		"Disable":     b.Disable(t.Context(), "u_nobody"),
		"Enable":      b.Enable(t.Context(), "u_nobody"),
	}
	_, answers["ByID"] = b.ByID(t.Context(), "u_nobody")
	_, answers["ByName"] = b.ByName(t.Context(), "nobody")
	for method, err := range answers {
		if !errors.Is(err, account.ErrNotFound) || errors.Is(err, account.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrNotFound", method, err)
		}
	}
	if _, err := b.ByName(t.Context(), "no body"); !errors.Is(err, account.ErrName) {
		t.Errorf("ByName of a malformed name: %v", err)
	}
}

// No error of this package carries what was typed.
func TestErrorsDoNotCarryPasswordsOrNames(t *testing.T) {
	b := newBench(t)
	b.mustAdd(t, canary)
	secret := account.NewPassword(canary)
	_, taken := b.Add(t.Context(), canary, secret)
	_, malformed := b.Add(t.Context(), canary+" x", secret)
	_, short := b.Add(t.Context(), "bob", account.NewPassword(canary[:7]))
	_, long := b.Add(t.Context(), "bob", account.NewPassword(strings.Repeat(canary, 100)))
	_, refused := b.Authenticate(t.Context(), canary, secret, home)
	_, unknown := b.Authenticate(t.Context(), canary+"x", secret, home)
	_, absent := b.ByName(t.Context(), canary+"x")
	for _, err := range []error{taken, malformed, short, long, refused, unknown, absent} {
		if err == nil {
			t.Fatal("no error")
		}
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			requireNoCanary(t, verb, fmt.Sprintf(verb, err))
			if strings.Contains(fmt.Sprintf(verb, err), canary[:7]) {
				t.Errorf("%s shows part of the secret: %v", verb, err)
			}
		}
	}
}

// Rows: 181, 190, 192
func TestUserIDsAreRandom(t *testing.T) {
	const n = 10000
	form := regexp.MustCompile(`^u_[A-Z2-7]{26,}$`) // 26 letters of 5 bits
	seen := make(map[string]bool, n)
	for range n {
		id := account.NewUserID()
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("id %s is malformed or came twice", id)
		}
		seen[id] = true
	}
	b := newBench(t)
	first, second := b.mustAdd(t, "ada"), b.mustAdd(t, "bob")
	if !form.MatchString(first.ID) || !form.MatchString(second.ID) || first.ID == second.ID {
		t.Errorf("ids %s and %s", first.ID, second.ID)
	}
}

func TestNewNeedsItsParts(t *testing.T) {
	whole := account.Options{Store: accounttest.NewMemory(), Hasher: weakHasher(t), Key: testKey}
	if a, err := account.New(whole); err != nil || a == nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(*account.Options){
		"no store":            func(o *account.Options) { o.Store = nil },
		"no hasher":           func(o *account.Options) { o.Hasher = nil },
		"no key":              func(o *account.Options) { o.Key = [32]byte{} },
		"a short least":       func(o *account.Options) { o.Rules.MinLength = 7 },
		"an impossible least": func(o *account.Options) { o.Rules.MinLength = 65 },
	} {
		o := whole
		spoil(&o)
		if a, err := account.New(o); err == nil || a != nil {
			t.Errorf("%s was accepted", what)
		}
	}
}

// testKey is the key of attempts, home where honest users come from.
var (
	testKey = [32]byte{1, 2, 3}
	home    = netip.MustParseAddr("192.0.2.1")
	other   = account.NewPassword("another horse")
)
