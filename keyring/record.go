package keyring

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/token"
)

// A State is where a signing key stands in its life. It only moves forward.
type State string

// The states in their order. A withdrawn key is gone before its time.
const (
	Next      State = "next"      // published, does not sign yet
	Active    State = "active"    // signs
	Retiring  State = "retiring"  // verifies what it signed; its private half is erased
	Gone      State = "gone"      // verifies nothing
	Withdrawn State = "withdrawn" // verifies nothing, by an operator's order
)

// A Record is a signing key as a store keeps it.
type Record struct {
	ID        string // "kid": 16 hexadecimal digits from the hash of the public key
	Algorithm Algorithm
	Header    string // the base64url JOSE header that this key writes, byte for byte
	Public    []byte // SubjectPublicKeyInfo, DER
	Master    token.KeyID
	Sealed    []byte // the private key, sealed; empty from Retiring on
	State     State
	CreatedAt time.Time // published
	DueAt     time.Time // Next: becomes active; Retiring: becomes gone; else zero
	ChangedAt time.Time // the last change of state
}

// ErrConflict says that the store's keys are not what a change expected:
// another process was first. Load them and decide again.
var ErrConflict = errors.New("the keys were changed by somebody else at the same time")

// A Change moves one key. With From empty the record is new; otherwise the
// stored record must be in state From.
type Change struct {
	From State
	To   Record
}

// A Store keeps signing keys. Implementations are safe for concurrent use by
// several processes.
type Store interface {
	// Keys returns every record and the store's clock, read together.
	Keys(ctx context.Context) ([]Record, time.Time, error)
	// ChangeKeys applies all changes or none, durably on return. It fails with
	// [ErrConflict] if a record is not in the state that its change expects,
	// or if two records would be Next, or two Active.
	ChangeKeys(ctx context.Context, changes []Change) error
}

// newRecord makes a key, seals it, and gives it a state.
func newRecord(m *Master, alg Algorithm, state State, now, due time.Time) (Record, error) {
	key, err := generate(alg)
	if err != nil {
		return Record{}, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return Record{}, fmt.Errorf("keyring: encode public key: %w", err)
	}
	sum := sha256.Sum256(public)
	r := Record{
		ID: hex.EncodeToString(sum[:8]), Algorithm: alg, Public: public,
		State: state, CreatedAt: now, DueAt: due, ChangedAt: now,
	}
	if r.Header, err = headerOf(alg, r.ID); err != nil {
		return Record{}, err
	}
	return r, m.seal(&r, key)
}

// headerOf is the JOSE header of every token that a key signs (RFC 9068 §2.1,
// RFC 7515 §4.1.4), made once and kept with the key.
func headerOf(alg Algorithm, id string) (string, error) {
	text, err := json.Marshal(struct {
		Algorithm Algorithm `json:"alg"`
		Type      string    `json:"typ"`
		KeyID     string    `json:"kid"`
	}{alg, token.AccessType, id})
	if err != nil {
		return "", fmt.Errorf("keyring: encode header: %w", err)
	}
	return string(token.AppendBase64URL(nil, text)), nil
}

// public decodes and checks the public half.
func (r *Record) public() (*PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(r.Public)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", r.ID, ErrDamaged)
	}
	if err := checkPublic(r.Algorithm, key); err != nil {
		return nil, fmt.Errorf("key %s: %w", r.ID, err)
	}
	return &PublicKey{ID: r.ID, Algorithm: r.Algorithm, Header: r.Header, key: key}, nil
}

// signer opens the private half and proves that it belongs to the public one
// by signing with the one and verifying with the other.
func (r *Record) signer(m *Master, public *PublicKey) (*Signer, error) {
	key, err := m.open(r)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", r.ID, err)
	}
	if p, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !p.Equal(public.key) {
		return nil, fmt.Errorf("key %s: %w: %w", r.ID, ErrDamaged, errPair)
	}
	probe := []byte("pawl: does this pair belong together?")
	signature, err := sign(key, probe)
	if err != nil || !public.Verify(probe, signature) {
		return nil, fmt.Errorf("key %s: %w: %w", r.ID, ErrDamaged, errPair)
	}
	return &Signer{r.Header, func(message []byte) ([]byte, error) { return sign(key, message) }}, nil
}
