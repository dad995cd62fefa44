package devapp_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/server/devapp"
	"github.com/pawlauth/pawl/session"
)

type state struct {
	Generation, Previous uint32
	Events               []struct{ Type, Reason string }
}

type replay struct {
	Status            int
	Code              string
	Presented, Newest uint32
	Events            []struct{ Type, Reason string }
}

// The walk of a newcomer: sign in, renew, replay the previous token, see the
// alarm and its reason, and be asked to sign in again.
func TestReplayOfThePreviousTokenRaisesTheAlarm(t *testing.T) {
	s := newSite(t, strict(t))
	s.signIn()
	if a := s.do("POST", "/dev/replay", ""); a.status != http.StatusConflict {
		t.Errorf("a replay before any turn: %d %s", a.status, a.body)
	}
	if a := s.do("POST", "/auth/refresh", ""); a.status != 200 {
		t.Fatalf("renewal: %d %s", a.status, a.body)
	}
	var got state
	eventually(t, "the use of the new tokens is confirmed, and the replay is theft", func() bool {
		if got = fact[state](t, s.do("GET", "/dev/state", "")); got.Generation != 2 || got.Previous != 1 {
			t.Fatalf("after one turn: %+v", got)
		}
		theft := fact[replay](t, s.do("POST", "/dev/replay", ""))
		if theft.Presented != 1 || theft.Newest != 2 {
			t.Fatalf("the replay: %+v", theft)
		}
		if theft.Status == 200 {
			return false // not confirmed yet
		}
		last := theft.Events[len(theft.Events)-1]
		if theft.Status != 401 || theft.Code != "login_required" || last.Type != string(session.EventEnded) || last.Reason != string(session.ReasonReuse) {
			t.Fatalf("the replay: %+v", theft)
		}
		return true
	})
	if got.Events[0].Type != string(session.EventStarted) {
		t.Errorf("recorded before the theft: %+v", got.Events)
	}
	if a := s.do("GET", "/auth/session", ""); a.status != 401 {
		t.Errorf("the owner after the alarm: %d", a.status)
	}
	if a := s.open("/"); a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), "/auth/signin") {
		t.Errorf("the page after the alarm: %d to %q", a.status, a.header.Get("Location"))
	}
}

// The replay belongs to a page of this site and to the session that asks: no
// answer of the application carries a token or sets a cookie.
func TestReplayGivesNothingAway(t *testing.T) {
	s := newSite(t, strict(t))
	if a := s.do("POST", "/dev/replay", ""); a.status != 401 {
		t.Errorf("a replay by nobody: %d", a.status)
	}
	s.signIn()
	if a := s.do("POST", "/auth/refresh", ""); a.status != 200 {
		t.Fatal(a.status)
	}
	for _, site := range []string{"cross-site", "same-site", "none"} {
		if a := s.do("POST", "/dev/replay", "", "Sec-Fetch-Site", site); a.status != http.StatusForbidden {
			t.Errorf("a replay that is %s: %d", site, a.status)
		}
	}
	for _, path := range []string{"/", "/dev/state", "/dev/replay"} {
		method := map[bool]string{true: "POST", false: "GET"}[path == "/dev/replay"]
		a := s.do(method, path, "")
		if a.status != 200 || len(a.header["Set-Cookie"]) != 0 || strings.Contains(a.body, "pawl_rt_") || strings.Contains(a.body, "eyJ") {
			t.Errorf("%s: %d, cookies %q: %s", path, a.status, a.header["Set-Cookie"], a.body)
		}
	}
	if a := s.do("GET", "/dev/replay", ""); a.status != 404 {
		t.Errorf("a replay by GET: %d", a.status)
	}
}

// Without --strict a renewal right after the sign-in is answered by a repeat:
// there is no previous token to replay.
func TestRepeatKeepsNoToken(t *testing.T) {
	s := newSite(t, session.Policy{})
	s.signIn()
	if a := s.do("POST", "/auth/refresh", ""); a.status != 200 {
		t.Fatal(a.status)
	}
	if got := fact[state](t, s.do("GET", "/dev/state", "")); got.Generation != 1 || got.Previous != 0 {
		t.Errorf("after a repeat: %+v", got)
	}
}

// The page tells a stranger where to sign in, and a user who it is, without
// script too; nothing on it may be framed, stored, or run unless it is ours.
func TestPage(t *testing.T) {
	s := newSite(t, strict(t))
	stranger := s.open("/")
	if stranger.status != 200 || !strings.Contains(stranger.body, `href="/auth/signin"`) || strings.Contains(stranger.body, "<script") {
		t.Errorf("for a stranger: %d %s", stranger.status, stranger.body)
	}
	s.signIn()
	user := s.open("/")
	for _, part := range []string{`<bdi id="username">demo</bdi>`, `action="/auth/signout"`, `name="csrf_token" value="`, "<noscript>"} {
		if !strings.Contains(user.body, part) {
			t.Errorf("for a user, %q is missing", part)
		}
	}
	nonces := make(map[string]bool)
	for _, a := range []answer{stranger, user} {
		policy := a.header.Get("Content-Security-Policy")
		_, nonce, _ := strings.Cut(policy, "'nonce-")
		nonce, _, _ = strings.Cut(nonce, "'")
		nonces[nonce] = true
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("the policy lacks %q: %s", part, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || a.header.Get("Cache-Control") != "no-store" || len(nonce) < 20 {
			t.Errorf("policy %q, cache %q", policy, a.header.Get("Cache-Control"))
		}
	}
	if len(nonces) != 2 {
		t.Error("a nonce was used twice")
	}
}

// An access token that has expired goes through the renewal page, and an
// unknown path stays Pawl's.
func TestOtherPathsArePawls(t *testing.T) {
	s := newSite(t, strict(t))
	for path, want := range map[string]int{"/nothing": 404, "/dev/nothing": 404, "/%2e": 404, "/.well-known/jwks.json": 200, "/auth/session": 401,
		"/dev/app.js": 200, "/dev/style.css": 200, "/dev/tries.js": 200, "/dev/icon.svg": 200, "/dev/page.html": 404} {
		if a := s.do("GET", path, ""); a.status != want {
			t.Errorf("%s: %d, want %d", path, a.status, want)
		}
	}
	broken := s.do("GET", "/", "", "Cookie", httpauth.AccessCookie+"=x", "Accept", "text/html")
	if broken.status != http.StatusSeeOther || !strings.HasPrefix(broken.header.Get("Location"), "/auth/signin") {
		t.Errorf("with a cookie that is none of ours: %d to %q", broken.status, broken.header.Get("Location"))
	}
}

func TestPrefixOfTheApplicationIsTaken(t *testing.T) {
	for _, prefix := range []string{"/dev", "/dev/auth"} {
		if _, err := devapp.New(devapp.Options{Pawl: &pawl.Pawl{}, Prefix: prefix, Tape: &devapp.Tape{}}); err == nil {
			t.Errorf("%s: accepted", prefix)
		}
	}
}
