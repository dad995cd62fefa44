package httpapi_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
)

func (w *world) form(path, body string, headers ...string) answer {
	w.t.Helper()
	return w.do("POST", path, body, append(headers, formType)...)
}

// Rows: 41, 108, 109, 123, 124, 125, 128, A41, A42, A52.
func TestWhatTheTokenRouteRefuses(t *testing.T) {
	w := newWorld(t)
	app, web := w.start(bearerSession), w.start()
	grant := "grant_type=refresh_token&refresh_token="
	good := grant + app.Refresh.Reveal()
	over := w.start(bearerSession)
	w.form("/auth/revoke", "token="+over.Refresh.Reveal()).want(200, "")
	var dead []answer
	for name, body := range map[string]string{
		"over": grant + over.Refresh.Reveal(), "junk": grant + "junk", "cut": grant + app.Refresh.Reveal()[:60],
		"an access token": grant + app.Access.Reveal(), "of a browser": grant + web.Refresh.Reveal(),
		"of another client": good + "&client_id=spa", "oversized": grant + strings.Repeat("A", 4000),
	} {
		got := w.form("/auth/token", body)
		got.want(400, "invalid_grant")
		if dead = append(dead, got); got.Body.String() != dead[0].Body.String() {
			t.Errorf("%s differs: %s", name, got.Body)
		}
	}
	before := w.store.written()
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
		header string
	}{
		"no grant":            {"refresh_token=" + app.Refresh.Reveal(), 400, "invalid_request", ""},
		"empty grant":         {"grant_type=&refresh_token=" + app.Refresh.Reveal(), 400, "invalid_request", ""},
		"no token":            {"grant_type=refresh_token", 400, "invalid_request", ""},
		"password":            {"grant_type=password&username=ada&password=x", 400, "unsupported_grant_type", ""},
		"code":                {"grant_type=authorization_code&code=x", 400, "unsupported_grant_type", ""},
		"client credentials":  {"grant_type=client_credentials", 400, "unsupported_grant_type", ""},
		"token twice":         {good + "&refresh_token=x", 400, "invalid_request", ""},
		"grant twice":         {good + "&grant_type=refresh_token", 400, "invalid_request", ""},
		"unknown twice":       {good + "&x=1&x=2", 400, "invalid_request", ""},
		"semicolons":          {"grant_type=refresh_token;refresh_token=x", 400, "invalid_request", ""},
		"bad escape":          {good + "&x=%zz", 400, "invalid_request", ""},
		"unknown client":      {good + "&client_id=nobody", 401, "invalid_client", ""},
		"the web client":      {good + "&client_id=web", 401, "invalid_client", ""},
		"a client's password": {good, 401, "invalid_client", service},
		"wider scope":         {good + "&scope=" + url.QueryEscape("read write admin"), 400, "invalid_scope", ""},
	} {
		got := w.form("/auth/token", c.body, strings.Split(c.header, "\x00")...)
		got.want(c.status, c.code)
		if (got.Code == 401) != (got.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%s: challenge %q", name, got.Header().Get("WWW-Authenticate"))
		}
	}
	w.do("POST", "/auth/token?"+good, "", formType).want(400, "invalid_request")
	if w.store.written() != before || !w.alive(app.Row.ID) || !w.alive(web.Row.ID) {
		t.Error("a refused call did something")
	}
	w.form("/auth/token", good+"&unknown=1&client_id=cli").want(200, "")
}

// Rows: 102, 123, A41, A57.
func TestOnlyServicesIntrospect(t *testing.T) {
	w := newWorld(t)
	app := w.start(bearerSession)
	body := "token=" + app.Access.Reveal()
	for _, headers := range [][]string{
		nil, {"Authorization: Bearer " + app.Access.Reveal()}, {"Authorization: Basic Z2F0ZXdheTp3cm9uZw=="}, {"Authorization: Basic"},
	} {
		got := w.form("/auth/introspect", body, headers...)
		got.want(401, "invalid_client")
		if c := got.Header().Get("WWW-Authenticate"); !strings.HasPrefix(c, "Basic ") {
			t.Errorf("challenge %q", c)
		}
	}
	w.form("/auth/introspect", "", service).want(400, "invalid_request")
	w.form("/auth/introspect", body+"&"+body, service).want(400, "invalid_request")
	got := w.form("/auth/introspect", body+"&token_type_hint=x", service)
	if got.want(200, ""); got.member("active") != true || got.member("sid") != app.Row.ID.String() || got.member("aud") != "app" {
		t.Errorf("%s", got.Body)
	}
	for name, text := range map[string]string{
		"junk": "junk", "cut": app.Access.Reveal()[:100], "a refresh token": app.Refresh.Reveal(), "unsigned": unsigned(app.Access.Reveal()),
	} {
		got := w.form("/auth/introspect", "token="+text, service)
		if got.Code != 200 || got.Body.String() != `{"active":false}` {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
	w.now = w.now.Add(2 * time.Minute) // the revocations were not read for so long
	w.form("/auth/introspect", body, service).want(503, "temporarily_unavailable")
	w.form("/auth/revoke", body).want(503, "temporarily_unavailable")
	w.wait(10 * time.Minute)
	if got := w.form("/auth/introspect", body, service); got.Body.String() != `{"active":false}` {
		t.Errorf("expired: %s", got.Body)
	}
}

// Rows: 103, 113, 118, A42, A44.
func TestRevocation(t *testing.T) {
	w := newWorld(t)
	revoke := func(token, more string) answer { return w.form("/auth/revoke", "token="+token+more) }
	byRefresh, byAccess, stays := w.start(bearerSession), w.start(bearerSession), w.start(bearerSession)
	old := w.start(bearerSession)
	w.turn(old)
	for _, text := range []string{byRefresh.Refresh.Reveal(), byAccess.Access.Reveal(), old.Refresh.Reveal(), "junk", "pawl_rt_junk", unsigned(stays.Access.Reveal())} {
		for range 2 {
			if got := revoke(text, "&token_type_hint=nonsense"); got.Code != 200 || got.Body.Len() != 0 {
				t.Errorf("%.20s: %d %s", text, got.Code, got.Body)
			}
		}
	}
	for _, s := range []session.Issued{byRefresh, byAccess, old} {
		if row := w.row(s.Row.ID); row.EndReason != session.ReasonRevoked {
			t.Errorf("ended for %q", row.EndReason)
		}
	}
	revoke(stays.Refresh.Reveal(), "&client_id=spa").want(400, "invalid_grant")
	revoke(stays.Refresh.Reveal(), "&client_id=nobody").want(401, "invalid_client")
	w.form("/auth/revoke", "").want(400, "invalid_request")
	if !w.alive(stays.Row.ID) {
		t.Error("a session ended that should not")
	}
	w.store.fail("End")
	revoke(stays.Refresh.Reveal(), "").want(503, "temporarily_unavailable")
	w.store.fail("Load")
	revoke(stays.Refresh.Reveal(), "").want(503, "temporarily_unavailable")
}

// unsigned takes the signature off and says that there is none.
func unsigned(access string) string {
	parts := strings.Split(access, ".")
	return "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + parts[1] + "."
}
