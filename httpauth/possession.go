package httpauth

import (
	"errors"
	"net/http"

	"github.com/pawlauth/pawl/dpop"
	"github.com/pawlauth/pawl/verify"
)

// The headers of DPoP (RFC 9449 §4.1 and §8.1), in canonical form.
const (
	ProofHeader = "Dpop"
	NonceHeader = "Dpop-Nonce"
)

// OfferNonce puts a fresh nonce of this resource into the answer to a request
// that carries a proof, so that a client in use never has to be told to fetch
// one (RFC 9449 §8.2).
func (g *Guard) OfferNonce(w http.ResponseWriter, r *http.Request) {
	if g.DPoP != nil && len(r.Header[ProofHeader]) > 0 {
		w.Header().Set(NonceHeader, g.DPoP.Nonces.Newest(g.Now()))
	}
}

// Target is what a proof must be made for that comes with the request: its
// method, and its path at the origin that the site has under the host that it
// names. A host that is not of an origin is a proxy's name for this server:
// then it may be any of the site's. What the client or a proxy says in
// X-Forwarded-Host does not count.
func (g *Guard) Target(r *http.Request) dpop.Target {
	t := dpop.Target{Method: r.Method}
	for _, origin := range g.Site.originsAt(r.Host) {
		t.URLs = append(t.URLs, origin+r.URL.EscapedPath())
	}
	return t
}

// prove returns why a token that came in Authorization may not be used by this
// request: one that is bound needs a proof of its key, for exactly this request,
// that was not used before (RFC 9449 §7). With forwarded, it is for the request
// that a trusted proxy asks about.
func (g *Guard) prove(r *http.Request, c Credential, p *verify.Principal, forwarded bool) error {
	switch {
	case p.Thumbprint == "" && (c.Proved || g.RequireDPoP):
		return g.deny(r, p, "token_unbound", ErrNotBound)
	case p.Thumbprint == "" && p.Device == "":
		return nil
	// A stolen token must not work by leaving the proof away (§7.2), and one of
	// a browser's session has left its cookie.
	case !c.Proved || g.DPoP == nil || p.Device != "":
		return g.deny(r, p, "binding_unproved", ErrUnproved)
	}
	about := r
	if forwarded {
		var ok bool
		if about, ok = g.Proxies.Forwarded(r); !ok {
			return g.deny(r, p, "proof_refused", dpop.ErrURL) // nobody says what is asked for
		}
	}
	target := g.Target(about)
	target.Token, target.Thumbprint = c.Token, p.Thumbprint
	now := g.Now()
	proof, err := g.DPoP.Check(r.Header[ProofHeader], target, now)
	if err == nil {
		err = g.DPoP.Spend(r.Context(), proof, now)
	}
	return g.refusedProof(r, p, err)
}

// refusedProof records a proof that is no good. One that only lacks a nonce is
// an ordinary step of every client.
func (g *Guard) refusedProof(r *http.Request, p *verify.Principal, err error) error {
	if errors.Is(err, dpop.ErrProof) {
		return g.deny(r, p, "proof_refused", err)
	}
	return err
}

// NeedsProof reports whether a refusal is to be told under the scheme DPoP: the
// request used it, or should have.
func NeedsProof(r *http.Request, err error) bool {
	if errors.Is(err, ErrUnproved) || errors.Is(err, ErrNotBound) {
		return true
	}
	c, credentialErr := CredentialOf(r)
	return credentialErr == nil && c.Proved
}
