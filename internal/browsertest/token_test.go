package browsertest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/server/devapp"
	"github.com/pawlauth/pawl/session"
)

// No script can find a token, whatever it looks at; the browser has them all
// the same, and the server sends them in no other way (which holds for every
// test, see checkLeaks).
//
// Rows: 3
func TestNoScriptSeesAToken(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newSite(t)
		b := s.newTab(t, in)
		b.signIn("ada")
		for _, path := range []string{"/", "/auth/devices", "/auth/password", "/auth/signin"} {
			b.open(path)
			b.seesNoToken()
		}
		if all := b.jar(); len(all) != 2 {
			t.Errorf("%d cookies, want the two: %v", len(all), all)
		}
		for name, path := range map[string]string{httpauth.AccessCookie: "/", httpauth.RefreshCookie: "/auth"} {
			if c := b.cookies()[name]; c.Path != path {
				t.Errorf("%s has path %q", name, c.Path)
			}
		}
	})
}

// seesNoToken fails if a script on the page can find any part of a token.
func (b *tab) seesNoToken() {
	b.t.Helper()
	seen := eval[string](b, everythingInReach)
	if !strings.Contains(seen, "csrf_token") {
		b.t.Fatal("the script saw nothing at all")
	}
	cookies := b.cookies()
	if len(cookies) != 2 {
		b.t.Fatalf("the browser has %d cookies", len(cookies))
	}
	for name, c := range cookies {
		if !c.HTTPOnly || !c.Secure {
			b.t.Errorf("%s: HttpOnly %v, Secure %v", name, c.HTTPOnly, c.Secure)
		}
		for part := range strings.SplitSeq(c.Value, ".") {
			if strings.Contains(seen, part) {
				b.t.Errorf("%s: a script sees a part of %s", b.path(), name)
			}
		}
	}
}

// everythingInReach is what a script on the page can read.
const everythingInReach = `(async () => {
	const found = [document.cookie, document.documentElement.outerHTML, location.href, document.referrer, window.name, JSON.stringify(history.state)];
	if (window.cookieStore) found.push(JSON.stringify(await cookieStore.getAll()));
	for (const kept of [localStorage, sessionStorage]) found.push(JSON.stringify({ ...kept }));
	if (window.caches) found.push(JSON.stringify(await caches.keys()));
	if (indexedDB.databases) found.push(JSON.stringify(await indexedDB.databases()));
	if (navigator.serviceWorker) found.push(String((await navigator.serviceWorker.getRegistrations()).length));
	found.push(JSON.stringify(performance.getEntries()));
	for (const path of ["/auth/session", "/auth/sessions", location.href]) {
		try {
			const answer = await fetch(path, { credentials: "include" });
			found.push(JSON.stringify([...answer.headers]), await answer.text());
		} catch (e) {
			found.push(String(e));
		}
	}
	return found.join("\n");
})()`

// The application of --dev renews, shows the alarm of a theft, and looks for
// tokens from script in vain; it keeps to its policy and tells no token either.
//
// Rows: 3, 52
func TestDevelopmentApplication(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s, b := newDevelopment(t, in)
		if n := len(b.violated()); n > 0 {
			t.Errorf("%d violations of the policy", n)
		}
		b.provoked = true // by looking where the policy forbids it
		b.click("#try")
		b.await(`!document.getElementById("verdict").hidden`)
		if verdict := eval[string](b, `document.getElementById("verdict").innerText`); !strings.Contains(verdict, "no token") {
			t.Errorf("it says it found one: %q", verdict)
		}
		b.seesNoToken()
		b.click("#replay")
		b.await(`document.querySelector("main.ended") !== null`)
		if s.posts("/auth/refresh") == 0 {
			t.Error("nothing was renewed")
		}
		b.open("/auth/devices")
		b.arrive("/auth/signin?return_to=%2Fauth%2Fdevices")
	})
}

// newDevelopment is the application of pawl serve --dev --strict, and somebody
// who has signed in there and renewed twice.
func newDevelopment(t *testing.T, in *browser) (*site, *tab) {
	t.Helper()
	policy, err := session.Preset("default")
	if err != nil {
		t.Fatal(err)
	}
	tape := &devapp.Tape{}
	s := newSiteOf(t, plainHost, pawl.Options{Policy: policy.MakeStrict(), Observe: tape.Observe}, func(p *pawl.Pawl) (http.Handler, error) {
		return devapp.New(devapp.Options{Pawl: p, Prefix: "/auth", Tape: tape})
	})
	if _, err := s.pawl.Accounts().Add(t.Context(), devapp.User, account.NewPassword(password)); err != nil {
		t.Fatal(err)
	}
	b := s.newTab(t, in)
	b.signInWith(devapp.User, password)
	for _, generation := range []string{"2", "3"} {
		b.click("#renew")
		b.await(`document.getElementById("generation").textContent === "` + generation + `"`)
	}
	return s, b
}
