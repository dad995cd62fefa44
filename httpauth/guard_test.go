package httpauth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

func TestGuardReportsEveryFaultAtOnce(t *testing.T) {
	_, err := httpauth.NewGuard(httpauth.Options{})
	joined, ok := errors.Unwrap(err).(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 7 {
		t.Errorf("got %v, want seven faults", err)
	}
}

// Rows: 24, 33, 41, 77, 79, 93, 99, 100, 101, A11, A27, A33, A41, A57, A88.
func TestProtectLetsOnlyGoodRequestsThrough(t *testing.T) {
	w := newWorld(t)
	mine, over := token.NewID(), token.NewID()
	w.ended[over] = true
	good := w.access(t, mine)
	expired := w.access(t, mine, func(c *token.Claims) { c.IssuedAt -= 600; c.AuthTime -= 600; c.Expires -= 600 })
	foreign := w.access(t, mine, func(c *token.Claims) { c.Audience = "other" })
	bound := w.access(t, mine, func(c *token.Claims) { c.Binding = &token.Confirmation{Thumbprint: "k"} })
	device := w.access(t, mine, func(c *token.Claims) { c.Binding = &token.Confirmation{Device: "k"} })
	for _, c := range []struct {
		name    string
		request *http.Request
		err     error
	}{
		{"cookie", request("GET", "/", cookie(good)), nil},
		{"bearer", request("POST", "/", "Authorization: Bearer "+good), nil},
		{"our own page", request("POST", "/", cookie(good), "Sec-Fetch-Site: same-origin"), nil},
		{"another site", request("POST", "/", cookie(good), "Sec-Fetch-Site: cross-site"), httpauth.ErrCrossSite},
		{"nobody knows who", request("POST", "/", cookie(good)), httpauth.ErrCrossSite},
		{"nothing", request("GET", "/"), httpauth.ErrNoCredential},
		{"two cookies", request("GET", "/", cookie(good), cookie(good)), httpauth.ErrDuplicateCookie},
		{"both", request("GET", "/", cookie(good), "Authorization: Bearer "+good), httpauth.ErrTwoCredentials},
		{"expired", request("GET", "/", cookie(expired)), verify.ErrExpired},
		{"for another", request("GET", "/", cookie(foreign)), verify.ErrAudience},
		{"over", request("GET", "/", cookie(w.access(t, over))), verify.ErrRevoked},
		{"cut", request("GET", "/", cookie(good[:len(good)-5])), verify.ErrMalformed},
		{"a refresh token", request("GET", "/", cookie("pawl_rt_AAAA")), verify.ErrMalformed},
		{"bound, as bearer", request("GET", "/", "Authorization: Bearer "+bound), httpauth.ErrUnproved},
		{"bound, as cookie", request("GET", "/", cookie(bound)), httpauth.ErrUnproved},
		{"of a browser's key, as cookie", request("GET", "/", cookie(device)), nil},
		{"of a browser's key, as bearer", request("GET", "/", "Authorization: Bearer "+device), httpauth.ErrUnproved},
		{"plain http", plain(request("GET", "/", cookie(good))), httpauth.ErrInsecure},
		{"a stranger's host", hosted("evil.example", request("GET", "/", cookie(good))), httpauth.ErrMisdirected},
	} {
		var refused error
		reached := false
		handler := w.Protect(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			reached = true
			if p, ok := verify.FromContext(r.Context()); !ok || p.UserID != "u_ada" || p.Session != mine {
				t.Errorf("%s: principal %+v", c.name, p)
			}
		}), func(_ http.ResponseWriter, _ *http.Request, err error) { refused = err })
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, c.request)
		if reached != (c.err == nil) || !errors.Is(refused, c.err) {
			t.Errorf("%s: reached %v, refused %v, want %v", c.name, reached, refused, c.err)
		}
		h := answer.Header()
		if h.Get("Cache-Control") != "no-store" || h.Get("Vary") != httpauth.Vary || h["Set-Cookie"] != nil {
			t.Errorf("%s: headers %v", c.name, h)
		}
	}
}

// Rows: 58.
func TestAHandlerMayLetItsAnswerBeKept(t *testing.T) {
	w := newWorld(t)
	answer := httptest.NewRecorder()
	w.Protect(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Header().Set("Cache-Control", "private, max-age=60") }),
		nil).ServeHTTP(answer, request("GET", "/", cookie(w.access(t, token.NewID()))))
	if got := answer.Header().Get("Cache-Control"); got != "private, max-age=60" {
		t.Errorf("Cache-Control %q", got)
	}
}

func TestGoodUsesAreNoted(t *testing.T) {
	w := newWorld(t)
	id := token.NewID()
	access := w.access(t, id, func(c *token.Claims) { c.Generation = 7; c.IssuedAt -= 60; c.AuthTime -= 60 })
	if _, err := w.Identify(request("GET", "/", cookie(access))); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Identify(request("GET", "/", cookie(access+"x"))); err == nil {
		t.Fatal("a changed token is good")
	}
	want := session.Use{Session: id, Generation: 7, IssuedAt: w.now.Add(-time.Minute)}
	if len(w.uses) != 1 || w.uses[0].Session != want.Session || w.uses[0].Generation != 7 || !w.uses[0].IssuedAt.Equal(want.IssuedAt) {
		t.Errorf("noted %+v, want %+v", w.uses, want)
	}
}

// Rows: 9, 43, 236.
func TestRefusalsThatMatterAreRecorded(t *testing.T) {
	over := token.NewID()
	for want, headers := range map[session.EventType]func(*world) []string{
		session.EventDuplicateCookie: func(w *world) []string { return []string{cookie("a"), cookie("b")} },
		session.EventUsedAfterEnd:    func(w *world) []string { w.ended[over] = true; return []string{cookie(w.access(t, over))} },
	} {
		w := newWorld(t)
		r := request("GET", "/", headers(w)...)
		r.RemoteAddr = "192.0.2.77:5"
		if _, err := w.Identify(r); err == nil {
			t.Errorf("%s: no error", want)
		}
		if len(w.events) != 1 || w.events[0].Type != want || w.events[0].Address != "192.0.2.0/24" {
			t.Errorf("recorded %+v, want one %s", w.events, want)
		}
		if want == session.EventUsedAfterEnd && w.events[0].Session != w.master.Pseudonyms()(over) {
			t.Errorf("session %q", w.events[0].Session)
		}
	}
}

func plain(r *http.Request) *http.Request {
	r.TLS = nil
	return r
}

func hosted(host string, r *http.Request) *http.Request {
	r.Host = host
	return r
}

func TestProtectAllocatesLittle(t *testing.T) {
	w := newWorld(t)
	handler := w.Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), nil)
	r, answer := request("GET", "/", cookie(w.access(t, token.NewID()))), discard{}
	handler.ServeHTTP(answer, r) // now it was seen before
	got := testing.AllocsPerRun(100, func() {
		clear(answer)
		handler.ServeHTTP(answer, r)
	})
	// The cookie's value, the context, the request that carries it, and two
	// headers of the answer.
	if got > 5 {
		t.Errorf("%v allocations for a token that was seen before", got)
	}
}

// BenchmarkProtect measures a token that was seen before, without and with the
// other headers that a browser sends.
func BenchmarkProtect(b *testing.B) {
	w := newWorld(b)
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	access := w.access(b, token.NewID())
	answer := discard{}
	for name, handler := range map[string]http.Handler{"bare": next, "protected": w.Protect(next, nil)} {
		for _, r := range []*http.Request{
			request("GET", "/", cookie(access)),
			request("POST", "/", cookie(access), "Sec-Fetch-Site: same-origin", "Origin: "+origin),
			request("POST", "/", "Authorization: Bearer "+access),
		} {
			kind := "bearer"
			if r.Header.Get("Cookie") != "" {
				kind = "cookie"
			}
			b.Run(name+"/"+kind+"/"+r.Method, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					clear(answer)
					handler.ServeHTTP(answer, r)
				}
			})
		}
	}
}

// discard is an answer that nobody reads.
type discard http.Header

func (d discard) Header() http.Header       { return http.Header(d) }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
