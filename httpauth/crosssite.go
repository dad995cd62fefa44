package httpauth

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// CrossSite returns nil only if the request proves that a page of our own
// origin made it. The first of these that the request has decides:
//
//  1. A repeated Sec-Fetch-… or Origin header: [ErrRepeatedHeader].
//  2. Sec-Fetch-Site: "same-origin" passes; "same-site", "cross-site", "none"
//     and values not known yet are refused (W3C Fetch Metadata §2.3).
//  3. Origin: it must be exactly one of the site's; "null" never is.
//  4. A CSRF token of the session that the access cookie names, in
//     [CSRFHeader] or [CSRFField].
//
// Whatever has none of them is refused. Host and X-Forwarded-Host are never
// compared with, since the client chooses them. A refusal is recorded.
func (g *Guard) CrossSite(r *http.Request) error {
	err := g.judge(r)
	if errors.Is(err, ErrCrossSite) {
		g.Record(session.Event{Type: session.EventCrossSite, Origin: g.Proxies.Origin(r)})
	}
	return err
}

func (g *Guard) judge(r *http.Request) error {
	if err := CheckFetchHeaders(r.Header); err != nil {
		return err
	}
	proved := false
	if site := r.Header["Sec-Fetch-Site"]; len(site) == 1 {
		proved = site[0] == "same-origin"
	} else if origin := r.Header["Origin"]; len(origin) == 1 {
		proved = g.Site.Has(origin[0])
	} else {
		proved = g.provesCSRF(r)
	}
	if !proved {
		return ErrCrossSite
	}
	return nil
}

// CheckUse applies [Guard.CrossSite] where it must: to a use of our cookies
// by a method that may change something, to the opening of a WebSocket, and to
// that of a stream of events.
//
// With [Options.RequireCSRFToken], what may change something must carry the
// session's CSRF token besides, however well its origin is proved (NIST SP
// 800-63B-4 §5.1: the content of a POST holds a session identifier that is
// verified). A WebSocket cannot carry one and is no POST. Sign-in, renewal and
// sign-out work without a session that a page could know the token of: their
// origin is their proof.
func (g *Guard) CheckUse(r *http.Request, method string) error {
	reads := safe(method)
	if reads && !opensSocket(r.Header) && !(opensStream(r.Header) && FromBrowser(r)) || !CarriesCookie(r) {
		return nil
	}
	if err := g.CrossSite(r); err != nil {
		return err
	}
	if !reads && g.RequireCSRFToken && !g.provesCSRF(r) {
		g.Record(session.Event{Type: session.EventCrossSite, Reason: "csrf_token", Origin: g.Proxies.Origin(r)})
		return ErrCSRFToken
	}
	return nil
}

// CheckForwarded is [Guard.CheckUse] for a request that a trusted proxy asks
// about: the method is the one it names, and an unsafe one if it names none.
func (g *Guard) CheckForwarded(r *http.Request) error {
	return g.CheckUse(r, g.Proxies.forwardedMethod(r))
}

// safe reports whether a request of that method changes nothing (RFC 9110
// §9.2.1).
func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// opensSocket: the opening of a WebSocket is a GET, but what it opens is not,
// and browsers let any site open one with our cookies (RFC 6455 §10.2).
func opensSocket(h http.Header) bool { return len(h["Upgrade"]) > 0 || len(h["Sec-Websocket-Key"]) > 0 }

// opensStream: a page of another origin cannot read a stream of events that it
// opens, but it holds it open. Every browser that lets one do so says where
// the request comes from; one that says nothing asks for a stream of its own
// origin.
func opensStream(h http.Header) bool {
	return strings.Contains(strings.ToLower(strings.Join(h["Accept"], ",")), "text/event-stream")
}

// browserHeaders are what only browsers send, in canonical form.
var browserHeaders = []string{"Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Fetch-User", "Origin"}

// CheckFetchHeaders returns [ErrRepeatedHeader] if one of the headers in which
// a browser tells who made the request is there twice: what reads the first
// and what reads the last would disagree.
func CheckFetchHeaders(h http.Header) error {
	for _, name := range browserHeaders {
		if len(h[name]) > 1 {
			return ErrRepeatedHeader
		}
	}
	return nil
}

// FromBrowser reports whether a browser made the request: only one sends
// these headers without being told to. Sec-Fetch-Mode alone does not count: fetch
// in Node sends it, and browsers send it with Sec-Fetch-Site only (W3C Fetch
// Metadata §3).
func FromBrowser(r *http.Request) bool {
	for _, name := range browserHeaders {
		if name != "Sec-Fetch-Mode" && len(r.Header[name]) > 0 {
			return true
		}
	}
	return false
}

// provesCSRF checks the CSRF token against the session of the access cookie.
// That cookie need not be verified here: another site cannot plant one, and
// the token is worth nothing without a key of ours.
func (g *Guard) provesCSRF(r *http.Request) bool {
	access := Cookies(r, AccessCookie)
	if len(access) != 1 {
		return false
	}
	id, err := token.WitnessOf(access[0])
	return err == nil && g.CSRF.Check(id, csrfOf(r))
}

func csrfOf(r *http.Request) string {
	switch lines := r.Header[http.CanonicalHeaderKey(CSRFHeader)]; len(lines) {
	case 0:
		return csrfField(r)
	case 1:
		return lines[0]
	}
	return ""
}

// maxForm is how much of a form is read, in bytes, to find the CSRF token.
const maxForm = 1 << 16

// csrfField looks into a form and leaves the body as it was for the handler.
func csrfField(r *http.Request) string {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" || r.Body == nil {
		return ""
	}
	if r.PostForm != nil { // the handler has read the body already
		return onlyValue(r.PostForm)
	}
	read, err := io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(read), r.Body), r.Body}
	if err != nil || len(read) > maxForm {
		return ""
	}
	form, err := url.ParseQuery(string(read))
	if err != nil {
		return ""
	}
	return onlyValue(form)
}

func onlyValue(form url.Values) string {
	if len(form[CSRFField]) != 1 {
		return ""
	}
	return form[CSRFField][0]
}
