package token

import (
	"bytes"
	"crypto/rand"
	"errors"
)

// An ID names a session or an access token: 128 random bits, written as 22
// characters of base64url. It is public to its user and opens nothing: every
// token that carries one also carries a signature or a MAC.
type ID [16]byte

const idText = 22 // the length of the text form

// ErrID says that a text is not the canonical form of an id.
var ErrID = errors.New("not an id; an id is 22 characters of base64url")

// NewID returns a fresh id from the system's secure source. Its text does not
// begin with a hyphen, which a command line would take for a flag.
func NewID() (id ID) {
	const hyphen = 62 // of the first six bits
	for first := byte(hyphen); first == hyphen; first = id[0] >> 2 {
		rand.Read(id[:]) // never fails; the runtime ends the process instead
	}
	return id
}

// ParseID reads the text form. It accepts exactly what [ID.String] writes.
func ParseID(text string) (ID, error) {
	var id ID
	if len(text) != idText {
		return id, ErrID
	}
	var buf [18]byte
	out, err := AppendDecodedBase64URL(buf[:0], text)
	if err != nil || len(out) != len(id) {
		return id, ErrID
	}
	copy(id[:], out)
	return id, nil
}

// IsZero reports whether id names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// Compare orders ids by their bytes.
func (id ID) Compare(other ID) int { return bytes.Compare(id[:], other[:]) }

// String returns the text form.
func (id ID) String() string {
	return string(AppendBase64URL(make([]byte, 0, idText), id[:]))
}

// AppendText implements [encoding.TextAppender].
func (id ID) AppendText(b []byte) ([]byte, error) { return AppendBase64URL(b, id[:]), nil }

// MarshalText implements [encoding.TextMarshaler].
func (id ID) MarshalText() ([]byte, error) { return id.AppendText(nil) }

// UnmarshalText implements [encoding.TextUnmarshaler], as strictly as [ParseID].
func (id *ID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseID(string(text))
	return err
}
