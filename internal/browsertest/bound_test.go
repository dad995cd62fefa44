package browsertest

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/httpauth"
)

const (
	registerPath = "/auth/dbsc/register"
	provePath    = "/auth/dbsc/refresh"
)

// bindingChromium is a chromium that binds sessions, to keys in software, and
// signs as often as a test needs.
func bindingChromium(t *testing.T, dir string) *browser {
	return chromiumApart(t, dir, chromedp.Flag("enable-features",
		"DeviceBoundSessions:RefreshQuota/false,EnableBoundSessionCredentialsSoftwareKeysForManualTesting"))
}

// awaitBound waits until the browser has answered the n-th offer.
func (s *site) awaitBound(b *tab, n int) {
	s.t.Helper()
	b.until("the session is not bound", func(context.Context) bool {
		done := s.said(func(e exchange) bool { return e.path == registerPath && e.answer.status == http.StatusOK })
		return len(done) == n && b.cookies()[httpauth.BoundCookie] != nil
	})
	if b.cookies()[httpauth.RefreshCookie] != nil {
		s.t.Error("a bound session has a refresh cookie")
	}
}

// outlive lets the access life pass for a browser: its token has expired, and
// the cookie that it watches is gone.
func (s *site) outlive(b *tab) {
	s.t.Helper()
	s.expire(b)
	gone := *b.cookies()[httpauth.BoundCookie]
	gone.Expires = time.Unix(1, 0)
	b.setCookie(gone)
}

// proofs is how often a browser renewed.
func (s *site) proofs() int {
	return len(s.said(func(e exchange) bool { return e.path == provePath && e.answer.status == http.StatusOK }))
}

// wantProofs fails unless the browser renewed so often.
func (s *site) wantProofs(n int) {
	s.t.Helper()
	if got := s.proofs(); got != n {
		s.t.Errorf("renewed %d times, want %d", got, n)
	}
}

// Chromium binds a session of the sign-in page, holds what is asked for while
// it renews, and signs out.
//
// Rows: 223, 225, 227, 230, 232, A74.
func TestChromiumBindsAndRenews(t *testing.T) {
	s := newSite(t)
	b := s.newTab(t, bindingChromium(t, t.TempDir()))
	b.signIn("ada")
	s.awaitBound(b, 1)

	s.outlive(b)
	if status := b.open("/"); status != http.StatusOK {
		t.Fatalf("a typed address: %d, at %s", status, b.path())
	}
	s.wantProofs(1)
	for i, held := range []string{
		`fetch("/").then(r => r.status)`,
		`fetch("/", {method: "POST", body: "x"}).then(r => r.status)`,
		`new Promise(done => { const x = new XMLHttpRequest; x.onload = () => done(x.status); x.open("GET", "/"); x.send() })`,
		`new Promise(done => { const f = document.createElement("img"); f.onerror = () => done(200); f.src = "/?img"; document.body.append(f) })`,
		`fetch("/", {keepalive: true}).then(r => r.status)`,
		`Promise.all(Array.from({length: 10}, () => fetch("/"))).then(all => Math.max(...all.map(r => r.status)))`,
	} {
		s.outlive(b)
		if status := eval[int](b, held); status != http.StatusOK {
			t.Errorf("%s: %d", held, status)
		}
		s.wantProofs(2 + i)
	}
	if unsigned := s.said(func(e exchange) bool { return e.path == provePath && e.answer.status == http.StatusForbidden }); len(unsigned) != 0 {
		t.Errorf("%d renewals were two requests", len(unsigned))
	}

	s.outlive(b)
	before := s.proofs()
	if status := eval[int](b, `fetch("/auth/logout", {method: "POST"}).then(r => r.status)`); status != http.StatusNoContent {
		t.Errorf("signed out: %d", status)
	}
	if status := eval[int](b, `fetch("/").then(r => r.status)`); status != http.StatusUnauthorized {
		t.Errorf("after signing out: %d", status)
	}
	s.wantProofs(before + 1) // of the sign-out, and none after it
	b.provoked = true
}

// A thief with all cookies of a bound session: within the access life they
// work, after it never again, and the owner does not notice.
//
// Rows: 122, 234, A10, A25, A76.
func TestCookiesStolenFromChromiumDieWithTheAccessToken(t *testing.T) {
	s := newSite(t)
	b := s.newTab(t, bindingChromium(t, t.TempDir()))
	b.signIn("ada")
	thief := func() *device {
		d := &device{site: s}
		for _, c := range b.jar() {
			d.cookies += c.Name + "=" + c.Value + "; "
		}
		return d
	}
	early := thief() // with the refresh cookie, if it is quick
	s.awaitBound(b, 1)
	late := thief()
	if !late.signedIn() {
		t.Error("stolen cookies do not work within the access life: what follows would prove nothing")
	}
	s.outlive(b)
	expired := thief()
	for range 3 {
		for name, d := range map[string]*device{"before it was bound": early, "of the bound session": late, "expired": expired} {
			for _, path := range []string{"/auth/refresh", provePath, registerPath} {
				if answer := d.ask("POST", path, "", ""); answer.StatusCode < 400 && path != "/auth/refresh" ||
					d == expired && answer.StatusCode != http.StatusUnauthorized && path == "/auth/refresh" {
					t.Errorf("%s: POST %s: %d", name, path, answer.StatusCode)
				}
			}
		}
		if expired.signedIn() {
			t.Error("the thief is signed in")
		}
		if status := b.open("/"); status != http.StatusOK || b.path() != "/" {
			t.Fatalf("the owner: %d at %s", status, b.path())
		}
		s.outlive(b)
	}
}

// Rows: 229, 230, 232.
func TestChromiumGoesOnAfterWhatGoesWrong(t *testing.T) {
	s := newSite(t)
	b := s.newTab(t, bindingChromium(t, t.TempDir()))
	b.provoked = true
	b.signIn("ada")
	s.awaitBound(b, 1)

	// The server is away, and comes back.
	away := true
	s.around(func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if away && r.URL.Path == provePath {
				http.Error(w, "away", http.StatusServiceUnavailable)
				return
			}
			next(w, r)
		}
	})
	s.outlive(b)
	if status := eval[int](b, `fetch("/").then(r => r.status)`); status != http.StatusUnauthorized {
		t.Errorf("without the server: %d", status)
	}
	away = false
	if status := eval[int](b, `fetch("/").then(r => r.status)`); status != http.StatusOK {
		t.Errorf("with the server: %d", status)
	}

	// A link of another site is not held: the renewal page serves it.
	s.outlive(b)
	b.visit(s.stranger.page(fmt.Sprintf(`<a href="%s/?linked">on</a>`, s.origin)))
	b.click("a")
	b.arrive("/?linked")

	// Ended from elsewhere; and a second sign-in on the same browser.
	s.endAll("ada")
	s.outlive(b)
	b.open("/")
	b.await(`location.pathname === "/auth/signin"`)
	b.signIn("ada")
	s.awaitBound(b, 2)
	again := fmt.Sprintf(`fetch("/auth/login", {method: "POST", headers: {"Content-Type": "application/json"},
		body: JSON.stringify({username: "ada", password: %q})}).then(r => r.status)`, password)
	if status := eval[int](b, again); status != http.StatusOK {
		t.Fatalf("signed in again: %d", status)
	}
	s.awaitBound(b, 3)
	before := s.proofs()
	s.outlive(b)
	if status := b.open("/"); status != http.StatusOK || b.path() != "/" {
		t.Errorf("after a second sign-in: %d at %s", status, b.path())
	}
	if s.proofs() <= before {
		t.Error("the second session was not renewed by proof")
	}
}

// The program signs a user in whom another site sends back: Chromium registers
// without any cookie.
//
// Rows: 223.
func TestChromiumBindsASignInFromAnotherSite(t *testing.T) {
	s := newSiteOf(t, appHost, pawl.Options{}, func(p *pawl.Pawl) (http.Handler, error) {
		mux := http.NewServeMux()
		mux.Handle("/auth/", p.Handler())
		mux.HandleFunc("/callback", func(w http.ResponseWriter, r *http.Request) {
			if err := p.SignIn(w, r, "federated", pawl.DangerouslyFromAnotherSite()); err != nil {
				p.Refuse(w, r, err)
				return
			}
			http.Redirect(w, r, "/", http.StatusSeeOther)
		})
		mux.Handle("/", p.Protect(http.HandlerFunc(application)))
		return mux, nil
	})
	b := s.newTab(t, bindingChromium(t, t.TempDir()))
	b.visit(s.stranger.page(fmt.Sprintf(`<a href="%s/callback">on</a>`, s.origin)))
	b.click("a")
	b.arrive("/")
	s.awaitBound(b, 1)
	s.outlive(b)
	if status := b.open("/"); status != http.StatusOK {
		t.Errorf("%d at %s", status, b.path())
	}
	s.wantProofs(1)
}

// Rows: 230.
func TestABoundSessionOutlivesARestartOfChromium(t *testing.T) {
	s, dir := newSite(t), t.TempDir()
	own := bindingChromium(t, dir)
	b := s.newKeptTab(t, own)
	b.open("/auth/signin")
	b.fill("username", "ada")
	b.fill("password", password)
	b.click("input[name=remember]")
	b.follow("main button[type=submit]")
	s.awaitBound(b, 1)
	s.outlive(b)
	own.quit(t)
	again := s.newKeptTab(t, bindingChromium(t, dir))
	if status := again.open("/"); status != http.StatusOK || again.path() != "/" {
		t.Errorf("%d at %s", status, again.path())
	}
	s.wantProofs(1)
}
