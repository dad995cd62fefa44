package account

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"

	"golang.org/x/text/unicode/norm"
)

const (
	// MaxPasswordBytes bounds a password before it is hashed, in bytes. It is far above the 64 characters that must be
	// possible (OWASP ASVS 5.0 §6.2.9) and keeps the cost of hashing independent of what a stranger sends.
	MaxPasswordBytes = 1024
	// MinPasswordRunes is the least length of a password that is being set, in runes, unless [Rules] want more (OWASP ASVS 5.0
	// §6.2.1).
	MinPasswordRunes = 8
)

// redacted stands wherever a secret would have been printed.
const redacted = "[redacted]"

// Password is a password as somebody typed it. Every character counts, NUL included; nothing is cut off or folded. It is hashed
// in Unicode's composed form (NFC), since keyboards differ in how they spell é (NIST SP 800-63B-4 §3.1.1.2).
//
// It prints, logs and marshals as "[redacted]", also inside other values and in unexported fields. The text hides behind a pointer,
// which fmt prints as an address where it may not call methods; == compares the pointers and says nothing about the
// passwords. The zero Password is empty, and empty passwords are refused.
type Password struct{ text *string }

// NewPassword returns the password with exactly these bytes.
func NewPassword(text string) Password { return Password{text: &text} }

// UnmarshalText sets the password to exactly these bytes, so that a decoder can fill it in without the text passing
// through a value that can be printed.
func (p *Password) UnmarshalText(text []byte) error {
	*p = NewPassword(string(text))
	return nil
}

// Format writes "[redacted]" for every verb.
func (Password) Format(s fmt.State, _ rune) { io.WriteString(s, redacted) }

// String returns "[redacted]".
func (Password) String() string { return redacted }

// LogValue returns "[redacted]".
func (Password) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]": a password is read, never written.
func (Password) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// bytes is what is hashed. Bytes that are not UTF-8 stay as they are.
func (p Password) bytes() []byte {
	if p.text == nil {
		return nil
	}
	return norm.NFC.Bytes([]byte(*p.text))
}

// equal reports whether both are the same password. Both are of the caller's making, so that the time it takes tells nothing.
func (p Password) equal(other Password) bool { return bytes.Equal(p.bytes(), other.bytes()) }

// checkSize is the bound that holds before any password is hashed, whether it is being set or tried.
func (p Password) checkSize() error {
	switch {
	case p.text == nil || len(*p.text) == 0:
		return &PasswordError{Rule: PasswordEmpty}
	case len(*p.text) > MaxPasswordBytes:
		return &PasswordError{Rule: PasswordTooLong}
	}
	return nil
}
