package dpop

import (
	"errors"
	"fmt"
)

// ErrProof matches every error that says that a proof is no good: to its
// client "invalid_dpop_proof" (RFC 9449 §5).
var ErrProof = errors.New("dpop: the proof is no good")

// Why a proof is no good. To its client they are one thing; they differ for
// the log.
var (
	ErrMissing   = fmt.Errorf("%w: there is none", ErrProof)
	ErrRepeated  = fmt.Errorf("%w: there are several", ErrProof)
	ErrMalformed = fmt.Errorf("%w: malformed", ErrProof)
	ErrType      = fmt.Errorf("%w: its type is not dpop+jwt", ErrProof)
	ErrAlgorithm = fmt.Errorf("%w: its algorithm is not among those supported", ErrProof)
	ErrKey       = fmt.Errorf("%w: its key is not a public key of its algorithm", ErrProof)
	ErrSignature = fmt.Errorf("%w: wrong signature", ErrProof)
	ErrClaims    = fmt.Errorf("%w: a claim is missing or out of bounds", ErrProof)
	ErrMethod    = fmt.Errorf("%w: made for another method", ErrProof)
	ErrURL       = fmt.Errorf("%w: made for another URL", ErrProof)
	ErrTime      = fmt.Errorf("%w: made too long ago, or in the future", ErrProof)
	ErrToken     = fmt.Errorf("%w: made for another token", ErrProof)
	ErrOtherKey  = fmt.Errorf("%w: made with another key than the token is bound to", ErrProof)
	ErrReplayed  = fmt.Errorf("%w: used before", ErrProof)
)

// ErrNonce says that a proof lacks a nonce of this service, or has one that is
// too old: to its client "use_dpop_nonce" (RFC 9449 §8). It does not match
// [ErrProof]: nothing else is wrong, and the client is to make another.
var ErrNonce = errors.New("dpop: the proof needs a nonce of this service")

// ErrFull says that no more used proofs can be remembered. It is a fault of the
// service: a proof that may have been used before is not accepted.
var ErrFull = errors.New("dpop: too many proofs; try again")
