package devapp_test

import (
	"fmt"
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

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/server/devapp"
	"github.com/pawlauth/pawl/session"
)

const password = "a wheel that turns forward"

// A site is the development application on a loopback origin.
type site struct {
	t      *testing.T
	pawl   *pawl.Pawl
	origin string
	client *http.Client // a browser that keeps cookies and follows nothing
}

func newSite(t *testing.T, policy session.Policy) *site {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, origin: fmt.Sprintf("http://localhost:%d", l.Addr().(*net.TCPAddr).Port)}
	tape := &devapp.Tape{}
	s.pawl, err = pawl.Open(t.Context(), pawl.Options{Data: filepath.Join(t.TempDir(), "data"), Origins: []string{s.origin},
		Policy: policy, Log: slog.New(slog.DiscardHandler), Observe: tape.Observe})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.pawl.Accounts().Add(t.Context(), devapp.User, account.NewPassword(password)); err != nil {
		t.Fatal(err)
	}
	app, err := devapp.New(devapp.Options{Pawl: s.pawl, Prefix: "/auth", Tape: tape})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: app, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(l)
	t.Cleanup(func() {
		server.Close()
		if err := s.pawl.Close(); err != nil {
			t.Error(err)
		}
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.client = &http.Client{Jar: browserJar{jar}, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return s
}

func strict(t *testing.T) session.Policy {
	t.Helper()
	p, err := session.Preset("default")
	if err != nil {
		t.Fatal(err)
	}
	return p.MakeStrict()
}

// An answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (s *site) do(method, path, body string, headers ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.origin+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Origin", s.origin)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// open is a navigation.
func (s *site) open(path string) answer {
	s.t.Helper()
	return s.do("GET", path, "", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "none", "Accept", "text/html")
}

func (s *site) signIn() {
	s.t.Helper()
	a := s.do("POST", "/auth/login", `{"username":"demo","password":"`+password+`"}`, "Content-Type", "application/json")
	if a.status != 200 {
		s.t.Fatalf("sign-in: %d %s", a.status, a.body)
	}
}

// fact reads an answer of the application.
func fact[T any](t *testing.T, a answer) (out T) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &out, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatalf("%d %q: %v", a.status, a.body, err)
	}
	return out
}

// A browserJar treats http://localhost as browsers do: a trustworthy origin
// that may keep Secure cookies.
type browserJar struct{ http.CookieJar }

func (j browserJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.CookieJar.SetCookies(https(u), cookies)
}

func (j browserJar) Cookies(u *url.URL) []*http.Cookie { return j.CookieJar.Cookies(https(u)) }

func https(u *url.URL) *url.URL {
	secure := *u
	secure.Scheme = "https"
	return &secure
}

// eventually asks again until it holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}
