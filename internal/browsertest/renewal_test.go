package browsertest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/httpauth"
)

// A link on another site leads to a protected page although the access token
// has expired: the refresh cookie does not come along with the link, but it
// does with what the renewal page asks for.
//
// Rows: 253
func TestLinkFromAnotherSiteLandsThroughTheRenewal(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		for name, script := range map[string]bool{"with script": true, "without script": false} {
			t.Run(name, func(t *testing.T) {
				s := newSite(t)
				b := s.newTab(t, in)
				b.signIn("ada")
				s.expire(b)
				before := b.cookies()[httpauth.AccessCookie].Value
				if !script {
					b.withoutScript()
				}
				b.visit(s.stranger.page(`<a id="go" href="` + s.origin + `/report?id=7&amp;of=9">A report</a>`))
				b.follow("#go")
				if !script {
					if got := b.path(); !strings.HasPrefix(got, "/auth/renew?") {
						t.Fatalf("the link led to %s", got)
					}
					b.goOnByHand()
				}
				b.arrive("/report?id=7&of=9")
				if !strings.Contains(b.text(), private) || !strings.Contains(b.text(), "/report?id=7&of=9") {
					t.Errorf("arrived at %q", b.text())
				}
				if b.cookies()[httpauth.AccessCookie].Value == before {
					t.Error("the access token is the old one")
				}
				if n := s.posts("/auth/refresh") + s.posts("/auth/renew"); n != 1 {
					t.Errorf("%d renewals for one link", n)
				}
			})
		}
	})
}

// goOnByHand presses the button of the renewal page.
func (b *tab) goOnByHand() {
	b.t.Helper()
	// Against tricked double clicks, chromium ignores clicks for half a second
	// on a page to which a redirect or another site led.
	b.await("performance.now() > 1000")
	b.follow("main button[type=submit]")
}

// Where the browser does not keep new cookies, the renewal page says so and
// goes nowhere by itself.
//
// Rows: 253
func TestRenewalDoesNotLoopWhereCookiesAreNotKept(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newSite(t)
		b := s.newTab(t, in)
		b.signIn("ada")
		s.expire(b)
		s.altered(func(_ *http.Request, a *answer) { a.header.Del("Set-Cookie") })
		b.open("/report")
		b.await(`!!document.querySelector('[data-when=blocked]:not([hidden])')`)
		if n := len(s.said(func(e exchange) bool { return e.path == "/report" })); n != 1 {
			t.Errorf("the page was asked for %d times", n)
		}
		// By hand it may be tried again, and ends at the same place.
		for range 2 {
			b.goOnByHand()
			b.await(`location.pathname === '/auth/renew' && document.readyState === 'complete' && !document.querySelector('[data-when=working]:not([hidden])')`)
		}
		if n := s.posts("/auth/refresh") + s.posts("/auth/renew"); n > 5 {
			t.Errorf("%d renewals for two clicks", n)
		}
		if !b.has("main button[type=submit]") {
			t.Error("there is no way to go on")
		}
	})
}

// A browser whose user has turned cookies off is told so after the sign-in,
// once, and is led nowhere by itself.
//
// Rows: 253
func TestSignInSaysThatCookiesAreOff(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newSite(t)
		b := s.newKeptTab(t, in.withoutCookies(t))
		b.open("/report")
		b.arrive("/auth/signin?return_to=%2Freport")
		b.fill("username", "ada")
		b.fill("password", password)
		b.follow("main button[type=submit]")
		b.await(`document.title.includes('Your browser sent no cookie')`)
		if len(b.cookies()) != 0 {
			t.Fatal("the browser keeps cookies; the test proves nothing")
		}
		before := len(b.asked())
		b.follow("main a.button")
		b.arrive("/auth/signin?return_to=%2Freport")
		if after := len(b.asked()); after-before > 6 {
			t.Errorf("one click asked for %d addresses", after-before)
		}
		// The renewal page neither.
		b.open("/auth/renew?return_to=%2Freport")
		b.arrive("/auth/signin?return_to=%2Freport&switch=1")
	})
}

// When the service cannot answer, the renewal page says so and offers to try
// again; the second try is the same attempt for the server.
func TestRenewalPageSaysWhatFailed(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		for state, status := range map[string]int{"busy": http.StatusServiceUnavailable, "failed": http.StatusInternalServerError} {
			t.Run(state, func(t *testing.T) {
				s := newSite(t)
				b := s.newTab(t, in)
				b.signIn("ada")
				s.expire(b)
				s.around(func(next http.HandlerFunc) http.HandlerFunc {
					return func(w http.ResponseWriter, r *http.Request) {
						if r.URL.Path == "/auth/refresh" {
							w.WriteHeader(status)
							return
						}
						next(w, r)
					}
				})
				b.open("/report")
				b.await(`!!document.querySelector('[data-when=` + state + `]:not([hidden])')`)
				b.goOnByHand()
				b.arrive("/report")
				tries := s.said(func(e exchange) bool {
					return e.method == "POST" && (e.path == "/auth/refresh" || e.path == "/auth/renew")
				})
				if len(tries) != 2 || tries[0].path != "/auth/refresh" || tries[1].path != "/auth/renew" {
					t.Fatalf("%d tries", len(tries))
				}
				if key := tries[0].request.Get("Idempotency-Key"); len(key) < 16 || !strings.Contains(tries[1].form, "key="+key) {
					t.Errorf("the second try is not told as the same: %q, then %q", key, tries[1].form)
				}
			})
		}
	})
}

// Whatever was ended meanwhile leads to the sign-in, and from there back.
func TestRenewalOfAnEndedSessionLeadsToSignIn(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newSite(t)
		b := s.newTab(t, in)
		b.signIn("ada")
		s.expire(b)
		s.endAll("ada")
		b.open("/report")
		b.arrive("/auth/signin?return_to=%2Freport&switch=1")
		b.fill("username", "ada")
		b.fill("password", password)
		b.follow("main button[type=submit]")
		b.arrive("/report")
	})
}
