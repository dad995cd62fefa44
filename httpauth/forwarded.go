package httpauth

import (
	"net/http"
	"net/url"
	"strings"
)

// Forwarded returns the request that a trusted proxy asks about: r with the
// method and the target that X-Forwarded-Method (or X-Original-Method) and
// X-Forwarded-Uri name. It is for telling what kind of request that was, where
// its client wants to go, and whether a proof was made for it; never for deciding
// what the client may: the proxy does not pass its request on by this header. It reports false if the peer is
// not trusted, or named no target, or several, or anything but a path of its
// own site.
func (p Proxies) Forwarded(r *http.Request) (*http.Request, bool) {
	targets := r.Header["X-Forwarded-Uri"]
	if !p.trustsPeer(r) || len(targets) != 1 || !strings.HasPrefix(targets[0], "/") {
		return nil, false
	}
	target, err := url.ParseRequestURI(targets[0])
	if err != nil {
		return nil, false
	}
	about := *r
	about.Method, about.URL, about.RequestURI = p.forwardedMethod(r), target, targets[0]
	return &about, true
}
