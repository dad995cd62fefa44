package bench

import (
	"crypto/ed25519"
	"errors"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	golangjwt "github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/pawlauth/pawl/verify"
)

var errOutcome = errors.New("not the expected outcome")

// filled is the size of the cache that is kept full.
const filled = 1 << 10

// verification is of tokens that were not seen before: each side gets every
// token once after its preparation.
func (i *issuer) verification() Group {
	return Group{Name: Fresh, Sides: []Side{
		{Name: "ed25519.Verify alone", Prepare: i.rawEd25519},
		{Name: "pawl", Limit: pool, Prepare: func() (func() error, error) {
			v, err := i.verifier(cacheSize)
			return i.verify(v, i.tokens), err
		}},
		{Name: "pawl, cache full", Limit: pool - filled, Prepare: func() (func() error, error) {
			v, err := i.verifier(filled)
			if err != nil {
				return nil, err
			}
			fill := i.verify(v, i.tokens[:filled])
			for range filled {
				if err := fill(); err != nil {
					return nil, err
				}
			}
			return i.verify(v, i.tokens[filled:]), nil
		}},
		{Name: "pawl, no cache", Prepare: func() (func() error, error) {
			v, err := i.verifier(0)
			return i.verify(v, i.tokens), err
		}},
		{Name: "golang-jwt v5", Prepare: always(i.golangJWT())},
		{Name: "go-jose v4", Prepare: always(i.goJose())},
		{Name: "lestrrat jwx v3", Prepare: always(i.jwx())},
	}}
}

// again is of tokens that were verified before.
func (i *issuer) again() Group {
	return Group{Name: Again, Sides: []Side{
		{Name: "pawl", Prepare: func() (func() error, error) {
			v, err := i.verifier(cacheSize)
			if err != nil {
				return nil, err
			}
			const known = 1 << 10
			op := i.verify(v, i.tokens[:known])
			for range known {
				if err := op(); err != nil {
					return nil, err
				}
			}
			return op, nil
		}},
	}}
}

// verify goes through the tokens in turns.
func (i *issuer) verify(v *verify.Verifier, tokens []string) func() error {
	n := 0
	return func() error {
		raw := tokens[n]
		if n++; n == len(tokens) {
			n = 0
		}
		p, err := v.Verify(raw, time.Now())
		if err == nil && p.ClientID != client {
			err = errOutcome
		}
		return err
	}
}

func (i *issuer) rawEd25519() (func() error, error) {
	type signed struct{ message, signature []byte }
	all := make([]signed, len(i.tokens))
	for n, raw := range i.tokens {
		message, sig, err := signature(raw)
		if err != nil {
			return nil, err
		}
		all[n] = signed{message, sig}
	}
	n := 0
	return func() error {
		s := &all[n]
		if n++; n == len(all) {
			n = 0
		}
		if !ed25519.Verify(i.public, s.message, s.signature) {
			return errOutcome
		}
		return nil
	}, nil
}

// claims are Pawl's, for libraries that decode into a struct.
type claims struct {
	golangjwt.RegisteredClaims
	own
}

type own struct {
	ClientID   string   `json:"client_id"`
	Session    string   `json:"sid"`
	Generation uint32   `json:"gen"`
	AuthTime   int64    `json:"auth_time"`
	Methods    []string `json:"amr"`
	Scope      string   `json:"scope"`
}

func (i *issuer) golangJWT() func() error {
	parser := golangjwt.NewParser(golangjwt.WithValidMethods([]string{"EdDSA"}), golangjwt.WithIssuer(issuerName),
		golangjwt.WithAudience(issuerName), golangjwt.WithExpirationRequired(), golangjwt.WithIssuedAt(), golangjwt.WithLeeway(leeway))
	key := func(t *golangjwt.Token) (any, error) {
		if t.Header["kid"] != i.keyID {
			return nil, errOutcome
		}
		return i.public, nil
	}
	next := i.turns()
	return func() error {
		var c claims
		_, err := parser.ParseWithClaims(next(), &c, key)
		if err == nil && c.ClientID != client {
			err = errOutcome
		}
		return err
	}
}

func (i *issuer) goJose() func() error {
	next := i.turns()
	expected := jwt.Expected{Issuer: issuerName, AnyAudience: jwt.Audience{issuerName}}
	return func() error {
		t, err := jwt.ParseSigned(next(), algorithms)
		if err != nil {
			return err
		}
		var registered jwt.Claims
		var c own
		if err := t.Claims(i.public, &registered, &c); err != nil {
			return err
		}
		if c.ClientID != client || t.Headers[0].KeyID != i.keyID {
			return errOutcome
		}
		return registered.ValidateWithLeeway(expected.WithTime(time.Now()), leeway)
	}
}

func (i *issuer) jwx() func() error {
	next := i.turns()
	options := []jwxjwt.ParseOption{jwxjwt.WithKey(jwa.EdDSA(), i.public), jwxjwt.WithIssuer(issuerName),
		jwxjwt.WithAudience(issuerName), jwxjwt.WithAcceptableSkew(leeway)}
	return func() error {
		t, err := jwxjwt.ParseString(next(), options...)
		if err != nil {
			return err
		}
		var id string
		if err := t.Get("client_id", &id); err != nil || id != client {
			return errOutcome
		}
		return nil
	}
}
