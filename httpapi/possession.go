package httpapi

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/pawlauth/pawl/dpop"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
)

// Where tokens are issued, what is wrong with a proof is a bad request (RFC
// 9449 §5 and §8); where they are used, it is a request without a login (§7.1).
var (
	errIssuerProof = errors.New("httpapi: a proof of possession is no good")
	errIssuerNonce = errors.New("httpapi: a proof of possession needs a nonce")
)

// offerNonce puts a fresh nonce into the answer to a request that carries a
// proof: of the issuer on the routes that give tokens, else of the resource.
func (a *API) offerNonce(rt *route, w http.ResponseWriter, r *http.Request) {
	if rt.shared != clients {
		a.Guard.OfferNonce(w, r)
	} else if a.DPoP != nil && len(r.Header[httpauth.ProofHeader]) > 0 {
		w.Header().Set(httpauth.NonceHeader, a.DPoP.Nonces.Newest(a.Guard.Now()))
	}
}

// possession returns the proof that comes with a request for tokens, not used up
// yet; nil if there is none and none is required.
func (a *API) possession(r *http.Request, required bool) (*dpop.Proof, error) {
	lines := r.Header[httpauth.ProofHeader]
	switch {
	case len(lines) == 0 && !required:
		return nil, nil
	case a.DPoP == nil:
		// Who proves a key would take the tokens for bound ones.
		return nil, errIssuerProof
	}
	p, err := a.DPoP.Check(lines, a.Guard.Target(r), a.Guard.Now())
	return p, atIssuer(err)
}

// spend uses a proof up, if there is one.
func (a *API) spend(r *http.Request, p *dpop.Proof) error {
	if p == nil {
		return nil
	}
	return atIssuer(a.DPoP.Spend(r.Context(), p, a.Guard.Now()))
}

func atIssuer(err error) error {
	switch {
	case errors.Is(err, dpop.ErrProof):
		return fmt.Errorf("%w: %w", errIssuerProof, err)
	case errors.Is(err, dpop.ErrNonce):
		return errIssuerNonce
	}
	return err
}

// bindingOf is the binding of a session that starts with a proof.
func bindingOf(p *dpop.Proof) session.Binding {
	if p == nil {
		return session.Binding{}
	}
	return session.Binding{Kind: session.DPoP, Thumbprint: p.Thumbprint}
}

// mayStay returns an error if a session is renewed that is not bound, although
// its client must have bound ones by now.
func (a *API) mayStay(row *session.Row) error {
	if c, ok := a.client(row.ClientID); ok && c.RequireDPoP && row.Binding.Kind != session.DPoP {
		return &session.Refusal{Reason: session.ReasonUnproved}
	}
	return nil
}
