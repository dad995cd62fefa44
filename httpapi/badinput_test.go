package httpapi_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/httpauth"
)

// TestBadInput sends what no honest client sends. Each gets its documented
// status and code, and nothing else happens.
//
// Rows: 13, 32, 57, 59, 99, 100, 101, 162, 182, 248, 249, 250, 254, A17, A46, A47, A48, A49, A50, A51, A52, A53, A54, A55, A56, A59, A87, A88, A91, A92, A95.
func TestBadInput(t *testing.T) {
	w := newWorld(t)
	web, app := w.start(), w.start(bearerSession)
	access, refresh := app.Access.Reveal(), app.Refresh.Reveal()
	carried, page := cookies(web), fromPage
	parts := strings.Split(access, ".")
	megabyte := strings.Repeat("A", 1<<20)
	login := loginBody("ada", password, "")
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		code                     string
	}{
		// Access tokens.
		{"alg none", "GET", "/auth/session", "", []string{"Authorization: Bearer " + unsigned(access)}, 401, "login_required"},
		{"foreign header", "GET", "/auth/session", "", []string{"Authorization: Bearer eyJhbGciOiJFZERTQSIsImprdSI6Imh0dHA6Ly9ldmlsLyJ9." + parts[1] + "." + parts[2]}, 401, "login_required"},
		{"swapped payload", "GET", "/auth/session", "", []string{"Authorization: Bearer " + parts[0] + ".e30." + parts[2]}, 401, "login_required"},
		{"no signature", "GET", "/auth/session", "", []string{"Authorization: Bearer " + parts[0] + "." + parts[1] + "."}, 401, "login_required"},
		{"cut signature", "GET", "/auth/session", "", []string{"Authorization: Bearer " + access[:len(access)-2]}, 401, "login_required"},
		{"padded", "GET", "/auth/session", "", []string{"Authorization: Bearer " + access + "="}, 401, "login_required"},
		{"five parts", "GET", "/auth/session", "", []string{"Authorization: Bearer a.b.c.d.e"}, 401, "login_required"},
		{"JSON form", "GET", "/auth/session", "", []string{`Authorization: Bearer {"payload":"e30"}`}, 401, "login_required"},
		{"1 MB", "GET", "/auth/session", "", []string{"Authorization: Bearer " + megabyte}, 401, "login_required"},
		{"1 MB of dots", "GET", "/auth/session", "", []string{"Authorization: Bearer " + strings.Repeat(".", 1<<20)}, 401, "login_required"},
		{"1 MB cookie", "GET", "/auth/session", "", []string{"Cookie: " + accessPair(megabyte)}, 401, "login_required"},
		{"refresh token as access token", "GET", "/auth/session", "", []string{"Authorization: Bearer " + refresh}, 401, "login_required"},

		// Where a credential is.
		{"two access cookies", "GET", "/auth/session", "", []string{carried, carried}, 401, "login_required"},
		{"cookie and bearer", "GET", "/auth/session", "", []string{carried, "Authorization: Bearer " + access}, 400, "two_credentials"},
		{"two Authorization lines", "GET", "/auth/session", "", []string{"Authorization: Bearer " + access, "Authorization: Bearer " + access}, 400, "two_credentials"},
		{"token in the query", "GET", "/auth/session?access_token=" + access, "", nil, 401, "login_required"},
		{"session id in the query", "GET", "/auth/session?sid=" + web.Row.ID.String(), "", []string{"X-Session: " + web.Row.ID.String()}, 401, "login_required"},
		{"empty Authorization", "GET", "/auth/session", "", []string{"Authorization: "}, 400, "malformed_authorization"},
		{"other scheme", "GET", "/auth/session", "", []string{"Authorization: Digest x"}, 401, "login_required"},
		{"renewal by Authorization", "POST", "/auth/refresh", "", []string{"Authorization: Bearer " + refresh}, 401, "login_required"},
		{"password in the query", "POST", "/auth/login?username=ada&password=x", "{}", []string{jsonType, page}, 400, "malformed_body"},

		{"two Sec-Fetch-Dest lines", "GET", "/auth/session", "", []string{carried, "Sec-Fetch-Dest: empty", "Sec-Fetch-Dest: document"}, 400, "repeated_header"},
		{"two Sec-Fetch-Site lines", "GET", "/auth/verify", "", []string{"Authorization: Bearer " + access, "Sec-Fetch-Site: none", "Sec-Fetch-Site: same-origin"}, 400, "repeated_header"},

		// Bodies of a sign-in.
		{"duplicate name", "POST", "/auth/login", `{"username":"bob",` + login[1:], []string{jsonType, page}, 400, "malformed_body"},
		{"another case", "POST", "/auth/login", strings.Replace(login, "username", "Username", 1), []string{jsonType, page}, 400, "malformed_body"},
		{"unknown member", "POST", "/auth/login", loginBody("ada", password, `,"admin":true`), []string{jsonType, page}, 400, "malformed_body"},
		{"trailing data", "POST", "/auth/login", login + "{}", []string{jsonType, page}, 400, "malformed_body"},
		{"cut", "POST", "/auth/login", login[:20], []string{jsonType, page}, 400, "malformed_body"},
		{"nothing", "POST", "/auth/login", "", []string{jsonType, page}, 400, "malformed_body"},
		{"null", "POST", "/auth/login", "null", []string{jsonType, page}, 400, "malformed_body"},
		{"array", "POST", "/auth/login", "[" + login + "]", []string{jsonType, page}, 400, "malformed_body"},
		{"no password", "POST", "/auth/login", `{"username":"ada"}`, []string{jsonType, page}, 400, "malformed_body"},
		{"null password", "POST", "/auth/login", `{"username":"ada","password":null}`, []string{jsonType, page}, 400, "malformed_body"},
		{"number as name", "POST", "/auth/login", `{"username":1,"password":"x"}`, []string{jsonType, page}, 400, "malformed_body"},
		{"object as password", "POST", "/auth/login", `{"username":"ada","password":{}}`, []string{jsonType, page}, 400, "malformed_body"},
		{"text as flag", "POST", "/auth/login", loginBody("ada", password, `,"remember":"yes"`), []string{jsonType, page}, 400, "malformed_body"},
		{"unknown transport", "POST", "/auth/login", loginBody("ada", password, `,"transport":"url"`), []string{jsonType, page}, 400, "malformed_body"},
		{"bad UTF-8", "POST", "/auth/login", loginBody("ada\xff", password, ""), []string{jsonType, page}, 400, "malformed_body"},
		{"lone surrogate", "POST", "/auth/login", loginBody(`\ud800`, password, ""), []string{jsonType, page}, 400, "malformed_body"},
		{"deep nesting", "POST", "/auth/login", strings.Repeat("[", 8000), []string{jsonType, page}, 400, "malformed_body"},
		{"deep unknown member", "POST", "/auth/login", `{"x":` + strings.Repeat("[", 3000) + strings.Repeat("]", 3000) + `}`, []string{jsonType, page}, 400, "malformed_body"},
		{"10 MB", "POST", "/auth/login", loginBody("ada", strings.Repeat("a", 10<<20), ""), []string{jsonType, page}, 413, "too_large"},
		{"password of 1025 bytes", "POST", "/auth/login", loginBody("ada", strings.Repeat("a", 1025), ""), []string{jsonType, page}, 401, "login_failed"},
		{"text/plain", "POST", "/auth/login", login, []string{"Content-Type: text/plain", page}, 415, "unsupported_media_type"},
		{"a form", "POST", "/auth/login", login, []string{formType, page}, 415, "unsupported_media_type"},
		{"multipart", "POST", "/auth/login", login, []string{"Content-Type: multipart/form-data; boundary=x", page}, 415, "unsupported_media_type"},
		{"no type", "POST", "/auth/login", login, []string{page}, 415, "unsupported_media_type"},
		{"two types", "POST", "/auth/login", login, []string{jsonType, "Content-Type: text/plain", page}, 415, "unsupported_media_type"},
		{"almost JSON", "POST", "/auth/login", login, []string{"Content-Type: application/json2", page}, 415, "unsupported_media_type"},
		{"JSON in a parameter", "POST", "/auth/login", login, []string{"Content-Type: text/plain; application/json", page}, 415, "unsupported_media_type"},
		{"UTF-16", "POST", "/auth/login", login, []string{"Content-Type: application/json; charset=utf-16", page}, 415, "unsupported_media_type"},
		{"compressed", "POST", "/auth/login", login, []string{jsonType, "Content-Encoding: gzip", page}, 415, "unsupported_media_type"},
		{"JSON to a form route", "POST", "/auth/token", login, []string{jsonType}, 415, "invalid_request"},
		{"10 MB form", "POST", "/auth/token", "grant_type=" + strings.Repeat("a", 10<<20), []string{formType}, 413, "invalid_request"},

		// Paths and methods.
		{"unknown path", "GET", "/auth/nothing", "", []string{carried}, 404, "not_found"},
		{"outside the prefix", "GET", "/session", "", []string{carried}, 404, "not_found"},
		{"the prefix", "GET", "/auth", "", []string{carried}, 404, "not_found"},
		{"trailing slash", "GET", "/auth/session/", "", []string{carried}, 404, "not_found"},
		{"doubled slash", "GET", "//auth/session", "", []string{carried}, 404, "not_found"},
		{"doubled slash within", "GET", "/auth//session", "", []string{carried}, 404, "not_found"},
		{"dots", "GET", "/auth/x/../session", "", []string{carried}, 404, "not_found"},
		{"encoded dots", "GET", "/auth/%2e/session", "", []string{carried}, 404, "not_found"},
		{"encoded slash", "GET", "/auth%2fsession", "", []string{carried}, 404, "not_found"},
		{"encoded letter", "GET", "/auth/%73ession", "", []string{carried}, 404, "not_found"},
		{"parameter", "GET", "/auth/session;x=y", "", []string{carried}, 404, "not_found"},
		{"static name", "GET", "/auth/session/x.css", "", []string{carried}, 404, "not_found"},
		{"suffix", "GET", "/auth/session.css", "", []string{carried}, 404, "not_found"},
		{"another case", "GET", "/AUTH/session", "", []string{carried}, 404, "not_found"},
		{"the pattern of an id", "DELETE", "/auth/sessions/{id}", "", []string{carried, page}, 404, "not_found"},
		{"backslash", "GET", `/auth\session`, "", []string{carried}, 404, "not_found"},
		{"wrong method", "GET", "/auth/refresh", "", []string{carried}, 405, "method_not_allowed"},
		{"method in a header", "GET", "/auth/logout", "", []string{carried, "X-HTTP-Method-Override: POST", "X-Forwarded-Method: POST"}, 405, "method_not_allowed"},
	} {
		before := w.store.written()
		got := w.do(c.method, c.path, c.body, c.headers...)
		if got.Code != c.status || got.code() != c.code {
			t.Errorf("%s: %d %q, want %d %q", c.name, got.Code, got.code(), c.status, c.code)
		}
		if w.store.written() != before || got.Header()["Set-Cookie"] != nil || got.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: something was done, or may be stored: %v", c.name, got.Header())
		}
		if got.Code == 401 && got.Header().Get("WWW-Authenticate") == "" || got.Code == 405 && got.Header().Get("Allow") == "" {
			t.Errorf("%s: %d without what it requires", c.name, got.Code)
		}
		for _, secret := range []string{access, refresh, password} {
			if strings.Contains(got.Body.String(), secret) || strings.Contains(fmt.Sprint(got.Header()), secret) {
				t.Errorf("%s: the answer has a secret", c.name)
			}
		}
	}
	if !w.alive(web.Row.ID) || !w.alive(app.Row.ID) {
		t.Error("a session ended")
	}
	// JSONP's parameter is none of ours.
	got := w.do("GET", "/auth/session?callback=evil", "", carried)
	if got.want(200, ""); strings.Contains(got.Body.String(), "evil") || got.Header().Get("Content-Type") != "application/json" {
		t.Errorf("callback: %s", got.Body)
	}
}

// A request with an absolute target names two hosts.
//
// Rows: A88.
func TestAbsoluteTargetsAreRefused(t *testing.T) {
	w := newWorld(t)
	s := w.start()
	for _, target := range []string{"https://app.example/auth/session", "http://evil.example/auth/session"} {
		r := httptest.NewRequest("GET", target, nil)
		r.Host, r.TLS = "app.example", &tls.ConnectionState{}
		r.Header.Set("Cookie", accessPair(s.Access.Reveal()))
		w.send(r).want(421, "misdirected")
	}
}

// Rows: 9, 248, 252, 254.
func FuzzLoginBody(f *testing.F) {
	for _, seed := range []string{
		loginBody("ada", password, ""), loginBody("ada", "wrong", `,"remember":true`), `{}`, `null`, `[]`, `{"username":1}`, "",
		loginBody("ada", password, `,"transport":"bearer","client_id":"cli","scope":"read"`), `{"username":"ada","username":"bob","password":""}`, "\xff", "{\"\\ud800\":0}",
	} {
		f.Add(seed)
	}
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, body string) {
		w.t = t
		w.users.Advance(24 * time.Hour) // so that attempts before are forgiven
		got := w.do("POST", "/auth/login", body, jsonType, fromPage)
		switch got.Code {
		case http.StatusOK:
			if !strings.Contains(body, password) && !strings.Contains(body, `\u`) {
				t.Errorf("%q signs in", body)
			}
		case 400, 401, 403, 413:
			if got.Header()["Set-Cookie"] != nil {
				t.Errorf("%q: cookies on failure", body)
			}
		default:
			t.Errorf("%q: %d", body, got.Code)
		}
	})
}

// Rows: 8, 9, 16, A28.
func FuzzRefreshCookies(f *testing.F) {
	w := newWorld(f)
	s := w.start()
	good := accessPair(s.Access.Reveal()) + "; " + refreshPair(s.Refresh.Reveal())
	for _, seed := range []string{good, "", accessPair("a.b.c"), refreshPair("pawl_rt_AAAA"), strings.ReplaceAll(good, "; ", ","), good + "; " + good,
		"=" + good, strings.ToUpper(good), good + ";;;=\x00\xff", accessPair("..") + "; " + refreshPair("\"\"")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		w.t = t
		before := w.store.written()
		got := w.do("POST", "/auth/refresh", "", fromPage, "Cookie: "+line)
		genuine := strings.Contains(line, s.Refresh.Reveal()) && strings.Contains(line, httpauth.AccessCookie)
		if got.Code != 401 && (got.Code != 200 && got.Code != 429 || !genuine) {
			t.Errorf("%q: %d", line, got.Code)
		}
		if got.Code != 200 && got.Header()["Set-Cookie"] != nil || w.store.written() != before || !w.alive(s.Row.ID) {
			t.Errorf("%q: something was done", line)
		}
	})
}

// Rows: 124, 252.
func FuzzTokenForm(f *testing.F) {
	w := newWorld(f)
	s := w.start(bearerSession)
	good := "grant_type=refresh_token&refresh_token=" + s.Refresh.Reveal()
	for _, seed := range []string{good, good + "&scope=read", good + "&client_id=cli", "", "grant_type=password", "a=1;b=2", "%zz", good + "&" + good, "grant_type=refresh_token&refresh_token=%00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		w.t = t
		got := w.do("POST", "/auth/token", body, formType)
		switch {
		case got.Code == 200 && strings.Contains(body, "refresh_token"):
		case got.Code == 400, got.Code == 401, got.Code == 413, got.Code == 429:
		default:
			t.Errorf("%q: %d", body, got.Code)
		}
		if !w.alive(s.Row.ID) {
			t.Errorf("%q ended the session", body)
		}
	})
}
