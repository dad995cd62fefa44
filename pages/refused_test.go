package pages_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/pages"
	"github.com/pawlauth/pawl/session"
)

// application puts protected handlers of a program before the pages.
func (b *browser) application() *browser {
	g := b.api.Guard
	protect := func(need func(http.Handler) http.Handler) http.Handler {
		return g.Protect(need(http.NotFoundHandler()), b.api.Refuse)
	}
	paths := map[string]http.Handler{
		"/post": protect(func(h http.Handler) http.Handler { return h }),
		"/pay":  protect(g.RequireRecent(time.Minute, b.api.Refuse)),
		"/safe": protect(g.RequireAMR(b.api.Refuse, "otp")),
	}
	b.serve = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, ok := paths[r.URL.Path]; ok {
			h.ServeHTTP(w, r)
			return
		}
		b.world.ServeHTTP(w, r)
	})
	return b
}

// A form of the application that arrives without a login that counts is
// answered with the way out, in another tab, so that nothing typed is lost; and
// the page tells the status that it has.
//
// Rows: 62, 253
func TestAFormOfTheApplicationIsToldHowToGoOn(t *testing.T) {
	w := newWorld(t)
	b := w.holding(w.start()).application()
	check := func(a answer, code, to string, words ...string) {
		t.Helper()
		a.want(403, append(words, "Error 403, "+code, "!not allowed", "!401")...)
		link := `href="` + to + `" target="_blank" rel="noopener"`
		if has := strings.Contains(a.Body.String(), link); has != (to != "") || to == "" && strings.Contains(a.Body.String(), "_blank") {
			t.Errorf("no way out to %s: %s", to, a.Body)
		}
	}
	w.wait(2 * time.Minute)
	check(b.post("/pay", "amount", "1"), "recent_login_required", "/auth/signin?confirm=1", "Confirm it’s you", "Nothing was done")
	w.wait(5 * time.Minute)
	check(b.post("/post", "text", "long"), "login_required", "/auth/renew", "Sign in to go on", "Nothing was done", "go back a page")
	b.cookies = map[string]string{}
	check(b.show(httpapi.Description{Status: 401, Code: "login_required"}), "login_required", "/auth/signin", "Sign in to go on")
	b = w.holding(w.start()).application()
	check(b.post("/safe", "x", "y"), "login_methods_required", "", "Your sign-in is not enough for this")

	own := newWorld(t, change{pages: func(o *pages.Options) { o.SignInPage = "/login" }})
	b = own.holding(own.start()).application()
	check(b.post("/safe", "x", "y"), "login_methods_required", "/auth/signin?confirm=1")
}

// What more passwords do not mend is not asked for.
//
// Rows: 62
func TestWhatAPasswordDoesNotMendIsNotAskedFor(t *testing.T) {
	w := newWorld(t)
	b := w.holding(w.start()).application()
	b.get("/safe").want(403, "Your sign-in is not enough for this", "Ask whoever runs this site")
	// A user of the program's own has no password here.
	b = w.holding(w.start(func(l *session.Login) { l.UserID = "42" }))
	b.get("/auth/signin?confirm=1&return_to=/safe").want(200, "Sign in once more", "You have no password here", "Sign out", "!Continue", "!You are signed in")
	b.get("/auth/signin").want(200, "You are signed in", "Continue")
}

// Sent twice, as by a double click without script, the second form finds a
// session that the first has ended: the page does not say that nothing was done.
//
// Rows: 141
func TestAPasswordFormSentTwiceTellsNoLie(t *testing.T) {
	w := newWorld(t)
	mine := w.start()
	const next = "a new and longer one"
	first, second := w.holding(mine), w.holding(mine)
	first.follow(first.post("/auth/password", "current", password, "new", next)).want(200, "Your password was changed.")
	a := second.post("/auth/password", "current", password, "new", next)
	a.leads("/auth/signin?return_to=" + escape("/auth/password?ended=1"))
	page := second.follow(a).want(200, "Sign in")
	a = second.post("/auth/signin", "username", "ada", "password", next, "return_to", page.value("return_to"))
	second.follow(a).want(200, "Change password", "You had to sign in again.", "it was done the first time", "!Nothing was changed")
}

// Whether another site sent a form is decided before who is signed in, alike
// for every form.
//
// Rows: 35
func TestAFormFromAnotherSiteIsRefusedWhoeverIsSignedIn(t *testing.T) {
	w := newWorld(t)
	old := w.start()
	w.wait(6 * time.Minute)
	mine := w.start()
	for path, fields := range map[string][]string{
		"/auth/signin": {"username", "ada", "password", password}, "/auth/signup": {"username", "eve", "password", password},
		"/auth/devices": {"end", "others"}, "/auth/password": {"current", password, "new", "a new and longer one"},
		"/auth/renew": {"return_to", "/", "key", "k"}, "/auth/signout": {},
	} {
		for who, b := range map[string]*browser{"nobody": w.browser(), "expired": w.holding(old), "ada": w.holding(mine)} {
			b.headers["Sec-Fetch-Site"] = "cross-site"
			a := b.post(path, fields...)
			if a.Code != 403 || !strings.Contains(a.text(), "This came from another site") || strings.Contains(a.text(), "out of date") {
				t.Errorf("%s, %s: %d to %q: %s", path, who, a.Code, a.Header().Get("Location"), a.text())
			}
		}
	}
}

// What a form lacks is told in the title as well, which is read first.
//
// Rows: 164
func TestEveryFailedFormSaysSoInItsTitle(t *testing.T) {
	w := newWorld(t)
	for _, language := range []string{"en", "ar"} {
		b := w.browser()
		b.language = language
		for _, fields := range [][]string{{"username", "", "password", ""}, {"username", "ada", "password", "", "new_password", ""}} {
			a := b.post("/auth/signin", fields...)
			if want := map[string]string{"en": "<title>Error: ", "ar": "<title>خطأ: "}[language]; a.Code != 422 || !strings.Contains(a.Body.String(), want) {
				t.Errorf("%d: %s", a.Code, a.Body)
			}
		}
	}
	// 300 signs of 4 bytes are more than 1024.
	w.browser().post("/auth/signup", "username", "eve", "password", strings.Repeat("🔑", 300)).
		want(400, "too long", "count as two to four", "!1024 characters")
}
