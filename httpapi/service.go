package httpapi

import (
	"errors"
	"net/http"
	"slices"

	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
)

// AuthenticateService returns the service whose name and secret the request
// carries (HTTP Basic, RFC 7617), if it was given one of the scopes. What fails is
// recorded. Who fails too often is told to wait, and not looked up meanwhile; so
// are others of the same network, but for credentials that were right within
// the last hour in this process. The error, if any, is for [Describe] or
// [ProblemOf]; a 401 is to be sent with [ServiceChallenge].
func (a *API) AuthenticateService(r *http.Request, scopes ...service.Scope) (service.Service, error) {
	name, secret, ok := r.BasicAuth()
	if !ok || a.Services == nil || len(r.Header["Authorization"]) != 1 {
		return service.Service{}, errService
	}
	from, now, proof := a.Guard.Proxies.Origin(r), a.Guard.Now(), proofOf(name, secret)
	if a.services.reached(from.Address, now) && !a.proved.has(proof) {
		a.Engine.Record(session.Event{Type: session.EventRateLimited, Reason: "service", Origin: from})
		return service.Service{}, errTooManyFailures
	}
	found, err := a.Services.Authenticate(r.Context(), name, secret)
	switch {
	case errors.Is(err, service.ErrCredentials):
		a.services.count(from.Address, now)
		a.proved.note(proof, false)
		// Not the name: it may be a secret that got into the wrong place.
		a.Engine.Record(session.Event{Type: session.EventServiceRefused, Origin: from})
		return service.Service{}, err
	case err != nil:
		return service.Service{}, err
	}
	a.proved.note(proof, true)
	if !slices.ContainsFunc(scopes, found.May) {
		a.Engine.Record(session.Event{Type: session.EventAccessDenied, Reason: missing(scopes), Actor: found.Name, Origin: from})
		return service.Service{}, errServiceScope
	}
	return found, nil
}

// missing names the scope that a service would need.
func missing(scopes []service.Scope) string {
	if len(scopes) != 1 {
		return "scope"
	}
	return string(scopes[0])
}

// ServiceChallenge is the WWW-Authenticate of an answer to whoever is no
// service (RFC 7617 §2).
const ServiceChallenge = `Basic realm="pawl", charset="UTF-8"`
