package httpapi_test

import (
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/session"
)

// initial adds a user with an initial password.
func (w *world) initial(name string) (account.User, string) {
	w.t.Helper()
	user, text, err := w.accounts.AddInitial(w.t.Context(), name)
	w.must(err)
	return user, text
}

// Whoever has an initial password chooses another one, and has a session only
// then.
//
// Rows: 156, 178.
func TestAnInitialPasswordBeginsNoSession(t *testing.T) {
	w := newWorld(t)
	user, initial := w.initial("eve")
	own := w.start(func(l *session.Login) { l.UserID = user.ID }) // by the program itself
	login := func(pass, more string) answer {
		return w.do("POST", "/auth/login", loginBody("eve", pass, more), jsonType, fromPage)
	}
	for _, refused := range []struct {
		pass, more string
		status     int
		code       string
	}{
		{initial, "", 403, "password_change_required"},
		{initial, `,"new_password":null`, 403, "password_change_required"},
		{"wrong", "", 401, "login_failed"},
		{"wrong", `,"new_password":"another long password"`, 401, "login_failed"},
		{initial, `,"new_password":"short"`, 400, "weak_password"},
		{initial, `,"new_password":""`, 400, "weak_password"},
		{initial, `,"new_password":"` + initial + `"`, 400, "weak_password"},
		{initial, `,"new_password":7`, 400, "malformed_body"},
	} {
		got := login(refused.pass, refused.more)
		got.want(refused.status, refused.code)
		if got.Header()["Set-Cookie"] != nil || !w.alive(own.Row.ID) {
			t.Errorf("%q: a cookie is set, or a session ended: %v", refused.more, got.Header())
		}
	}
	w.do("POST", "/auth/login", loginBody("eve", initial, `,"transport":"bearer","client_id":"cli"`), jsonType).want(403, "password_change_required")
	if rows, _, err := w.Engine.List(t.Context(), user.ID); err != nil || len(rows) != 1 {
		t.Fatalf("%d sessions, %v", len(rows), err)
	}
	reasons := map[string]int{}
	for _, e := range w.recorded(session.EventSignInFailed) {
		reasons[e.Reason]++
	}
	if reasons[account.ReasonInitialPassword] != 3 || reasons[account.ReasonWrongPassword] != 2 {
		t.Errorf("recorded %v", reasons)
	}

	got := login(initial, `,"new_password":"another long password","remember":true`)
	got.want(200, "")
	if got.member("user", "id") != user.ID || got.Header()["Set-Cookie"] == nil || w.alive(own.Row.ID) {
		t.Errorf("%v %s", got.Header(), got.Body)
	}
	set := w.recorded(session.EventPasswordSet)
	if len(set) != 1 || set[0].UserID != user.ID || set[0].Reason != "initial" || len(w.recorded(session.EventSignInOK)) != 1 {
		t.Errorf("recorded %+v", set)
	}
	login(initial, `,"new_password":"a third long password"`).want(401, "login_failed")
	got = login("another long password", `,"new_password":"a third long password"`)
	got.want(400, "password_not_initial")
	if got.Header()["Set-Cookie"] != nil {
		t.Error("a cookie is set")
	}
	login("another long password", "").want(200, "")
}

// Programs choose in the same way.
//
// Rows: 178.
func TestAProgramReplacesAnInitialPassword(t *testing.T) {
	w := newWorld(t)
	_, initial := w.initial("eve")
	got := w.do("POST", "/auth/login", loginBody("eve", initial, `,"transport":"bearer","client_id":"cli","new_password":"another long password"`), jsonType)
	got.want(200, "")
	if got.member("access_token") == nil {
		t.Errorf("no token: %s", got.Body)
	}
}

// An expired one is refused as any wrong password.
//
// Rows: 156, 178.
func TestAnExpiredInitialPasswordLooksWrong(t *testing.T) {
	w := newWorld(t)
	_, initial := w.initial("eve")
	w.users.Advance(account.InitialLife + time.Second)
	wrong := w.do("POST", "/auth/login", loginBody("eve", "wrong", ""), jsonType, fromPage)
	for _, more := range []string{"", `,"new_password":"another long password"`} {
		got := w.do("POST", "/auth/login", loginBody("eve", initial, more), jsonType, fromPage)
		got.want(401, "login_failed")
		if got.Body.String() != wrong.Body.String() {
			t.Errorf("it differs: %s", got.Body)
		}
	}
	if failed := w.recorded(session.EventSignInFailed); len(failed) != 3 || failed[2].Reason != account.ReasonInitialExpired {
		t.Errorf("recorded %+v", failed)
	}
}
