package browsertest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/httpauth"
)

// connecting puts a page before the site that leads whoever is signed in to
// another site, as the start of OAuth does.
func (s *site) connecting(to string) {
	connect := s.pawl.Protect(http.RedirectHandler(to, http.StatusFound))
	s.around(func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/connect" {
				connect.ServeHTTP(w, r)
				return
			}
			next(w, r)
		}
	})
}

// Chromium holds a form to form-action through every redirect after it. A form
// that leads on to a page which redirects to another site gets there all the
// same, and no policy is violated on the way.
//
// Rows: 52, 253
func TestFormsLeadToPagesThatLeadAway(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		for name, script := range map[string]bool{"with script": true, "without script": false} {
			t.Run(name, func(t *testing.T) {
				s := newSite(t)
				outside := s.stranger.page(`<p id="outside">outside</p>`)
				s.connecting(outside)
				b := s.newTab(t, in)
				if !script {
					b.withoutScript()
				}
				there := func() {
					t.Helper()
					b.await(`!!document.querySelector("#outside")`)
				}
				b.open("/connect?with=x'y")
				b.fill("username", "ada")
				b.fill("password", password)
				b.click(submit)
				there()
				if len(b.cookies()) != 2 {
					t.Fatalf("signed in with %d cookies", len(b.cookies()))
				}
				before := b.cookies()[httpauth.AccessCookie].Value
				s.expire(b)
				b.open("/connect")
				if !script {
					b.await("performance.now() > 1000") // see goOnByHand
					b.click(submit)
				}
				there()
				if b.cookies()[httpauth.AccessCookie].Value == before {
					t.Error("nothing was renewed")
				}
				// The way back misses out the page that leads on.
				b.open("/auth/signin?switch=1&return_to=%2Freport")
				b.fill("username", "ada")
				b.fill("password", password)
				b.click(submit)
				b.arrive("/report")
				b.back()
				b.await(`location.pathname === "/auth/signin"`)
				if at := b.path(); strings.Contains(at, "check=1") {
					t.Errorf("back leads to %s", at)
				}
			})
		}
	})
}

// A form whose answer leads nowhere leaves its page in place: its button works
// again after a while.
func TestButtonWorksAgainWhereTheAnswerLeadsNowhere(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newSite(t)
		b := s.newTab(t, in)
		b.open("/auth/signin")
		b.fill("username", "ada")
		b.fill("password", password)
		s.altered(func(r *http.Request, a *answer) {
			if r.Method == http.MethodPost {
				a.status, a.body = http.StatusNoContent, nil
				a.header.Del("Location")
			}
		})
		b.click(submit)
		b.await(`document.querySelector("main button[type=submit]").getAttribute("aria-disabled") === "true"`)
		b.await(`!document.querySelector("main button[type=submit]").hasAttribute("aria-disabled")`)
		s.altered(nil)
		b.follow(submit)
		b.arrive("/")
	})
}

// Who opens the sign-in page with an expired access token is signed in all the
// same, and is told so.
//
// Rows: 253
func TestSignInPageFindsOutWhoIsSignedIn(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newSite(t)
		b := s.newTab(t, in)
		b.signIn("ada")
		for path, title := range map[string]string{
			"/auth/signin?return_to=%2Freport":           "You are signed in",
			"/auth/signin?confirm=1&return_to=%2Freport": "Confirm it’s you",
		} {
			s.expire(b)
			b.open(path)
			b.arrive(path)
			if !strings.Contains(b.text(), title) {
				t.Errorf("%s says %q", path, b.text())
			}
		}
		// Over for good, it asks for the password, and does not go round in circles.
		s.expire(b)
		s.endAll("ada")
		b.open("/auth/signin?return_to=%2Flast") // where this tab was not yet on the way to
		b.arrive("/auth/signin?return_to=%2Flast&switch=1")
		b.fill("username", "ada")
		b.fill("password", password)
		b.follow(submit)
		b.arrive("/last")
	})
}
