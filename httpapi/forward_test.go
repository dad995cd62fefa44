package httpapi_test

import (
	"strings"
	"testing"

	"github.com/pawlauth/pawl/httpapi"
)

// Rows: 24, 64, 249, A88.
func TestForwardAuth(t *testing.T) {
	w := newWorld(t)
	web, app := w.start(), w.start(bearerSession)
	bearer := "Authorization: Bearer " + app.Access.Reveal()
	for name, c := range map[string]struct {
		peer    string
		headers []string
		status  int
	}{
		"a page that is opened":      {proxyPeer, []string{cookies(web), "X-Forwarded-Method: GET", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: document"}, 204},
		"a picture":                  {proxyPeer, []string{cookies(web), "X-Original-Method: GET", "Sec-Fetch-Site: same-site", "Sec-Fetch-Dest: image"}, 204},
		"our own page's change":      {proxyPeer, []string{cookies(web), "X-Forwarded-Method: POST", fromPage}, 204},
		"another site's change":      {proxyPeer, []string{cookies(web), "X-Forwarded-Method: POST", "Sec-Fetch-Site: cross-site"}, 403},
		"a change by nobody knows":   {proxyPeer, []string{cookies(web), "X-Forwarded-Method: DELETE"}, 403},
		"no method":                  {proxyPeer, []string{cookies(web), "Sec-Fetch-Site: cross-site"}, 403},
		"a method of a stranger":     {"192.0.2.1:5", []string{cookies(web), "X-Forwarded-Method: GET", "Sec-Fetch-Site: cross-site"}, 403},
		"a WebSocket":                {proxyPeer, []string{cookies(web), "X-Forwarded-Method: GET", "Origin: https://evil.example", "Upgrade: websocket"}, 403},
		"an app":                     {proxyPeer, []string{bearer}, 204},
		"an app that changes things": {proxyPeer, []string{bearer, "X-Forwarded-Method: POST"}, 204},
		"nobody":                     {proxyPeer, []string{"X-Forwarded-Method: GET", "X-Auth-User: u_admin", "X_Auth_User: u_admin"}, 401},
		"forged":                     {proxyPeer, []string{"Authorization: Bearer " + unsigned(app.Access.Reveal())}, 401},
		"both":                       {proxyPeer, []string{bearer, cookies(web), "X-Forwarded-Method: GET"}, 400},
	} {
		before := w.store.written()
		r := request("GET", "/auth/verify", "", c.headers...)
		r.RemoteAddr = c.peer
		got := w.send(r)
		if got.Code != c.status {
			t.Errorf("%s: %d, want %d: %s", name, got.Code, c.status, got.Body)
		}
		user := ""
		if c.status == 204 {
			user = w.ada.ID
		}
		if got.Header().Get("X-Auth-User") != user || (got.Header().Get("X-Auth-Session") == "") != (user == "") {
			t.Errorf("%s: identity %v", name, got.Header())
		}
		if (got.Code == 401) != (got.Header().Get("WWW-Authenticate") != "" && got.Code == 401) {
			t.Errorf("%s: no challenge", name)
		}
		if w.store.written() != before {
			t.Errorf("%s: something was written", name)
		}
	}
	h := w.do("GET", "/auth/verify", "", bearer).Header()
	if h.Get("X-Auth-Client") != "cli" || h.Get("X-Auth-Scope") != "read write" || h.Get("X-Auth-Session") != app.Row.ID.String() {
		t.Errorf("identity %v", h)
	}
}

// Rows: 22, 63, 64, A88.
func TestPlainHTTPGetsAnErrorAndNoCookie(t *testing.T) {
	w := newWorld(t)
	s := w.start()
	for _, line := range w.Table() {
		r := request(line.Method, line.Path, "", cookies(s), fromPage, "X-Forwarded-Proto: https", "Forwarded: proto=https")
		r.TLS = nil
		got := w.send(r)
		got.want(403, "https_required")
		if h := got.Header(); h["Location"] != nil || h["Set-Cookie"] != nil || h["Strict-Transport-Security"] != nil {
			t.Errorf("%s: %v", line.Path, h)
		}
		r = request(line.Method, line.Path, "", cookies(s), fromPage, "X-Forwarded-Host: app.example")
		r.Host = "evil.example"
		w.send(r).want(421, "misdirected")
	}
	r := request("POST", "/auth/login", loginBody("ada", password, ""), jsonType, fromPage, "X-Forwarded-Proto: https")
	r.TLS, r.RemoteAddr = nil, proxyPeer
	got := w.send(r)
	if got.want(200, ""); got.Header().Get("Strict-Transport-Security") == "" {
		t.Error("behind a proxy with TLS there is no HSTS")
	}
}

// A proxy that names the target hears what its client should: a browser that
// opens a page is led on, with the page's own path and nothing else to come
// back to. Only a trusted proxy can name one.
//
// Rows: 64, 253, A86.
func TestRefusalOfForwardAuthIsForTheClient(t *testing.T) {
	w := newWorld(t, change{api: func(o *httpapi.Options) { o.SignIn = "/auth/signin" }})
	s := w.start()
	page := []string{"X-Forwarded-Method: GET", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: cross-site"}
	for name, c := range map[string]struct {
		path    string
		peer    string
		headers []string
		status  int
		code    string
	}{
		"a page":                    {"/auth/refusal", proxyPeer, append([]string{"X-Forwarded-Uri: /report?a=b"}, page...), 303, ""},
		"a page, asked at once":     {"/auth/verify", proxyPeer, append([]string{"X-Forwarded-Uri: /report?a=b"}, page...), 303, ""},
		"yes or no":                 {"/auth/verify", proxyPeer, page, 401, "login_required"},
		"a stranger":                {"/auth/verify", "192.0.2.1:5", append([]string{"X-Forwarded-Uri: /report"}, page...), 401, "login_required"},
		"another site as target":    {"/auth/verify", proxyPeer, append([]string{"X-Forwarded-Uri: https://evil.example/"}, page...), 401, "login_required"},
		"two targets":               {"/auth/verify", proxyPeer, append([]string{"X-Forwarded-Uri: /a", "X-Forwarded-Uri: /b"}, page...), 401, "login_required"},
		"a form":                    {"/auth/refusal", proxyPeer, []string{"X-Forwarded-Method: POST", "X-Forwarded-Uri: /", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, 401, "login_required"},
		"a script's call":           {"/auth/refusal", proxyPeer, []string{"X-Forwarded-Method: GET", "X-Forwarded-Uri: /", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"}, 401, "login_required"},
		"a program":                 {"/auth/refusal", proxyPeer, []string{"X-Forwarded-Method: GET", "X-Forwarded-Uri: /", "Accept: application/json"}, 401, "login_required"},
		"another site's change":     {"/auth/refusal", proxyPeer, []string{cookies(s), "X-Forwarded-Method: POST", "X-Forwarded-Uri: /", "Sec-Fetch-Site: cross-site"}, 403, "cross_site"},
		"good by now":               {"/auth/refusal", proxyPeer, append([]string{cookies(s), "X-Forwarded-Uri: /"}, page...), 503, "unavailable"},
		"good by now, to a program": {"/auth/refusal", proxyPeer, []string{cookies(s), "X-Forwarded-Method: GET"}, 503, "unavailable"},
	} {
		r := request("GET", c.path, "", c.headers...)
		r.RemoteAddr = c.peer
		got := w.send(r)
		if got.Code != c.status || got.code() != c.code || got.Header().Get("X-Auth-User") != "" {
			t.Errorf("%s: %d %q %v, want %d %q", name, got.Code, got.code(), got.Header(), c.status, c.code)
		}
		location := got.Header().Get("Location")
		if (c.status == 303) != strings.HasPrefix(location, "/auth/signin") || strings.Contains(location, "evil") {
			t.Errorf("%s: sent to %q", name, location)
		}
		if c.status == 503 && got.Header().Get("Retry-After") != "1" {
			t.Errorf("%s: Retry-After %q", name, got.Header().Get("Retry-After"))
		}
	}
}
