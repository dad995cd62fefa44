package browsertest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/httpauth"
)

// The cookies have exactly the attributes of the documents, and last as long as
// the user wanted them to.
//
// Rows: 3
func TestCookiesAreAsDocumented(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		for name, remember := range map[string]bool{"remembered": true, "for now": false} {
			t.Run(name, func(t *testing.T) {
				s := newClientSite(t)
				b := s.newTab(t, in).client()
				b.login("ada", remember)
				want := []cookie{
					{Name: httpauth.AccessCookie, Domain: appHost, Path: "/", Secure: true, HTTPOnly: true, SameSite: "Lax"},
					{Name: httpauth.RefreshCookie, Domain: appHost, Path: "/auth", Secure: true, HTTPOnly: true, SameSite: "Strict"},
				}
				jar := b.jar()
				for _, c := range jar {
					if c.Expires.IsZero() == remember || remember && time.Until(c.Expires) < 13*24*time.Hour {
						t.Errorf("%s lasts until %v", c.Name, c.Expires)
					}
					c.Value, c.Expires, c.SameSite = "", time.Time{}, canonical(c.SameSite)
					if !slices.Contains(want, c) {
						t.Errorf("the jar has %+v", c)
					}
				}
				if len(jar) != len(want) {
					t.Errorf("%d cookies, want %d", len(jar), len(want))
				}
			})
		}
	})
}

// canonical is a SameSite as the documents spell it.
func canonical(sameSite string) string {
	if sameSite == "" {
		return ""
	}
	return strings.ToUpper(sameSite[:1]) + strings.ToLower(sameSite[1:])
}

// setEverywhere tries to set cookies of our names in every way that a script
// has, with a value and attributes.
const setEverywhere = `(async (value, attributes) => {
	for (const name of ["__Host-Http-pawl-access", "__Secure-pawl-refresh", "__host-http-PAWL-access"])
		for (const more of attributes) {
			if (name.includes("refresh") && !more.includes("Path=/auth")) continue; // or it comes where none may
			document.cookie = name + "=" + value + "; " + more;
			document.cookie = "=" + name + "=" + value + "; " + more;
			const get = (key) => more.match(new RegExp(key + "=([^;]+)"))?.[1];
			if (window.cookieStore) await cookieStore.set({ name, value, path: get("Path") ?? "/", domain: get("Domain") }).catch(() => {});
		}
})`

// A script on a page of ours, and one of a sibling, can neither read the cookies
// nor set them, nor any that would be taken for them.
//
// Rows: 3, A1, A5
func TestNoScriptReadsOrSetsTheCookies(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newClientSite(t)
		thief := s.newClientOf(t, in, "bob")
		planted := thief.cookies()
		b := s.newClient(t, in)
		before := b.httpOnly()
		refused := func(where string) {
			t.Helper()
			if now := b.httpOnly(); !slices.Equal(now, before) {
				t.Errorf("%s has changed %+v to %+v", where, before, now)
			}
			b.client()
			if got := eval[string](b, whoami); got != "ada" {
				t.Errorf("%s: %s is signed in", where, got)
			}
			// The renewal takes the session's own, whatever else comes along.
			s.pass(6*time.Minute, b)
			if got := b.ask(`{ method: "POST" }`); got.Status != http.StatusOK || !strings.Contains(got.Body, s.idOf("ada")) {
				t.Errorf("%s: %d %s", where, got.Status, got.Body)
			}
			before = b.httpOnly()
		}
		seen := eval[string](b, `(async () => document.cookie + JSON.stringify(window.cookieStore ? await cookieStore.getAll() : []))()`)
		if strings.Contains(seen, "pawl") {
			t.Errorf("a script reads %q", seen)
		}
		for _, c := range planted {
			eval[any](b, fmt.Sprintf(`%s(%q, ["Path=/; Secure", "Path=/auth; Secure", "Path=/; Secure; Max-Age=0", "Path=/auth; Secure; Max-Age=0", "Path=/auth/refresh; Secure", "Path=/"])`, setEverywhere, c.Value))
		}
		refused("a script of ours")
		b.visit(s.sibling.page("a page"))
		for _, c := range planted {
			eval[any](b, fmt.Sprintf(`%s(%q, ["Domain=pawl.test; Path=/; Secure", "Domain=pawl.test; Path=/auth; Secure", "Domain=app.pawl.test; Path=/auth; Secure",
				"Domain=pawl.test; Path=/auth/refresh; Secure; SameSite=Strict"])`, setEverywhere, c.Value))
		}
		if !slices.ContainsFunc(b.jar(), func(c cookie) bool { return c.Domain == ".pawl.test" }) {
			t.Error("the sibling planted nothing; the test proves nothing")
		}
		refused("a sibling")
	})
}

// A sibling that fills the jar until the cookies are gone, and then plants its
// own, has signed the user out at most: it has not signed her in as another.
//
// Rows: A5, A30
func TestOverflowOfTheJarSignsNobodyIn(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newClientSite(t)
		thief := s.newClientOf(t, in, "bob")
		planted := thief.cookies()
		b := s.newClient(t, in)
		b.visit(s.sibling.page("a page"))
		eval[any](b, `{ for (let i = 0; i < 700; i++) document.cookie = "x" + i + "=y; Domain=pawl.test; Path=/nowhere; Secure"; }`)
		for _, c := range planted {
			eval[any](b, fmt.Sprintf(`%s(%q, ["Domain=pawl.test; Path=/; Secure", "Domain=pawl.test; Path=/auth; Secure"])`, setEverywhere, c.Value))
		}
		evicted := len(b.httpOnly()) < 2
		t.Logf("the cookies were evicted: %v", evicted)
		b.client()
		want := "ada"
		if evicted {
			want = "nobody"
		}
		if got := eval[string](b, whoami); got != want {
			t.Errorf("%s is signed in, want %s", got, want)
		}
		b.login("ada", false)
		if got := b.ask(`{ method: "POST" }`); got.Status != http.StatusOK || !strings.Contains(got.Body, s.idOf("ada")) {
			t.Errorf("after a new sign-in: %d %s", got.Status, got.Body)
		}
	})
}

// httpOnly are the cookies that no script sees.
func (b *tab) httpOnly() []cookie {
	b.t.Helper()
	kept := slices.DeleteFunc(b.jar(), func(c cookie) bool { return !c.HTTPOnly })
	slices.SortFunc(kept, func(a, b cookie) int { return strings.Compare(a.Name, b.Name) })
	return kept
}
