package account

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
)

// ErrName matches every refusal of a user name. Its text says what to change and never repeats the name, because
// people type their password into the wrong field.
var ErrName = errors.New("user name not allowed")

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
// Letters of different scripts that look alike stay different names. A refusal matches [ErrName].
func NormalizeName(typed string) (string, error) {
	if typed == "" {
		return "", fmt.Errorf("%w: it is empty; give 1 to %d characters", ErrName, maxNameRunes)
	}
	if len(typed) > maxTypedNameBytes {
		return "", fmt.Errorf("%w: it is too long; give at most %d characters", ErrName, maxNameRunes)
	}
	if !utf8.ValidString(typed) {
		return "", fmt.Errorf("%w: it is not UTF-8; send it in that encoding", ErrName)
	}
	name, err := stableName(typed)
	if err != nil {
		return "", fmt.Errorf("%w: use letters, digits and signs, without spaces, control or invisible characters (%w)", ErrName, err)
	}
	if n := utf8.RuneCountInString(name); n > maxNameRunes {
		return "", fmt.Errorf("%w: it has %d characters; give at most %d", ErrName, n, maxNameRunes)
	}
	return name, nil
}

// errUnstableName is the cause when no number of applications brings a name to rest.
var errUnstableName = errors.New("its spelling does not settle")

// stableName applies the profile until it changes nothing: one name must not have two normal forms.
func stableName(typed string) (string, error) {
	name := typed
	for range maxNameRounds {
		next, err := precis.UsernameCaseMapped.String(name)
		if err != nil {
			return "", err
		}
		if next == name {
			return name, nil
		}
		name = next
	}
	return "", errUnstableName
}
