package httpapi_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// Rows: 11, 127, 144, 149.
func TestTheListOfDevices(t *testing.T) {
	w := newWorld(t)
	laptop := w.start(func(l *session.Login) {
		l.Origin = session.Origin{Address: "192.0.2.0/24", UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
	})
	w.wait(time.Minute)
	app := w.start(bearerSession, func(l *session.Login) { l.Origin.UserAgent = "<script>alert(1)</script>" })
	gone := w.start()
	w.do("POST", "/auth/logout", "", fromPage, cookies(gone)).want(204, "")
	w.start(func(l *session.Login) { l.UserID = w.bob.ID })
	got := w.do("GET", "/auth/sessions", "", cookies(laptop))
	got.want(200, "")
	want := `{"sessions":[{"id":"` + app.Row.ID.String() + `","current":false,"created_at":"2026-11-23T12:01:00Z","last_seen":"2026-11-23T12:00:00Z",` +
		`"device":"Unknown device","transport":"bearer","binding":"none"},` +
		`{"id":"` + laptop.Row.ID.String() + `","current":true,"created_at":"2026-11-23T12:00:00Z","last_seen":"2026-11-23T12:00:00Z",` +
		`"device":"Firefox on Linux","address":"192.0.2.0/24","transport":"cookie","binding":"none"}]}`
	if got.Body.String() != want {
		t.Errorf("got  %s\nwant %s", got.Body, want)
	}
}

// A place is told of a network only where the operator names places.
func TestPlacesAreToldIfTheyAreKnown(t *testing.T) {
	known := map[string]string{"192.0.2.0/24": "Vienna"}
	w := newWorld(t, change{api: func(o *httpapi.Options) {
		o.Place = func(n netip.Prefix) string { return known[n.String()] }
	}})
	at := func(network string) func(*session.Login) {
		return func(l *session.Login) { l.Origin.Address = network }
	}
	vienna := w.start(at("192.0.2.0/24"))
	w.start(at("198.51.100.0/24"))
	w.start(at(""))
	body := w.do("GET", "/auth/sessions", "", cookies(vienna)).Body.String()
	if strings.Count(body, `"place"`) != 1 || !strings.Contains(body, `"address":"192.0.2.0/24","place":"Vienna"`) {
		t.Error(body)
	}
}

// Rows: 127, 139, 143, 144, A42.
func TestUsersEndTheirOwnSessionsOnly(t *testing.T) {
	w := newWorld(t)
	mine, other := w.start(), w.start()
	bobs := w.start(func(l *session.Login) { l.UserID = w.bob.ID })
	end := func(id string) answer {
		return w.do("DELETE", "/auth/sessions/"+id, "", cookies(mine), fromPage)
	}
	end(bobs.Row.ID.String()).want(404, "not_found")
	end(token.NewID().String()).want(404, "not_found")
	end("x").want(404, "not_found")
	end(other.Row.ID.String()[:21]).want(404, "not_found")
	if !w.alive(bobs.Row.ID) || !w.alive(other.Row.ID) {
		t.Fatal("a session ended")
	}
	end(other.Row.ID.String()).want(204, "")
	end(other.Row.ID.String()).want(204, "")
	if w.alive(other.Row.ID) || !w.alive(mine.Row.ID) {
		t.Error("not that session ended")
	}
	third := w.start()
	w.do("POST", "/auth/sessions/end-others", "", cookies(mine), fromPage).want(204, "")
	if w.alive(third.Row.ID) || !w.alive(mine.Row.ID) || !w.alive(bobs.Row.ID) {
		t.Error("others: not those sessions ended")
	}
	w.do("GET", "/auth/session", "", cookies(third)).want(401, "login_required")
	if got := end(mine.Row.ID.String()); got.Code != 204 || got.Header()["Set-Cookie"] != nil {
		t.Errorf("the current session: %d, cookies %q", got.Code, got.Header()["Set-Cookie"])
	}
	w.do("GET", "/auth/session", "", cookies(mine)).want(401, "login_required")
}

// Rows: 97, 144, 249, A4.
func TestEndingSessionsNeedsARecentLogin(t *testing.T) {
	w := newWorld(t)
	s := w.start()
	for range 12 {
		s = w.turn(s)
	}
	other := w.start()
	for _, got := range []answer{
		w.do("DELETE", "/auth/sessions/"+other.Row.ID.String(), "", cookies(s), fromPage),
		w.do("POST", "/auth/sessions/end-others", "", cookies(s), fromPage),
	} {
		got.want(401, "recent_login_required")
		if c := got.Header().Get("WWW-Authenticate"); c != `Bearer error="insufficient_user_authentication", max_age=900` {
			t.Errorf("challenge %s", c)
		}
	}
	if !w.alive(other.Row.ID) || len(w.recorded(session.EventAccessDenied)) != 2 {
		t.Error("done, or not recorded")
	}
}

// Rows: 93, 140, A33.
func TestASessionThatEndedElsewhereIsOverAtOnce(t *testing.T) {
	w := newWorld(t)
	s := w.start()
	// Another node ends it; this one has not read the feed yet.
	if _, err := w.store.Store.End(context.Background(), session.Selection{User: w.ada.ID}, session.ReasonDisabled); err != nil {
		t.Fatal(err)
	}
	w.do("GET", "/auth/session", "", cookies(s)).want(401, "login_required")
	w.do("POST", "/auth/password", passwordBody(password, "another long password"), jsonType, fromPage, cookies(s)).want(401, "login_required")
	if _, err := w.accounts.Authenticate(t.Context(), "ada", account.NewPassword(password), testAddr); err != nil {
		t.Errorf("the password was changed by a session that is over: %v", err)
	}
	w.do("GET", "/auth/verify", "", "Authorization: Bearer "+s.Access.Reveal()).want(204, "")
	w.wait(250 * time.Millisecond)
	w.do("GET", "/auth/verify", "", "Authorization: Bearer "+s.Access.Reveal()).want(401, "login_required")
}

// The program may sign in users that Accounts do not know.
func TestAUserOfTheProgramHasASessionWithoutAName(t *testing.T) {
	w := newWorld(t)
	s := w.start(func(l *session.Login) { l.UserID = "u_elsewhere" })
	got := w.do("GET", "/auth/session", "", cookies(s))
	got.want(200, "")
	if got.member("user", "id") != "u_elsewhere" || got.member("user", "username") != nil {
		t.Errorf("%s", got.Body)
	}
}

// A name that cannot be read is no reason to lose a renewal.
func TestRenewalsDoNotNeedTheName(t *testing.T) {
	w := newWorld(t)
	s := w.start(func(l *session.Login) { l.UserID = "u_gone" })
	w.wait(80 * time.Second)
	got := w.do("POST", "/auth/refresh", "", cookies(s), fromPage)
	got.want(200, "")
	if strings.Contains(got.Body.String(), "username") || len(got.Header()["Set-Cookie"]) != 2 {
		t.Errorf("%s", got.Body)
	}
}
