package browsertest

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/token"
)

const (
	password = "correct horse battery staple"
	private  = "For your eyes only" // on every page of the application
)

// A site is Pawl and a small application behind it, over HTTPS, with other
// sites around it. Everything that it answers is kept.
type site struct {
	t        *testing.T
	pawl     *pawl.Pawl
	data     string
	origin   string
	sibling  *stranger // is below the same domain, and may set cookies for it
	stranger *stranger
	trusted  *stranger // may hold the tokens of an app, and no more

	mu        sync.Mutex
	exchanges []exchange
	tokens    map[string]bool // that were ever set as cookies
	serve     http.HandlerFunc
	rewrite   func(*http.Request, *answer)
}

// An exchange is a request and its answer.
type exchange struct {
	method, path, query string
	request             http.Header
	form                string // as it was sent
	answer              answer
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// newSite starts everything. Users "ada" and "bob" have accounts.
func newSite(t *testing.T) *site {
	t.Helper()
	return newSiteOf(t, appHost, pawl.Options{}, protected)
}

// protected is the small application behind Pawl.
func protected(p *pawl.Pawl) (http.Handler, error) {
	mux := http.NewServeMux()
	mux.Handle("/auth/", p.Handler())
	mux.Handle("/.well-known/", p.Handler())
	mux.Handle("/", p.Protect(http.HandlerFunc(application)))
	return mux, nil
}

// newSiteOf starts a site at another host, of another application, or with
// other options.
func newSiteOf(t *testing.T, host string, o pawl.Options, application func(*pawl.Pawl) (http.Handler, error)) *site {
	t.Helper()
	l, origin := place(t, host)
	s := &site{t: t, data: filepath.Join(t.TempDir(), "data"), tokens: make(map[string]bool), origin: origin,
		sibling: newStranger(t, siblingHost), stranger: newStranger(t, strangerHost), trusted: newStranger(t, trustedHost)}
	o.Data, o.Origins, o.AllowSignup, o.Log = s.data, []string{s.origin}, true, slog.New(slog.DiscardHandler)
	o.Clients = []httpapi.Client{{ID: "app", Scope: "read", Origins: []string{s.trusted.origin}}}
	var err error
	if s.pawl, err = pawl.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ada", "bob"} {
		if _, err := s.pawl.Accounts().Add(t.Context(), name, account.NewPassword(password)); err != nil {
			t.Fatal(err)
		}
	}
	handler, err := application(s.pawl)
	if err != nil {
		t.Fatal(err)
	}
	s.serve = handler.ServeHTTP
	stop := serve(t, l, s.origin, http.HandlerFunc(s.exchange))
	t.Cleanup(func() {
		stop()
		if err := s.pawl.Close(); err != nil {
			t.Error(err)
		}
		s.checkLeaks()
	})
	return s
}

// host is that of the application, without the port.
func (s *site) host() string {
	u, err := url.Parse(s.origin)
	if err != nil {
		s.t.Fatal(err)
	}
	return u.Hostname()
}

// origins are those of all sites of the test.
func (s *site) origins() []string {
	return []string{s.origin, s.sibling.origin, s.stranger.origin, s.trusted.origin}
}

// application is what Pawl protects. It allows to be stored and framed what it
// does not say about itself, as careless applications do.
func application(w http.ResponseWriter, r *http.Request) {
	caller, ok := pawl.PrincipalFrom(r.Context())
	if !ok {
		http.Error(w, "nobody", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprintf(w, `<!DOCTYPE html><html lang="en"><head><title>Application</title><link rel="icon" href="data:,"></head>`+
		`<body><main><h1>%s</h1><p id="user">%s</p><p id="at">%s</p></main></body></html>`,
		private, caller.UserID, html.EscapeString(r.URL.RequestURI()))
}

// exchange serves one request and keeps what was said.
func (s *site) exchange(w http.ResponseWriter, r *http.Request) {
	out := &buffer{answer{status: http.StatusOK, header: make(http.Header)}}
	asked := exchange{method: r.Method, path: r.URL.Path, query: r.URL.RawQuery, request: r.Header.Clone()}
	if r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			return // the browser has gone
		}
		asked.form, r.Body = string(body), io.NopCloser(bytes.NewReader(body))
	}
	s.mu.Lock()
	serve, rewrite := s.serve, s.rewrite
	s.mu.Unlock()
	serve(out, r)
	if rewrite != nil {
		rewrite(r, &out.answer)
	}
	asked.answer = out.answer
	s.mu.Lock()
	s.exchanges = append(s.exchanges, asked)
	for _, c := range (&http.Response{Header: out.answer.header}).Cookies() {
		if c.Value != "" {
			s.tokens[c.Value] = true
		}
	}
	s.mu.Unlock()
	maps.Copy(w.Header(), out.answer.header)
	w.Header().Set("Content-Length", fmt.Sprint(len(out.answer.body)))
	w.WriteHeader(out.answer.status)
	w.Write(out.answer.body)
}

// A buffer is an answer being written.
type buffer struct{ answer }

func (b *buffer) Header() http.Header { return b.header }
func (b *buffer) WriteHeader(status int) {
	b.status = status
}

func (b *buffer) Write(p []byte) (int, error) {
	b.body = append(b.body, p...)
	return len(p), nil
}

// around puts a handler in front of the site.
func (s *site) around(wrap func(next http.HandlerFunc) http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serve = wrap(s.serve)
}

// altered changes what the site answers, as an attacker or a proxy would; nil
// changes nothing.
func (s *site) altered(change func(*http.Request, *answer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rewrite = change
}

// said returns the exchanges so far that satisfy f.
func (s *site) said(f func(exchange) bool) []exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.exchanges), func(e exchange) bool { return !f(e) })
}

// posts counts the forms and calls sent to a path.
func (s *site) posts(path string) int {
	return len(s.said(func(e exchange) bool { return e.method == "POST" && e.path == path }))
}

// lastPage is the page that was served last.
func (s *site) lastPage() exchange {
	s.t.Helper()
	pages := s.said(func(e exchange) bool { return strings.HasPrefix(e.answer.header.Get("Content-Type"), "text/html") })
	if len(pages) == 0 {
		s.t.Fatal("no page was served")
	}
	return pages[len(pages)-1]
}

// checkLeaks holds after every test: a token left in no way but as its cookie,
// and the refresh token came in nowhere but below the prefix.
func (s *site) checkLeaks() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.exchanges {
		header := e.answer.header.Clone()
		header.Del("Set-Cookie")
		var all bytes.Buffer
		header.Write(&all)
		fmt.Fprintln(&all, e.path, e.query)
		all.Write(e.answer.body)
		for value := range s.tokens {
			for part := range strings.SplitSeq(value, ".") {
				if len(part) > 32 && !strings.HasPrefix(value, part+".") && bytes.Contains(all.Bytes(), []byte(part)) {
					s.t.Errorf("%s %s told a token", e.method, e.path)
				}
			}
		}
		if strings.Contains(e.request.Get("Cookie"), httpauth.RefreshCookie) && !strings.HasPrefix(e.path, "/auth") {
			s.t.Errorf("%s received the refresh token", e.path)
		}
	}
}

// expire makes the tab's access token one whose time is over: another of the
// same session, signed by the same key.
func (s *site) expire(b *tab) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cookie := b.cookies()[httpauth.AccessCookie]
	if cookie == nil {
		s.t.Fatal("nobody is signed in")
	}
	parts, err := token.SplitAccess(cookie.Value)
	if err != nil {
		s.t.Fatal(err)
	}
	claims, err := token.DecodeClaims(parts.Payload)
	if err != nil {
		s.t.Fatal(err)
	}
	claims.IssuedAt -= int64(time.Hour / time.Second)
	claims.Expires -= int64(time.Hour / time.Second)
	claims.AuthTime -= int64(time.Hour / time.Second)
	data, err := pawl.OpenData(ctx, pawl.Place{Directory: s.data}, false)
	if err != nil {
		s.t.Fatal(err)
	}
	defer data.Close()
	ring, err := keyring.Open(ctx, data.Store, data.Master, keyring.Options{
		Algorithm: keyring.EdDSA, Rotation: 30 * 24 * time.Hour, Publication: time.Hour, TokenLife: 24 * time.Hour})
	if err != nil {
		s.t.Fatal(err)
	}
	old, err := token.EncodeAccess(claims, ring.Signer())
	if err != nil {
		s.t.Fatal(err)
	}
	cookie.Value = old.Reveal()
	b.setCookie(*cookie)
	s.mu.Lock()
	s.tokens[old.Reveal()] = true
	s.mu.Unlock()
}

// A device is another place where a user is signed in; it is no browser.
type device struct {
	site    *site
	cookies string
}

// newDevice signs a user in elsewhere.
func (s *site) newDevice(name, agent string) *device {
	s.t.Helper()
	d := &device{site: s}
	answer := d.ask("POST", "/auth/login", fmt.Sprintf(`{"username":%q,"password":%q}`, name, password), agent)
	for _, c := range answer.Cookies() {
		d.cookies += c.Name + "=" + c.Value + "; "
	}
	if answer.StatusCode != http.StatusOK {
		s.t.Fatalf("sign in another device: %s", answer.Status)
	}
	return d
}

func (d *device) ask(method, path, body, agent string) *http.Response {
	d.site.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, d.site.origin+path, strings.NewReader(body))
	if err != nil {
		d.site.t.Fatal(err)
	}
	request.Header.Set("Origin", d.site.origin)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", agent)
	request.Header.Set("Cookie", d.cookies)
	response, err := loopback().RoundTrip(request)
	if err != nil {
		d.site.t.Fatal(err)
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	return response
}

// signedIn reports whether the device still is.
func (d *device) signedIn() bool {
	d.site.t.Helper()
	return d.ask("GET", "/auth/session", "", "").StatusCode == http.StatusOK
}

// endAll ends every session of a user, from elsewhere.
func (s *site) endAll(name string) {
	s.t.Helper()
	d := s.newDevice(name, "")
	for _, path := range []string{"/auth/sessions/end-others", "/auth/logout"} {
		if answer := d.ask("POST", path, "", ""); answer.StatusCode != http.StatusNoContent {
			s.t.Fatalf("%s: %s", path, answer.Status)
		}
	}
}

// A stranger is another site, of which we know nothing.
type stranger struct {
	origin string

	mu    sync.Mutex
	pages map[string]string
	seen  []string // what it was asked for that is no page of its own
}

func newStranger(t *testing.T, host string) *stranger {
	t.Helper()
	l, origin := place(t, host)
	s := &stranger{origin: origin, pages: make(map[string]string)}
	t.Cleanup(serve(t, l, origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, own := s.pages[r.URL.Path]; !own {
			s.seen = append(s.seen, r.Method+" "+r.URL.RequestURI())
		}
		body, ok := s.pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, body)
	})))
	return s
}

// page makes a page of the stranger and returns its address.
func (s *stranger) page(body string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := fmt.Sprintf("/%d", len(s.pages))
	s.pages[path] = `<!DOCTYPE html><html lang="en"><head><title>Stranger</title><link rel="icon" href="data:,"></head><body>` + body + `</body></html>`
	return s.origin + path
}
