package token

import (
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// A Secret is text that must not be seen: a token on its way to its owner. It
// prints as "[redacted]" however it is printed, logged or encoded; only
// [Secret.Reveal] gives the text.
type Secret string

// Reveal returns the text itself. Call it where the text leaves the process
// for its owner, and nowhere else.
func (s Secret) Reveal() string { return string(s) }

// Format implements [fmt.Formatter] for every verb and flag.
func (Secret) Format(f fmt.State, _ rune) { f.Write([]byte(redacted)) }

// LogValue implements [slog.LogValuer].
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler], so that JSON redacts too.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
