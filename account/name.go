package account

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
)

// What [NameError] says is wrong with a name.
const (
	NameEmpty      = "empty"
	NameTooLong    = "too_long"   // more than 64 characters
	NameEncoding   = "encoding"   // not UTF-8
	NameCharacters = "characters" // spaces, signs that cannot be seen, mixed directions, and what else is no part of a name
	NameScripts    = "scripts"    // letters of several scripts, which may look alike
	NameLookAlike  = "look_alike" // Latin letters or signs that look like other ones: phonetic, dotless, with a mark of their own
)

// ErrName matches every refusal of a user name. See [NameError].
var ErrName = errors.New("user name not allowed")

// NameError is an [ErrName] that says which rule was broken, so that a page can say it in the reader's language. It never repeats
// the name, because people type their password into the wrong field.
type NameError struct {
	Rule string // one of the constants above
}

// Error says what to change, in English.
func (e *NameError) Error() string {
	why := map[string]string{
		NameEmpty:      fmt.Sprintf("it is empty; give 1 to %d characters", maxNameRunes),
		NameTooLong:    fmt.Sprintf("it is too long; give at most %d characters", maxNameRunes),
		NameEncoding:   "it is not UTF-8; send it in that encoding",
		NameCharacters: "use letters, digits and signs, without spaces, control or invisible characters",
		NameScripts:    "it mixes scripts whose letters look alike; use letters of one script",
		NameLookAlike:  "it has letters or signs that look like others; use ordinary ones",
	}
	return ErrName.Error() + ": " + why[e.Rule]
}

// Is reports whether target is [ErrName].
func (*NameError) Is(target error) bool { return target == ErrName }

const (
	// maxNameRunes bounds a normalised name, in runes. It is also what a store must be able to hold as a unique key: at
	// most 4 bytes for each rune.
	maxNameRunes = 64
	// maxTypedNameBytes bounds what is normalised at all. No name of maxNameRunes needs more: a typed character
	// decomposes into at most four runes of four bytes.
	maxTypedNameBytes = maxNameRunes * 16
	// maxNameRounds is how often the profile is applied before a name that still changes is refused: once and three
	// times more, which is the rule of RFC 8266 §2.1 for nicknames.
	maxNameRounds = 4
)

// NormalizeName returns the one spelling under which a user name is stored and looked up, 1 to 64 runes long. It is the
// UsernameCaseMapped profile of RFC 8265 §3.3: full-width and half-width forms become ordinary ones, letters become lower
// case, the result is in Unicode form NFC and obeys the Bidi rule. "Admin", "admin" and "ＡＤＭＩＮ" are one name. Spaces,
// control characters, invisible characters and other compatibility forms are refused rather than mapped.
//
// Letters of different scripts that look alike stay different names; see [Accounts.Add] for new ones. A refusal matches
// [ErrName].
func NormalizeName(typed string) (string, error) {
	if typed == "" {
		return "", &NameError{Rule: NameEmpty}
	}
	if len(typed) > maxTypedNameBytes {
		return "", &NameError{Rule: NameTooLong}
	}
	if !utf8.ValidString(typed) {
		return "", &NameError{Rule: NameEncoding}
	}
	name, ok := stableName(typed)
	if !ok {
		return "", &NameError{Rule: NameCharacters}
	}
	if utf8.RuneCountInString(name) > maxNameRunes {
		return "", &NameError{Rule: NameTooLong}
	}
	return name, nil
}

// stableName applies the profile until it changes nothing: one name must not have two normal forms.
func stableName(typed string) (string, bool) {
	name := typed
	for range maxNameRounds {
		next, err := precis.UsernameCaseMapped.String(name)
		if err != nil {
			return "", false
		}
		if next == name {
			return name, true
		}
		name = next
	}
	return "", false
}

// newName is NormalizeName for a name that is being given, which must not look like another.
func newName(name string) (string, error) {
	normal, err := NormalizeName(name)
	if err != nil {
		return "", err
	}
	if err := checkScripts(normal); err != nil {
		return "", err
	}
	return normal, checkLookAlikes(normal)
}
