package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// What [PasswordError] says is wrong with a password.
const (
	PasswordEmpty    = "empty"
	PasswordTooShort = "too_short"
	PasswordTooLong  = "too_long" // more than MaxPasswordBytes
	PasswordCommon   = "common"   // on everybody's list, or made by a rule that everybody knows
	PasswordContext  = "context"  // mostly the name of the user or of the site
	PasswordBreached = "breached" // in the set of [Rules.Breached]
	PasswordInitial  = "initial"  // the initial one again
)

// ErrPassword matches every refusal of a password for what it is, rather than for being wrong. See [PasswordError].
var ErrPassword = errors.New("password not allowed")

// PasswordError is an [ErrPassword] that says which rule was broken, so that a page can say it in the reader's language. It
// holds nothing of the password.
type PasswordError struct {
	Rule string // one of the constants above
	Min  int    // least length in characters; 0 unless Rule is PasswordTooShort or PasswordContext
}

// Error says what to change, in English.
func (e *PasswordError) Error() string {
	why := map[string]string{
		PasswordEmpty:    "it is empty; give one",
		PasswordTooShort: fmt.Sprintf("it is too short; give at least %d characters", e.Min),
		PasswordTooLong:  fmt.Sprintf("it is too long; give at most %d bytes", MaxPasswordBytes),
		PasswordCommon:   "it is among those that are tried first; give another",
		PasswordContext:  fmt.Sprintf("without the names of the user and of the site, it must have at least %d characters", e.Min),
		PasswordBreached: "it is in a list of stolen passwords; give another",
		PasswordInitial:  "it is the initial one; give one of your own",
	}
	return ErrPassword.Error() + ": " + why[e.Rule]
}

// Is reports whether target is [ErrPassword].
func (*PasswordError) Is(target error) bool { return target == ErrPassword }

// Breached is a set of passwords that are known to have been stolen.
type Breached interface {
	// Contains reports whether the password, as it is hashed, is in the set. It must not keep it. An error keeps the password
	// from being set.
	Contains(ctx context.Context, password []byte) (bool, error)
}

// Rules are what a password must satisfy to be set. There are none about kinds of characters, no expiry and no hints (NIST SP
// 800-63B-4 §3.1.1.2, OWASP ASVS 5.0 §6.2.5 to §6.2.10). The list of common passwords always counts.
type Rules struct {
	_ struct{}

	// MinLength is the least length in characters (code points), 8 to 64; 0 means [MinPasswordRunes]. NIST wants 15 where the
	// password is the only factor.
	MinLength int
	// Words are names of the site, such as its brand and the labels of its host: whoever guesses tries them first.
	Words []string
	// Breached may be nil.
	Breached Breached
}

// maxMinLength keeps every rule satisfiable by the 64 characters that password managers and sites agree on.
const maxMinLength = 64

// minWordRunes is the least length of a name that counts as one: shorter ones are in half of all words.
const minWordRunes = 3

// Validate returns what no rule may be.
func (r Rules) Validate() error {
	if r.MinLength != 0 && (r.MinLength < MinPasswordRunes || r.MinLength > maxMinLength) {
		return fmt.Errorf("a least password length of %d: give %d to %d, or 0 for %d", r.MinLength, MinPasswordRunes, maxMinLength, MinPasswordRunes)
	}
	return nil
}

func (r Rules) min() int { return max(r.MinLength, MinPasswordRunes) }

// judge applies the rules that need nobody else to the password of the user with that normalised name.
func (r Rules) judge(name string, password Password) error {
	if err := password.checkSize(); err != nil {
		return err
	}
	if utf8.RuneCountInString(*password.text) < r.min() {
		return &PasswordError{Rule: PasswordTooShort, Min: r.min()}
	}
	whole := fold(*password.text)
	if isCommon(whole) {
		return &PasswordError{Rule: PasswordCommon}
	}
	if rest := r.withoutNames(whole, name); rest != whole {
		// Whoever guesses knows the names: only what remains is secret, and must do alone.
		if utf8.RuneCountInString(rest) < r.min() {
			return &PasswordError{Rule: PasswordContext, Min: r.min()}
		}
		if isCommon(rest) {
			return &PasswordError{Rule: PasswordCommon}
		}
	}
	return nil
}

// stolen asks the set of stolen passwords. It may be far away, so that a stranger must be counted before.
func (r Rules) stolen(ctx context.Context, password Password) error {
	if r.Breached == nil {
		return nil
	}
	found, err := r.Breached.Contains(ctx, password.bytes())
	switch {
	case err != nil:
		return fmt.Errorf("%w: set of stolen passwords: %w", ErrUnavailable, err)
	case found:
		return &PasswordError{Rule: PasswordBreached}
	}
	return nil
}

// withoutNames returns the folded password without the user's name, that name's part before an @, and the site's names.
func (r Rules) withoutNames(folded, name string) string {
	local, _, _ := strings.Cut(name, "@")
	for _, word := range append([]string{name, local}, r.Words...) {
		if word = fold(word); utf8.RuneCountInString(word) >= minWordRunes {
			folded = strings.ReplaceAll(folded, word, "")
		}
	}
	return folded
}
