package httpapi_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
)

// Rows: 20, 38, 40, 50, 51, 53, 54, 56, 58, 59, 247, 255, A91.
func TestEveryAnswerIsHardened(t *testing.T) {
	w := newWorld(t)
	s := w.start()
	var answers []answer
	for _, line := range w.Table() {
		answers = append(answers, w.do(line.Method, line.Path, "", cookies(s), fromPage)) // 2xx, 4xx
		answers = append(answers, w.do(line.Method, line.Path, "", fromPage), w.do("PATCH", line.Path, ""), w.do(line.Method, line.Path+"/x.css", ""))
		stranger := request(line.Method, line.Path, "")
		stranger.Host = "evil.example"
		answers = append(answers, w.send(stranger))
	}
	w.store.fail("Load", "List", "End", "Create")
	s = w.startAnyway()
	for _, line := range w.Table() {
		answers = append(answers, w.do(line.Method, line.Path, "", cookies(s), fromPage)) // 503
	}
	statuses := map[int]bool{}
	for _, a := range answers {
		statuses[a.Code] = true
		h := a.Header()
		if strings.HasPrefix(h.Get("Content-Type"), "text/javascript") {
			continue // the browser client, which has a test of its own
		}
		public := h.Get("Cache-Control") == "public, max-age=300"
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
			"Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
			"Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin", "Server": "", "X-Powered-By": "",
		} {
			if public && (name == "Cache-Control" || name == "Cross-Origin-Resource-Policy") {
				continue
			}
			if got := h.Get(name); got != want {
				t.Errorf("%d: %s: %q", a.Code, name, got)
			}
		}
		if public {
			if a.Code != 200 || h["Set-Cookie"] != nil || h.Get("Cross-Origin-Resource-Policy") != "cross-origin" {
				t.Errorf("%d may be cached: %v", a.Code, h)
			}
			continue
		}
		if vary := strings.Join(h["Vary"], ", "); !strings.Contains(vary, "Cookie") || !strings.Contains(vary, "Sec-Fetch-Site") || !strings.Contains(vary, "Origin") {
			t.Errorf("%d: Vary %q", a.Code, vary)
		}
		if a.Body.Len() > 0 && !slices.Contains([]string{"application/json", "application/problem+json"}, h.Get("Content-Type")) {
			t.Errorf("%d: Content-Type %q", a.Code, h.Get("Content-Type"))
		}
	}
	for _, status := range []int{200, 204, 401, 404, 405, 415, 421, 503} {
		if !statuses[status] {
			t.Errorf("no answer was %d", status)
		}
	}
}

// startAnyway makes a session while the store fails, for what comes after it.
func (w *world) startAnyway() session.Issued {
	w.store.mu.Lock()
	fails := w.store.fails
	w.store.fails = nil
	w.store.mu.Unlock()
	s := w.start()
	w.store.mu.Lock()
	w.store.fails = fails
	w.store.mu.Unlock()
	return s
}

// Rows: 1, 2, 4, 6, 7, 11, 20, A16.
func TestCookiesOverARealConnection(t *testing.T) {
	var api http.Handler
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { api.ServeHTTP(w, r) }))
	server.StartTLS()
	defer server.Close()
	w := newWorld(t, change{guard: func(o *httpauth.Options) {
		var err error
		o.Site, err = httpauth.NewSite([]string{server.URL, origin})
		if err != nil {
			t.Fatal(err)
		}
	}})
	api = w
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := server.Client()
	client.Jar = jar
	call := func(method, path, body string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", server.URL)
		r.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer, string(text)
	}
	if answer, text := call("POST", "/auth/login", loginBody("ada", password, "")); answer.StatusCode != 200 {
		t.Fatalf("login: %d %s", answer.StatusCode, text)
	}
	root, _ := url.Parse(server.URL)
	below, _ := url.Parse(server.URL + "/auth/refresh")
	if got := jar.Cookies(root); len(got) != 1 || got[0].Name != httpauth.AccessCookie {
		t.Errorf("the application receives %v", got)
	}
	if got := jar.Cookies(below); len(got) != 2 {
		t.Errorf("the API receives %v", got)
	}
	for _, path := range []string{"/auth/session", "/auth/sessions", "/auth/verify"} {
		answer, text := call("GET", path, "")
		if answer.StatusCode/100 != 2 || strings.Contains(text, "pawl_rt_") || strings.Contains(text, "eyJ") {
			t.Errorf("%s: %d %s", path, answer.StatusCode, text)
		}
		for name := range answer.Header {
			if strings.Contains(answer.Header.Get(name), "eyJ") {
				t.Errorf("%s: %s has a token", path, name)
			}
		}
	}
	if answer, _ := call("POST", "/auth/refresh", ""); answer.StatusCode != 200 {
		t.Errorf("refresh: %d", answer.StatusCode)
	}
	if answer, _ := call("POST", "/auth/logout", ""); answer.StatusCode != 204 || len(jar.Cookies(below)) != 0 {
		t.Errorf("logout: %d, %v stays", answer.StatusCode, jar.Cookies(below))
	}
}

// Rows: 22, 53.
func TestDevelopmentOverPlainHTTPOnLocalhost(t *testing.T) {
	w := newWorld(t)
	r := request("POST", "/auth/login", loginBody("ada", password, ""), jsonType, "Origin: http://localhost:8080")
	r.TLS, r.Host = nil, "localhost:8080"
	got := w.send(r)
	got.want(200, "")
	for _, c := range got.Result().Cookies() {
		if !c.Secure || !c.HttpOnly || c.SameSite == http.SameSiteDefaultMode {
			t.Errorf("%s", c.Raw)
		}
	}
	if got.Header()["Strict-Transport-Security"] != nil {
		t.Error("HSTS over plain http")
	}
}

// Rows: 5, 36, 104, 131.
func TestOptionsAreCheckedWhole(t *testing.T) {
	if _, err := httpapi.New(httpapi.Options{Prefix: "/auth/"}); err == nil {
		t.Error("no options are enough")
	}
	w := newWorld(t)
	for name, spoil := range map[string]func(*httpapi.Options){
		"no audience":             func(o *httpapi.Options) { o.Audience = "" },
		"no log":                  func(o *httpapi.Options) { o.Log = nil },
		"the root as prefix":      func(o *httpapi.Options) { o.Prefix = "/" },
		"a prefix with a slash":   func(o *httpapi.Options) { o.Prefix = "/auth/" },
		"a prefix with dots":      func(o *httpapi.Options) { o.Prefix = "/a/../b" },
		"a prefix with a space":   func(o *httpapi.Options) { o.Prefix = "/a b" },
		"a prefix with a brace":   func(o *httpapi.Options) { o.Prefix = "/{id}" },
		"a relative prefix":       func(o *httpapi.Options) { o.Prefix = "auth" },
		"sign-in elsewhere":       func(o *httpapi.Options) { o.SignIn = "//evil.example" },
		"sign-in by URL":          func(o *httpapi.Options) { o.SignIn = "https://evil.example/" },
		"a wildcard origin":       func(o *httpapi.Options) { o.Clients[0].Origins = []string{"https://*.example"} },
		"any origin":              func(o *httpapi.Options) { o.Clients[0].Origins = []string{"*"} },
		"the null origin":         func(o *httpapi.Options) { o.Clients[0].Origins = []string{"null"} },
		"a slash":                 func(o *httpapi.Options) { o.Clients[0].Origins = []string{"https://spa.example/"} },
		"a nameless client":       func(o *httpapi.Options) { o.Clients[0].ID = "" },
		"a client twice":          func(o *httpapi.Options) { o.Clients[1].ID = o.Clients[0].ID },
		"a client named web":      func(o *httpapi.Options) { o.Clients[0].ID = "web" },
		"a quote in a scope":      func(o *httpapi.Options) { o.Clients[0].Scope = `a"b` },
		"a line break in a scope": func(o *httpapi.Options) { o.Web.Scope = "a\r\nSet-Cookie: x" },
		"web with an origin":      func(o *httpapi.Options) { o.Web.Origins = []string{origin} },
		"renewal elsewhere":       func(o *httpapi.Options) { o.SignIn, o.Renewal = "/auth/signin", "//evil.example" },
		"renewal without sign-in": func(o *httpapi.Options) { o.Renewal = "/auth/renew" },
		"renewal as sign-in":      func(o *httpapi.Options) { o.SignIn, o.Renewal = "/auth/signin", "/auth/signin" },
		"a page without a path":   func(o *httpapi.Options) { o.Pages = map[string]bool{"signin": false} },
		"methods, but no page":    func(o *httpapi.Options) { o.SignInMethods = true },
		"no session at all":       func(o *httpapi.Options) { o.MaxSessions = -1 },
		"too many sessions":       func(o *httpapi.Options) { o.MaxSessions = 501 },
		"a negative recent login": func(o *httpapi.Options) { o.RecentLogin = -1 },
	} {
		o := w.Options
		o.Clients = slices.Clone(o.Clients)
		spoil(&o)
		if _, err := httpapi.New(o); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	o := w.Options
	elsewhere := w.Engine.Options
	elsewhere.Issuer = "https://elsewhere.example"
	var err error
	o.Engine, err = session.New(elsewhere)
	w.must(err)
	if _, err := httpapi.New(o); err == nil {
		t.Error("an issuer elsewhere is accepted")
	}
}
