package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/examples/internal/visitor"
)

func visit(t *testing.T) *visitor.Visitor {
	t.Helper()
	people, err := openPeople("file:" + filepath.Join(t.TempDir(), "people.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { people.db.Close() })
	if err := people.add(t.Context(), "grace", "nanoseconds of wire"); err != nil {
		t.Fatal(err)
	}
	return visitor.New(t, options, func(p *pawl.Pawl) http.Handler { return (&site{p, people}).routes() })
}

// A person of our own table signs in by our own page, and comes back to where
// she wanted to go.
func TestOwnLogin(t *testing.T) {
	v := visit(t)
	v.Want("a page, to a stranger", v.Open("/invoices?year=1952"), 303, "/login?return_to=%2Finvoices%3Fyear%3D1952")
	v.Want("our page", v.Open("/login?return_to=%2Finvoices%3Fyear%3D1952"), 200, `name="return_to" value="/invoices?year=1952"`)
	v.Want("a wrong password", v.Submit("/login", "name", "grace", "password", "wrong"), 403, "is wrong")
	v.Want("an unknown name", v.Submit("/login", "name", "nobody", "password", "nobody has this password"), 403, "is wrong")
	v.Want("the right one", v.Submit("/login", "name", "grace", "password", "nanoseconds of wire", "return_to", "/invoices?year=1952"), 303, "/invoices?year=1952")
	v.Want("the page, to her", v.Open("/invoices?year=1952"), 200, "Hello, person-1.")
	v.Want("what needs a recent login", v.Open("/pay"), 200, "Paid.")
	v.Want("her session", v.Do("GET", "/auth/session", ""), 200, `"username":"grace"`)
	v.Want("a renewal", v.Do("POST", "/auth/refresh", "", "Origin", v.Origin), 200, "refresh_in")
	v.Want("her devices", v.Open("/auth/devices"), 200, "This device")
	if a := v.Open("/auth/password"); a.Status != 405 {
		t.Errorf("Pawl's page to change a password that Pawl does not have: %d", a.Status)
	}
	if a := v.Open("/auth/devices"); strings.Contains(a.Body, "/auth/password") {
		t.Error("Pawl's pages lead to it")
	}
	v.Want("signing out", v.Submit("/logout"), 303, "/login")
	v.Want("the page afterwards", v.Open("/"), 303, "/login")
}

// Nobody is signed in by another site's form, nor sent to another site.
func TestOwnLoginIsOnlyOurs(t *testing.T) {
	v := visit(t)
	form := "name=grace&password=nanoseconds+of+wire"
	foreign := v.Do("POST", "/login", form, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
	v.Want("another site's form", foreign, 403, "cross_site")
	if len(foreign.Header["Set-Cookie"]) != 0 {
		t.Error("it set a cookie")
	}
	for _, to := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "/login"} {
		a := v.Submit("/login", "name", "grace", "password", "nanoseconds of wire", "return_to", to)
		if a.Status != 303 || a.Header.Get("Location") != "/" {
			t.Errorf("return to %q: %d to %q", to, a.Status, a.Header.Get("Location"))
		}
	}
	v.Want("Pawl's own page leads to ours", v.Open("/auth/signin?return_to=%2Fpay"), 200, `content="0;url=/login?return_to=%2Fpay"`)
}
