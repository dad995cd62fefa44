package keyring

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"math/big"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/token"
)

// A PublicKey verifies what one signing key signed.
type PublicKey struct {
	ID        string
	Algorithm Algorithm
	Header    string
	key       crypto.PublicKey
}

// Verify reports whether signature is this key's JWS signature of the message.
func (k *PublicKey) Verify(message, signature []byte) bool {
	return verifySignature(k.key, message, signature)
}

// A Set is the immutable set of keys that verify at one moment. It maps the
// exact bytes of the one header that each key writes to that key, so that no
// header is ever interpreted: "none", a foreign "alg", "jku", "jwk", "x5u",
// "crit" and an unknown "kid" are all just unknown bytes.
type Set struct {
	byHeader map[string]*PublicKey
	document []byte
	missed   func(header string) // see ParseSet; nil for a ring's own
}

// Lookup returns the key that writes exactly this header segment, or nil.
func (s *Set) Lookup(header string) *PublicKey {
	key := s.byHeader[header]
	if key == nil && s.missed != nil {
		s.missed(header)
	}
	return key
}

// Len returns the number of keys.
func (s *Set) Len() int { return len(s.byHeader) }

// Document returns the JWK set (RFC 7517 §5), public members only. The caller
// must not change it.
func (s *Set) Document() []byte { return s.document }

// jwk is a public JWK (RFC 7517 §4, RFC 8037 §2, RFC 7518 §6). Header is our
// own member: the pinned header, so that a verifier of any version pins the
// same bytes; other software passes over it (RFC 7517 §4).
type jwk struct {
	Type      string    `json:"kty"`
	Use       string    `json:"use"`
	Algorithm Algorithm `json:"alg"`
	ID        string    `json:"kid"`
	Curve     string    `json:"crv,omitzero"`
	X         string    `json:"x,omitzero"`
	Y         string    `json:"y,omitzero"`
	N         string    `json:"n,omitzero"`
	E         string    `json:"e,omitzero"`
	Header    string    `json:"pawl_header"`
}

// newSet refuses two keys of one id or one header.
func newSet(keys []*PublicKey) (*Set, error) {
	s := &Set{byHeader: make(map[string]*PublicKey, len(keys))}
	document := struct {
		Keys []jwk `json:"keys"`
	}{Keys: []jwk{}}
	ids := make(map[string]bool, len(keys))
	for _, k := range keys {
		if ids[k.ID] || s.byHeader[k.Header] != nil {
			return nil, fmt.Errorf("key %s is there twice: %w", k.ID, ErrDamaged)
		}
		ids[k.ID], s.byHeader[k.Header] = true, k
		document.Keys = append(document.Keys, k.jwk())
	}
	var err error
	if s.document, err = json.Marshal(&document); err != nil {
		return nil, fmt.Errorf("keyring: encode key set: %w", err)
	}
	return s, nil
}

func (k *PublicKey) jwk() jwk {
	out := jwk{Use: "sig", Algorithm: k.Algorithm, ID: k.ID, Header: k.Header}
	encode := func(b []byte) string { return string(token.AppendBase64URL(nil, b)) }
	switch key := k.key.(type) {
	case ed25519.PublicKey:
		out.Type, out.Curve, out.X = "OKP", "Ed25519", encode(key)
	case *ecdsa.PublicKey:
		point, err := key.Bytes() // 0x04, x, y
		if err != nil {
			panic("keyring: a checked key is off its curve: " + err.Error())
		}
		out.Type, out.Curve, out.X, out.Y = "EC", "P-256", encode(point[1:33]), encode(point[33:])
	case *rsa.PublicKey:
		out.Type, out.N, out.E = "RSA", encode(key.N.Bytes()), encode(big.NewInt(int64(key.E)).Bytes())
	}
	return out
}
