package httpauth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/token"
)

// The opening of a WebSocket and of a stream of events is a GET that browsers
// send for any page, with our cookies. These come with the cookies of a victim
// attached, as if there were no SameSite.
//
// Rows: 31, 39, A18.
func TestHandshakesOfOtherOriginsAreRefused(t *testing.T) {
	w := newWorld(t)
	id := token.NewID()
	access := w.access(t, id)
	socket := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	keyOnly := socket[3:]
	stream := []string{"Accept: text/event-stream"}
	for _, c := range []struct {
		name    string
		opening []string
		from    []string
		want    error
	}{
		{"socket of our page", socket, []string{"Origin: " + origin}, nil},
		{"socket of our page, new browser", socket, []string{"Sec-Fetch-Site: same-origin", "Origin: " + origin}, nil},
		{"socket of another site", socket, []string{"Origin: https://evil.example"}, httpauth.ErrCrossSite},
		{"socket of a sibling", socket, []string{"Sec-Fetch-Site: same-site", "Origin: https://sub.app.example"}, httpauth.ErrCrossSite},
		{"socket of a sandbox", socket, []string{"Origin: null"}, httpauth.ErrCrossSite},
		{"socket of nobody", socket, nil, httpauth.ErrCrossSite},
		{"socket by its key alone", keyOnly, []string{"Origin: https://evil.example"}, httpauth.ErrCrossSite},
		{"socket, origin in the path", socket, []string{"Origin: " + origin + "/"}, httpauth.ErrCrossSite},
		{"stream of our page", stream, []string{"Sec-Fetch-Site: same-origin"}, nil},
		{"stream of our page, old browser", stream, nil, nil},
		{"stream of another site", stream, []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, httpauth.ErrCrossSite},
		{"stream of another site, old browser", stream, []string{"Origin: https://evil.example"}, httpauth.ErrCrossSite},
		{"stream of a sibling", stream, []string{"Sec-Fetch-Site: same-site"}, httpauth.ErrCrossSite},
		{"stream of a sandbox", stream, []string{"Origin: null"}, httpauth.ErrCrossSite},
		{"stream among others", []string{"Accept: text/html, TEXT/EVENT-STREAM;q=0.9"}, []string{"Sec-Fetch-Site: cross-site"}, httpauth.ErrCrossSite},
		{"a link from another site", []string{"Accept: text/html"}, []string{"Sec-Fetch-Site: cross-site"}, nil},
	} {
		var refused error
		reached := false
		handler := w.Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }),
			func(_ http.ResponseWriter, _ *http.Request, err error) { refused = err })
		headers := append(append([]string{cookie(access)}, c.opening...), c.from...)
		handler.ServeHTTP(httptest.NewRecorder(), request("GET", "/events", headers...))
		if reached != (c.want == nil) || !errors.Is(refused, c.want) {
			t.Errorf("%s: reached %v, refused %v", c.name, reached, refused)
		}
		// Without a cookie there is nothing to ride on: a program with a token.
		reached = false
		headers = append(append([]string{"Authorization: Bearer " + access}, c.opening...), c.from...)
		handler.ServeHTTP(httptest.NewRecorder(), request("GET", "/events", headers...))
		if !reached {
			t.Errorf("%s, by a program: refused %v", c.name, refused)
		}
	}
}

// Rows: 34, 42, A20.
func TestRequireCSRFTokenWantsItBesideTheOrigin(t *testing.T) {
	w := newWorld(t, func(o *httpauth.Options) { o.RequireCSRFToken = true })
	mine, other := token.NewID(), token.NewID()
	access := cookie(w.access(t, mine))
	good, foreign := w.CSRF.Token(mine), w.CSRF.Token(other)
	const ours = "Sec-Fetch-Site: same-origin"
	for _, c := range []struct {
		name    string
		method  string
		headers []string
		want    error
	}{
		{"page without a token", "POST", []string{access, ours}, httpauth.ErrCSRFToken},
		{"another session's token", "POST", []string{access, ours, httpauth.CSRFHeader + ": " + foreign}, httpauth.ErrCSRFToken},
		{"page with its token", "POST", []string{access, ours, httpauth.CSRFHeader + ": " + good}, nil},
		{"put", "PUT", []string{access, ours}, httpauth.ErrCSRFToken},
		{"another site with the token", "POST", []string{access, "Sec-Fetch-Site: cross-site", httpauth.CSRFHeader + ": " + good}, httpauth.ErrCrossSite},
		{"old browser", "POST", []string{access, httpauth.CSRFHeader + ": " + good}, nil},
		{"read", "GET", []string{access, ours}, nil},
		{"socket", "GET", []string{access, ours, "Upgrade: websocket"}, nil},
		{"program", "POST", []string{"Authorization: Bearer " + w.access(t, mine)}, nil},
	} {
		if _, err := w.Authenticate(request(c.method, "/", c.headers...)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	// A login has no session to name; its origin is its proof.
	if err := w.CrossSite(request("POST", "/login", ours)); err != nil {
		t.Errorf("sign-in: %v", err)
	}
}

// A handler that has read its form leaves the token where it is.
//
// Rows: 34.
func TestTheCSRFTokenOfAParsedFormCounts(t *testing.T) {
	w := newWorld(t)
	id := token.NewID()
	for body, want := range map[string]error{
		"csrf_token=" + w.CSRF.Token(id):                                 nil,
		"csrf_token=" + w.CSRF.Token(token.NewID()):                      httpauth.ErrCrossSite,
		"csrf_token=" + w.CSRF.Token(id) + "&csrf_token=x":               httpauth.ErrCrossSite,
		url.Values{"other": {"csrf_token=" + w.CSRF.Token(id)}}.Encode(): httpauth.ErrCrossSite,
	} {
		r := httptest.NewRequest("POST", "/?csrf_token="+w.CSRF.Token(id), strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Cookie", httpauth.AccessCookie+"="+w.access(t, id))
		if err := r.ParseForm(); err != nil {
			t.Fatal(err)
		}
		if err := w.CrossSite(r); !errors.Is(err, want) {
			t.Errorf("%.20s: %v, want %v", body, err, want)
		}
	}
}
