package dbsc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"

	"github.com/pawlauth/pawl/token"
)

// A Key is the public key of a device: a point of P-256, as ES256 uses
// it (RFC 7518 §3.4). The zero value is no key.
type Key struct{ point [64]byte } // x, y

// keyOf returns the key, unless it is not on P-256.
func keyOf(public *ecdsa.PublicKey) (k Key, err error) {
	if public.Curve != elliptic.P256() {
		return Key{}, &ProofError{"key"}
	}
	text, err := public.Bytes() // which checks that it is on the curve
	if err != nil || len(text) != 1+len(k.point) {
		return Key{}, &ProofError{"key"}
	}
	copy(k.point[:], text[1:])
	return k, nil
}

func (k Key) public() (*ecdsa.PublicKey, error) {
	const uncompressed = 4 // SEC 1 §2.3.3
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append([]byte{uncompressed}, k.point[:]...))
}

// Thumbprint returns the SHA-256 of the public JWK in base64url (RFC 7638
// §3), by which a session knows the key that it is bound to.
func (k Key) Thumbprint() string {
	half := len(k.point) / 2
	jwk := append([]byte(nil), `{"crv":"P-256","kty":"EC","x":"`...)
	jwk = token.AppendBase64URL(jwk, k.point[:half])
	jwk = append(jwk, `","y":"`...)
	jwk = token.AppendBase64URL(jwk, k.point[half:])
	sum := sha256.Sum256(append(jwk, `"}`...))
	return string(token.AppendBase64URL(nil, sum[:]))
}

// An Identifier is what a browser calls a session by: it says which session is
// bound to which key, so that a proof can be checked before anything is
// loaded. It is no secret and proves nothing by itself.
type Identifier struct {
	Session token.ID
	Key     Key
	text    string // as it was presented; empty: it is new
}

// ErrIdentifier says that a text is no identifier that was made here.
var ErrIdentifier = errors.New("dbsc: not an identifier of ours")

const (
	identifierBody = len(token.ID{}) + len(Key{}.point)
	tagSize        = 16
)

// Identifier returns the text of an identifier: 128 characters of base64url. One
// that was parsed keeps its text, whichever key made it: a browser that is
// answered by another than it asked by forgets the session.
func (i *Issuer) Identifier(id Identifier) string {
	if id.text != "" {
		return id.text
	}
	body := make([]byte, 0, identifierBody+tagSize)
	body = append(append(body, id.Session[:]...), id.Key.point[:]...)
	return string(token.AppendBase64URL(nil, i.keys[0].seal(identifying, body)))
}

// ParseIdentifier reads an identifier as Sec-Secure-Session-Id has it: raw, as
// Chromium sends it, or quoted, as the draft wants it. The error is
// [ErrIdentifier].
func (i *Issuer) ParseIdentifier(text string) (id Identifier, err error) {
	id.text = unquote(text)
	body, _, ok := i.open(identifying, id.text, identifierBody)
	if !ok {
		return Identifier{}, ErrIdentifier
	}
	copy(id.Session[:], body)
	copy(id.Key.point[:], body[len(id.Session):])
	return id, nil
}

// An Issuer makes what is given to browsers and knows it again, on every node
// that has the same keys and without a store. It is immutable and safe for
// concurrent use.
type Issuer struct{ keys []sealer }

// NewIssuer returns an issuer that makes everything with the first key and
// honours what any of the keys made.
func NewIssuer(keys [][32]byte) (*Issuer, error) {
	if len(keys) == 0 {
		return nil, errors.New("dbsc: a key is required to make challenges")
	}
	i := &Issuer{}
	for _, key := range keys {
		i.keys = append(i.keys, sealer{token.NewMAC(key[:])})
	}
	return i, nil
}

// A kind is what something was made for. It goes into the tag, so that nothing
// is taken for anything else.
type kind byte

const (
	identifying kind = 'i'
	challenging kind = 'c'
	covering    kind = 'g' // see cover
)

// A sealer tags with one key.
type sealer struct{ mac *token.MAC }

// seal appends the tag to a body, whose length the kind fixes.
func (s sealer) seal(k kind, body []byte) []byte {
	return append(body, s.tag(k, body)...)
}

func (s sealer) tag(k kind, body []byte) []byte {
	message := append([]byte{byte(k)}, body...)
	return s.mac.AppendSum(nil, message)[:tagSize]
}

// open returns the body of a text that was made for that, and who sealed it.
func (i *Issuer) open(k kind, text string, size int) (body []byte, by sealer, ok bool) {
	if len(text) != base64.RawURLEncoding.EncodedLen(size+tagSize) {
		return nil, sealer{}, false
	}
	sealed, err := token.AppendDecodedBase64URL(nil, text)
	if err != nil || len(sealed) != size+tagSize {
		return nil, sealer{}, false
	}
	body = sealed[:size]
	for n := range i.keys {
		if hmac.Equal(i.keys[n].tag(k, body), sealed[size:]) {
			by, ok = i.keys[n], true
		}
	}
	return body, by, ok
}

// unquote takes the quotes off a string of RFC 9651 §3.3.3. What we make has
// nothing to escape.
func unquote(text string) string {
	if n := len(text); n >= 2 && text[0] == '"' && text[n-1] == '"' {
		return text[1 : n-1]
	}
	return text
}
