package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/httpauth"
)

// Rows: 1, 2, 4, 5, 7, 23.
func TestCookiesThatNoBrowserWouldKeepAreNotMade(t *testing.T) {
	good := func() *http.Cookie { return accessCookie("value", 60) }
	for name, spoil := range map[string]func(*http.Cookie){
		"no prefix":               func(c *http.Cookie) { c.Name = "pawl-access" },
		"no name":                 func(c *http.Cookie) { c.Name = "" },
		"prefix in another case":  func(c *http.Cookie) { c.Name = "__HOST-x" },
		"__Host- with a path":     func(c *http.Cookie) { c.Path = "/auth" },
		"__Host- without a path":  func(c *http.Cookie) { c.Path = "" },
		"domain":                  func(c *http.Cookie) { c.Domain = "app.example" },
		"not Secure":              func(c *http.Cookie) { c.Secure = false },
		"readable by script":      func(c *http.Cookie) { c.HttpOnly = false },
		"SameSite not said":       func(c *http.Cookie) { c.SameSite = 0 },
		"SameSite=None":           func(c *http.Cookie) { c.SameSite = http.SameSiteNoneMode },
		"SameSite without value":  func(c *http.Cookie) { c.SameSite = http.SameSiteDefaultMode },
		"4097 bytes":              func(c *http.Cookie) { c.Value = strings.Repeat("a", 4097-len(c.Name)) },
		"5000 bytes":              func(c *http.Cookie) { c.Value = strings.Repeat("a", 5000) },
		"a long path":             func(c *http.Cookie) { c.Name = "__Secure-x"; c.Path = "/" + strings.Repeat("a", 1024) },
		"more than 400 days":      func(c *http.Cookie) { c.MaxAge = 400*24*60*60 + 1 },
		"a semicolon in the path": func(c *http.Cookie) { c.Name = "__Secure-x"; c.Path = "/;Domain=x" },
		"a line break":            func(c *http.Cookie) { c.Value = "a\r\nSet-Cookie: x" },
		"a semicolon":             func(c *http.Cookie) { c.Value = "a; Domain=x" },
	} {
		c := good()
		spoil(c)
		if lines, err := encodeCookies(good(), c); err == nil || lines != nil {
			t.Errorf("%s: %q", name, lines)
		}
	}
	full := good()
	full.Value = strings.Repeat("a", 4096-len(full.Name))
	if _, err := encodeCookies(full); err != nil {
		t.Errorf("4096 bytes: %v", err)
	}
}

// Rows: 1, 2, 4, 7, 18.
func TestEveryCookieThatIsMadeKeepsTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringOfN(rapid.RuneFrom([]rune("aZ09_.-")), 0, 5000, -1).Draw(t, "value")
		age := rapid.IntRange(-1, 500*24*60*60).Draw(t, "age")
		a := &API{Options: Options{Prefix: "/" + rapid.StringOfN(rapid.RuneFrom([]rune("auth/")), 1, 2000, -1).Draw(t, "prefix")}}
		for _, c := range []*http.Cookie{accessCookie(value, age), a.refreshCookie(value, age)} {
			lines, err := encodeCookies(c)
			if err != nil {
				continue
			}
			got, err := http.ParseSetCookie(lines[0])
			if err != nil {
				t.Fatal(err)
			}
			host := got.Name == httpauth.AccessCookie
			if !got.Secure || !got.HttpOnly || got.Domain != "" || got.SameSite == http.SameSiteDefaultMode || got.Value != value ||
				host && got.Path != "/" || !host && got.Path != a.Prefix || len(got.Name)+len(got.Value) > 4096 || len(got.Path) > 1024 || got.MaxAge > 400*24*60*60 {
				t.Fatalf("%.200q", lines[0])
			}
		}
	})
}
