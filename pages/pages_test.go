package pages_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/pages"
	"github.com/pawlauth/pawl/session"
)

// everyPage opens every page in every state that a GET can show, and some
// answers to forms, in both languages.
func everyPage(t *testing.T, check func(name, language string, a answer)) {
	t.Helper()
	for _, language := range []string{"en", "ar"} {
		w := newWorld(t)
		w.start(func(l *session.Login) {
			l.Transport, l.ClientID, l.Origin = session.Bearer, "cli", session.Origin{Address: "192.0.2.0/24", UserAgent: "<script>alert(1)</script>"}
		})
		w.wait(3 * time.Hour)
		stranger, ada := w.browser(), w.holding(w.start())
		stranger.language, ada.language = language, language
		for name, open := range map[string]func() answer{
			"sign in":               func() answer { return stranger.get("/auth/signin?return_to=/app") },
			"cookies off":           func() answer { return stranger.get("/auth/signin?check=1") },
			"on the way":            func() answer { return ada.get("/auth/signin?check=1&return_to=/app") },
			"sign in, empty":        func() answer { return stranger.post("/auth/signin", "username", "", "password", "") },
			"sign in, wrong":        func() answer { return stranger.post("/auth/signin", "username", "bob", "password", "wrong") },
			"sign in, malformed":    func() answer { return stranger.post("/auth/signin") },
			"sign up":               func() answer { return stranger.get("/auth/signup") },
			"sign up, weak":         func() answer { return stranger.post("/auth/signup", "username", "eve", "password", "password") },
			"sign up, taken":        func() answer { return stranger.post("/auth/signup", "username", "ada", "password", password) },
			"sign out, stranger":    func() answer { return stranger.get("/auth/signout") },
			"signed out":            func() answer { return stranger.get("/auth/signed-out") },
			"renew":                 func() answer { return stranger.get("/auth/renew?return_to=/app") },
			"already":               func() answer { return ada.get("/auth/signin") },
			"confirm":               func() answer { return ada.get("/auth/signin?confirm=1") },
			"confirm, wrong":        func() answer { return ada.post("/auth/signin", "username", "ada", "password", "x", "confirm", "1") },
			"sign out":              func() answer { return ada.get("/auth/signout") },
			"devices":               func() answer { return ada.get("/auth/devices") },
			"devices, one ended":    func() answer { return ada.follow(ada.post("/auth/devices", "end", "gone")) },
			"devices, after an end": func() answer { return ada.get("/auth/devices?ended=1") },
			"renew, to confirm":     func() answer { return ada.get("/auth/renew?confirm=1&return_to=/app") },
			"devices, again":        func() answer { return ada.get("/auth/devices?again=1") },
			"password":              func() answer { return ada.get("/auth/password") },
			"password, wrong": func() answer {
				return ada.post("/auth/password", "current", "x", "new", "correct horse battery staple")
			},
			"password, empty": func() answer { return ada.post("/auth/password", "current", "", "new", "") },
		} {
			check(name, language, open())
		}
		for code, status := range map[string]int{"malformed_body": 400, "login_required": 401, "recent_login_required": 401, "login_methods_required": 401,
			"cross_site": 403, "not_found": 404, "method_not_allowed": 405, "too_large": 413, "unsupported_media_type": 415, "misdirected": 421,
			"too_many_attempts": 429, "internal": 500, "password_changed": 500, "unavailable": 503} {
			w := newWorld(t, change{api: func(o *httpapi.Options) { o.AllowSignup = false }})
			b := w.browser()
			b.language = language
			check(code, language, b.show(httpapi.Description{Status: status, Code: code, RetryAfter: 30 * time.Second}))
		}
	}
}

var (
	tag     = regexp.MustCompile(`<(/?)([a-z0-9]+)((?:\s+[a-z-]+(?:="[^"]*")?)*)\s*>`)
	attr    = regexp.MustCompile(`([a-z-]+)="([^"]*)"`)
	nonceIn = regexp.MustCompile(`'nonce-([A-Z2-7]{26})'`)
)

// Rows: 164
func TestEveryPageIsSound(t *testing.T) {
	everyPage(t, func(name, language string, a answer) {
		body := a.Body.String()
		fault := func(format string, args ...any) {
			t.Helper()
			t.Errorf("%s (%s): "+format, append([]any{name, language}, args...)...)
		}
		if a.Code >= 500 && !slices.Contains([]string{"internal", "unavailable", "password_changed"}, name) || !strings.HasPrefix(body, "<!DOCTYPE html>") {
			fault("status %d: %.200s", a.Code, body)
			return
		}
		direction := map[string]string{"en": "ltr", "ar": "rtl"}[language]
		if !strings.Contains(body, fmt.Sprintf(`<html lang="%s" dir="%s">`, language, direction)) || a.Header().Get("Content-Language") != language {
			fault("wrong language")
		}
		for _, once := range []string{"<h1>", "<main", "<title>", "<header"} {
			if n := strings.Count(body, once); n != 1 {
				fault("%d of %s", n, once)
			}
		}
		ids, labels, described := map[string]bool{}, map[string]bool{}, []string{}
		var open []string
		for _, m := range tag.FindAllStringSubmatch(body, -1) {
			closes, element := m[1] == "/", m[2]
			attributes := map[string]string{}
			for _, x := range attr.FindAllStringSubmatch(m[3], -1) {
				if _, twice := attributes[x[1]]; twice {
					fault("%s twice in %s", x[1], m[0])
				}
				attributes[x[1]] = x[2]
			}
			if id := attributes["id"]; id != "" {
				if ids[id] {
					fault("id %s twice", id)
				}
				ids[id] = true
			}
			labels[attributes["for"]] = true
			described = append(described, strings.Fields(attributes["aria-describedby"])...)
			if !closes {
				checkElement(fault, element, attributes)
			}
			switch {
			case slices.Contains([]string{"meta", "link", "img", "input", "html", "body", "head", "path", "circle", "rect", "svg"}, element):
			case !closes:
				open = append(open, element)
			case len(open) == 0 || open[len(open)-1] != element:
				fault("</%s> closes nothing; open are %v", element, open)
				return
			default:
				open = open[:len(open)-1]
			}
		}
		if len(open) > 0 {
			fault("%v stay open", open)
		}
		for _, id := range described {
			if !ids[id] {
				fault("aria-describedby names %q, which is not there", id)
			}
		}
		for _, m := range regexp.MustCompile(`<input id="([^"]+)"`).FindAllStringSubmatch(body, -1) {
			if !labels[m[1]] {
				fault("no label for %s", m[1])
			}
		}
		if strings.Contains(body, "<script>") || strings.Contains(body, "{") {
			fault("something was not escaped or not filled in: %s", body)
		}
		if regexp.MustCompile(`(?i)(src|href|action)="([a-z]+:|//)`).MatchString(body) {
			fault("something leads elsewhere")
		}
	})
}

func checkElement(fault func(string, ...any), element string, attributes map[string]string) {
	switch {
	case element == "input" && attributes["type"] == "password":
		if ac := attributes["autocomplete"]; ac != "current-password" && ac != "new-password" {
			fault("a password with autocomplete %q", ac)
		}
		if attributes["value"] != "" || attributes["maxlength"] != "" {
			fault("a password that is filled in or cut off")
		}
	case element == "input" && attributes["type"] == "text" && attributes["autocomplete"] != "username":
		fault("a field with autocomplete %q", attributes["autocomplete"])
	case element == "form" && attributes["method"] == "post" && !strings.HasPrefix(attributes["action"], "/auth/"):
		fault("a form is sent to %q", attributes["action"])
	case element == "button" && attributes["type"] == "":
		fault("a button without type")
	}
	for name := range attributes {
		if name == "style" || strings.HasPrefix(name, "on") && name != "on" {
			fault("attribute %s", name)
		}
	}
}

// Rows: 46, 52, 54, 55, 69, A26
func TestEveryPageSaysWhatItMayDo(t *testing.T) {
	nonces := map[string]bool{}
	n := 0
	everyPage(t, func(name, language string, a answer) {
		h := a.Header()
		for header, want := range map[string]string{
			"Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
			"Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Content-Type": "text/html; charset=utf-8", "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
		} {
			if got := h.Values(header); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
		if from := h.Get("Access-Control-Allow-Origin"); from != "" {
			t.Errorf("%s: pages of %q may read it", name, from)
		}
		policy := h.Get("Content-Security-Policy")
		if len(h.Values("Content-Security-Policy")) != 1 || strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
			t.Errorf("%s: policy %q", name, policy)
		}
		for _, part := range []string{"default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'", "object-src 'none'"} {
			if !slices.Contains(strings.Split(policy, "; "), part) {
				t.Errorf("%s: policy %q lacks %s", name, policy, part)
			}
		}
		if varies := strings.Join(h.Values("Vary"), ", "); !strings.Contains(varies, "Accept-Language") || !strings.Contains(varies, "Cookie") {
			t.Errorf("%s: varies by %q", name, varies)
		}
		scripts := strings.Count(a.Body.String(), "<script")
		m := nonceIn.FindStringSubmatch(policy)
		switch {
		case m == nil && scripts == 0 && strings.Contains(policy, "script-src 'none'"):
		case m == nil || scripts != 1 || !strings.Contains(a.Body.String(), `nonce="`+m[1]+`"`):
			t.Errorf("%s: %d scripts under %q", name, scripts, policy)
		default:
			n++
			nonces[m[1]] = true
		}
	})
	if n < 10 || len(nonces) != n {
		t.Errorf("%d nonces for %d pages", len(nonces), n)
	}
}

func TestAssetsAreOursAndStayAsTheyAre(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	page := b.get("/auth/signin")
	found := regexp.MustCompile(`(?:href|src)="(/auth/assets/[^"]+)"`).FindAllStringSubmatch(page.Body.String(), -1)
	if len(found) < 3 {
		t.Fatalf("assets: %v", found)
	}
	for _, m := range found {
		a := b.get(m[1])
		if a.Code != http.StatusOK || a.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" ||
			!strings.Contains(a.Header().Get("Content-Security-Policy"), "sandbox") || a.Body.Len() == 0 {
			t.Errorf("%s: %d %v", m[1], a.Code, a.Header())
		}
	}
	b.get("/auth/assets/AAAAAAAAAAAAAAAA.css").want(http.StatusNotFound)
	b.send(http.MethodPost, found[0][1], "x=1").want(http.StatusNotFound)
}

// Rows: 61, 62, A89
func TestReturnToLeadsToOurOwnPathsOnly(t *testing.T) {
	good := []string{"/app", "/app?tab=1&x=%2F", "/a/b/", "/auth/devices"}
	bad := []string{"", "//evil.example", `/\evil.example`, "///evil.example", "/%2f/evil.example", "/%5cevil.example", "/\tevil", "https://evil.example/",
		"javascript:alert(1)", "/a\r\nSet-Cookie: x=1", "evil", "/../x", "/auth/signin", "/auth/renew?return_to=/auth/renew", "/auth/signout", "/a#b", `/"><script>`, "/%00", "http:/app", "//user@evil.example"}
	w := newWorld(t)
	for _, target := range append(slices.Clone(good), bad...) {
		want := "/"
		if slices.Contains(good, target) {
			want = target
		}
		b := w.browser()
		a := b.post("/auth/signin", "username", "ada", "password", password, "return_to", target)
		if a.Code != http.StatusSeeOther {
			t.Fatalf("%q: %d %s", target, a.Code, a.text())
		}
		b.get(a.Header().Get("Location")).leadsOn(want)
		b.get("/auth/signin?return_to="+escape(target)).want(200, "You are signed in")
		w.wait(2 * time.Minute)
		b.get(b.post("/auth/renew", "return_to", target, "key", "k"+fmt.Sprint(len(target))).Header().Get("Location")).leadsOn(want)
		w.browser().post("/auth/renew", "return_to", target, "key", "k").
			leads(map[bool]string{true: "/auth/signin?switch=1", false: "/auth/signin?return_to=" + escape(want) + "&switch=1"}[want == "/"])
	}
}

// Rows: 35, 37, 62, A84
func TestPagesTakeOnlyTheirOwnForms(t *testing.T) {
	w := newWorld(t)
	mine := w.start()
	forms := map[string][]string{
		"/auth/signin":   {"username", "ada", "password", password},
		"/auth/signup":   {"username", "eve", "password", password},
		"/auth/signout":  {},
		"/auth/devices":  {"end", "others"},
		"/auth/password": {"current", password, "new", "a new and longer one"},
		"/auth/renew":    {"return_to", "/", "key", "k"},
	}
	for path, fields := range forms {
		send := func(why string, status int, change func(*browser), more ...string) {
			t.Helper()
			b := w.holding(mine)
			change(b)
			a := b.post(path, append(slices.Clone(fields), more...)...)
			if a.Code != status || len(a.Result().Cookies()) > 0 {
				t.Errorf("%s %s: %d, want %d, cookies %v: %s", path, why, a.Code, status, a.Result().Cookies(), a.text())
			}
		}
		same := func(*browser) {}
		from := func(site string) func(*browser) {
			return func(b *browser) { b.headers["Sec-Fetch-Site"] = site }
		}
		send("with an extra field", 400, same, "role", "admin")
		send("with a repeated CSRF field", 400, same, "csrf_token", "a", "csrf_token", "b")
		send("cross-site", 403, from("cross-site"))
		send("same-site", 403, from("same-site"))
		send("typed", 403, from("none"))
		send("without a proof", 403, func(b *browser) { b.headers["Sec-Fetch-Site"], b.headers["Origin"] = "", "" })
		send("from another origin", 403, func(b *browser) { b.headers["Sec-Fetch-Site"], b.headers["Origin"] = "", "https://evil.example" })
		send("too long", 413, same, "csrf_token", strings.Repeat("x", 20<<10))
		if len(fields) > 0 {
			send("with a repeated field", 400, same, fields[0], fields[1])
			a := w.holding(mine).post(path, fields[2:]...)
			if a.Code != 400 {
				t.Errorf("%s with a missing field: %d", path, a.Code)
			}
		}
		for _, spelt := range []string{path + "/", "/" + path, strings.Replace(path, "/auth", "/auth/x/..", 1), strings.Replace(path, "auth", "%61uth", 1)} {
			if a := w.holding(mine).post(spelt, fields...); a.Code < 400 {
				t.Errorf("%s: %d", spelt, a.Code)
			}
		}
	}
	if !w.alive(mine.Row.ID) {
		t.Error("the session ended")
	}
	w.browser().post("/auth/signin", "username", "eve", "password", password).want(403, "wrong")
}

// What is no form goes to the routes of the API that have the same paths.
func TestProgramsReachTheAPIBehindThePages(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.headers["Content-Type"], b.headers["Sec-Fetch-Mode"], b.headers["Sec-Fetch-Dest"], b.headers["Accept"] = "application/json", "cors", "empty", "*/*"
	a := b.send(http.MethodPost, "/auth/signup", `{"username":"eve","password":"`+password+`"}`)
	if a.Code != 200 || !strings.Contains(a.Body.String(), `"username":"eve"`) {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS"} {
		if a := b.send(method, "/auth/signin", ""); a.Code < 400 || !strings.HasPrefix(a.Header().Get("Content-Type"), "application/problem+json") {
			t.Errorf("%s: %d %s", method, a.Code, a.Body)
		}
	}
	if a := b.send(http.MethodHead, "/auth/signin", ""); a.Code != 200 || a.Body.Len() != 0 {
		t.Errorf("HEAD: %d, %d bytes", a.Code, a.Body.Len())
	}
}

func TestNewReportsEveryFault(t *testing.T) {
	if _, err := pages.New(pages.Options{}); err == nil {
		t.Error("no API, and no error")
	}
	w := newWorld(t)
	for _, o := range []pages.Options{
		{API: w.api, Home: "https://elsewhere.example/"}, {API: w.api, SignedOut: "//elsewhere.example"}, {API: w.api, Brand: pages.Brand{Colour: "red"}},
	} {
		if _, err := pages.New(o); err == nil {
			t.Errorf("%+v is taken", o.Home+o.SignedOut+o.Brand.Colour)
		}
	}
	if !slices.IsSorted(w.Paths()) || len(w.Paths()) != 7 || !w.Has("/auth/devices") || w.Has("/auth/devices/") || w.Has("/auth/login") {
		t.Errorf("paths %v", w.Paths())
	}
}

// Rows: 253
func TestNavigationIsLedThroughThePages(t *testing.T) {
	w := newWorld(t)
	app := w.api.Guard.Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), w.api.Refuse)
	expired := w.holding(w.start())
	w.wait(6 * time.Minute)
	for name, c := range map[string]struct {
		b    *browser
		path string
		want string
	}{
		"expired":                {expired, "/app?x=1", "/auth/renew?return_to=%2Fapp%3Fx%3D1"},
		"nobody":                 {w.browser(), "/app", "/auth/signin?return_to=%2Fapp"},
		"devices, expired":       {expired, "/auth/devices", "/auth/renew?return_to=%2Fauth%2Fdevices"},
		"devices, nobody":        {w.browser(), "/auth/devices", "/auth/signin?return_to=%2Fauth%2Fdevices"},
		"password page, expired": {expired, "/auth/password", "/auth/renew?return_to=%2Fauth%2Fpassword"},
	} {
		b := *c.b
		if strings.HasPrefix(c.path, "/app") {
			b.serve = app
		}
		t.Run(name, func(t *testing.T) { b.get(c.path).leads(c.want) })
	}
	a := expired.get("/auth/renew?return_to=/app").want(200, "Continue")
	if !httpauthCookieFree(a) || a.value("key") == "" || a.value("return_to") != "/app" {
		t.Errorf("renewal page: %s", a.Body)
	}
}

func httpauthCookieFree(a answer) bool {
	return !strings.Contains(a.Body.String(), httpauth.AccessCookie) && len(a.Result().Cookies()) == 0
}

func TestAnUnknownPathIsAPageForPeopleAndAProblemForPrograms(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.get("/auth/nothing").want(404, "Page not found", "Error 404, not_found")
	b.headers["Sec-Fetch-Mode"], b.headers["Sec-Fetch-Dest"], b.headers["Accept"] = "cors", "empty", "*/*"
	if a := b.get("/auth/nothing"); a.Code != 404 || a.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v", a.Code, a.Header())
	}
}
