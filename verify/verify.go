package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/token"
)

// Why a token is refused. To whoever presented it they are all one thing;
// they differ for the log.
var (
	ErrMalformed  = errors.New("verify: not an access token")
	ErrUnknownKey = errors.New("verify: the header is not that of any key in use")
	ErrSignature  = errors.New("verify: wrong signature")
	ErrExpired    = errors.New("verify: expired")
	ErrNotYet     = errors.New("verify: not valid yet")
	ErrIssuer     = errors.New("verify: made by another issuer")
	ErrAudience   = errors.New("verify: made for another audience")
	ErrRevoked    = errors.New("verify: the session has ended")
	ErrBound      = errors.New("verify: bound to a key that was not proved")
)

// ErrStale says that the revocations could not be read for too long, so that
// no token can be accepted. It is a fault of the service, not of the token.
var ErrStale = errors.New("verify: revocations are out of date; tokens are refused until they can be read again")

// A Principal is what a verified access token says about its caller. It is
// shared between requests: treat it as immutable.
type Principal struct {
	UserID     string
	ClientID   string
	Session    token.ID
	TokenID    token.ID
	Generation uint32
	Audience   string
	Scope      string // space-separated, empty if none was granted
	Methods    []string
	AuthTime   time.Time // of the login, whatever was renewed since
	IssuedAt   time.Time
	Expires    time.Time
	Thumbprint string // of the key that must be proved with the token (RFC 9449); empty if none. See [Verifier.VerifyBound]
	Device     string // thumbprint of the key that the browser proves at renewal (DBSC); empty if none
}

// Keys gives the keys that verify at this moment; [keyring.Ring] is one.
type Keys interface{ Set() *keyring.Set }

// Revocations answers whether a session was ended; [*Revoked] is one.
type Revocations interface {
	// Check returns nil, [ErrRevoked], or [ErrStale] if it cannot tell. issued
	// is when the token was, by the clock of the store ("iat").
	Check(session token.ID, issued, now time.Time) error
}

// Config says what a token must say. Every field is required; there is no
// value that means "do not check".
type Config struct {
	Issuer      string
	Audience    string
	Keys        Keys
	Revocations Revocations
	// Leeway is how far the clocks of issuer and verifier may be apart: 0 to
	// MaxLeeway.
	Leeway time.Duration
	// CacheSize is how many verified tokens are remembered: 0 to MaxCacheSize.
	CacheSize int
}

// Bounds of a [Config]. RFC 9068 §4 allows "no more than a few minutes".
const (
	MaxLeeway    = 2 * time.Minute
	MaxCacheSize = 1 << 20
)

// A Verifier verifies access tokens. It is safe for concurrent use.
type Verifier struct {
	config Config
	cache  *otter.Cache[fingerprint, seen]
}

// seen is a token that was verified once. Its signature and claims need no
// second look; its times, its key and its session do.
type seen struct {
	principal *Principal
	notBefore time.Time
}

// New checks the configuration and returns a verifier, or every fault of the
// configuration at once.
func New(c Config) (*Verifier, error) {
	var faults []error
	if c.Issuer == "" {
		faults = append(faults, errors.New("issuer is missing; give the exact issuer that tokens must name"))
	}
	if c.Audience == "" {
		faults = append(faults, errors.New("audience is missing; give the exact audience that tokens must name"))
	}
	if c.Keys == nil {
		faults = append(faults, errors.New("keys are missing"))
	}
	if c.Revocations == nil {
		faults = append(faults, errors.New("revocations are missing"))
	}
	if c.Leeway < 0 || c.Leeway > MaxLeeway {
		faults = append(faults, fmt.Errorf("leeway of %v is outside 0 to %v", c.Leeway, MaxLeeway))
	}
	if c.CacheSize < 0 || c.CacheSize > MaxCacheSize {
		faults = append(faults, fmt.Errorf("cache size of %d is outside 0 to %d", c.CacheSize, MaxCacheSize))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	v := &Verifier{config: c}
	if c.CacheSize > 0 {
		cache, err := otter.New(&otter.Options[fingerprint, seen]{
			MaximumSize: c.CacheSize,
			// The cache's upkeep runs in the call that made it due: this
			// package starts no goroutine, and handing each insertion to one
			// costs more than the insertion.
			Executor: func(task func()) { task() },
		})
		if err != nil {
			return nil, fmt.Errorf("verify: make cache: %w", err)
		}
		v.cache = cache
	}
	return v, nil
}

// Verify returns what the token says if it is good at the given time, and an
// error of this package if it is not. It does no input or output. A token that
// is bound to a key is [ErrBound]: alone it is worth nothing (RFC 9449 §7.2).
func (v *Verifier) Verify(raw string, now time.Time) (*Principal, error) {
	p, err := v.VerifyBound(raw, now)
	if err == nil && (p.Thumbprint != "" || p.Device != "") {
		return nil, ErrBound
	}
	return p, err
}

// VerifyBound is [Verifier.Verify] for callers that look at the binding: who
// has a Principal with a Thumbprint must demand a proof of that key with the
// request, and one with a Device may only have come in the cookie.
func (v *Verifier) VerifyBound(raw string, now time.Time) (*Principal, error) {
	// Length, form and header first: what fails here was never worth a hash.
	parts, err := token.SplitAccess(raw)
	if err != nil {
		return nil, ErrMalformed
	}
	key := v.config.Keys.Set().Lookup(parts.Header)
	if key == nil {
		return nil, ErrUnknownKey
	}
	print, s, known := v.remembered(raw)
	if !known {
		if s, err = v.examine(raw, parts, key); err != nil {
			return nil, err
		}
	}
	leeway := v.config.Leeway
	switch {
	case !now.Before(s.principal.Expires.Add(leeway)):
		return nil, ErrExpired
	case now.Add(leeway).Before(s.notBefore):
		return nil, ErrNotYet
	}
	if err := v.config.Revocations.Check(s.principal.Session, s.principal.IssuedAt, now); err != nil {
		return nil, err
	}
	if !known && v.cache != nil {
		v.cache.Set(print, s)
	}
	return s.principal, nil
}

// A fingerprint stands for a token in the cache, which so holds no token.
type fingerprint [sha256.Size]byte

// remembered returns what was found out about a token before.
func (v *Verifier) remembered(raw string) (print fingerprint, s seen, known bool) {
	if v.cache == nil {
		return print, s, false
	}
	var text [token.MaxAccess]byte // copied here, since a conversion would allocate
	print = sha256.Sum256(text[:copy(text[:], raw)])
	s, known = v.cache.GetIfPresent(print)
	return print, s, known
}

// examine does what does not depend on time or on the session's fate.
func (v *Verifier) examine(raw string, parts token.Segments, key *keyring.PublicKey) (seen, error) {
	var buf [512]byte // RS256 with 3072 bits needs 384
	if len(parts.Signature) > len(buf) {
		return seen{}, ErrSignature
	}
	signature, err := token.AppendDecodedBase64URL(buf[:0], parts.Signature)
	if err != nil {
		return seen{}, ErrMalformed
	}
	signed := raw[:len(parts.Header)+1+len(parts.Payload)]
	if !key.Verify([]byte(signed), signature) {
		return seen{}, ErrSignature
	}
	c, err := token.DecodeClaims(parts.Payload)
	if err != nil {
		return seen{}, ErrMalformed
	}
	return v.admit(&c)
}

// maxTime is the last second of the year 9999: a later time is no time.
const maxTime = 253402300799

// admit checks what the claims must be for this verifier (RFC 9068 §4).
func (v *Verifier) admit(c *token.Claims) (seen, error) {
	switch {
	case c.Issuer != v.config.Issuer:
		return seen{}, ErrIssuer
	case c.Audience != v.config.Audience:
		return seen{}, ErrAudience
	case c.Subject == "", c.ClientID == "", c.ID.IsZero(), c.Session.IsZero(), c.Generation == 0,
		c.IssuedAt <= 0, c.Expires <= c.IssuedAt, c.Expires > maxTime,
		c.NotBefore < 0, c.NotBefore > maxTime, c.AuthTime <= 0, c.AuthTime > c.IssuedAt:
		return seen{}, ErrMalformed
	}
	p := &Principal{
		UserID: c.Subject, ClientID: c.ClientID, Session: c.Session, TokenID: c.ID, Generation: c.Generation,
		Audience: c.Audience, Scope: c.Scope, Methods: c.Methods, AuthTime: time.Unix(c.AuthTime, 0),
		IssuedAt: time.Unix(c.IssuedAt, 0), Expires: time.Unix(c.Expires, 0),
	}
	if c.Binding != nil {
		if (c.Binding.Thumbprint == "") == (c.Binding.Device == "") {
			return seen{}, ErrMalformed // a key that nobody knows here, or two
		}
		p.Thumbprint, p.Device = c.Binding.Thumbprint, c.Binding.Device
	}
	return seen{principal: p, notBefore: time.Unix(max(c.IssuedAt, c.NotBefore), 0)}, nil
}

// key of the context value; unexported, so that only this package sets it.
type contextKey struct{}

// NewContext returns a context that carries the principal.
func NewContext(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// FromContext returns the principal that a middleware put there, if any.
func FromContext(ctx context.Context) (*Principal, bool) {
	p, ok := ctx.Value(contextKey{}).(*Principal)
	return p, ok
}
