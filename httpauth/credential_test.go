package httpauth_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
)

// Rows: 8, 9, 13, 99, 100, 101, A27, A28, A92.
func TestARequestHasOneCredential(t *testing.T) {
	const name = httpauth.AccessCookie
	for _, c := range []struct {
		name    string
		target  string
		headers []string
		token   string
		from    session.Transport
		err     error
	}{
		{name: "nothing", err: httpauth.ErrNoCredential},
		{name: "cookie", headers: []string{"Cookie: a=b; " + name + "=T; c=d"}, token: "T", from: session.Cookie},
		{name: "cookie in the second line", headers: []string{"Cookie: a=b", "Cookie: " + name + "=T"}, token: "T", from: session.Cookie},
		{name: "empty cookie", headers: []string{"Cookie: " + name + "="}, from: session.Cookie},
		{name: "two cookies", headers: []string{"Cookie: " + name + "=T; " + name + "=T"}, err: httpauth.ErrDuplicateCookie},
		{name: "two cookies in two lines", headers: []string{"Cookie: " + name + "=T", "Cookie: " + name + "=U"}, err: httpauth.ErrDuplicateCookie},
		{name: "case twin", headers: []string{"Cookie: __HOST-HTTP-pawl-access=T"}, err: httpauth.ErrNoCredential},
		{name: "case twin beside ours", headers: []string{"Cookie: __host-http-pawl-access=E; " + name + "=T"}, token: "T", from: session.Cookie},
		{name: "weaker prefixes", headers: []string{"Cookie: __Host-pawl-access=T; __Secure-pawl-access=T; pawl-access=T"}, err: httpauth.ErrNoCredential},
		{name: "nameless", headers: []string{"Cookie: =" + name + "=T"}, err: httpauth.ErrNoCredential},
		{name: "U+2000 before the name", headers: []string{"Cookie: \u2000" + name + "=T"}, err: httpauth.ErrNoCredential},
		{name: "$Version", headers: []string{"Cookie: $Version=1,__Host-Http-pawl-access=T"}, err: httpauth.ErrNoCredential},
		{name: "joined by a comma", headers: []string{"Cookie: a=b," + name + "=T"}, err: httpauth.ErrNoCredential},
		{name: "the refresh cookie", headers: []string{"Cookie: " + httpauth.RefreshCookie + "=T"}, err: httpauth.ErrNoCredential},
		{name: "query", target: "/?access_token=T&token=T&sid=T&" + name + "=T", err: httpauth.ErrNoCredential},
		{name: "other headers", headers: []string{"X-Session: T", "X-Auth-User: u", "X-Access-Token: T"}, err: httpauth.ErrNoCredential},

		{name: "bearer", headers: []string{"Authorization: Bearer T"}, token: "T", from: session.Bearer},
		{name: "bearer in odd case", headers: []string{"Authorization: bEaReR T"}, token: "T", from: session.Bearer},
		{name: "two spaces", headers: []string{"Authorization: Bearer  T"}, token: "T", from: session.Bearer},
		{name: "no token", headers: []string{"Authorization: Bearer"}, err: httpauth.ErrAuthorization},
		{name: "empty", headers: []string{"Authorization: "}, err: httpauth.ErrAuthorization},
		{name: "two tokens", headers: []string{"Authorization: Bearer T U"}, err: httpauth.ErrAuthorization},
		{name: "comma list", headers: []string{"Authorization: Bearer T,Bearer U"}, err: httpauth.ErrAuthorization},
		{name: "other scheme", headers: []string{"Authorization: Basic T"}, err: httpauth.ErrNoCredential},
		{name: "token as scheme", headers: []string{"Authorization: T"}, err: httpauth.ErrNoCredential},
		{name: "two lines", headers: []string{"Authorization: Bearer T", "Authorization: Bearer T"}, err: httpauth.ErrTwoCredentials},
		{name: "both", headers: []string{"Authorization: Bearer T", "Cookie: " + name + "=T"}, err: httpauth.ErrTwoCredentials},
		{name: "both, the other cookie", headers: []string{"Authorization: Bearer T", "Cookie: " + httpauth.RefreshCookie + "=T"}, err: httpauth.ErrTwoCredentials},
		{name: "both, other scheme", headers: []string{"Authorization: Basic T", "Cookie: " + name + "=T"}, err: httpauth.ErrTwoCredentials},
	} {
		target := "/"
		if c.target != "" {
			target = c.target
		}
		got, err := httpauth.CredentialOf(request("POST", target, c.headers...))
		if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
		if got.Token != c.token || got.Transport != c.from {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// Rows: 8, 9, A28.
func FuzzCookieHeader(f *testing.F) {
	const name = httpauth.AccessCookie
	for _, seed := range []string{
		"", name + "=T", name + "=T; " + name + "=U", "=" + name + "=T", "a=b," + name + "=T", "$Version=1; " + name + "=T",
		"\u2000" + name + "=T", name + "=\"T\"", " " + name + " = T", name, ";;;", "__HOST-HTTP-pawl-access=T", "\x00=\xff; " + name + "=\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r := request("GET", "/")
		r.Header["Cookie"] = []string{line}
		c, err := httpauth.CredentialOf(r)
		switch {
		case err == nil:
			if c.Transport != session.Cookie || !strings.Contains(line, name) || !strings.Contains(line, c.Token) {
				t.Errorf("%+v out of %q", c, line)
			}
		case !errors.Is(err, httpauth.ErrNoCredential) && !errors.Is(err, httpauth.ErrDuplicateCookie):
			t.Errorf("%v out of %q", err, line)
		}
	})
}

// Rows: 99, 100.
func FuzzAuthorizationHeader(f *testing.F) {
	for _, seed := range []string{"", "Bearer T", "bearer  T", "Bearer", "Bearer ", "Basic dTpw", "Bearer T,U", "Bearer\tT", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r := request("GET", "/")
		r.Header["Authorization"] = []string{line}
		c, err := httpauth.CredentialOf(r)
		switch {
		case err == nil:
			if c.Token == "" || strings.ContainsAny(c.Token, " ,") || !strings.EqualFold(line[:6], "bearer") {
				t.Errorf("%+v out of %q", c, line)
			}
		case !errors.Is(err, httpauth.ErrNoCredential) && !errors.Is(err, httpauth.ErrAuthorization):
			t.Errorf("%v out of %q", err, line)
		}
	})
}
