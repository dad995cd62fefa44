package keyring

import (
	"bufio"
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/pawlauth/pawl/token"
)

// MasterPrefix begins every master key in its text form, so that secret
// scanners find a leaked one.
const MasterPrefix = "pawl_mk_"

// ErrMaster says that a text holds no usable master key.
var ErrMaster = errors.New("not a master key file; each line is pawl_mk_ followed by 43 characters of base64url")

// Each purpose has a key of its own, derived under its own label, so that
// what one key makes is worthless to another (RFC 5869 §3.2).
const (
	labelID        = "pawl/1 master key id"
	labelOuter     = "pawl/1 refresh token, outer tag"
	labelInner     = "pawl/1 refresh token, inner tag"
	labelSeal      = "pawl/1 signing key at rest"
	labelCSRF      = "pawl/1 CSRF token"
	labelPseudonym = "pawl/1 session pseudonym"
	labelDBSC      = "pawl/1 DBSC challenge"
	labelAttempts  = "pawl/1 sign-in attempts"

	labelIssuerNonce   = "pawl/1 DPoP nonce, issuer"
	labelResourceNonce = "pawl/1 DPoP nonce, resource"
)

// A Master is the ordered list of master keys of one installation. The first
// is used for whatever is new; the others are honoured until they are taken
// out. A Master is immutable, safe for concurrent use, and prints as
// "[redacted]".
type Master struct{ keys []masterKey }

type masterKey struct {
	id token.KeyID
	// derive returns the key of one purpose. It is a function that holds the
	// master key, since package fmt prints the unexported fields of whatever
	// holds a Master, past every Format method, but nothing of a function.
	derive func(label string) [32]byte
}

// NewMasterText returns a fresh master key in text form, one line.
func NewMasterText() []byte {
	var key [32]byte
	rand.Read(key[:])
	text := token.AppendBase64URL([]byte(MasterPrefix), key[:])
	return append(text, '\n')
}

// ParseMaster reads the text of a master key file: one key a line, the current
// one first; empty lines and lines that begin with # are passed over. The
// error never quotes the text.
func ParseMaster(text []byte) (*Master, error) {
	m := &Master{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		encoded, ok := strings.CutPrefix(line, MasterPrefix)
		raw, err := token.AppendDecodedBase64URL(nil, encoded)
		if !ok || err != nil || len(raw) != 32 {
			return nil, fmt.Errorf("line %d: %w", n, ErrMaster)
		}
		k := masterKey{derive: deriver(raw)}
		id := k.derive(labelID)
		copy(k.id[:], id[:])
		if m.find(k.id) != nil {
			return nil, fmt.Errorf("line %d repeats an earlier key: %w", n, ErrMaster)
		}
		m.keys = append(m.keys, k)
	}
	if err := lines.Err(); err != nil || len(m.keys) == 0 {
		return nil, fmt.Errorf("no key found: %w", ErrMaster)
	}
	return m, nil
}

func deriver(master []byte) func(label string) [32]byte {
	return func(label string) (out [32]byte) {
		key, err := hkdf.Key(sha256.New, master, nil, label, len(out))
		if err != nil {
			panic("keyring: HKDF with SHA-256 failed: " + err.Error())
		}
		copy(out[:], key)
		return out
	}
}

func (m *Master) find(id token.KeyID) *masterKey {
	for i := range m.keys {
		if m.keys[i].id == id {
			return &m.keys[i]
		}
	}
	return nil
}

// Opens returns [ErrWrongMaster] if a record was sealed under a master key
// that is not among these.
func (m *Master) Opens(records []Record) error {
	for _, record := range records {
		if len(record.Sealed) > 0 && m.find(record.Master) == nil {
			return ErrWrongMaster
		}
	}
	return nil
}

// Current returns the id of the key that new sessions and new signing keys
// are made under.
func (m *Master) Current() token.KeyID { return m.keys[0].id }

// RefreshKeys returns the keys of refresh tokens, one for each master key.
func (m *Master) RefreshKeys() []token.RefreshKey {
	out := make([]token.RefreshKey, len(m.keys))
	for i := range m.keys {
		k := &m.keys[i]
		out[i] = token.RefreshKey{ID: k.id, Outer: k.derive(labelOuter), Inner: k.derive(labelInner)}
	}
	return out
}

// CSRFKeys returns the keys of CSRF tokens, the current one first.
func (m *Master) CSRFKeys() [][32]byte { return m.under(labelCSRF) }

// IssuerNonceKeys returns the keys of the nonces that proofs need where tokens
// are issued, the current one first.
func (m *Master) IssuerNonceKeys() [][32]byte { return m.under(labelIssuerNonce) }

// ResourceNonceKeys returns the keys of the nonces that proofs need where
// tokens are used, the current one first.
func (m *Master) ResourceNonceKeys() [][32]byte { return m.under(labelResourceNonce) }

// under returns the key of one purpose under each master key.
func (m *Master) under(label string) [][32]byte {
	out := make([][32]byte, len(m.keys))
	for i := range m.keys {
		out[i] = m.keys[i].derive(label)
	}
	return out
}

// DBSCKeys returns the keys of what browsers are given to prove a device by,
// the current one first.
func (m *Master) DBSCKeys() [][32]byte {
	out := make([][32]byte, len(m.keys))
	for i := range m.keys {
		out[i] = m.keys[i].derive(labelDBSC)
	}
	return out
}

// AttemptKey returns the key of the hashes under which attempts to sign in are
// counted.
func (m *Master) AttemptKey() [32]byte { return m.keys[0].derive(labelAttempts) }

// Pseudonyms returns the function that turns a session id into the keyed hash
// under which it appears in logs and events: 16 characters of base64url. Who
// reads a log can follow a session but not name it to the service.
func (m *Master) Pseudonyms() func(token.ID) string {
	key := m.keys[0].derive(labelPseudonym)
	mac := token.NewMAC(key[:])
	return func(id token.ID) string {
		var sum [sha256.Size]byte
		return string(token.AppendBase64URL(nil, mac.AppendSum(sum[:0], id[:])[:12]))
	}
}

// Format implements [fmt.Formatter] by redacting.
func (Master) Format(f fmt.State, _ rune) { f.Write([]byte("[redacted]")) }

// MarshalText implements [encoding.TextMarshaler] by redacting.
func (Master) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }
