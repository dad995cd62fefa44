package keyring

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
)

// An Algorithm is a JWS algorithm by its registered name (RFC 7518 §3.1,
// RFC 8037 §3.1), compared exactly.
type Algorithm string

// The algorithms that Pawl signs with. RS256 (PKCS #1 v1.5) is for resource
// servers that know nothing better; making an RS256 key needs an option that
// says so.
const (
	EdDSA Algorithm = "EdDSA"
	ES256 Algorithm = "ES256"
	RS256 Algorithm = "RS256"
)

// ErrAlgorithm says that an algorithm is unknown or not allowed.
var ErrAlgorithm = errors.New("algorithm not allowed; use EdDSA or ES256")

// errPair says that a private key does not belong to its public key.
var errPair = errors.New("keyring: the private key does not belong to the public key")

// rsaBits gives 128 bits of strength (NIST SP 800-57 part 1, table 2).
const rsaBits = 3072

func generate(alg Algorithm) (crypto.Signer, error) {
	switch alg {
	case EdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return nil, fmt.Errorf("%q: %w", alg, ErrAlgorithm)
}

// sign makes a JWS signature. ES256 is r and s, 32 bytes each (RFC 7518 §3.4).
func sign(key crypto.Signer, message []byte) ([]byte, error) {
	switch key := key.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(key, message), nil
	case *ecdsa.PrivateKey:
		digest := sha256.Sum256(message)
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			return nil, err
		}
		out := make([]byte, 64)
		r.FillBytes(out[:32])
		s.FillBytes(out[32:])
		return out, nil
	case *rsa.PrivateKey:
		digest := sha256.Sum256(message)
		return rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	}
	return nil, ErrAlgorithm
}

// checkPublic refuses a key that is weak or does not fit its algorithm: one
// key has one algorithm (RFC 8725 §3.1).
func checkPublic(alg Algorithm, key crypto.PublicKey) error {
	switch key := key.(type) {
	case ed25519.PublicKey:
		if alg == EdDSA && len(key) == ed25519.PublicKeySize {
			return nil
		}
	case *ecdsa.PublicKey:
		// ECDH fails for a point that is not on the curve.
		if _, err := key.ECDH(); alg == ES256 && key.Curve == elliptic.P256() && err == nil {
			return nil
		}
	case *rsa.PublicKey:
		if alg == RS256 && key.N.BitLen() >= rsaBits && key.E >= 65537 {
			return nil
		}
	}
	return fmt.Errorf("key does not fit %q or is too weak: %w", alg, ErrAlgorithm)
}

func verifySignature(key crypto.PublicKey, message, signature []byte) bool {
	switch key := key.(type) {
	case ed25519.PublicKey:
		return len(signature) == ed25519.SignatureSize && ed25519.Verify(key, message, signature)
	case *ecdsa.PublicKey:
		if len(signature) != 64 {
			return false
		}
		digest := sha256.Sum256(message)
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(key, digest[:], r, s)
	case *rsa.PublicKey:
		digest := sha256.Sum256(message)
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	}
	return false
}
