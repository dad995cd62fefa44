package httpauth

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/pawlauth/pawl/dpop"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

// Options are what a guard is made of. Every field is required, except
// RequireCSRFToken and those of DPoP; the zero Proxies believe nobody.
type Options struct {
	Site     *Site
	Proxies  Proxies
	CSRF     *CSRF
	Verifier *verify.Verifier
	// Note is told of every good use of an access token, as
	// [session.Confirmations.Note] wants to be. It must not block.
	Note      func(session.Use, time.Time)
	Record    func(session.Event)   // must not block
	Pseudonym func(token.ID) string // names a session in events
	Now       func() time.Time      // this node's clock
	// RequireCSRFToken wants a CSRF token besides with every use of a session
	// that may change something; see [Guard.CheckUse].
	RequireCSRFToken bool
	// RequireBound lets only sessions through [Guard.Protect] that are bound to a
	// key; see [Guard.CheckBound].
	RequireBound bool
	// DPoP judges the proofs of tokens that are bound to a key (RFC 9449). Nil:
	// no such token is accepted.
	DPoP *dpop.Verifier
	// RequireDPoP refuses every token in Authorization that is not bound to a
	// key (OWASP ASVS 5.0 §10.3.5).
	RequireDPoP bool
}

// A Guard judges requests. It is safe for concurrent use.
type Guard struct{ Options }

// NewGuard checks the options and returns a guard, or every fault at once.
func NewGuard(o Options) (*Guard, error) {
	var faults []error
	require := func(given bool, name string) {
		if !given {
			faults = append(faults, fmt.Errorf("%s is missing", name))
		}
	}
	require(o.Site != nil, "site")
	require(o.CSRF != nil, "CSRF")
	require(o.Verifier != nil, "verifier")
	require(o.Note != nil, "note")
	require(o.Record != nil, "record")
	require(o.Pseudonym != nil, "pseudonym")
	require(o.Now != nil, "clock")
	require(o.DPoP != nil || !o.RequireDPoP, "what judges the proofs that are required")
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("httpauth: guard: %w", err)
	}
	return &Guard{o}, nil
}

// Protect returns a handler that runs next with the principal in the context
// (see [verify.FromContext]) if the request is admitted, is not another
// site's, and carries a good access token; otherwise it answers with refuse,
// and next never runs.
//
// The answer varies by who asks, so it says so and is not to be stored by any
// cache; a handler whose answer may be kept replaces Cache-Control.
func (g *Guard) Protect(next http.Handler, refuse Refuse) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", Vary)
		w.Header().Set("Cache-Control", "no-store")
		g.OfferNonce(w, r)
		principal, err := g.Authenticate(r)
		if err = g.CheckBoundIf(r, principal, err); err != nil {
			refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(verify.NewContext(r.Context(), principal)))
	})
}

// Vary names the headers that decide who asks, and whether they may.
const Vary = "Authorization, Cookie, Origin, Sec-Fetch-Site"

// Authenticate returns who makes a request, or why it is refused: everything
// that [Guard.Protect] asks.
func (g *Guard) Authenticate(r *http.Request) (*verify.Principal, error) {
	if err := g.Admit(r); err != nil {
		return nil, err
	}
	if err := g.CheckUse(r, r.Method); err != nil {
		return nil, err
	}
	return g.Identify(r)
}

// Admit returns [ErrMisdirected] unless the request is for this site, and
// [ErrInsecure] unless it came over https. Plain http is served for an origin
// that says so, which only a loopback name can.
func (g *Guard) Admit(r *http.Request) error {
	if err := g.Site.checkHost(r); err != nil {
		return err
	}
	if !g.Proxies.HTTPS(r) && !g.Site.servedPlain(r.Host) {
		return ErrInsecure
	}
	return nil
}

// Identify verifies the request's one credential. It does not ask who made
// the request: see [Guard.CheckUse]. A proof of possession that comes with it is
// used up: ask once. The error is of this package, of package verify or of
// package dpop.
func (g *Guard) Identify(r *http.Request) (*verify.Principal, error) { return g.identify(r, false) }

// IdentifyForwarded is [Guard.Identify] for a request that a trusted proxy asks
// about: a proof must be for the method and the target that it names.
func (g *Guard) IdentifyForwarded(r *http.Request) (*verify.Principal, error) {
	return g.identify(r, true)
}

func (g *Guard) identify(r *http.Request, forwarded bool) (*verify.Principal, error) {
	c, err := CredentialOf(r)
	if err != nil {
		if errors.Is(err, ErrDuplicateCookie) {
			g.RecordDuplicate(r, AccessCookie)
		}
		return nil, err
	}
	now := g.Now()
	p, err := g.Verifier.VerifyBound(c.Token, now)
	if err != nil {
		g.recordUseAfterEnd(r, c.Token, err)
		g.recordSkipped(r, c.Token, err)
		return nil, err
	}
	switch {
	case c.Transport == session.Bearer:
		if err := g.prove(r, c, p, forwarded); err != nil {
			return nil, err
		}
	case p.Thumbprint != "":
		// Nor must it work in a cookie, which no proof comes with.
		return nil, g.deny(r, p, "binding_unproved", ErrUnproved)
	}
	g.Note(session.Use{Session: p.Session, Generation: p.Generation, IssuedAt: p.IssuedAt}, now)
	return p, nil
}

// RecordDuplicate records that a cookie name came more than once: a sibling
// domain may be planting cookies.
func (g *Guard) RecordDuplicate(r *http.Request, name string) {
	g.Record(session.Event{Type: session.EventDuplicateCookie, Reason: name, Origin: g.Proxies.Origin(r)})
}

// recordUseAfterEnd records the use of a genuine token whose session is over.
// Only for such a token may the session be read out of it.
func (g *Guard) recordUseAfterEnd(r *http.Request, raw string, why error) {
	if !errors.Is(why, verify.ErrRevoked) {
		return
	}
	if id, err := token.WitnessOf(raw); err == nil {
		g.Record(session.Event{Type: session.EventUsedAfterEnd, Session: g.Pseudonym(id), Origin: g.Proxies.Origin(r)})
	}
}
