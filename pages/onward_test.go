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

// Browsers hold a form to form-action through every redirect after it, and what
// a path of the program answers may be one to another site. So no form is
// answered by a redirect to a path of the program, but by one to a page of ours
// that leads on.
//
// Rows: 52, 62
func TestNoFormIsAnsweredByARedirectOutOfThePages(t *testing.T) {
	for name, change := range map[string]change{
		"pages for all of it":            {},
		"sign-in page of the program":    {pages: func(o *pages.Options) { o.SignInPage = "/login" }, api: func(o *httpapi.Options) { o.SignIn = "/login" }},
		"signed-out page of the program": {pages: func(o *pages.Options) { o.SignedOut = "/bye?from=pawl" }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, change)
			old := w.start()
			w.wait(6 * time.Minute)
			mine := w.start()
			for _, holder := range []func() *browser{w.browser, func() *browser { return w.holding(old) }, func() *browser { return w.holding(mine) }} {
				for path, fields := range map[string][]string{
					"/auth/signin":   {"username", "ada", "password", password, "return_to", "/connect?to=x'y"},
					"/auth/signup":   {"username", "eve", "password", password, "return_to", "/connect"},
					"/auth/renew":    {"return_to", "/connect", "key", "k"},
					"/auth/devices":  {"end", "others"},
					"/auth/password": {"current", "wrong", "new", "a new and longer one"},
					"/auth/signout":  {},
				} {
					b := holder()
					if !w.Has(path) {
						continue
					}
					a := b.post(path, fields...)
					for a.Code == http.StatusSeeOther {
						to := a.Header().Get("Location")
						if !strings.HasPrefix(to, "/auth/") {
							t.Fatalf("%s leads to %s", path, to)
						}
						a = b.get(to)
					}
					if !strings.Contains(a.Header().Get("Content-Type"), "text/html") {
						t.Errorf("%s ends at %d %s", path, a.Code, a.Body)
					}
				}
			}
		})
	}
	w := newWorld(t, change{pages: func(o *pages.Options) { o.SignInPage, o.SignedOut = "/login", "/bye?from=pawl" }})
	b := w.holding(w.start())
	b.get("/auth/signin?return_to=%2Fpay%3Fx%3D%27y&confirm=1").leadsOn("/login?return_to=%2Fpay%3Fx%3D%27y&confirm=1")
	b.get("/auth/signin?check=1&return_to=%2Fpay%3Fa%3D1%26b%3D2").leadsOn("/pay?a=1&b=2")
	b.follow(b.post("/auth/signout")).leadsOn("/bye?from=pawl")
}

// Who has an expired access token may well be signed in: the sign-in page finds
// out, forgets nothing, and asks no second time.
//
// Rows: 62, 253
func TestTheSignInPageRenewsFirst(t *testing.T) {
	for switches, says := range map[string]string{"": "You are signed in", "&confirm=1": "Confirm it’s you"} {
		w := newWorld(t)
		mine := w.start()
		b := w.holding(mine)
		w.wait(6 * time.Minute)
		a := b.get("/auth/signin?return_to=/app" + switches)
		by := map[string]string{"": "signin", "&confirm=1": "confirm"}[switches]
		if by == "confirm" {
			a.leads("/auth/renew?confirm=1&return_to=%2Fapp")
		} else {
			a.leads("/auth/renew?return_to=%2Fapp&signin=1")
		}
		page := b.follow(a).want(200, "Continue")
		target := "/auth/signin?" + map[string]string{"signin": "return_to=%2Fapp", "confirm": "confirm=1&amp;return_to=%2Fapp"}[by]
		if page.value(by) != "1" || !strings.Contains(page.Body.String(), `data-target="`+target+`"`) {
			t.Errorf("the way back is lost: %s", page.Body)
		}
		a = b.post("/auth/renew", "return_to", page.value("return_to"), "key", page.value("key"), by, "1")
		a = b.follow(a).want(200, says)
		if !strings.Contains(a.Body.String(), "/app") || !w.alive(mine.Row.ID) {
			t.Errorf("the target is lost, or the session: %s", a.Body)
		}
		// Over for good: the renewal leads to the form, and not round in circles.
		w.wait(6 * time.Minute)
		_, err := w.api.Engine.End(t.Context(), session.Selection{Session: mine.Row.ID}, session.ReasonSignOut, "", session.Origin{})
		w.must(err)
		page = b.follow(b.get("/auth/signin?return_to=/app"+switches)).want(200, "Continue")
		b.follow(b.post("/auth/renew", "return_to", "/app", "key", "k", by, "1")).want(200, "Sign in", "Keep me signed in")
		if signin := `data-signin="/auth/signin?return_to=%2Fapp&amp;switch=1"`; !strings.Contains(page.Body.String(), signin) {
			t.Errorf("the script would go round in circles: %s", page.Body)
		}
	}
}

// A link can be made by anybody: it must not make a page say what is not so.
//
// Rows: 62
func TestLinksOfOthersSayNothingUntrue(t *testing.T) {
	w := newWorld(t)
	b := w.holding(w.start())
	eve := w.add("eve")
	hers := w.holding(w.start(func(l *session.Login) { l.UserID = eve.ID }))
	own := hers.post("/auth/devices", "end", "others").Header().Get("Location")
	hers.get(own).want(200, "All other devices were signed out.")
	for _, link := range []string{"/auth/devices?done=password", "/auth/devices?done=one", "/auth/devices?done=others&receipt=x", own} {
		b.get(link).want(200, "Your devices", "!changed", "!signed out.")
	}
	hers.get(strings.Replace(own, "done=others", "done=password", 1)).want(200, "!changed")
	// Nor is the receipt good for anything else.
	receipt := own[strings.LastIndex(own, "=")+1:]
	hers.headers["Sec-Fetch-Site"], hers.headers["Origin"] = "", ""
	hers.post("/auth/devices", "end", "others", "csrf_token", receipt).want(403)
	w.browser().get("/auth/signin?check=1").want(200, "Your browser sent no cookie", "!password")
}
