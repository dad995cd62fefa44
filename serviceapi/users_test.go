package serviceapi_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/session"
)

// Rows: 236, 237, A98
func TestUsersAreMadeDisabledAndEnabled(t *testing.T) {
	w := newWorld(t)
	made := w.do("users-write", "POST", "/v1/users", `{"username":"Grace","password":"a long enough phrase"}`).want(201, "")
	id := made.text("id")
	if made.text("username") != "grace" || made.member("disabled") != false || made.member("initial_password") != nil || made.Header().Get("Location") != "/v1/users/"+id {
		t.Errorf("%v %s", made.Header(), made.Body)
	}
	if _, err := w.accounts.Authenticate(t.Context(), "grace", account.NewPassword("a long enough phrase"), netip.Addr{}); err != nil {
		t.Error(err)
	}
	initial := w.do("users-write", "POST", "/v1/users", `{"username":"eve"}`).want(201, "")
	if len(initial.text("initial_password")) < 20 {
		t.Errorf("%s", initial.Body)
	}
	if _, err := w.accounts.ReplaceInitial(t.Context(), "eve", account.NewPassword(initial.text("initial_password")), account.NewPassword("another long phrase"), netip.Addr{}); err != nil {
		t.Error(err)
	}
	w.do("users-write", "POST", "/v1/users", `{"username":"GRACE","password":"a long enough phrase"}`).want(409, "name_taken")
	w.do("users-write", "POST", "/v1/users", `{"username":"a","password":"short"}`).want(422, "weak_password")
	if got := w.do("users-write", "POST", "/v1/users", `{"username":"x y z\u0000"}`).want(422, "invalid_username"); got.text("rule") == "" {
		t.Errorf("%s", got.Body)
	}
	for _, body := range []string{`{}`, `{"username":null}`, `{"password":"a long enough phrase"}`, `{"username":"q","disabled":true}`, `{"username":"q","id":"u_1"}`} {
		w.do("users-write", "POST", "/v1/users", body).want(400, "malformed_body")
	}
	w.do("users-read", "GET", "/v1/users/nobody", "").want(404, "no_such_user")
	w.do("users-write", "POST", "/v1/users/nobody/disable", "").want(404, "no_such_user")
	w.do("users-write", "POST", "/v1/users/nobody/enable", "").want(404, "no_such_user")

	one, other := w.start(id), w.start(w.ada.ID)
	for range 2 {
		w.do("users-write", "POST", "/v1/users/"+id+"/disable", "").want(204, "")
	}
	if w.alive(one.Row.ID) || !w.alive(other.Row.ID) {
		t.Error("the sessions of the user go on, or another's do not")
	}
	if got := w.do("users-read", "GET", "/v1/users/"+id, "").want(200, ""); got.member("disabled") != true {
		t.Errorf("%s", got.Body)
	}
	w.do("sessions-write", "POST", "/v1/sessions", `{"user_id":"`+id+`","transport":"bearer","amr":["pwd"]}`).want(403, "user_refused")
	w.do("users-write", "POST", "/v1/users/"+id+"/enable", "").want(204, "")
	w.do("sessions-write", "POST", "/v1/sessions", `{"user_id":"`+id+`","transport":"bearer","amr":["pwd"]}`).want(200, "")

	for kind, times := range map[session.EventType]int{session.EventUserAdded: 2, session.EventUserDisabled: 2, session.EventUserEnabled: 1, session.EventEnded: 1} {
		events := w.recorded(kind)
		if len(events) != times {
			t.Errorf("%s: %d times", kind, len(events))
		}
		for _, e := range events {
			if e.Actor != "users-write" || e.UserID == "" || e.Address == "" {
				t.Errorf("recorded %+v", e)
			}
		}
	}
	if strings.Contains(w.log.String(), "phrase") {
		t.Error("a password is in the log")
	}
}

func TestEventsAreReadByCursor(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		w.do("users-write", "POST", "/v1/users/"+w.ada.ID+"/enable", "").want(204, "")
	}
	var cursors []any
	next := "0"
	for range 10 {
		page := w.do("events-read", "GET", "/v1/events?limit=2&after="+next, "").want(200, "")
		for i := range 2 {
			if e := page.member("events", i); e != nil {
				cursors = append(cursors, page.member("events", i, "cursor"))
				if page.text("events", i, "type") != "user_enabled" || page.text("events", i, "actor") != "users-write" || page.text("events", i, "user") != w.ada.ID {
					t.Errorf("%s", page.Body)
				}
			}
		}
		next = strings.TrimSuffix(strings.SplitAfter(page.Body.String(), `"next":`)[1], "}")
	}
	if len(cursors) != 5 || next != "50" {
		t.Errorf("read %v, next %s", cursors, next)
	}
	empty := newWorld(t).do("events-read", "GET", "/v1/events?after=7", "").want(200, "")
	if empty.Body.String() != `{"events":[],"next":7}` {
		t.Errorf("%s", empty.Body)
	}
}
