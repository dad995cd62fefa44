package httpapi_test

import (
	"strings"
	"testing"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
)

// unsafeCalls are the calls of a signed-in browser that change something, and
// what each answers when it is allowed to.
func unsafeCalls(w *world) []struct {
	name, method, path, body string
	headers                  []string
	status                   int
} {
	s, other := w.start(), w.start()
	return []struct {
		name, method, path, body string
		headers                  []string
		status                   int
	}{
		{"login", "POST", "/auth/login", loginBody("ada", password, ""), []string{jsonType}, 200},
		{"login again", "POST", "/auth/login", loginBody("ada", password, ""), []string{jsonType, cookies(s)}, 200},
		{"refresh", "POST", "/auth/refresh", "", []string{cookies(s)}, 200},
		{"logout", "POST", "/auth/logout", "", []string{cookies(s)}, 204},
		{"logout of nobody", "POST", "/auth/logout", "", nil, 204},
		{"end a session", "DELETE", "/auth/sessions/" + other.Row.ID.String(), "", []string{cookies(s)}, 204},
		{"end others", "POST", "/auth/sessions/end-others", "", []string{cookies(s)}, 204},
		{"change the password", "POST", "/auth/password", passwordBody(password, "another long password"), []string{jsonType, cookies(s)}, 204},
		{"sign up", "POST", "/auth/signup", loginBody("eve", password, ""), []string{jsonType}, 200},
		{"sign up, signed in", "POST", "/auth/signup", loginBody("eve", password, ""), []string{jsonType, cookies(s)}, 200},
		// These are for clients and services: a page that names no client is
		// refused for that, if not before.
		{"revoke", "POST", "/auth/revoke", "token=" + s.Refresh.Reveal(), []string{formType, cookies(s)}, 401},
		{"token", "POST", "/auth/token", "grant_type=refresh_token&refresh_token=" + s.Refresh.Reveal(), []string{formType, cookies(s)}, 401},
		{"introspect", "POST", "/auth/introspect", "token=" + s.Access.Reveal(), []string{formType, cookies(s)}, 401},
	}
}

// Cookies are attached by hand, as if there were no SameSite.
//
// Rows: 24, 25, 26, 27, 28, 29, 30, 35, 39, 43, 148, A11, A12, A13, A14, A18.
func TestEveryUnsafeRouteProvesItsOrigin(t *testing.T) {
	const twice = "twice"
	names := []string{}
	for _, c := range unsafeCalls(newWorld(t, change{api: signup})) {
		names = append(names, c.name)
	}
	for i, name := range names {
		for _, site := range []string{"", "same-origin", "same-site", "cross-site", "none", "bogus", twice} {
			for _, from := range []string{"", origin, "http://app.example", "https://app.example:8443", "https://app.example.evil.example", spa, "null", twice} {
				w := newWorld(t, change{api: signup})
				c := unsafeCalls(w)[i]
				headers := append([]string{}, c.headers...)
				for header, value := range map[string]string{"Sec-Fetch-Site": site, "Origin": from} {
					switch value {
					case "":
					case twice:
						headers = append(headers, header+": same-origin", header+": same-origin")
					default:
						headers = append(headers, header+": "+value)
					}
				}
				before := w.store.written()
				got := w.do(c.method, c.path, c.body, headers...)
				want := 403
				switch {
				case site == twice || from == twice:
					want = 400
				case site == "same-origin", site == "" && from == origin:
					want = c.status
				}
				if got.Code != want {
					t.Errorf("%s, Sec-Fetch-Site %q, Origin %q: %d, want %d: %s", name, site, from, got.Code, want, got.Body)
				}
				if want < 400 {
					continue
				}
				if w.store.written() != before || got.Header()["Set-Cookie"] != nil || got.Header()["Clear-Site-Data"] != nil {
					t.Errorf("%s, Sec-Fetch-Site %q, Origin %q: refused, but something was done", name, site, from)
				}
				if blocked := len(w.recorded(session.EventCrossSite)); (want == 403) != (blocked == 1) {
					t.Errorf("%s, Sec-Fetch-Site %q, Origin %q: %d blocks recorded", name, site, from, blocked)
				}
			}
		}
	}
}

// Rows: 34, A20.
func TestOldBrowsersProveTheOriginWithTheCSRFToken(t *testing.T) {
	w := newWorld(t)
	s, other := w.start(), w.start()
	got := w.do("GET", "/auth/session", "", cookies(s))
	mine, ok := got.member("csrf_token").(string)
	if !ok || mine == "" {
		t.Fatalf("no CSRF token: %s", got.Body)
	}
	foreign := w.Guard.CSRF.Token(other.Row.ID)
	w.do("POST", "/auth/logout", "", cookies(s), httpauth.CSRFHeader+": "+foreign).want(403, "cross_site")
	w.do("POST", "/auth/logout", "csrf_token="+foreign, cookies(s), formType).want(403, "cross_site")
	if !w.alive(s.Row.ID) {
		t.Fatal("the session ended")
	}
	w.do("POST", "/auth/refresh", "", cookies(s), httpauth.CSRFHeader+": "+mine).want(200, "")
	w.do("POST", "/auth/logout", "csrf_token="+mine, cookies(s), formType).want(204, "")
	if w.alive(s.Row.ID) {
		t.Error("the session lives")
	}
}

// In token mode what uses a session proves it knows the session's token; what
// works without a session, or with one that a page knows no token of, does not.
//
// Rows: 42.
func TestTokenModeWantsTheTokenWithEveryUseOfASession(t *testing.T) {
	mode := change{guard: func(o *httpauth.Options) { o.RequireCSRFToken = true }, api: signup}
	wants := map[string]bool{"end a session": true, "end others": true, "change the password": true, "revoke": true, "token": true, "introspect": true}
	for i, named := range unsafeCalls(newWorld(t, mode)) {
		w := newWorld(t, mode)
		c := unsafeCalls(w)[i]
		got := w.do(c.method, c.path, c.body, append(c.headers, fromPage)...)
		if refused := got.Code == 403; refused != wants[named.name] || !refused && got.Code != c.status {
			t.Errorf("%s without a token: %d %s", named.name, got.Code, got.Body)
		}
	}
	w := newWorld(t, mode)
	s := w.start()
	w.do("POST", "/auth/sessions/end-others", "", fromPage, cookies(s)).want(403, "csrf_token_required")
	w.do("POST", "/auth/sessions/end-others", "", fromPage, cookies(s), httpauth.CSRFHeader+": "+w.Guard.CSRF.Token(s.Row.ID)).want(204, "")
}

// Rows: 30, 60, 254, A15.
func TestReadsChangeNothing(t *testing.T) {
	w := newWorld(t)
	s := w.start()
	for _, line := range w.Table() {
		before := w.store.written()
		for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "get", "PROPFIND"} {
			if method == line.Method || method == "HEAD" && line.Method == "GET" {
				continue
			}
			got := w.do(method, line.Path, "", cookies(s), fromPage)
			if got.Code != 405 || got.Header().Get("Allow") == "" || !strings.Contains(got.Header().Get("Allow"), line.Method) {
				t.Errorf("%s %s: %d, Allow %q", method, line.Path, got.Code, got.Header().Get("Allow"))
			}
		}
		if w.store.written() != before || !w.alive(s.Row.ID) {
			t.Errorf("%s: a wrong method changed something", line.Path)
		}
	}
}

// Rows: 56.
func TestAnswersAreNoPagesAndNoScripts(t *testing.T) {
	w := newWorld(t)
	s := w.start()
	for _, line := range w.Table() {
		for _, dest := range []string{"document", "iframe", "frame", "script", "style", "image", "object", "embed", "worker", "font", "bogus"} {
			got := w.do(line.Method, line.Path, "", cookies(s), fromPage, "Sec-Fetch-Dest: "+dest)
			forwarded := strings.HasSuffix(line.Path, "/verify") || strings.HasSuffix(line.Path, "/refusal")
			refused := got.Code == 403 && (got.code() == "wrong_destination" || line.OAuth)
			if refused == (forwarded || (line.Public || line.Script) && dest == "document" || line.Script && dest == "script") {
				t.Errorf("%s as %s: %d %s", line.Path, dest, got.Code, got.code())
			}
		}
	}
}

// Rows: 44, 45, 47, 48, A23.
func TestCORSIsForListedOriginsOnly(t *testing.T) {
	w := newWorld(t)
	shared := map[string]bool{"/auth/login": true, "/auth/token": true, "/auth/revoke": true}
	for _, line := range w.Table() {
		for _, from := range []string{spa, origin, "null", "https://evil.example", "https://spa.example.evil.example", "https://evilspa.example",
			"http://spa.example", "https://spa.example:8443", "https://SPA.example", "https://spa.example,https://evil.example", ""} {
			for _, preflight := range []bool{false, true} {
				headers, method := []string{"Sec-Fetch-Site: cross-site"}, line.Method
				if from != "" {
					headers = append(headers, "Origin: "+from)
				}
				if preflight {
					method = "OPTIONS"
					headers = append(headers, "Access-Control-Request-Method: "+line.Method, "Access-Control-Request-Headers: content-type")
				}
				h := w.do(method, line.Path, "", headers...).Header()
				want := ""
				switch {
				case line.Public && from != "":
					want = "*"
				case shared[line.Path] && from == spa:
					want = spa
				}
				if got := h.Get("Access-Control-Allow-Origin"); got != want {
					t.Errorf("%s %s from %q: allowed %q, want %q", method, line.Path, from, got, want)
				}
				if h.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("%s %s from %q: with credentials", method, line.Path, from)
				}
				if !line.Public && !line.Script && !strings.Contains(strings.Join(h["Vary"], ","), "Origin") {
					t.Errorf("%s %s from %q: Vary %q", method, line.Path, from, h["Vary"])
				}
			}
		}
	}
}

// Rows: 47, 101, A14.
func TestPagesOfABearerClientGetItsTokens(t *testing.T) {
	w := newWorld(t)
	page := []string{jsonType, "Origin: " + spa, "Sec-Fetch-Site: cross-site"}
	bearer := loginBody("ada", password, `,"transport":"bearer","client_id":"spa"`)
	got := w.do("POST", "/auth/login", bearer, page...)
	got.want(200, "")
	refresh, _ := got.member("refresh_token").(string)
	if exposed := got.Header().Get("Access-Control-Expose-Headers"); !strings.Contains(strings.ToLower(exposed), "www-authenticate") {
		t.Errorf("exposed: %q", exposed)
	}
	form := "grant_type=refresh_token&client_id=spa&refresh_token=" + refresh
	w.do("POST", "/auth/token", form, formType, "Origin: "+spa, "Sec-Fetch-Site: cross-site").want(200, "")

	before := w.store.written()
	for name, c := range map[string]answer{
		"another page":           w.do("POST", "/auth/login", bearer, jsonType, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"),
		"a sandboxed page":       w.do("POST", "/auth/login", bearer, jsonType, "Origin: null"),
		"our own page":           w.do("POST", "/auth/login", bearer, jsonType, "Origin: "+origin, fromPage),
		"no origin":              w.do("POST", "/auth/login", bearer, jsonType, fromPage),
		"with our cookies":       w.do("POST", "/auth/login", bearer, append(page, cookies(w.start()))...),
		"of a client of no page": w.do("POST", "/auth/login", strings.Replace(bearer, "spa", "cli", 1), page...),
		"a cookie session":       w.do("POST", "/auth/login", loginBody("ada", password, ""), page...),
		"renewal by another":     w.do("POST", "/auth/token", form, formType, "Origin: https://evil.example"),
		"renewal by our page":    w.do("POST", "/auth/token", form, formType, "Origin: "+origin, fromPage),
	} {
		if c.Code != 403 || strings.Contains(c.Body.String(), "pawl_rt_") || c.Header()["Set-Cookie"] != nil {
			t.Errorf("%s: %d %s", name, c.Code, c.Body)
		}
	}
	w.do("POST", "/auth/token", "grant_type=refresh_token&refresh_token="+refresh, formType, "Origin: "+spa).want(401, "invalid_client")
	if got := w.store.written() - before; got != 1 { // the session whose cookies were carried
		t.Errorf("%d writes", got)
	}
}
