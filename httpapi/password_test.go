package httpapi_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
)

func passwordBody(current, next string) string {
	return `{"current":"` + current + `","new":"` + next + `"}`
}

// Rows: 15, 118, 141, 166, 180.
func TestAPasswordIsChangedByItsOwnerOnly(t *testing.T) {
	w := newWorld(t)
	const next = "another long password"
	mine := w.start(func(l *session.Login) { l.Remembered = true })
	other, app := w.start(), w.start(bearerSession)
	bobs := w.start(func(l *session.Login) { l.UserID = w.bob.ID })
	change := func(body string) answer {
		return w.do("POST", "/auth/password", body, jsonType, fromPage, cookies(mine))
	}
	for body, want := range map[string]string{
		passwordBody("wrong", next):                                        "wrong_password",
		`{"new":"` + next + `"}`:                                           "wrong_password",
		passwordBody("", next):                                             "wrong_password",
		passwordBody(password, "short"):                                    "weak_password",
		`{"current":"` + password + `"}`:                                   "malformed_body",
		passwordBody(password, next) + "{}":                                "malformed_body",
		`{"current":"` + password + `","new":"` + next + `","user":"bob"}`: "malformed_body",
	} {
		got := change(body)
		if status := map[string]int{"wrong_password": 403}[want]; got.code() != want || status != 0 && got.Code != status || got.Header()["Set-Cookie"] != nil {
			t.Errorf("%s: %d %s", body, got.Code, got.Body)
		}
	}
	if _, err := w.accounts.Authenticate(t.Context(), "ada", account.NewPassword(password), testAddr); err != nil {
		t.Fatal("the password has changed")
	}
	for _, s := range []session.Issued{mine, other, app} {
		if !w.alive(s.Row.ID) {
			t.Fatal("a session ended for a change that was refused")
		}
	}

	w.wait(time.Hour)
	got := change(passwordBody(password, next))
	got.want(401, "login_required") // expired meanwhile
	mine = w.turn(mine)
	got = change(passwordBody(password, next))
	got.want(204, "")
	for _, s := range []session.Issued{mine, other, app} {
		if row := w.row(s.Row.ID); row.EndReason != session.ReasonPassword {
			t.Errorf("ended by %q", row.EndReason)
		}
	}
	// A copy of the old cookies is worth nothing; the new ones carry on.
	w.do("GET", "/auth/session", "", cookies(mine)).want(401, "login_required")
	w.do("GET", "/auth/session", "", got.session()).want(200, "")
	w.do("POST", "/auth/sessions/end-others", "", fromPage, got.session()).want(204, "")
	if !strings.Contains(got.Header()["Set-Cookie"][0], "Max-Age=") {
		t.Error("the session is not remembered any more")
	}
	if !w.alive(bobs.Row.ID) {
		t.Error("somebody else's session ended")
	}
	w.do("POST", "/auth/login", loginBody("ada", password, ""), jsonType, fromPage).want(401, "login_failed")
	w.do("POST", "/auth/login", loginBody("ada", next, ""), jsonType, fromPage).want(200, "")
	if set := w.recorded(session.EventPasswordSet); len(set) != 1 || set[0].UserID != w.ada.ID {
		t.Errorf("recorded %+v", set)
	}
}

// A copy of the tokens that an app asked by is worth nothing any more; the app
// signs in again.
//
// Rows: 15, 141, 166.
func TestAnAppThatChangesThePasswordSignsInAgain(t *testing.T) {
	w := newWorld(t)
	app, other := w.start(bearerSession), w.start()
	got := w.do("POST", "/auth/password", passwordBody(password, "another long password"), jsonType, "Authorization: Bearer "+app.Access.Reveal())
	got.want(204, "")
	if got.Header()["Set-Cookie"] != nil || w.alive(other.Row.ID) || w.alive(app.Row.ID) {
		t.Errorf("%v, other alive %v, own alive %v", got.Header(), w.alive(other.Row.ID), w.alive(app.Row.ID))
	}
	w.do("POST", "/auth/token", "grant_type=refresh_token&client_id=cli&refresh_token="+app.Refresh.Reveal(), formType).want(400, "invalid_grant")
	w.do("GET", "/auth/session", "", "Authorization: Bearer "+app.Access.Reveal()).want(401, "login_required")
}

// Rows: 158, 250, A84.
func TestSignUpMakesOneUserAndSignsItIn(t *testing.T) {
	off := newWorld(t)
	off.do("POST", "/auth/signup", loginBody("eve", password, ""), jsonType, fromPage).want(403, "signup_off")
	w := newWorld(t, change{api: signup})
	sign := func(body string) answer { return w.do("POST", "/auth/signup", body, jsonType, fromPage) }
	for body, want := range map[string]struct {
		status     int
		code, rule string
	}{
		loginBody("ada", password, ""):                      {409, "name_taken", ""},
		loginBody("ADA", password, ""):                      {409, "name_taken", ""},
		loginBody("eve", "short", ""):                       {400, "weak_password", "too_short"},
		loginBody("eve", "password123", ""):                 {400, "weak_password", "common"},
		loginBody("eve", "", ""):                            {400, "weak_password", "empty"},
		loginBody("e v e", password, ""):                    {400, "invalid_username", "characters"},
		loginBody("", password, ""):                         {400, "invalid_username", "empty"},
		loginBody("eve", password, `,"role":"admin"`):       {400, "malformed_body", ""},
		loginBody("eve", password, `,"id":"u_ada"`):         {400, "malformed_body", ""},
		loginBody("eve", password, `,"scope":"write"`):      {400, "malformed_body", ""},
		loginBody("eve", password, `,"transport":"bearer"`): {400, "malformed_body", ""},
		`{"username":"eve"}`:                                {400, "malformed_body", ""},
	} {
		got := sign(body)
		got.want(want.status, want.code)
		if rule, _ := got.member("rule").(string); rule != want.rule || got.Header()["Set-Cookie"] != nil {
			t.Errorf("%s: rule %q, %v", body, rule, got.Header())
		}
		if want.rule == "too_short" && got.member("min") != float64(account.MinPasswordRunes) {
			t.Errorf("least length: %s", got.Body)
		}
	}
	if w.store.written() != 0 {
		t.Fatalf("%d writes", w.store.written())
	}
	carried := w.start()
	got := w.do("POST", "/auth/signup", loginBody("eve", password, `,"remember":true`), jsonType, fromPage, cookies(carried))
	got.want(200, "")
	if got.member("user", "username") != "eve" || !strings.Contains(got.Header()["Set-Cookie"][0], "Max-Age=") || w.alive(carried.Row.ID) {
		t.Errorf("%v %s", got.Header(), got.Body)
	}
	if added := w.recorded(session.EventUserAdded); len(added) != 1 || added[0].UserID != got.member("user", "id") {
		t.Errorf("recorded %+v", added)
	}
	w.do("POST", "/auth/signup", loginBody("mallory", password, ""), jsonType).want(403, "cross_site")
	w.do("POST", "/auth/signup", loginBody("mallory", password, ""), jsonType, "Authorization: Bearer x").want(403, "cross_site")
}

// Addresses that the client chooses do not reset the count, and every route at
// which passwords are tried counts.
//
// Rows: 169, 170, A77.
func TestTooManyAttemptsAreToldWhenToComeBack(t *testing.T) {
	w := newWorld(t, change{api: signup})
	s := w.start()
	attempt := map[string]func(n int) answer{
		"a user": func(int) answer {
			return w.do("POST", "/auth/login", loginBody("bob", "wrong", ""), jsonType, fromPage)
		},
		"nobody": func(int) answer {
			return w.do("POST", "/auth/login", loginBody("nobody", "wrong", ""), jsonType, fromPage)
		},
		"changing address": func(n int) answer {
			return w.do("POST", "/auth/login", loginBody("eve", "wrong", ""), jsonType, fromPage, "X-Forwarded-For: 198.51.100."+strconv.Itoa(n))
		},
		"the current password": func(int) answer {
			return w.do("POST", "/auth/password", passwordBody("wrong", "another long password"), jsonType, fromPage, cookies(s))
		},
	}
	for name, try := range attempt {
		var got answer
		tries := 0
		for got = try(0); got.Code != http.StatusTooManyRequests && tries < 40; got = try(tries) {
			tries++
		}
		got.want(429, "too_many_attempts")
		after, err := strconv.Atoi(got.Header().Get("Retry-After"))
		if err != nil || after < 1 || tries < 3 || got.Header()["Set-Cookie"] != nil {
			t.Errorf("%s: after %d tries, Retry-After %q", name, tries, got.Header().Get("Retry-After"))
		}
	}
	if len(w.recorded(session.EventRateLimited)) != len(attempt) {
		t.Errorf("recorded %+v", w.recorded(session.EventRateLimited))
	}
	w = newWorld(t, change{api: signup})
	var got answer
	for n := range 40 {
		if got = w.do("POST", "/auth/signup", loginBody("user"+strconv.Itoa(n), password, ""), jsonType, fromPage); got.Code != 200 {
			break
		}
	}
	got.want(429, "too_many_attempts")
	if limited := w.recorded(session.EventRateLimited); len(limited) != 1 || limited[0].Reason != "sign_up" {
		t.Errorf("recorded %+v", limited)
	}
}

// The CSRF token of the session that a password change replaces is worth
// nothing afterwards.
//
// Rows: 15.
func TestTheTokenOfAReplacedSessionIsOver(t *testing.T) {
	w := newWorld(t)
	s := w.start()
	old := w.Guard.CSRF.Token(s.Row.ID)
	got := w.do("POST", "/auth/password", passwordBody(password, "another long password"), jsonType, fromPage, cookies(s))
	got.want(204, "")
	w.do("POST", "/auth/logout", "", got.session(), httpauth.CSRFHeader+": "+old).want(403, "cross_site")
}
