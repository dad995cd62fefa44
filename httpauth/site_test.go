package httpauth_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/httpauth"
)

// Rows: 27, 36, A23.
func TestOriginsAreExact(t *testing.T) {
	for _, good := range []string{
		"https://app.example", "https://app.example:8443", "https://xn--bcher-kva.example", "https://192.0.2.1", "https://[2001:db8::1]",
		"http://localhost", "http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080",
	} {
		if err := httpauth.CheckOrigin(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "null", "*", "https://*", "https://*.example", "https://app.example/", "https://app.example/x", "https://app.example?x",
		"https://app.example?", "https://app.example#", "https://user@app.example", "https://app.example:443", "http://localhost:80",
		"http://app.example", "https://App.example", "HTTPS://app.example", "https://bücher.example", "https://app.example.",
		"https://app..example", "https://", "https://:8443", "https://app.example:", "https://app.example:0443", "https://app.example:123456",
		"app.example", "//app.example", "ftp://app.example", "https:app.example", " https://app.example", "https://app.example ",
		"https://app.example\n", "https://[2001:DB8::1]", "https://[::1%25lo]", "https://a b", "https://good.example,https://evil.example",
		"http://localhost.evil.example", "http://127.0.0.2", "javascript://app.example",
	} {
		if httpauth.CheckOrigin(bad) == nil {
			t.Errorf("%q is taken for an exact origin", bad)
		}
	}
}

func TestSiteReportsEveryFaultAtOnce(t *testing.T) {
	_, err := httpauth.NewSite([]string{"null", "https://ok.example", "http://plain.example"}, "Bad_Host:", "ok:8080")
	joined, ok := errors.Unwrap(err).(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 3 {
		t.Errorf("got %v, want three faults", err)
	}
	if _, err := httpauth.NewSite(nil); err == nil {
		t.Error("a site without an origin is accepted")
	}
}

// Rows: A88.
func TestOnlyKnownHostsAreServed(t *testing.T) {
	site, err := httpauth.NewSite([]string{"https://app.example", "https://app.example:8443", "http://localhost:8080"}, "pawl:9000")
	must(t, err)
	for host, known := range map[string]bool{
		"app.example": true, "APP.example": true, "app.example:443": true, "app.example:8443": true, "localhost:8080": true, "pawl:9000": true,
		"": false, "evil.example": false, "app.example:80": false, "app.example.": false, "app.example.evil.example": false, "localhost": false,
		"pawl": false, "app.example,evil.example": false, "app.example@evil.example": false, "127.0.0.1:8080": false,
	} {
		r := request("GET", "/")
		r.Host = host
		if got := site.CheckHost(r) == nil; got != known {
			t.Errorf("host %q: served %v, want %v", host, got, known)
		}
	}
	for _, target := range []string{"https://app.example/", "http://evil.example/"} {
		r := httptest.NewRequest("GET", target, nil)
		r.Host = "app.example"
		if err := site.CheckHost(r); !errors.Is(err, httpauth.ErrMisdirected) {
			t.Errorf("target %q in absolute form: %v", target, err)
		}
	}
}

// Rows: 22, 63, 64.
func TestPlainHTTPIsForLoopbackOriginsOnly(t *testing.T) {
	w := newWorld(t, func(o *httpauth.Options) {
		var err error
		o.Site, err = httpauth.NewSite([]string{origin, "http://localhost:8080"}, "pawl:9000")
		must(t, err)
		o.Proxies, err = httpauth.NewProxies("198.51.100.0/24")
		must(t, err)
	})
	for _, c := range []struct {
		name, host, peer, proto string
		tls, admitted           bool
	}{
		{"tls", host, "192.0.2.1:5", "", true, true},
		{"plain", host, "192.0.2.1:5", "", false, false},
		{"plain, a stranger says https", host, "192.0.2.1:5", "https", false, false},
		{"plain, our proxy says https", host, "198.51.100.7:5", "https", false, true},
		{"plain, our proxy says HTTPS", host, "198.51.100.7:5", "HTTPS", false, true},
		{"plain, our proxy says http", host, "198.51.100.7:5", "http", false, false},
		{"plain, our proxy says both", host, "198.51.100.7:5", "https,http", false, false},
		{"plain, our proxy says nothing", host, "198.51.100.7:5", "", false, false},
		{"tls to our proxy's plain client", host, "198.51.100.7:5", "http", true, false},
		{"tls, a stranger says http", host, "192.0.2.1:5", "http", true, true},
		{"plain to localhost", "localhost:8080", "127.0.0.1:5", "", false, true},
		{"plain to another name of this server", "pawl:9000", "192.0.2.1:5", "", false, false},
	} {
		r := request("GET", "/")
		if r.Host, r.RemoteAddr = c.host, c.peer; !c.tls {
			r.TLS = nil
		}
		if c.proto != "" {
			r.Header.Set("X-Forwarded-Proto", c.proto)
		}
		err := w.Admit(r)
		if (err == nil) != c.admitted || err != nil && !errors.Is(err, httpauth.ErrInsecure) {
			t.Errorf("%s: %v, want admitted %v", c.name, err, c.admitted)
		}
	}
}

func TestHostsAreBounded(t *testing.T) {
	if httpauth.CheckOrigin("https://"+strings.Repeat("a", 64)+".example") == nil {
		t.Error("a label of 64 characters is accepted")
	}
	if httpauth.CheckOrigin("https://"+strings.Repeat("a.", 127)+"example") == nil {
		t.Error("a name of more than 253 characters is accepted")
	}
}
