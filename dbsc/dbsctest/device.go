package dbsctest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"

	"github.com/go-json-experiment/json"
)

// A Device holds a key that others do not have.
type Device struct{ key *ecdsa.PrivateKey }

// NewDevice makes a key.
func NewDevice() *Device {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return &Device{key}
}

// JWK is the public key as a header shows it.
func (d *Device) JWK() map[string]any {
	point, err := d.key.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	return map[string]any{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}
}

// Register is the proof with which Chromium registers.
func (d *Device) Register(challenge string) string {
	return d.Sign(map[string]any{"alg": "ES256", "typ": "dbsc+jwt", "jwk": d.JWK()}, map[string]any{"jti": challenge})
}

// Prove is the proof with which Chromium renews.
func (d *Device) Prove(challenge string) string {
	return d.Sign(map[string]any{"alg": "ES256", "typ": "dbsc+jwt"}, map[string]any{"jti": challenge})
}

// Sign signs any header and claims by ES256, whatever the header says. What is
// text already is taken as it is.
func (d *Device) Sign(header, claims any) string {
	signed := encode(text(header)) + "." + encode(text(claims))
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, d.key, digest[:])
	if err != nil {
		panic(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + encode(signature)
}

func text(v any) []byte {
	if s, ok := v.(string); ok {
		return []byte(s)
	}
	out, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return out
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
