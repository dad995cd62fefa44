package httpauth_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/httpauth"
)

// localPaths are places on our own site.
var localPaths = []string{
	"/", "/a", "/a/", "/a/b?c=d&e=%2F", "/a?", "/a?next=//evil.example", "/a?b=%0d%0a", "/@ada", "/a:b@c", "/a%20b", "/%C3%A9", "/a;b=c",
	"/a?b=..%2F..%2F", "/a..b/...c",
}

// elsewhere are the spellings by which a redirect is led away, or which two
// parsers read in two ways. url.Parse finds no host in many of them.
var elsewhere = []string{
	"", "a", "?a", "#a", ".", "..", "https://evil.example", "https:/evil.example", "https:evil.example", "HTTPS://evil.example", "javascript:alert(1)",
	"data:text/html,x", "//evil.example", "///evil.example", "////evil.example", "/\\evil.example", "\\/evil.example", "\\\\evil.example", "/\\/evil.example",
	"//evil.example@app.example", "//app.example@evil.example", "https://app.example@evil.example/", "https://app.example.evil.example",
	"/%2f/evil.example", "/%2fevil.example", "/%2F%2Fevil.example", "/%5cevil.example", "/%5Cevil.example", "/%252f/evil.example", "/%252Fevil.example", "/%255cevil.example",
	"/%25252fevil.example", "/a%2fb", "/a//b", "/a/..//evil.example", "/..//evil.example", "/./a", "/a/.", "/a/..", "/../a", "/%2e%2e//evil.example", "/%2e/a", "/%252e%252e/a", "/a/.%2e/b",
	"/..;/a", "/..;x=y/a", "/a/.;/b", "/%2e%2e;/a", "/%2e%2e%3b/a", "/%c0%ae%c0%ae/a", "/%c0%afa", "/%ff",
	" /a", "/a ", "\t/a", "/\t/evil.example", "/\n/evil.example", "/\r\n/evil.example", "/a\r\nSet-Cookie: x=y", "/a\x00", "/a\x7f", "\x00/a", "/%00", "/%0d%0aLocation:x", "/%250d%250a", "/%7f",
	"/\u00a0/evil.example", "/\u2028", "/é", "\ufeff/a", "/ /evil.example", "/a#b", "/a?b#c", "/a\"b", "/<script>", "/a?\\", "/%", "/%zz", "/%2", "/100%25", "/%25%252f", "/" + strings.Repeat("a", 2048),
}

// Rows: 61, F7, A89.
func TestLocalPathTakesOurOwnPathsOnly(t *testing.T) {
	for _, raw := range localPaths {
		if got, ok := httpauth.LocalPath(raw); !ok || got != raw {
			t.Errorf("%q: %q, %v", raw, got, ok)
		}
	}
	for _, raw := range elsewhere {
		if got, ok := httpauth.LocalPath(raw); ok || got != "/" {
			t.Errorf("%.60q: %q, %v", raw, got, ok)
		}
	}
}

// FuzzLocalPath checks what is accepted against what a browser makes of it:
// the URL standard drops tabs and line breaks, takes a backslash for a slash,
// and resolves what stands for dots.
//
// Rows: 61, F7, A89.
func FuzzLocalPath(f *testing.F) {
	for _, raw := range append(append([]string{}, localPaths...), elsewhere...) {
		f.Add(raw)
	}
	base, err := url.Parse(origin + "/deep/er/")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, ok := httpauth.LocalPath(raw)
		if !ok {
			if got != "/" {
				t.Fatalf("refused, but %q", got)
			}
			return
		}
		if got != raw {
			t.Fatalf("%q became %q", raw, got)
		}
		seen := strings.NewReplacer("\t", "", "\n", "", "\r", "", "\\", "/").Replace(strings.TrimSpace(raw))
		if seen != raw && !strings.Contains(raw, "?") || strings.HasPrefix(seen, "//") || !strings.HasPrefix(seen, "/") {
			t.Fatalf("%q is %q to a browser", raw, seen)
		}
		u, err := base.Parse(raw)
		if err != nil || u.Scheme != "https" || u.Host != "app.example" || u.User != nil || u.Fragment != "" {
			t.Fatalf("%q leads to %v, %v", raw, u, err)
		}
		path, _, _ := strings.Cut(raw, "?")
		if decoded, err := url.PathUnescape(path); err != nil || u.Path != decoded {
			t.Fatalf("%q is resolved to %q", raw, u.Path)
		}
		if strings.Contains(u.Path, "//") || strings.ContainsAny(u.Path, "\\\r\n\x00%") {
			t.Fatalf("%q is %q to a server", raw, u.Path)
		}
	})
}
