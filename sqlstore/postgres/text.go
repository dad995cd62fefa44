package postgres

import (
	"strings"
	"unicode/utf8"
)

// storable reports whether a text can be one of the database, which takes
// UTF-8 without NUL.
func storable(text string) bool { return utf8.ValidString(text) && !strings.Contains(text, "\x00") }

// cleaned returns a text that can be kept, for what comes from outside: one
// text that cannot must not keep a batch of events from being stored.
func cleaned(text string) string {
	if storable(text) {
		return text
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// orNull is a text that is mostly missing; see [cleaned].
func orNull(text string) *string {
	if text == "" {
		return nil
	}
	text = cleaned(text)
	return &text
}

// maybeText reads a text column; NULL is the empty text.
func (r *record) maybeText() string { return string(r.next(0)) }

// orErased is a value as the database keeps it; an empty one is NULL.
func orErased(value []byte) []byte {
	if len(value) == 0 {
		return nil
	}
	return value
}
