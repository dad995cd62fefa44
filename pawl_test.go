package pawl_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/session"
)

// An app is an application with Pawl in it, served on a loopback origin.
type app struct {
	t      *testing.T
	pawl   *pawl.Pawl
	origin string
	client *http.Client // a browser that keeps cookies and follows nothing

	seen http.Header // of the last request that reached the application
}

func newApp(t *testing.T, changes ...func(*pawl.Options)) *app {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a := &app{t: t, origin: "http://localhost:" + port}
	o := pawl.Options{Data: filepath.Join(t.TempDir(), "data"), Origins: []string{a.origin}, Log: slog.New(slog.DiscardHandler)}
	for _, change := range changes {
		change(&o)
	}
	a.pawl, err = pawl.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.pawl.Accounts().Add(t.Context(), "ada", account.NewPassword("correct horse battery")); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/auth/", a.pawl.Handler())
	mux.Handle("/.well-known/", a.pawl.Handler())
	mux.Handle("/", a.pawl.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.seen = r.Header.Clone()
		caller, ok := pawl.PrincipalFrom(r.Context())
		if !ok {
			http.Error(w, "no principal", http.StatusInternalServerError)
			return
		}
		io.WriteString(w, caller.UserID)
	})))
	server := &http.Server{Handler: mux}
	go server.Serve(l)
	t.Cleanup(func() {
		server.Close()
		if err := a.pawl.Close(); err != nil {
			t.Error(err)
		}
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	a.client = &http.Client{Jar: browserJar{jar}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return a
}

func (a *app) do(method, path, body string, headers ...string) *http.Response {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.origin+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Origin", a.origin)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := a.client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func (a *app) signIn() {
	a.t.Helper()
	resp := a.do("POST", "/auth/login", `{"username":"ada","password":"correct horse battery"}`, "Content-Type", "application/json")
	if resp.StatusCode != 200 {
		a.t.Fatalf("sign-in: %s", resp.Status)
	}
}

// The application behind Protect learns who calls and never receives the
// refresh token.
//
// Rows: 17, 128
func TestApplicationNeverReceivesTheRefreshToken(t *testing.T) {
	a := newApp(t)
	if resp := a.do("GET", "/", ""); resp.StatusCode != 401 || a.seen != nil {
		t.Fatalf("without a login: %s, reached %v", resp.Status, a.seen)
	}
	a.signIn()
	resp := a.do("GET", "/anything", "")
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || !strings.HasPrefix(string(text), "u_") {
		t.Fatalf("with a login: %s %q %v", resp.Status, text, err)
	}
	cookies := a.seen.Get("Cookie")
	if !strings.Contains(cookies, httpauth.AccessCookie) || strings.Contains(cookies, httpauth.RefreshCookie) {
		t.Errorf("the application received %q", cookies)
	}
	if resp := a.do("POST", "/auth/refresh", ""); resp.StatusCode != 200 {
		t.Errorf("renewal: %s", resp.Status)
	}
	if resp := a.do("POST", "/auth/logout", ""); resp.StatusCode != 204 {
		t.Errorf("sign-out: %s", resp.Status)
	}
	if resp := a.do("GET", "/", ""); resp.StatusCode != 401 {
		t.Errorf("after sign-out: %s", resp.Status)
	}
}

// A navigation without a login is sent to the one sign-in page, whatever the
// address says; a call of an API gets 401.
//
// Rows: 253, A89, A90
func TestNavigationIsSentToOurOwnSignInOnly(t *testing.T) {
	a := newApp(t)
	for _, path := range []string{"/", "/?next=https://evil.example", "/x?return_to=//evil.example", "/x%0d%0aLocation:%20https:%2F%2Fevil.example",
		"/x?a=%0d%0aSet-Cookie:%20a=b", "/https:evil.example/"} {
		resp := a.do("GET", path, "", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "cross-site")
		to, err := url.Parse(resp.Header.Get("Location"))
		if err != nil || resp.StatusCode != http.StatusSeeOther || to.Host != "" || to.Path != "/auth/signin" || len(resp.Cookies()) != 0 {
			t.Errorf("%s: %s to %q", path, resp.Status, resp.Header.Get("Location"))
		}
		if resp := a.do("GET", path, "", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Site", "same-origin"); resp.StatusCode != 401 || resp.Header.Get("Location") != "" {
			t.Errorf("%s as a call: %s", path, resp.Status)
		}
	}
	if a.seen != nil {
		t.Error("a request reached the application")
	}
}

// Cookies of others, however many fit into a request, do not lock a user out.
//
// Rows: 21, A30
func TestForeignCookiesDoNotLockOut(t *testing.T) {
	a := newApp(t)
	a.signIn()
	bomb := make([]string, 0, 16)
	for range 16 {
		bomb = append(bomb, "bomb"+strings.Repeat("x", 3000))
	}
	for _, path := range []string{"/", "/auth/session"} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", a.origin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range bomb {
			req.AddCookie(&http.Cookie{Name: name[:4] + string(rune('a'+i)), Value: name})
		}
		resp, err := a.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("%s with 48 KB of foreign cookies: %s", path, resp.Status)
		}
	}
}

// Everything that is wrong is told at once, and nothing is made.
//
// Rows: 36, 192
func TestOptionsReportEveryFault(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	_, err := pawl.Open(context.Background(), pawl.Options{
		Data: dir, Origins: []string{"https://app.example.com/", "https://*.example.com", "null"}, Prefix: "auth//",
		Keys: keyring.Options{Algorithm: "none"}, Clients: []httpapi.Client{{ID: ""}},
		MaxSessions: 1 << 20, MinPassword: 4, Home: "//evil.example", SignInPage: "login",
		Brand: pawl.Brand{Name: strings.Repeat("x", 41), Colour: "blue", Logo: []byte("no picture")},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"https://app.example.com/", "https://*.example.com", "null", "auth//", "none", "client id",
		"1048576 sessions", "password length of 4", "//evil.example", `"login"`, "brand name", `"blue"`, "logo"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the fault of %q is not told in: %v", part, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a directory was made")
	}
}

// A policy after NIST wants passwords of 15 characters, since nothing else
// protects the account; no option makes them shorter.
//
// Rows: 163
func TestPoliciesOfNISTWantLongPasswords(t *testing.T) {
	for _, c := range []struct {
		policy string
		min    int
		good   bool
	}{{"default", 0, true}, {"default", 8, true}, {"aal1", 0, true}, {"aal1", 15, true}, {"aal1", 20, true}, {"aal1", 14, false}, {"aal2", 8, false}} {
		policy, err := session.Preset(c.policy)
		if err != nil {
			t.Fatal(err)
		}
		err = pawl.Options{Data: "x", Origins: []string{"https://app.example.com"}, Policy: policy, MinPassword: c.min}.Validate()
		if (err == nil) != c.good {
			t.Errorf("%s with %d: %v", c.policy, c.min, err)
		}
	}
	policy, err := session.Preset("aal1")
	if err != nil {
		t.Fatal(err)
	}
	p, err := pawl.Open(t.Context(), pawl.Options{Data: filepath.Join(t.TempDir(), "data"), Origins: []string{"https://app.example.com"},
		Policy: policy, Brand: pawl.Brand{Name: "Example Bank"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for password, rule := range map[string]string{"fourteen chars": account.PasswordTooShort, "example bank app!": account.PasswordContext} {
		_, err := p.Accounts().Add(t.Context(), "ada", account.NewPassword(password))
		if wrong, ok := errors.AsType[*account.PasswordError](err); !ok || wrong.Rule != rule {
			t.Errorf("%q: %v, want %s", password, err, rule)
		}
	}
}

// A policy after NIST wants a value of the session in whatever changes
// something, besides the proof of origin; so does any other that is told to.
//
// Rows: 42
func TestCSRFTokenIsWantedByPoliciesOfNIST(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*pawl.Options)
		want   int
	}{
		"default":  {func(*pawl.Options) {}, 200},
		"told to":  {func(o *pawl.Options) { o.RequireCSRFToken = true }, 403},
		"aal2":     {func(o *pawl.Options) { o.Policy, _ = session.Preset("aal2") }, 403},
		"and told": {func(o *pawl.Options) { o.Policy, _ = session.Preset("aal1"); o.RequireCSRFToken = true }, 403},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, c.change)
			a.signIn()
			if resp := a.do("POST", "/transfer", ""); resp.StatusCode != c.want {
				t.Fatalf("without a token: %s, want %d", resp.Status, c.want)
			}
			var document struct {
				CSRFToken string `json:"csrf_token"`
			}
			resp := a.do("GET", "/auth/session", "")
			if err := json.UnmarshalRead(resp.Body, &document); err != nil || document.CSRFToken == "" {
				t.Fatalf("session document: %v", err)
			}
			if resp := a.do("POST", "/transfer", "", httpauth.CSRFHeader, document.CSRFToken); resp.StatusCode != 200 {
				t.Errorf("with the session's token: %s", resp.Status)
			}
		})
	}
}

// A program is told of what a user should know of, as it happens, with the
// user's id, so that it can send word: a new password, another browser that
// goes on with the session, and guesses.
//
// Rows: 149, 180
func TestProgramIsToldWhatAUserShouldKnow(t *testing.T) {
	const chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
	var mu sync.Mutex
	told := make(map[session.EventType]session.Event)
	a := newApp(t, func(o *pawl.Options) {
		o.Policy, _ = session.Preset("default")
		o.Policy = o.Policy.MakeStrict()
		o.Observe = func(e session.Event) {
			mu.Lock()
			defer mu.Unlock()
			told[e.Type] = e
		}
	})
	a.do("POST", "/auth/login", `{"username":"ada","password":"not my password"}`, "Content-Type", "application/json")
	a.signIn()
	if resp := a.do("POST", "/auth/refresh", "", "User-Agent", chrome); resp.StatusCode != 200 {
		t.Fatalf("renewal: %s", resp.Status)
	}
	resp := a.do("POST", "/auth/password", `{"current":"correct horse battery","new":"a quite different one"}`, "Content-Type", "application/json")
	if resp.StatusCode != 204 {
		t.Fatalf("password: %s", resp.Status)
	}
	ada, err := a.pawl.Accounts().ByName(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, kind := range []session.EventType{session.EventSignInOK, session.EventContextChanged, session.EventPasswordSet} {
		if e, ok := told[kind]; !ok || e.UserID != ada.ID {
			t.Errorf("%s: told %t, of user %q; want %q", kind, ok, e.UserID, ada.ID)
		}
	}
	if e, ok := told[session.EventSignInFailed]; !ok || e.Reason != account.ReasonWrongPassword {
		t.Errorf("a guess: told %t, because of %q", ok, e.Reason)
	}
}

// Without pages there are none, and a navigation gets what a program gets,
// unless the program has a sign-in page of its own.
func TestWithoutPages(t *testing.T) {
	for _, c := range []struct {
		page   string
		status int
		to     string
	}{{"", 401, ""}, {"/login", 303, "/login?return_to=%2Fx"}} {
		p, err := pawl.Open(t.Context(), pawl.Options{Data: filepath.Join(t.TempDir(), "data"), Origins: []string{"http://localhost:8080"},
			WithoutPages: true, SignInPage: c.page, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if answer := visit(p.Protect(http.NotFoundHandler()), "GET", "/x", nil); answer.StatusCode != c.status || answer.Header.Get("Location") != c.to {
			t.Errorf("with page %q: %d to %q", c.page, answer.StatusCode, answer.Header.Get("Location"))
		}
		for _, path := range []string{"/auth/signin", "/auth/renew", "/auth/devices"} {
			if answer := visit(p.Handler(), "GET", path, nil); answer.StatusCode != 404 {
				t.Errorf("%s: %d", path, answer.StatusCode)
			}
		}
	}
}

// The programs' own use of a session is refused where nobody is signed in.
func TestOutsideProtectNobodyCalls(t *testing.T) {
	p, end := quiet(pawl.Options{})
	defer end()
	if token := p.CSRFToken(t.Context()); token != "" {
		t.Errorf("a CSRF token for nobody: %q", token)
	}
	forgotten := p.RequireRecent(time.Hour)(http.NotFoundHandler())
	if answer := visit(forgotten, "GET", "/x", nil); answer.StatusCode != 303 || answer.Header.Get("Location") != "/auth/signin?return_to=%2Fx" {
		t.Errorf("RequireRecent without Protect: %d to %q", answer.StatusCode, answer.Header.Get("Location"))
	}
	for name, answer := range map[string]*http.Response{
		"another site's form": visitFrom("cross-site", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := p.SignIn(w, r, "person-7"); err != nil {
				p.Refuse(w, r, err)
			}
		})),
		"no user": visitFrom("same-origin", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := p.SignIn(w, r, ""); err != nil {
				p.Refuse(w, r, err)
			}
		})),
	} {
		if answer.StatusCode < 400 || len(answer.Cookies()) != 0 {
			t.Errorf("%s: %d with %d cookies", name, answer.StatusCode, len(answer.Cookies()))
		}
	}
}

// visitFrom sends a form from a page of some site.
func visitFrom(site string, h http.Handler) *http.Response {
	r := httptest.NewRequest("POST", "/login", nil)
	r.Host = "localhost:8080"
	r.Header.Set("Sec-Fetch-Site", site)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// A browserJar treats http://localhost as browsers do: a trustworthy origin
// that may keep Secure cookies.
type browserJar struct{ http.CookieJar }

func (j browserJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.CookieJar.SetCookies(https(u), cookies)
}

func (j browserJar) Cookies(u *url.URL) []*http.Cookie { return j.CookieJar.Cookies(https(u)) }

func https(u *url.URL) *url.URL {
	secure := *u
	secure.Scheme = "https"
	return &secure
}
