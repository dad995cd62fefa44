package httpauth_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// Rows: 24, 25, 26, 27, 28, 29, 43, A11, A12, A18.
func TestTheCrossSiteRule(t *testing.T) {
	sites := []string{"", "same-origin", "same-site", "cross-site", "none", "bogus", "Same-Origin", "same-origin, cross-site", "empty", "twice"}
	origins := []string{"", origin, "http://app.example", "https://app.example:8443", "https://app.example.evil.example", "https://evil.example",
		"https://APP.example", "null", "empty", "twice"}
	header := func(h http.Header, name, value, double string) {
		switch value {
		case "":
		case "empty":
			h[name] = []string{""}
		case "twice":
			h[name] = []string{double, double}
		default:
			h[name] = []string{value}
		}
	}
	for _, site := range sites {
		for _, from := range origins {
			w := newWorld(t)
			r := request("POST", "/", cookie(w.access(t, token.NewID())))
			header(r.Header, "Sec-Fetch-Site", site, "same-origin")
			header(r.Header, "Origin", from, origin)
			want := httpauth.ErrCrossSite
			switch {
			case site == "twice" || from == "twice":
				want = httpauth.ErrRepeatedHeader
			case site == "same-origin", site == "" && from == origin:
				want = nil
			}
			if err := w.CrossSite(r); !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("Sec-Fetch-Site %q, Origin %q: %v, want %v", site, from, err, want)
			}
			recorded := slices.Contains(w.eventTypes(), session.EventCrossSite)
			if recorded != (want == httpauth.ErrCrossSite) {
				t.Errorf("Sec-Fetch-Site %q, Origin %q: recorded %v", site, from, recorded)
			}
		}
	}
}

// Rows: 27.
func TestTheHostIsNoReferenceForTheOrigin(t *testing.T) {
	w := newWorld(t)
	r := request("POST", "/", "Origin: https://evil.example", "X-Forwarded-Host: evil.example")
	r.Host = "evil.example"
	if err := w.CrossSite(r); !errors.Is(err, httpauth.ErrCrossSite) {
		t.Errorf("Host and Origin agree with each other only: %v", err)
	}
}

// Rows: 29.
func TestRepeatedFetchHeadersAreRefused(t *testing.T) {
	for _, name := range []string{"Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Fetch-User", "Origin"} {
		r := request("POST", "/", "Sec-Fetch-Site: same-origin")
		r.Header[name] = []string{"same-origin", "same-origin"}
		if err := newWorld(t).CrossSite(r); !errors.Is(err, httpauth.ErrRepeatedHeader) {
			t.Errorf("two %s lines: %v", name, err)
		}
	}
}

// Rows: 34, A20.
func TestTheCSRFTokenDecidesWhereTheBrowserSaysNothing(t *testing.T) {
	w := newWorld(t)
	mine, other := token.NewID(), token.NewID()
	good, foreign := w.CSRF.Token(mine), w.CSRF.Token(other)
	form := func(body string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
			r.Body = io.NopCloser(strings.NewReader(body))
		}
	}
	set := func(values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(httpauth.CSRFHeader)] = values }
	}
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		passes bool
	}{
		{"nothing", func(*http.Request) {}, false},
		{"header", set(good), true},
		{"header of another session", set(foreign), false},
		{"header twice", set(good, good), false},
		{"form field", form("a=b&csrf_token=" + good), true},
		{"form field of another session", form("csrf_token=" + foreign), false},
		{"form field twice", form("csrf_token=" + good + "&csrf_token=" + good), false},
		{"malformed form", form("csrf_token=" + good + ";%zz"), false},
		{"field after too much", form(strings.Repeat("a", 1<<17) + "&csrf_token=" + good), false},
		{"field before too much", form("csrf_token=" + good + "&a=" + strings.Repeat("a", 1<<17)), false}, // another may follow
		{"bad header beats the field", func(r *http.Request) { form("csrf_token=" + good)(r); set("x")(r) }, false},
		{"other media type", func(r *http.Request) { form("csrf_token=" + good)(r); r.Header.Set("Content-Type", "text/plain") }, false},
		{"query", func(r *http.Request) { r.URL.RawQuery = "csrf_token=" + good }, false},
		{"cookie", func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "csrf_token", Value: good}) }, false},
		{"without the access cookie", func(r *http.Request) { r.Header.Del("Cookie"); set(good)(r) }, false},
		{"two access cookies", func(r *http.Request) { r.Header.Add("Cookie", r.Header.Get("Cookie")); set(good)(r) }, false},
		{"cross-site beats it", func(r *http.Request) { set(good)(r); r.Header.Set("Sec-Fetch-Site", "cross-site") }, false},
		{"foreign origin beats it", func(r *http.Request) { set(good)(r); r.Header.Set("Origin", "https://evil.example") }, false},
	} {
		r := request("POST", "/", cookie(w.access(t, mine)))
		c.change(r)
		if err := w.CrossSite(r); (err == nil) != c.passes {
			t.Errorf("%s: %v, want passes %v", c.name, err, c.passes)
		}
	}
}

func TestTheHandlerStillSeesTheForm(t *testing.T) {
	w := newWorld(t)
	for _, size := range []int{10, 1 << 18} {
		body := "csrf_token=x&a=" + strings.Repeat("b", size)
		r := request("POST", "/", cookie(w.access(t, token.NewID())), "Content-Type: application/x-www-form-urlencoded")
		r.Body = io.NopCloser(strings.NewReader(body))
		if err := w.CrossSite(r); !errors.Is(err, httpauth.ErrCrossSite) {
			t.Fatal(err)
		}
		if left, err := io.ReadAll(r.Body); err != nil || string(left) != body {
			t.Errorf("%d of %d bytes are left, %v", len(left), len(body), err)
		}
	}
}

// Rows: 24, 30, 31, A15, A19.
func TestOnlyUnsafeUsesOfCookiesAreJudged(t *testing.T) {
	w := newWorld(t)
	access := w.access(t, token.NewID())
	for _, c := range []struct {
		method  string
		headers []string
		judged  bool
	}{
		{"GET", []string{cookie(access)}, false},
		{"HEAD", []string{cookie(access)}, false},
		{"OPTIONS", []string{cookie(access)}, false},
		{"POST", []string{cookie(access)}, true},
		{"PUT", []string{cookie(access)}, true},
		{"DELETE", []string{cookie(access)}, true},
		{"PATCH", []string{cookie(access)}, true},
		{"TRACE", []string{cookie(access)}, true},
		{"get", []string{cookie(access)}, true},
		{"PROPFIND", []string{cookie(access)}, true},
		{"POST", []string{"Cookie: " + httpauth.RefreshCookie + "=x"}, true},
		{"POST", []string{"Cookie: other=x"}, false},
		{"POST", []string{"Authorization: Bearer " + access}, false},
		{"GET", []string{cookie(access), "Upgrade: websocket", "Connection: Upgrade"}, true},
		{"GET", []string{cookie(access), "Sec-WebSocket-Key: x"}, true},
		{"GET", []string{"Authorization: Bearer " + access, "Upgrade: websocket"}, false},
	} {
		r := request(c.method, "/", append(c.headers, "Sec-Fetch-Site: cross-site")...)
		if err := w.CheckUse(r, r.Method); errors.Is(err, httpauth.ErrCrossSite) != c.judged {
			t.Errorf("%s with %q: %v, want judged %v", c.method, c.headers, err, c.judged)
		}
	}
}

// Rows: 24, 64.
func TestForwardedMethodsAreThoseOfTrustedProxies(t *testing.T) {
	w := newWorld(t, func(o *httpauth.Options) {
		var err error
		o.Proxies, err = httpauth.NewProxies("10.0.0.0/8")
		must(t, err)
	})
	access := cookie(w.access(t, token.NewID()))
	for _, c := range []struct {
		peer    string
		headers []string
		judged  bool
	}{
		{"10.0.0.1:5", nil, true},
		{"10.0.0.1:5", []string{"X-Forwarded-Method: GET"}, false},
		{"10.0.0.1:5", []string{"X-Original-Method: HEAD"}, false},
		{"10.0.0.1:5", []string{"X-Forwarded-Method: POST"}, true},
		{"10.0.0.1:5", []string{"X-Forwarded-Method: "}, true},
		{"10.0.0.1:5", []string{"X-Forwarded-Method: GET", "X-Original-Method: GET"}, false},
		{"10.0.0.1:5", []string{"X-Forwarded-Method: GET", "X-Original-Method: POST"}, true},
		{"10.0.0.1:5", []string{"X-Forwarded-Method: GET", "X-Forwarded-Method: POST"}, true},
		{"10.0.0.1:5", []string{"X-Forwarded-Method: GET", "Upgrade: websocket"}, true},
		{"192.0.2.1:5", []string{"X-Forwarded-Method: GET"}, true},
	} {
		r := request("GET", "/", append(c.headers, access, "Sec-Fetch-Site: cross-site")...)
		r.RemoteAddr = c.peer
		if err := w.CheckForwarded(r); errors.Is(err, httpauth.ErrCrossSite) != c.judged {
			t.Errorf("%s with %q: %v, want judged %v", c.peer, c.headers, err, c.judged)
		}
	}
}

func TestBrowsersAreKnownByTheirHeaders(t *testing.T) {
	for _, name := range []string{"Sec-Fetch-Site", "Sec-Fetch-Dest", "Sec-Fetch-User", "Origin"} {
		if !httpauth.FromBrowser(request("GET", "/", fmt.Sprintf("%s: x", name))) {
			t.Errorf("%s is not seen", name)
		}
	}
	if httpauth.FromBrowser(request("GET", "/", "User-Agent: node", "Sec-Fetch-Mode: cors")) {
		t.Error("fetch of Node is taken for a browser")
	}
	if httpauth.FromBrowser(request("GET", "/", "User-Agent: curl/8")) {
		t.Error("curl is taken for a browser")
	}
}
