package httpapi

import (
	"fmt"
	"net/http"

	"github.com/pawlauth/pawl/session"
)

// The headers in which forward auth tells a proxy who asks. The proxy must
// take these names out of what its clients send before it copies ours in.
const (
	UserHeader    = "X-Auth-User"
	SessionHeader = "X-Auth-Session"
	ClientHeader  = "X-Auth-Client"
	ScopeHeader   = "X-Auth-Scope"
)

// verify answers a reverse proxy that asks whether to pass a request on. It
// reads only. The request's method is the one that a trusted proxy names; the
// origin rule of the route has judged it.
func (a *API) verify(w http.ResponseWriter, r *http.Request) error {
	p, err := a.Guard.IdentifyForwarded(r)
	if err = a.Guard.CheckBoundIf(r, p, err); err != nil {
		return err
	}
	h := w.Header()
	h.Set(UserHeader, p.UserID)
	h.Set(SessionHeader, p.Session.String())
	h.Set(ClientHeader, p.ClientID)
	h.Set(ScopeHeader, p.Scope) // also if empty, so that a proxy overwrites what a client sent
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// refusal answers, in the application's place, the client of a request that
// verify has just refused: a proxy that only hears yes or no (nginx) cannot
// pass on what verify had to say. It never succeeds, since a success would
// tell the client that the application did what it was asked to.
func (a *API) refusal(_ http.ResponseWriter, r *http.Request) error {
	p, err := a.Guard.IdentifyForwarded(r)
	if err = a.Guard.CheckBoundIf(r, p, err); err != nil {
		return err
	}
	return errGoodNow
}

// errGoodNow: between the two questions the key set, the feed of ended
// sessions or this server came back.
var errGoodNow = fmt.Errorf("httpapi: the request was refused a moment ago and is good now: %w", session.ErrUnavailable)

// refuseForwarded answers a failure of forward auth. A proxy that names the
// target passes the answer on to its client, so it is the one that the client
// would get from [API.Refuse]; to any other it says no.
func (a *API) refuseForwarded(w http.ResponseWriter, r *http.Request, err error) {
	if about, ok := a.Guard.Proxies.Forwarded(r); ok {
		a.Refuse(w, about, err)
		return
	}
	a.refuseProblem(w, r, err)
}
