package dbsc

import (
	"crypto/ecdsa"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
)

// maxProof bounds a proof, in bytes. Chromium's have less than 600.
const maxProof = 4 << 10

// proofType is the "typ" of every proof.
const proofType = "dbsc+jwt"

// ErrProof matches every [ProofError].
var ErrProof = errors.New("dbsc: not a proof of the device")

// A ProofError says that a proof is none.
type ProofError struct {
	// Reason is "malformed", "type", "algorithm", "key", "claims" or
	// "signature". It is for events, not for whoever sent the proof.
	Reason string
}

// Error implements error.
func (e *ProofError) Error() string { return fmt.Sprintf("%v: %s", ErrProof, e.Reason) }

// Is makes every error of this type match [ErrProof].
func (e *ProofError) Is(target error) bool { return target == ErrProof }

// claims are what a proof says. Others are passed over: the draft has had
// more, and browsers may send them again.
type claims struct {
	Challenge string `json:"jti"`
}

// Register verifies the proof with which a browser registers: it is signed by
// the very key that its header shows. It returns the key, and the challenge that
// the proof answers. The error is a [*ProofError].
func Register(proof string) (Key, string, error) {
	parsed, err := parse(proof)
	if err != nil {
		return Key{}, "", err
	}
	jwk := parsed.Signatures[0].Protected.JSONWebKey
	if jwk == nil {
		return Key{}, "", &ProofError{"key"}
	}
	public, ok := jwk.Key.(*ecdsa.PublicKey)
	if !ok {
		return Key{}, "", &ProofError{"key"}
	}
	key, err := keyOf(public)
	if err != nil {
		return Key{}, "", err
	}
	challenge, err := verify(parsed, public)
	return key, challenge, err
}

// Verify verifies the proof with which a browser renews, by the key that the
// session is bound to. A key that the proof itself shows is not looked at. It
// returns the challenge that the proof answers. The error is a [*ProofError].
func (k Key) Verify(proof string) (string, error) {
	parsed, err := parse(proof)
	if err != nil {
		return "", err
	}
	public, err := k.public()
	if err != nil {
		return "", &ProofError{"key"}
	}
	return verify(parsed, public)
}

// parse reads a proof as Secure-Session-Response has it: raw, as Chromium
// sends it, or quoted, as the draft wants it.
func parse(proof string) (*jose.JSONWebSignature, error) {
	if len(proof) > maxProof {
		return nil, &ProofError{"malformed"}
	}
	parsed, err := jose.ParseSignedCompact(unquote(proof), []jose.SignatureAlgorithm{jose.ES256})
	if _, wrong := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); wrong {
		return nil, &ProofError{"algorithm"}
	}
	if err != nil || len(parsed.Signatures) != 1 {
		return nil, &ProofError{"malformed"}
	}
	if parsed.Signatures[0].Protected.ExtraHeaders[jose.HeaderType] != proofType {
		return nil, &ProofError{"type"}
	}
	return parsed, nil
}

func verify(parsed *jose.JSONWebSignature, public *ecdsa.PublicKey) (string, error) {
	payload, err := parsed.Verify(public)
	if err != nil {
		return "", &ProofError{"signature"}
	}
	var said claims
	if err := json.Unmarshal(payload, &said); err != nil || said.Challenge == "" {
		return "", &ProofError{"claims"}
	}
	return said.Challenge, nil
}
