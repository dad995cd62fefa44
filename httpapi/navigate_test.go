package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/verify"
)

var (
	navigation = []string{"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}
	withPages  = change{api: func(o *httpapi.Options) {
		o.SignIn, o.Renewal = "/auth/signin", "/auth/renew"
		o.Pages = map[string]bool{"/auth/signin": false, "/auth/signup": false, "/auth/signout": false, "/auth/signed-out": false,
			"/auth/renew": false, "/auth/devices": true, "/auth/password": true}
	}}
)

func (w *world) refuse(r *http.Request, err error) answer {
	got := answer{httptest.NewRecorder(), w.t}
	w.Refuse(got, r, err)
	return got
}

// Rows: 145, 253.
func TestNavigationsAreSentWhereTheyCanGoOn(t *testing.T) {
	w := newWorld(t, withPages)
	expired := "Cookie: " + accessPair("whatever")
	for name, c := range map[string]struct {
		method  string
		headers []string
		err     error
		status  int
		to      string
	}{
		"nobody":           {"GET", navigation, httpauth.ErrNoCredential, 303, "/auth/signin?return_to=%2Fprivate%3Fa%3Db"},
		"old browser":      {"GET", []string{"Accept: text/html,application/xhtml+xml"}, verify.ErrRevoked, 303, "/auth/signin?return_to=%2Fprivate%3Fa%3Db"},
		"expired cookie":   {"GET", append(navigation, expired), verify.ErrExpired, 303, "/auth/renew?return_to=%2Fprivate%3Fa%3Db"},
		"expired bearer":   {"GET", append(navigation, "Authorization: Bearer x"), verify.ErrExpired, 303, "/auth/signin?return_to=%2Fprivate%3Fa%3Db"},
		"ended":            {"GET", append(navigation, expired), verify.ErrRevoked, 303, "/auth/signin?return_to=%2Fprivate%3Fa%3Db"},
		"old login":        {"GET", navigation, &httpauth.StepUpError{MaxAge: time.Minute}, 303, "/auth/signin?confirm=1&return_to=%2Fprivate%3Fa%3Db"},
		"weak login":       {"GET", navigation, &httpauth.StepUpError{Methods: []string{"otp"}}, 401, ""},
		"fetch":            {"GET", []string{"Sec-Fetch-Mode: cors", "Accept: text/html"}, httpauth.ErrNoCredential, 401, ""},
		"fetch, expired":   {"GET", []string{"Sec-Fetch-Mode: cors", expired}, verify.ErrExpired, 401, ""},
		"frame":            {"GET", []string{"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, httpauth.ErrNoCredential, 401, ""},
		"form":             {"POST", navigation, httpauth.ErrNoCredential, 401, ""},
		"program":          {"GET", []string{"Accept: */*"}, httpauth.ErrNoCredential, 401, ""},
		"cross-site":       {"GET", navigation, httpauth.ErrCrossSite, 403, ""},
		"service disabled": {"GET", navigation, verify.ErrStale, 503, ""},
	} {
		got := w.refuse(request(c.method, "/private?a=b", "", c.headers...), c.err)
		if got.Code != c.status || got.Header().Get("Location") != c.to || got.Header()["Set-Cookie"] != nil {
			t.Errorf("%s: %d, Location %q", name, got.Code, got.Header().Get("Location"))
		}
		if c.status != 303 && got.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v", name, got.Header())
		}
	}
}

// Rows: 61, 253, A89.
func TestADetourNeverLoopsAndNeverLeadsAway(t *testing.T) {
	w := newWorld(t, withPages)
	for path, to := range map[string]string{
		"/auth/signin":                  "",
		"/auth/signin?return_to=%2Fx":   "",
		"/auth/renew?return_to=%2Fx":    "",
		"/auth/%73ignin":                "",
		"/auth/signout":                 "/auth/signin",
		"/auth/signed-out":              "/auth/signin",
		"/auth/signup/":                 "/auth/signin",
		"/auth/session":                 "/auth/signin",
		"/auth/devices":                 "/auth/signin?return_to=%2Fauth%2Fdevices",
		"/%2f/evil.example":             "/auth/signin",
		"/a/%2e%2e//evil.example":       "/auth/signin",
		"/x?a=//evil.example":           "/auth/signin?return_to=%2Fx%3Fa%3D%2F%2Fevil.example",
		"/" + strings.Repeat("x", 4000): "/auth/signin",
	} {
		got := w.refuse(request("GET", path, "", navigation...), httpauth.ErrNoCredential)
		if got.Header().Get("Location") != to || (got.Code == 303) != (to != "") {
			t.Errorf("%.40s: %d, Location %q, want %q", path, got.Code, got.Header().Get("Location"), to)
		}
	}
	stranger := request("GET", "/", "", navigation...)
	stranger.RequestURI = "//evil.example/"
	if got := w.refuse(stranger, httpauth.ErrNoCredential); got.Header().Get("Location") != "/auth/signin" {
		t.Errorf("Location %q", got.Header().Get("Location"))
	}
	// A handler behind http.StripPrefix sees half of the path.
	cut := request("GET", "/app/private", "", navigation...)
	cut.URL.Path = "/private"
	if got := w.refuse(cut, httpauth.ErrNoCredential); got.Header().Get("Location") != "/auth/signin?return_to=%2Fapp%2Fprivate" {
		t.Errorf("Location %q", got.Header().Get("Location"))
	}
}

// What a page may come back to is what a detour may name.
//
// Rows: 61, A89.
func TestReturnToIsOurOwnAndNoDeadEnd(t *testing.T) {
	w := newWorld(t, withPages)
	for raw, good := range map[string]bool{
		"/": true, "/private?a=b": true, "/auth/devices": true, "/auth/password": true, "/auth/login": false, "/auth/signin": false,
		"/auth/signin/": false, "/auth/signin/x": false, "/auth/signinx": true, "/auth/renew?x": false, "/auth/r%65new": false,
		"//evil.example": false, "https://evil.example": false, "": false, "/\\evil.example": false, "/.well-known/jwks.json": false,
	} {
		got, ok := w.ReturnTo(raw)
		if ok != good || good && got != raw || !good && got != "/" {
			t.Errorf("%q: %q, %v", raw, got, ok)
		}
	}
	// With a sign-in page of the program's own, ours still lead there.
	own := newWorld(t, withPages, change{api: func(o *httpapi.Options) { o.SignIn = "/login" }})
	for raw, good := range map[string]bool{"/login": false, "/auth/signin": false, "/auth/renew": false, "/logins": true} {
		if _, ok := own.ReturnTo(raw); ok != good {
			t.Errorf("%s: %v", raw, ok)
		}
	}
	without := newWorld(t)
	for raw, good := range map[string]bool{"/private": true, "/auth/password": false, "/auth/login": false} {
		if _, ok := without.ReturnTo(raw); ok != good {
			t.Errorf("without pages, %s: %v", raw, ok)
		}
	}
}

// A page that asks for a password only cannot mend a login that lacks other
// methods: whoever is sent there comes back with no more than before.
//
// Rows: 146, 253.
func TestMissingMethodsLeadOnlyWhereTheyAreAskedFor(t *testing.T) {
	weak := &httpauth.StepUpError{Methods: []string{"otp"}}
	ask := func(w *world) answer {
		return w.refuse(request("GET", "/vault", "", navigation...), weak)
	}
	page := change{api: func(o *httpapi.Options) {
		o.Page = func(rw http.ResponseWriter, _ *http.Request, d httpapi.Description) { rw.Write([]byte(d.Code)) }
	}}
	if got := ask(newWorld(t, withPages, page)); got.Header().Get("Location") != "" || got.Body.String() != "login_methods_required" {
		t.Errorf("%d %v %s", got.Code, got.Header(), got.Body)
	}
	own := newWorld(t, withPages, page, change{api: func(o *httpapi.Options) { o.SignIn, o.SignInMethods = "/login", true }})
	if got := ask(own); got.Header().Get("Location") != "/login?confirm=1&return_to=%2Fvault" {
		t.Errorf("%d %v %s", got.Code, got.Header(), got.Body)
	}
}

// Rows: 253.
func TestOtherFailuresOfNavigationsAreAPage(t *testing.T) {
	w := newWorld(t, withPages, change{api: func(o *httpapi.Options) {
		o.Page = func(rw http.ResponseWriter, _ *http.Request, d httpapi.Description) {
			rw.Header().Set("Content-Type", "text/html")
			rw.WriteHeader(d.Status)
			rw.Write([]byte(d.Code))
		}
	}})
	for _, c := range []struct {
		method string
		err    error
		want   string
	}{
		{"GET", verify.ErrStale, "unavailable"},
		{"GET", httpauth.ErrCrossSite, "cross_site"},
		{"POST", httpauth.ErrNoCredential, "login_required"},
		{"POST", errDisk, "internal"},
	} {
		got := w.refuse(request(c.method, "/private", "", navigation...), c.err)
		if got.Body.String() != c.want || got.Code != httpapi.Describe(c.err).Status || got.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s, %v: %d %v %s", c.method, c.err, got.Code, got.Header(), got.Body)
		}
		got = w.refuse(request(c.method, "/private", "", "Sec-Fetch-Mode: cors"), c.err)
		if got.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s by script, %v: %v", c.method, c.err, got.Header())
		}
	}
}

// Rows: 251, 254.
func TestDescribeIsTheTableOfOutcomes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want httpapi.Description
	}{
		{session.ErrUnavailable, httpapi.Description{Status: 503, Code: "unavailable", RetryAfter: time.Second}},
		{&httpauth.StepUpError{MaxAge: time.Minute}, httpapi.Description{Status: 401, Code: "recent_login_required"}},
		{&httpauth.StepUpError{Methods: []string{"otp"}}, httpapi.Description{Status: 401, Code: "login_methods_required"}},
		{errDisk, httpapi.Description{Status: 500, Code: "internal"}},
	} {
		if got := httpapi.Describe(c.err); got != c.want {
			t.Errorf("%v: %+v", c.err, got)
		}
	}
}

// Rows: 145, 146, 249.
func TestStepUpIsAChallengeForPrograms(t *testing.T) {
	w := newWorld(t, withPages)
	got := w.refuse(request("POST", "/transfer", ""), &httpauth.StepUpError{MaxAge: 5 * time.Minute})
	got.want(401, "recent_login_required")
	if c := got.Header().Get("WWW-Authenticate"); c != `Bearer error="insufficient_user_authentication", max_age=300` {
		t.Errorf("challenge %s", c)
	}
	got = w.refuse(request("POST", "/transfer", ""), &httpauth.StepUpError{Methods: []string{"otp", "hwk"}})
	got.want(401, "login_methods_required")
	if c := got.Header().Get("WWW-Authenticate"); c != `Bearer error="insufficient_user_authentication"` {
		t.Errorf("challenge %s", c)
	}
	if !strings.Contains(got.Body.String(), `"methods":["otp","hwk"]`) {
		t.Errorf("%s", got.Body)
	}
}

// A browser follows the detour of an expired cookie to the page that renews.
func TestAnExpiredCookieIsSentToRenewal(t *testing.T) {
	w := newWorld(t, withPages)
	s := w.start()
	w.wait(10 * time.Minute)
	got := answer{httptest.NewRecorder(), t}
	w.Guard.Protect(http.NotFoundHandler(), w.Refuse).ServeHTTP(got, request("GET", "/inbox", "", append(navigation, cookies(s))...))
	to, err := url.Parse(got.Header().Get("Location"))
	if err != nil || got.Code != 303 || to.Path != "/auth/renew" || to.Query().Get("return_to") != "/inbox" {
		t.Errorf("%d %v", got.Code, got.Header())
	}
}
