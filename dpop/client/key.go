package client

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/pawlauth/pawl/dpop"
	"github.com/pawlauth/pawl/token"
)

// A Key signs proofs. It is safe for concurrent use if its signer is, and
// prints as "[redacted]".
type Key struct {
	sign       func(message []byte) ([]byte, error) // a function, since nothing prints what it holds
	algorithm  string
	public     jsontext.Value // the JWK
	thumbprint string
}

// NewKey returns a fresh key for ES256. Who keeps a login across restarts makes
// one, stores it where others do not read, and uses [KeyOf].
func NewKey() (*Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("client: make key: %w", err)
	}
	return KeyOf(private)
}

// KeyOf returns the key of a signer, which may be one that never shows its
// private key: with an Ed25519 key, or an ECDSA key on P-256.
func KeyOf(signer crypto.Signer) (*Key, error) {
	k := &Key{}
	switch public := signer.Public().(type) {
	case ed25519.PublicKey:
		k.algorithm = string(jose.EdDSA)
		k.sign = func(message []byte) ([]byte, error) { return signer.Sign(rand.Reader, message, crypto.Hash(0)) }
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() {
			return nil, errors.New("client: an ECDSA key for proofs is on P-256")
		}
		k.algorithm = string(jose.ES256)
		k.sign = func(message []byte) ([]byte, error) {
			digest := sha256.Sum256(message)
			der, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
			if err != nil {
				return nil, err
			}
			return fixed(der)
		}
	default:
		return nil, errors.New("client: a key for proofs is Ed25519, or ECDSA on P-256")
	}
	jwk := jose.JSONWebKey{Key: signer.Public()}
	print, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("client: thumbprint: %w", err)
	}
	k.thumbprint = string(token.AppendBase64URL(nil, print))
	if k.public, err = jwk.MarshalJSON(); err != nil {
		return nil, fmt.Errorf("client: public key: %w", err)
	}
	return k, nil
}

// fixed turns an ECDSA signature from ASN.1 into R and S of 32 bytes each (RFC
// 7518 §3.4).
func fixed(der []byte) ([]byte, error) {
	var point struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &point); err != nil {
		return nil, errors.New("client: the signer makes no ASN.1")
	}
	out := make([]byte, 64)
	point.R.FillBytes(out[:32])
	point.S.FillBytes(out[32:])
	return out, nil
}

// Thumbprint is what tokens of this key are bound to (RFC 7638), as "cnf.jkt"
// has it.
func (k *Key) Thumbprint() string { return k.thumbprint }

// Format implements [fmt.Formatter] by redacting.
func (*Key) Format(f fmt.State, _ rune) { f.Write([]byte("[redacted]")) }

// Proof returns a proof for one request (RFC 9449 §4.2), made at that time by
// the client's clock. access is the access token that goes with it, and nonce
// what the server gave; both may be empty.
func (k *Key) Proof(method, url, access, nonce string, at time.Time) (string, error) {
	target, ok := dpop.NormalizeURL(url)
	if !ok {
		return "", fmt.Errorf("client: %w", dpop.ErrURL)
	}
	var hash string
	if access != "" {
		hash = dpop.HashOf(access)
	}
	header, err := json.Marshal(struct {
		Type      string         `json:"typ"`
		Algorithm string         `json:"alg"`
		Key       jsontext.Value `json:"jwk"`
	}{dpop.Type, k.algorithm, k.public})
	if err != nil {
		return "", fmt.Errorf("client: header: %w", err)
	}
	claims, err := json.Marshal(struct {
		ID       string `json:"jti"`
		Method   string `json:"htm"`
		URL      string `json:"htu"`
		IssuedAt int64  `json:"iat"`
		Hash     string `json:"ath,omitzero"`
		Nonce    string `json:"nonce,omitzero"`
	}{token.NewID().String(), method, target, at.Unix(), hash, nonce})
	if err != nil {
		return "", fmt.Errorf("client: claims: %w", err)
	}
	out := token.AppendBase64URL(nil, header)
	out = token.AppendBase64URL(append(out, '.'), claims)
	signature, err := k.sign(out)
	if err != nil {
		return "", fmt.Errorf("client: sign: %w", err)
	}
	return string(token.AppendBase64URL(append(out, '.'), signature)), nil
}
