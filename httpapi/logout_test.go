package httpapi_test

import (
	"testing"
	"time"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
)

// Rows: 18, 19, 93, 118, 139, A33, A42, A44.
func TestWhatASignOutEnds(t *testing.T) {
	for name, c := range map[string]struct {
		cookies func(w *world, s session.Issued) string
		wait    time.Duration
		ends    bool
	}{
		"both cookies":               {func(_ *world, s session.Issued) string { return cookies(s) }, 0, true},
		"expired access token":       {func(_ *world, s session.Issued) string { return cookies(s) }, time.Hour, true},
		"access cookie only":         {func(_ *world, s session.Issued) string { return "Cookie: " + accessPair(s.Access.Reveal()) }, 0, true},
		"expired access cookie only": {func(_ *world, s session.Issued) string { return "Cookie: " + accessPair(s.Access.Reveal()) }, time.Hour, false},
		"refresh cookie only":        {func(_ *world, s session.Issued) string { return "Cookie: " + refreshPair(s.Refresh.Reveal()) }, 0, true},
		"an older refresh token": {func(w *world, s session.Issued) string {
			w.turn(s)
			return "Cookie: " + refreshPair(s.Refresh.Reveal())
		}, 0, true},
		"a planted one before it": {func(w *world, s session.Issued) string {
			return "Cookie: " + refreshPair("junk") + "; " + refreshPair(s.Refresh.Reveal())
		}, 0, true},
		"a bent refresh token":  {func(_ *world, s session.Issued) string { return "Cookie: " + refreshPair(s.Refresh.Reveal()[:60]) }, 0, false},
		"a forged access token": {func(_ *world, s session.Issued) string { return "Cookie: " + accessPair(s.Access.Reveal()[:200]) }, 0, false},
		"no cookie":             {func(*world, session.Issued) string { return "X: y" }, 0, false},
		"access cookie twice, expired": {func(_ *world, s session.Issued) string {
			p := accessPair(s.Access.Reveal())
			return "Cookie: " + p + "; " + p
		}, time.Hour, false},
		"access cookie twice": {func(_ *world, s session.Issued) string {
			p := accessPair(s.Access.Reveal())
			return "Cookie: " + p + "; " + p
		}, 0, false},
		"the session id and no more": {func(_ *world, s session.Issued) string { return "Cookie: " + refreshPair(s.Row.ID.String()) }, 0, false},
		"the tokens in the wrong names": {func(_ *world, s session.Issued) string {
			return "Cookie: " + accessPair(s.Refresh.Reveal()) + "; " + refreshPair(s.Access.Reveal())
		}, 0, false},
	} {
		w := newWorld(t)
		s, bystander := w.start(), w.start()
		header := c.cookies(w, s)
		w.wait(c.wait)
		for range 2 { // it may be repeated
			got := w.do("POST", "/auth/logout", "", fromPage, header)
			if got.Code != 204 || got.Body.Len() != 0 {
				t.Errorf("%s: %d %s", name, got.Code, got.Body)
			}
			if value, ok := got.cookie(httpauth.AccessCookie); !ok || value != "" || len(got.Header()["Set-Cookie"]) != 2 {
				t.Errorf("%s: cookies stay: %q", name, got.Header()["Set-Cookie"])
			}
			if data := got.Header().Get("Clear-Site-Data"); data != `"cache", "storage"` {
				t.Errorf("%s: Clear-Site-Data %s", name, data)
			}
		}
		if w.alive(s.Row.ID) == c.ends {
			t.Errorf("%s: ended %v, want %v", name, !w.alive(s.Row.ID), c.ends)
		}
		if !w.alive(bystander.Row.ID) {
			t.Errorf("%s: a bystander's session ended", name)
		}
		if n := len(w.recorded(session.EventSignOut)); (n == 1) != c.ends {
			t.Errorf("%s: %d sign-outs recorded", name, n)
		}
	}
}

// Rows: 18, 93, 94, 113, 139, 252, A33.
func TestTheSessionEndsBeforeTheCookies(t *testing.T) {
	w := newWorld(t)
	s := w.start()
	for _, method := range []string{"End", "Load"} {
		w.store.fail(method)
		got := w.do("POST", "/auth/logout", "", fromPage, cookies(s))
		got.want(503, "unavailable")
		if got.Header()["Set-Cookie"] != nil || got.Header()["Clear-Site-Data"] != nil {
			t.Errorf("%s fails: the browser is told that it is signed out", method)
		}
		if got.Header().Get("Retry-After") == "" {
			t.Errorf("%s fails: no Retry-After", method)
		}
	}
	w.store.fail()
	w.do("POST", "/auth/logout", "", fromPage, cookies(s)).want(204, "")
	// At once, on this node, without the feed.
	w.do("GET", "/auth/session", "", cookies(s)).want(401, "login_required")
	w.do("POST", "/auth/refresh", "", fromPage, cookies(s)).want(401, "login_required")
}

// Whoever can plant cookies cannot make one request end sessions without
// bound.
func TestPlantedCookiesAreLookedUpInBounds(t *testing.T) {
	w := newWorld(t)
	line := "Cookie: a=b"
	for range 10 {
		line += "; " + refreshPair(w.start().Refresh.Reveal())
	}
	w.do("POST", "/auth/logout", "", fromPage, line).want(204, "")
	if n := len(w.recorded(session.EventSignOut)); n != 4 {
		t.Errorf("%d sessions ended", n)
	}
}

// Rows: 94.
func TestASignOutIsNotGuessed(t *testing.T) {
	w := newWorld(t)
	s := w.start()
	w.now = w.now.Add(2 * time.Minute) // the revocations were not read for so long
	got := w.do("POST", "/auth/logout", "", fromPage, "Cookie: "+accessPair(s.Access.Reveal()))
	got.want(503, "unavailable")
	if got.Header()["Set-Cookie"] != nil {
		t.Error("the cookies are taken from a session that may live")
	}
}

// Rows: 99, 139.
func TestAppsSignOutWithTheirToken(t *testing.T) {
	w := newWorld(t)
	s := w.start(bearerSession)
	w.do("POST", "/auth/logout", "", "Authorization: Bearer junk").want(401, "login_required")
	w.do("POST", "/auth/logout", "", "Authorization: Bearer "+s.Refresh.Reveal()).want(401, "login_required")
	w.do("POST", "/auth/logout", "", "Authorization: Bearer "+s.Access.Reveal(), "Sec-Fetch-Site: cross-site").want(403, "cross_site")
	if !w.alive(s.Row.ID) {
		t.Fatal("the session ended")
	}
	for range 2 {
		got := w.do("POST", "/auth/logout", "", "Authorization: Bearer "+s.Access.Reveal())
		got.want(204, "")
		if got.Header()["Set-Cookie"] != nil || got.Header()["Clear-Site-Data"] != nil {
			t.Error("an app is sent what is for browsers")
		}
	}
	if w.alive(s.Row.ID) {
		t.Error("the session lives")
	}
}

// Rows: 19.
func TestSiteDataIsClearedOverHTTPSOnly(t *testing.T) {
	w := newWorld(t)
	r := request("POST", "/auth/logout", "", fromPage)
	r.TLS, r.Host = nil, "localhost:8080"
	got := w.send(r)
	got.want(204, "")
	if got.Header()["Clear-Site-Data"] != nil || got.Header()["Strict-Transport-Security"] != nil {
		t.Errorf("over plain http: %v", got.Header())
	}
}
