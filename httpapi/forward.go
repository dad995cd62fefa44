package httpapi

import "net/http"

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
	p, err := a.Guard.Identify(r)
	if err != nil {
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
