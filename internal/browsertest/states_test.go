package browsertest

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/httpapi"
)

// A state is a page as somebody may find it.
type state struct {
	name     string
	signedIn bool
	strict   bool              // of a site that requires sessions bound to a device
	lead     func(*site, *tab) // to the page
	status   int               // of the page; zero: 200
	shown    string            // what the page must have, as a CSS selector
}

const (
	submit  = "main form:not(.x) button[type=submit]"
	phone   = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
	edge    = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0"
	firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
)

func at(path string) func(*site, *tab) {
	return func(_ *site, b *tab) { b.open(path) }
}

// send fills the form of a page and sends it, past what the browser itself
// would check. Pairs are of a field's name and what is typed.
func send(path string, pairs ...string) func(*site, *tab) {
	return func(_ *site, b *tab) {
		b.open(path)
		for i := 0; i < len(pairs); i += 2 {
			b.fill(pairs[i], pairs[i+1])
		}
		eval[any](b, `for (const f of document.forms) f.noValidate = true`)
		b.follow("main button[type=submit]")
	}
}

// stuck opens the renewal page while the service gives one answer.
func stuck(status int) func(*site, *tab) {
	return func(s *site, b *tab) {
		s.altered(func(r *http.Request, a *answer) {
			if r.URL.Path == "/auth/refresh" {
				a.status = status
			}
		})
		b.open(fmt.Sprintf("/auth/renew?return_to=%%2Freport%d", status)) // where this tab was not yet on the way to
		b.await(`!!document.querySelector('.alert:not([hidden])')`)
		s.altered(nil)
	}
}

// states are all pages in each of their states, in an order in which one does
// not disturb the next.
var states = []state{
	{name: "signin", lead: at("/auth/signin"), shown: "[name=username]"},
	{name: "signin-on-the-way", lead: at("/auth/signin?return_to=%2Freport"), shown: "[name=return_to]"},
	{name: "signin-empty", lead: send("/auth/signin"), status: 422, shown: ".fault"},
	{name: "signin-wrong", lead: send("/auth/signin", "username", "ada", "password", "not the password"), status: 403, shown: "[role=alert]"},
	{name: "choose", lead: choosing, status: 403, shown: "[name=new_password]"},
	{name: "signup", lead: at("/auth/signup"), shown: "[name=username]"},
	{name: "signup-empty", lead: send("/auth/signup"), status: 422, shown: ".fault"},
	{name: "signup-short", lead: send("/auth/signup", "username", "grace", "password", "short"), status: 400, shown: ".fault"},
	{name: "signup-common", lead: send("/auth/signup", "username", "grace", "password", "password1234"), status: 400, shown: ".fault"},
	{name: "signup-name", lead: send("/auth/signup", "username", "gr ace\u202e", "password", password), status: 400, shown: ".fault"},
	{name: "signup-taken", lead: send("/auth/signup", "username", "ada", "password", password), status: 409, shown: ".fault"},
	{name: "signout-nobody", lead: at("/auth/signout"), shown: "a.button"},
	{name: "signed-out", lead: at("/auth/signed-out"), shown: "a.button"},
	{name: "cookies-off", lead: at("/auth/signin?check=1"), shown: "a.button"},
	{name: "renew", lead: func(_ *site, b *tab) { b.withoutScript().open("/auth/renew?return_to=%2Freport"); b.withScript() }, shown: "form"},
	{name: "renew-busy", lead: stuck(http.StatusServiceUnavailable), shown: ".alert"},
	{name: "renew-failed", lead: stuck(http.StatusInternalServerError), shown: ".alert"},
	{name: "not-found", lead: at("/auth/nothing"), status: 404, shown: "a.button"},
	{name: "malformed", lead: func(_ *site, b *tab) {
		b.open("/auth/signin")
		eval[any](b, `document.querySelector('[name=username]').name = 'unknown'; document.forms[0].noValidate = true`)
		b.follow("main button[type=submit]")
	}, status: 400, shown: "a.button"},
	{name: "login-required", lead: func(_ *site, b *tab) { // a form of the application
		b.open("/auth/signin")
		eval[any](b, `document.forms[0].action = '/report'; document.forms[0].noValidate = true`)
		b.follow("main button[type=submit]")
	}, status: 403, shown: "a.button[target=_blank]"},
	{name: "cross-site", lead: func(s *site, b *tab) {
		b.visit(s.stranger.page(`<form method="post" action="` + s.origin + `/auth/signout"><button>Win</button></form>`))
		b.follow("button")
	}, status: 403, shown: "a.button"},

	{name: "devices", signedIn: true, lead: at("/auth/devices"), shown: "ul.devices form"},
	{name: "devices-ended", signedIn: true, lead: func(_ *site, b *tab) {
		b.open("/auth/devices")
		b.follow("ul.devices form button")
	}, shown: "[role=status]"},
	{name: "devices-alone", signedIn: true, lead: func(_ *site, b *tab) {
		b.open("/auth/devices")
		b.follow(".below form button")
	}, shown: "[role=status]"},
	{name: "devices-again", signedIn: true, lead: at("/auth/devices?again=1"), shown: "[role=status]"},
	{name: "password", signedIn: true, lead: at("/auth/password"), shown: "[name=current]"},
	{name: "password-once-more", signedIn: true, lead: at("/auth/password?ended=1"), shown: "[role=status]"},
	{name: "password-empty", signedIn: true, lead: send("/auth/password"), status: 422, shown: ".fault"},
	{name: "password-wrong", signedIn: true, lead: send("/auth/password", "current", "not the password", "new", "another good password"), status: 403, shown: ".fault"},
	{name: "password-short", signedIn: true, lead: send("/auth/password", "current", password, "new", "short"), status: 400, shown: ".fault"},
	{name: "already", signedIn: true, lead: at("/auth/signin"), shown: "a.button, main a"},
	{name: "switch", signedIn: true, lead: at("/auth/signin?switch=1"), shown: "[name=username]"},
	{name: "confirm", signedIn: true, lead: at("/auth/signin?confirm=1&return_to=%2Freport"), shown: "[name=confirm]"},
	{name: "confirm-wrong", signedIn: true, lead: send("/auth/signin?confirm=1", "password", "not the password"), status: 403, shown: ".fault"},
	{name: "signup-signed-in", signedIn: true, lead: at("/auth/signup"), shown: "form"},
	{name: "signout", signedIn: true, lead: at("/auth/signout"), shown: ".person"},

	{name: "unbound", strict: true, lead: at("/report"), status: 403, shown: "a.button"},

	{name: "throttled", lead: func(s *site, b *tab) {
		for range 40 {
			s.guess("nobody-here")
		}
		send("/auth/signin", "username", "nobody-here", "password", "not the password")(s, b)
	}, status: 429, shown: "[role=alert]"},
}

// walk leads a browser of one language through all states, and shows each to
// look.
func walk(t *testing.T, in *browser, lang string, look func(t *testing.T, s *site, b *tab, st state)) {
	s, strict := newSite(t), newSiteOf(t, appHost, pawl.Options{DeviceBinding: httpapi.BindingRequireAll}, protected)
	stranger, ada, unbound := s.newTab(t, in), s.newTab(t, in), strict.newTab(t, in)
	for _, b := range []*tab{stranger, ada, unbound} {
		b.set(language(lang))
	}
	ada.signIn("ada")
	unbound.open("/auth/signin")
	unbound.fill("username", "ada")
	unbound.fill("password", password)
	unbound.follow("main button[type=submit]")
	for _, agent := range []string{phone, firefox, "curl/8.5.0"} {
		s.newDevice("ada", agent)
	}
	for _, st := range states {
		s, b := s, stranger
		switch {
		case st.strict:
			s, b = strict, unbound
		case st.signedIn:
			b = ada
		}
		t.Run(st.name, func(t *testing.T) {
			defer b.in(t)()
			defer s.altered(nil)
			st.lead(s, b)
			page := s.lastPage()
			if want := max(st.status, http.StatusOK); page.answer.status != want {
				t.Errorf("%s: status %d, want %d", b.path(), page.answer.status, want)
			}
			if st.shown != "" && !b.has(st.shown) {
				t.Fatalf("%s has no %s:\n%s", b.path(), st.shown, b.text())
			}
			if got := eval[string](b, "document.documentElement.lang"); got != lang {
				t.Errorf("%s is in language %q", b.path(), got)
			}
			look(t, s, b, st)
		})
	}
}

// guess tries a password that is wrong, from elsewhere.
func (s *site) guess(name string) {
	d := &device{site: s}
	d.ask("POST", "/auth/login", fmt.Sprintf(`{"username":%q,"password":"not the password"}`, name), "")
}
