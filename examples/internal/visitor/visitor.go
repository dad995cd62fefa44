// Package visitor is for the tests of the examples: it serves one on a
// loopback origin, and visits it as a browser or a program does. The examples
// themselves do not need it.
package visitor

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/account"
)

// Password is that of the user "ada", who has an account.
const Password = "a wheel that turns forward"

// A Visitor visits a site and keeps its cookies.
type Visitor struct {
	Origin string
	t      testing.TB
	client *http.Client
	jar    *cookiejar.Jar
}

// An Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// New opens a Pawl with the options, but for data, origin and log, and serves
// what site makes of it until the test ends.
func New(t testing.TB, o pawl.Options, site func(*pawl.Pawl) http.Handler) *Visitor {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &Visitor{Origin: "http://localhost:" + port, t: t, jar: jar, client: &http.Client{Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	o.Data, o.Origins, o.Log = filepath.Join(t.TempDir(), "data"), []string{v.Origin}, slog.New(slog.DiscardHandler)
	p, err := pawl.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Accounts().Add(t.Context(), "ada", account.NewPassword(Password)); err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: site(p), ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(l)
	t.Cleanup(func() {
		server.Close()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

// Open opens a page, as a browser does when its user types the address.
func (v *Visitor) Open(path string) Answer {
	v.t.Helper()
	return v.Do("GET", path, "", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "none", "Accept", "text/html")
}

// Submit sends a form of the site's own pages, as a browser does. Pairs are
// names and values.
func (v *Visitor) Submit(path string, pairs ...string) Answer {
	v.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return v.Do("POST", path, form.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Origin", v.Origin,
		"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "same-origin", "Accept", "text/html")
}

// Do sends a request. Pairs are names and values of headers.
func (v *Visitor) Do(method, path, body string, pairs ...string) Answer {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.Origin+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		req.Header.Set(pairs[i], pairs[i+1])
	}
	for _, c := range v.jar.Cookies(secure(req.URL)) {
		req.AddCookie(c)
	}
	resp, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	v.jar.SetCookies(secure(req.URL), resp.Cookies())
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return Answer{resp.StatusCode, resp.Header, string(text)}
}

// Want fails the test unless an answer has the status and its body or target
// contains the text.
func (v *Visitor) Want(what string, a Answer, status int, text string) {
	v.t.Helper()
	if a.Status != status || !strings.Contains(a.Body+a.Header.Get("Location"), text) {
		v.t.Errorf("%s: %d to %q, want %d and %q: %.300s", what, a.Status, a.Header.Get("Location"), status, text, a.Body)
	}
}

// secure is the address whose cookies are those of u: browsers keep Secure
// cookies of http://localhost.
func secure(u *url.URL) *url.URL {
	out := *u
	out.Scheme = "https"
	return &out
}
