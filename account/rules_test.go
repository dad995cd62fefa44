package account_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/account"
)

// ruled returns a bench with rules.
func ruled(t *testing.T, rules account.Rules) *bench {
	t.Helper()
	b := newBench(t)
	var err error
	if b.Accounts, err = account.New(account.Options{Store: b.store, Hasher: b.hasher, Key: testKey, Rules: rules}); err != nil {
		t.Fatal(err)
	}
	return b
}

func requireRule(t *testing.T, what string, err error, rule string) {
	t.Helper()
	if rule == "" {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	refused, ok := errors.AsType[*account.PasswordError](err)
	if !ok || refused.Rule != rule || !errors.Is(err, account.ErrPassword) {
		t.Errorf("%s: got %v, want the rule %s", what, err, rule)
	}
}

// Rows: 162, 163, 164, 165
func TestPasswordRules(t *testing.T) {
	b := ruled(t, account.Rules{Words: []string{"Pawl", "example.org", "Straße", "x"}})
	for _, c := range []struct{ name, password, rule string }{
		{"ada", "", account.PasswordEmpty},
		{"ada", strings.Repeat("é", 513), account.PasswordTooLong},
		{"ada", "zq7!kfo", account.PasswordTooShort},
		{"ada", "zq7!kfoé", ""},
		// No rules about kinds of characters, and all of them count.
		{"ada", "tqvxmwzr", ""},
		{"ada", "five plain words of text", ""},
		{"ada", "🐎🐎🐎🐎🔋🔋📎📎", ""},
		{"ada", "\x00\x05\x02\x01\x07\x03\x06\x04", ""},
		{"ada", strings.Repeat("correct horse ", 73), ""},
		// Common, in any case, width and with a tail.
		{"ada", "password", account.PasswordCommon},
		{"ada", "PassWord", account.PasswordCommon},
		{"ada", "ｐａｓｓｗｏｒｄ", account.PasswordCommon},
		{"ada", "12345678", account.PasswordCommon},
		{"ada", "password123456", account.PasswordCommon},
		{"ada", "Password2026!!", account.PasswordCommon},
		{"ada", "sunshine!", account.PasswordCommon},
		{"ada", "letmein2026", account.PasswordCommon},
		{"ada", "sunshine28471639", ""}, // eight digits may be a secret
		{"ada", "sunshine of your love", ""},
		// Patterns, with a tail as well.
		{"ada", "00000000", account.PasswordCommon},
		{"ada", "aaaaaaaa", account.PasswordCommon},
		{"ada", "AaAaAaAa", account.PasswordCommon},
		{"ada", strings.Repeat("a", 64), account.PasswordCommon},
		{"ada", strings.Repeat("😀", 8), account.PasswordCommon},
		{"ada", "        ", account.PasswordCommon},
		{"ada", "\x00\x00\x00\x00\x00\x00\x00\x00", account.PasswordCommon},
		{"ada", "12121212", account.PasswordCommon},
		{"ada", "123123123", account.PasswordCommon},
		{"ada", "abcabcabc", account.PasswordCommon},
		{"ada", "asdasdasd", account.PasswordCommon},
		{"ada", "asdfasdfas", account.PasswordCommon},
		{"ada", "abcdefgh", account.PasswordCommon},
		{"ada", "hgfedcba", account.PasswordCommon},
		{"ada", "01234567", account.PasswordCommon},
		{"ada", "87654321", account.PasswordCommon},
		{"ada", "abcdefg1", account.PasswordCommon},
		{"ada", "aaaaaaaa2026!", account.PasswordCommon},
		{"ada", "abc74920", ""},   // three letters are no pattern
		{"ada", "acegikmo", ""},   // nor are steps of two
		{"ada", "abcdeabcde", ""}, // nor blocks of five
		{"ada", "abcdefgj", ""},
		{"ada", "🐎🐏🐐🐑🐒🐓🐔🐕", account.PasswordCommon},
		// Names add nothing.
		{"hollerith", "hollerith", account.PasswordContext},
		{"hollerith", "HolleRith1890", account.PasswordContext},
		{"hollerith", "hollerith and babbage", ""},
		{"hollerith@example.org", "hollerith1890", account.PasswordContext},
		{"hollerith@example.org", "hollerith@example.org", account.PasswordContext},
		{"ada", "pawl-pawl", account.PasswordContext},
		{"ada", "pawl-password", ""},
		{"ada", "PAWLpassword", account.PasswordCommon},
		{"ada", "example.org1", account.PasswordContext},
		{"ada", "straße-straße", account.PasswordContext},
		{"ada", "fox in a box xx", ""}, // "x" is too short a name to count
		{"jo", "jolly joker joy", ""},
	} {
		b = ruled(t, b.Rules()) // empty again
		_, err := b.SignUp(t.Context(), c.name, account.NewPassword(c.password), home)
		requireRule(t, "SignUp "+c.name+" "+c.password, err, c.rule)
		user := b.mustAddNamed(t, c.name)
		requireRule(t, "SetPassword "+c.name+" "+c.password, b.SetPassword(t.Context(), user.ID, account.NewPassword(c.password)), c.rule)
		user = b.mustSet(t, user.ID)
		_, err = b.ChangePassword(t.Context(), user.ID, other, account.NewPassword(c.password), home)
		requireRule(t, "ChangePassword "+c.name+" "+c.password, err, c.rule)
	}
}

// mustAddNamed adds the user unless it is there.
func (b *bench) mustAddNamed(t *testing.T, name string) account.User {
	t.Helper()
	if user, err := b.ByName(t.Context(), name); err == nil {
		return user
	}
	user, err := b.Add(t.Context(), name, other)
	if err != nil {
		t.Fatal(err)
	}
	return user
}

func (b *bench) mustSet(t *testing.T, id string) account.User {
	t.Helper()
	if err := b.SetPassword(t.Context(), id, other); err != nil {
		t.Fatal(err)
	}
	user, err := b.ByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return user
}

// Rows: 163
func TestLeastLengthIsAnOption(t *testing.T) {
	b := ruled(t, account.Rules{MinLength: 15})
	_, err := b.Add(t.Context(), "ada", account.NewPassword("fourteen chars"))
	requireRule(t, "14 characters", err, account.PasswordTooShort)
	if refused, _ := errors.AsType[*account.PasswordError](err); refused.Min != 15 {
		t.Errorf("told to give %d", refused.Min)
	}
	if _, err := b.Add(t.Context(), "ada", account.NewPassword("fifteen chars!!")); err != nil {
		t.Error(err)
	}
	if got := newBench(t).Rules().MinLength; got != 0 {
		t.Errorf("without the option: %d", got)
	}
}

// stolen is a set of one password.
type stolen struct {
	password string
	err      error
	asked    *int
}

func (s stolen) Contains(_ context.Context, password []byte) (bool, error) {
	*s.asked++
	return string(password) == s.password, s.err
}

// Rows: 165
func TestStolenPasswordsAreRefused(t *testing.T) {
	asked := 0
	b := ruled(t, account.Rules{Breached: stolen{password: "caf\u00e9 au lait", asked: &asked}})
	b.hashes = nil
	_, err := b.Add(t.Context(), "ada", account.NewPassword("cafe\u0301 au lait")) // as it is hashed: composed
	requireRule(t, "stolen", err, account.PasswordBreached)
	_, err = b.SignUp(t.Context(), "ada", account.NewPassword("short"), home)
	requireRule(t, "short", err, account.PasswordTooShort)
	if asked != 1 || len(b.hashes) != 0 {
		t.Errorf("the set was asked %d times, %d hashes", asked, len(b.hashes))
	}
	if _, err := b.Add(t.Context(), "ada", password); err != nil {
		t.Error(err)
	}
	// A set that cannot answer lets nothing pass.
	down := ruled(t, account.Rules{Breached: stolen{err: errDisk, asked: &asked}})
	if _, err := down.Add(t.Context(), "ada", password); !errors.Is(err, account.ErrUnavailable) || !errors.Is(err, errDisk) || errors.Is(err, account.ErrPassword) {
		t.Errorf("got %v", err)
	}
}

// Rows: 165
func TestListOfCommonPasswords(t *testing.T) {
	list := account.CommonPasswords()
	if !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
		t.Error("not in order, each once")
	}
	long := 0
	for _, p := range list {
		if len(p) >= account.MinPasswordRunes {
			long++
		}
		if account.Fold(p) != p {
			t.Errorf("%q is not folded", p)
		}
	}
	if long < 3000 {
		t.Errorf("%d passwords that could be set without the list, want 3000", long)
	}
}

// Every rule has a text of its own, which tells what to do.
func TestRulesHaveTexts(t *testing.T) {
	seen := map[string]bool{}
	for _, err := range []error{
		&account.PasswordError{Rule: account.PasswordEmpty}, &account.PasswordError{Rule: account.PasswordTooShort, Min: 8},
		&account.PasswordError{Rule: account.PasswordTooLong}, &account.PasswordError{Rule: account.PasswordCommon},
		&account.PasswordError{Rule: account.PasswordContext, Min: 8}, &account.PasswordError{Rule: account.PasswordBreached},
		&account.NameError{Rule: account.NameEmpty}, &account.NameError{Rule: account.NameTooLong},
		&account.NameError{Rule: account.NameEncoding}, &account.NameError{Rule: account.NameCharacters}, &account.NameError{Rule: account.NameScripts},
	} {
		if text := err.Error(); seen[text] || strings.HasSuffix(text, ": ") {
			t.Errorf("%#v says %q", err, text)
		}
		seen[err.Error()] = true
	}
}

// Rows: A85
func TestNamesAreRefusedByRule(t *testing.T) {
	for name, rule := range map[string]string{
		"":                         account.NameEmpty,
		strings.Repeat("a", 300):   account.NameTooLong,
		strings.Repeat("a", 1<<20): account.NameTooLong,
		"ada\xff":                  account.NameEncoding,
		"ada lovelace":             account.NameCharacters,
		"ad\u200bmin":              account.NameCharacters,
		"admin\u202e":              account.NameCharacters,
		"аdmin":                    account.NameScripts, // the first letter is Cyrillic
		"αdmin":                    account.NameScripts, // Greek
		"раураl1":                  account.NameScripts, // Cyrillic and a Latin l
		"админ":                    "",                  // a word of its own
		"ada_1815-x.y@example.org": "",
		"日本語のユーザー":                 "", // three scripts that are written together
		"山田taro":                   "",
		"김철수kim":                   "",
		"naïve":                    "",
	} {
		for what, add := range map[string]func(*bench) error{
			"Add":    func(b *bench) error { _, err := b.Add(t.Context(), name, password); return err },
			"SignUp": func(b *bench) error { _, err := b.SignUp(t.Context(), name, password, home); return err },
		} {
			err := add(newBench(t))
			refused, ok := errors.AsType[*account.NameError](err)
			if (rule != "") != ok || ok && (refused.Rule != rule || !errors.Is(err, account.ErrName)) || !ok && err != nil {
				t.Errorf("%s %.20q: got %v, want the rule %q", what, name, err, rule)
			}
		}
	}
}
