package dpop

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"
)

// By how much "iat" may differ from our clock. Clients' clocks are worse than
// servers'; how old a proof may be is bounded by its nonce as well.
const (
	MaxAge   = 5 * time.Minute
	MaxAhead = 30 * time.Second
)

// Options are what a verifier is made of. Both are required.
type Options struct {
	Nonces  *Nonces
	Replays Replays
}

// A Verifier judges the proofs that come with requests. It is safe for
// concurrent use.
type Verifier struct{ Options }

// New checks the options and returns a verifier.
func New(o Options) (*Verifier, error) {
	var faults []error
	if o.Nonces == nil {
		faults = append(faults, errors.New("nonces are missing"))
	}
	if o.Replays == nil {
		faults = append(faults, errors.New("replays are missing; NewMemory makes some"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("dpop: %w", err)
	}
	return &Verifier{o}, nil
}

// A Target is the request that a proof must be for.
type Target struct {
	Method string
	// URLs are those by which the request may have been made, absolute. They
	// come from the configuration, never from what the client says.
	URLs []string
	// Token is the access token that comes with the proof; empty: none does.
	Token string
	// Thumbprint is of the key that Token is bound to. It is required with one.
	Thumbprint string
}

// Check returns what the one proof says if it is good for the target at this
// time (RFC 9449 §4.3), and an error that matches [ErrProof] or [ErrNonce] if
// not. lines are the DPoP headers of the request. [Verifier.Spend] must follow.
func (v *Verifier) Check(lines []string, t Target, now time.Time) (*Proof, error) {
	switch len(lines) {
	case 0:
		return nil, ErrMissing
	case 1:
	default:
		return nil, ErrRepeated
	}
	p, err := Parse(lines[0])
	if err != nil {
		return nil, err
	}
	switch {
	case p.Method != t.Method:
		return nil, ErrMethod
	case !slices.ContainsFunc(t.URLs, func(u string) bool { n, ok := NormalizeURL(u); return ok && n == p.URL }):
		return nil, ErrURL
	case p.IssuedAt.After(now.Add(MaxAhead)), now.Sub(p.IssuedAt) > MaxAge:
		return nil, ErrTime
	case t.Token != "" && subtle.ConstantTimeCompare([]byte(p.TokenHash), []byte(HashOf(t.Token))) != 1:
		return nil, ErrToken
	case t.Token != "" && p.Thumbprint != t.Thumbprint:
		return nil, ErrOtherKey
	}
	// Last: whoever is told to use a nonce has done everything else right.
	if _, ok := v.Nonces.accepts(p.Nonce, now); !ok {
		return nil, ErrNonce
	}
	return p, nil
}

// Spend uses a proof up that was checked at the same time. The error matches
// [ErrProof] if that was done before, and is of the [Replays] if it cannot be
// told. Call it after everything else about a request is right, and before
// anything is done.
func (v *Verifier) Spend(ctx context.Context, p *Proof, now time.Time) error {
	until, _ := v.Nonces.accepts(p.Nonce, now)
	return v.Replays.Use(ctx, Use{Thumbprint: p.Thumbprint, Fingerprint: p.fingerprint(), Until: until}, now)
}
