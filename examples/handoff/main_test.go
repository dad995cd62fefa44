package main

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/examples/internal/visitor"
	"github.com/pawlauth/pawl/service"
)

// visit is the application beside a Pawl, which it reaches over HTTP only.
func visit(t *testing.T) *visitor.Visitor {
	t.Helper()
	o := pawl.Options{SignInPage: "/login", SignInHandoff: true, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	return visitor.New(t, o, func(p *pawl.Pawl) http.Handler {
		_, secret, err := p.Services().Add(t.Context(), "portal", []service.Scope{service.SessionsWrite})
		if err != nil {
			t.Fatal(err)
		}
		public, operations := httptest.NewServer(p.Handler()), httptest.NewServer(p.ServiceAPI())
		t.Cleanup(public.Close)
		t.Cleanup(operations.Close)
		return (&site{public: public.URL, service: operations.URL, name: "portal", secret: secret.Reveal()}).routes()
	})
}

// field is the value of a field of the page's form.
func field(t *testing.T, a visitor.Answer, name string) string {
	t.Helper()
	m := regexp.MustCompile(`name="` + name + `" value="([^"]+)"`).FindStringSubmatch(a.Body)
	if m == nil {
		t.Fatalf("no field %q: %d %s", name, a.Status, a.Body)
	}
	return m[1]
}

// A person signs in by the page of a program that Pawl knows nothing of but its
// name, without a line of script, and no token passes through that program.
//
// Rows: 128, A97
func TestHandoff(t *testing.T) {
	v := visit(t)
	a := v.Open("/")
	v.Want("a page, to a stranger", a, 303, "/login?")
	shown := v.Open(a.Header.Get("Location"))
	v.Want("our page", shown, 200, `name="return_to" value="/"`)
	handoff := field(t, shown, "handoff")
	v.Want("our page, by itself", v.Open("/login"), 303, "/auth/signin")
	v.Want("a wrong password", v.Submit("/login", "name", "ada", "password", "wrong", "handoff", handoff, "return_to", "/"), 403, "is wrong")
	given := v.Submit("/login", "name", "ada", "password", "a wheel that turns forward", "handoff", handoff, "return_to", "/")
	v.Want("the right one", given, 200, `action="/auth/redeem"`)
	if len(given.Header["Set-Cookie"]) != 0 || strings.Contains(given.Body, "eyJ") || strings.Contains(given.Body, "pawl_rt_") {
		t.Errorf("the program holds tokens: %v %s", given.Header, given.Body)
	}
	code := field(t, given, "code")
	v.Want("the code", v.Submit("/auth/redeem", "code", code, "return_to", "/"), 303, "/")
	v.Want("the page, to her", v.Open("/"), 200, "Hello, person-1.")
	v.Want("the code again", v.Submit("/auth/redeem", "code", code, "return_to", "/"), 403, "")
	v.Want("a renewal", v.Do("POST", "/auth/refresh", "", "Origin", v.Origin), 200, "refresh_in")
	v.Want("signing out", v.Submit("/auth/signout"), 303, "")
	v.Want("the page afterwards", v.Open("/"), 303, "/login?")
}

// Somebody who signs in as himself cannot have another's browser redeem his
// code, which would sign the other in as him.
//
// Rows: A97
func TestACodeIsForTheBrowserThatBegan(t *testing.T) {
	v := visit(t)
	v.Open("/")
	other := "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU" // another browser's
	given := v.Submit("/login", "name", "ada", "password", "a wheel that turns forward", "handoff", other, "return_to", "/")
	v.Want("another's code", v.Submit("/auth/redeem", "code", field(t, given, "code"), "return_to", "/"), 403, "")
	v.Want("the page", v.Open("/"), 303, "/login?")
}

// The program is built without a line of Pawl's.
func TestNothingOfPawlIsLinked(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(dep, "github.com/pawlauth/pawl") && !strings.HasSuffix(dep, "/examples/handoff") {
			t.Errorf("it is linked with %s", dep)
		}
	}
}
