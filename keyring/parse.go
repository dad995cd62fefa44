package keyring

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"math"
	"math/big"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/pawlauth/pawl/token"
)

// Bounds of a key set that is read by [ParseSet].
const (
	MaxSetBytes  = 64 << 10
	maxSetKeys   = 64
	maxKeyID     = 64
	maxHeader    = 1024
	maxKeyMember = 4096 // characters of base64url; RSA with 16384 bits needs 2731
)

// ErrKeySet says that a text is no key set of Pawl's that can be used.
var ErrKeySet = errors.New("not a key set that can be used; is this the issuer's /.well-known/jwks.json?")

// published is a JWK with whatever else it says: a newer issuer may add a
// member.
type published struct {
	jwk
	Unknown jsontext.Value `json:",embed"`
}

// ParseSet reads the document that [Set.Document] writes, for verifiers that
// have no store. It fails with [ErrKeySet] for a text over MaxSetBytes, for
// one that is not strict JSON (no duplicate name, RFC 8259 §4), without any
// key, or with a key that is weak, damaged, without a pinned header, there
// twice, or not public: half a key set is none. Only keys of a type or an
// algorithm that is unknown here are passed over (RFC 7517 §5). The error
// never quotes the text.
//
// missed, if it is not nil, is told every header that [Set.Lookup] does not
// find, so that whoever keeps the set may look for a newer one. It comes from
// whoever sends tokens and may be anything. missed must not block, and may be
// called concurrently.
func ParseSet(text []byte, missed func(header string)) (*Set, error) {
	if len(text) > MaxSetBytes {
		return nil, ErrKeySet
	}
	var document struct {
		Keys    []published    `json:"keys"`
		Unknown jsontext.Value `json:",embed"`
	}
	if err := json.Unmarshal(text, &document); err != nil || len(document.Keys) > maxSetKeys {
		return nil, ErrKeySet
	}
	var keys []*PublicKey
	for i := range document.Keys {
		switch key, err := document.Keys[i].parse(); {
		case err != nil:
			return nil, ErrKeySet
		case key != nil:
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, ErrKeySet
	}
	set, err := newSet(keys)
	if err != nil {
		return nil, ErrKeySet
	}
	set.missed = missed
	return set, nil
}

// parse returns the checked key, or nothing if it is of a kind that is unknown
// here.
func (p *published) parse() (*PublicKey, error) {
	var beside map[string]jsontext.Value
	if len(p.Unknown) > 0 {
		if err := json.Unmarshal(p.Unknown, &beside); err != nil {
			return nil, ErrKeySet
		}
	}
	// The private members of all key types (RFC 7518 §6). An issuer that
	// publishes one has lost its keys.
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, there := beside[private]; there {
			return nil, ErrKeySet
		}
	}
	var key crypto.PublicKey
	var err error
	switch [2]string{p.Type, string(p.Algorithm)} {
	case [2]string{"OKP", string(EdDSA)}:
		key, err = p.ed25519()
	case [2]string{"EC", string(ES256)}:
		key, err = p.p256()
	case [2]string{"RSA", string(RS256)}:
		key, err = p.rsa()
	default:
		return nil, nil
	}
	if err == nil {
		err = checkPublic(p.Algorithm, key)
	}
	if err != nil || p.Use != "sig" || !p.pinned() {
		return nil, ErrKeySet
	}
	return &PublicKey{ID: p.ID, Algorithm: p.Algorithm, Header: p.Header, key: key}, nil
}

// pinned reports whether the pinned header is one of an access token that this
// key signed. "crit" would change what the token means (RFC 7515 §4.1.11).
func (p *published) pinned() bool {
	if p.ID == "" || len(p.ID) > maxKeyID || len(p.Header) > maxHeader {
		return false
	}
	text, err := token.AppendDecodedBase64URL(nil, p.Header)
	if err != nil {
		return false
	}
	var header struct {
		Algorithm Algorithm      `json:"alg"`
		Type      string         `json:"typ"`
		KeyID     string         `json:"kid"`
		Critical  jsontext.Value `json:"crit"`
		Unknown   jsontext.Value `json:",embed"`
	}
	err = json.Unmarshal(text, &header)
	return err == nil && header.Algorithm == p.Algorithm && header.Type == token.AccessType && header.KeyID == p.ID && header.Critical == nil
}

func member(text string) ([]byte, error) {
	if len(text) > maxKeyMember {
		return nil, ErrKeySet
	}
	return token.AppendDecodedBase64URL(nil, text)
}

func (p *published) ed25519() (crypto.PublicKey, error) {
	if p.Curve != "Ed25519" {
		return nil, ErrKeySet
	}
	x, err := member(p.X)
	return ed25519.PublicKey(x), err
}

// p256 reads coordinates of full length (RFC 7518 §6.2.1.2).
func (p *published) p256() (crypto.PublicKey, error) {
	x, errX := member(p.X)
	y, errY := member(p.Y)
	if err := errors.Join(errX, errY); err != nil || p.Curve != "P-256" || len(x) != 32 || len(y) != 32 {
		return nil, ErrKeySet
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
}

func (p *published) rsa() (crypto.PublicKey, error) {
	n, errN := member(p.N)
	e, errE := member(p.E)
	exponent := new(big.Int).SetBytes(e)
	if err := errors.Join(errN, errE); err != nil || !exponent.IsInt64() || exponent.Int64() > math.MaxInt32 {
		return nil, ErrKeySet
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}, nil
}
