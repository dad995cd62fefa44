package pages_test

import (
	"context"
	"crypto/tls"
	"errors"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/account/accounttest"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
	"github.com/pawlauth/pawl/pages"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/memstore"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

const (
	origin   = "https://app.example"
	password = "correct horse battery"
	firefox  = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
)

// A world is the pages over the whole API, with stores in memory, real keys
// and a clock that moves when told to.
type world struct {
	*pages.Pages
	t        testing.TB
	now      time.Time
	origin   string
	api      *httpapi.API
	accounts *account.Accounts
	store    *memstore.Store
	revoked  *verify.Revoked
	ada      account.User
}

type change struct {
	api   func(*httpapi.Options)
	guard func(*httpauth.Options)
	pages func(*pages.Options)
}

func newWorld(t testing.TB, changes ...change) *world {
	return newWorldAt(t, origin, changes...)
}

func newWorldAt(t testing.TB, origin string, changes ...change) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), origin: origin}
	clock := func() time.Time { return w.now }
	w.store = memstore.New(clock)
	hasher, err := account.NewHasher(account.DangerouslyWeakParamsForTests(), 4, time.Second)
	w.must(err)
	w.accounts, err = account.New(account.Options{Store: accounttest.NewMemory(), Hasher: hasher, Key: [32]byte{1}})
	w.must(err)
	w.ada = w.add("ada")
	master, err := keyring.ParseMaster(keyring.NewMasterText())
	w.must(err)
	ring, err := keyring.Open(t.Context(), keyringtest.NewStore(clock), master, keyring.Options{
		Algorithm: keyring.EdDSA, Rotation: 30 * 24 * time.Hour, Publication: time.Hour, TokenLife: time.Hour})
	w.must(err)
	guard := w.guardOptions(master, ring, clock)
	options := httpapi.Options{Keys: ring, Audience: "app", Accounts: w.accounts, AllowSignup: true, Log: slog.New(slog.DiscardHandler),
		Clients: []httpapi.Client{{ID: "cli"}}, SignIn: "/auth/signin", Renewal: "/auth/renew", Pages: pages.Below("/auth"),
		Page: func(rw http.ResponseWriter, r *http.Request, d httpapi.Description) { w.Error(rw, r, d) }}
	var shown pages.Options
	for _, c := range changes {
		if c.api != nil {
			c.api(&options)
		}
		if c.guard != nil {
			c.guard(&guard)
		}
		if c.pages != nil {
			c.pages(&shown)
		}
	}
	policy, err := session.Preset("default")
	w.must(err)
	options.Engine, err = session.New(session.Options{
		Store: w.store, Policy: policy, Issuer: origin, Codec: token.NewRefreshCodec(master.RefreshKeys()...), Key: master.Current(),
		Signer: func() token.Signer { return ring.Signer() }, Pseudonym: master.Pseudonyms(), Record: guard.Record,
		Ends: ends{w}, Timeout: 5 * time.Second, MaxQueue: 100})
	w.must(err)
	options.Guard, err = httpauth.NewGuard(guard)
	w.must(err)
	w.api, err = httpapi.New(options)
	w.must(err)
	shown.API = w.api
	w.Pages, err = pages.New(shown)
	w.must(err)
	return w
}

// ends are what the node of a world refuses.
type ends struct{ *world }

func (e ends) Add(id session.ID)        { e.revoked.Add(id, e.now) }
func (e ends) AddEpoch(epoch time.Time) { e.revoked.AddEpoch(epoch, e.now) }
func (e ends) Has(id session.ID, created time.Time) bool {
	return errors.Is(e.revoked.Check(id, created, e.now), verify.ErrRevoked)
}

func (w *world) guardOptions(master *keyring.Master, ring *keyring.Ring, clock func() time.Time) httpauth.Options {
	var err error
	w.revoked, err = verify.NewRevoked(verify.FollowOptions{
		Keep: time.Hour, Overlap: 30 * time.Second, WholeEvery: time.Second, Stale: time.Minute})
	w.must(err)
	w.poll()
	verifier, err := verify.New(verify.Config{Issuer: w.origin, Audience: "app", Keys: ring, Revocations: w.revoked, CacheSize: 1 << 10})
	w.must(err)
	site, err := httpauth.NewSite([]string{w.origin})
	w.must(err)
	csrf, err := httpauth.NewCSRF(master.CSRFKeys())
	w.must(err)
	return httpauth.Options{Site: site, CSRF: csrf, Verifier: verifier, Now: clock, Pseudonym: master.Pseudonyms(),
		Note: func(session.Use, time.Time) {}, Record: func(session.Event) {}}
}

func (w *world) add(name string) account.User {
	w.t.Helper()
	user, err := w.accounts.Add(context.Background(), name, account.NewPassword(password))
	w.must(err)
	return user
}

// poll reads the feed once.
func (w *world) poll() {
	w.t.Helper()
	_, err := w.revoked.Poll(context.Background(), w.store, w.now)
	w.must(err)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// wait lets time pass.
func (w *world) wait(d time.Duration) {
	w.now = w.now.Add(d)
	w.poll()
}

// start makes a session of ada's without a page.
func (w *world) start(changes ...func(*session.Login)) session.Issued {
	w.t.Helper()
	l := session.Login{UserID: w.ada.ID, ClientID: "web", Audience: "app", Methods: []string{"pwd"}, Transport: session.Cookie,
		Origin: session.Origin{UserAgent: firefox}}
	for _, c := range changes {
		c(&l)
	}
	issued, err := w.api.Engine.Start(context.Background(), l)
	w.must(err)
	return issued
}

func (w *world) alive(id session.ID) bool {
	w.t.Helper()
	row, _, err := w.api.Engine.Get(context.Background(), id)
	w.must(err)
	return !row.Ended()
}

// ServeHTTP serves as a program does: the pages first, then the API.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if w.Has(r.URL.Path) {
		w.Pages.ServeHTTP(rw, r)
		return
	}
	w.api.ServeHTTP(rw, r)
}

// A browser keeps cookies and sends what browsers send.
type browser struct {
	*world
	cookies  map[string]string
	language string
	headers  map[string]string // in place of the usual ones; empty: left out
	refuses  bool              // cookies
	serve    http.Handler      // nil: the world
}

func (w *world) browser() *browser {
	return &browser{world: w, cookies: map[string]string{}, headers: map[string]string{}}
}

// holding is a browser with the cookies of a session.
func (w *world) holding(s session.Issued) *browser {
	b := w.browser()
	b.cookies[httpauth.AccessCookie] = s.Access.Reveal()
	b.cookies[httpauth.RefreshCookie] = s.Refresh.Reveal()
	return b
}

func (b *browser) get(path string) answer { return b.send(http.MethodGet, path, "") }

// post sends a form of name, value, name, value…
func (b *browser) post(path string, fields ...string) answer {
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Add(fields[i], fields[i+1])
	}
	return b.send(http.MethodPost, path, values.Encode())
}

func (b *browser) send(method, path, body string) answer {
	b.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = strings.TrimPrefix(strings.TrimPrefix(b.origin, "https://"), "http://")
	if strings.HasPrefix(b.origin, "https") {
		r.TLS = &tls.ConnectionState{}
	}
	set := map[string]string{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document",
		"Accept": "text/html", "User-Agent": firefox, "Accept-Language": b.language}
	if method == http.MethodPost {
		set["Content-Type"], set["Origin"] = "application/x-www-form-urlencoded", "null"
	}
	for name, value := range b.headers {
		set[name] = value
	}
	for name, value := range set {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	var pairs []string
	for name, value := range b.cookies {
		pairs = append(pairs, name+"="+value)
	}
	if len(pairs) > 0 {
		r.Header.Set("Cookie", strings.Join(pairs, "; "))
	}
	rec := httptest.NewRecorder()
	if b.serve != nil {
		b.serve.ServeHTTP(rec, r)
	} else {
		b.ServeHTTP(rec, r)
	}
	for _, c := range rec.Result().Cookies() {
		switch {
		case c.MaxAge < 0:
			delete(b.cookies, c.Name)
		case !b.refuses:
			b.cookies[c.Name] = c.Value
		}
	}
	return answer{rec, b.t}
}

// follow posts nothing more: it goes where the answer leads, up to a page that
// stays, or that leads away from the pages.
func (b *browser) follow(a answer) answer {
	b.t.Helper()
	for range 5 {
		to := a.Header().Get("Location")
		if a.Code == http.StatusOK {
			to = a.next()
		}
		if !strings.HasPrefix(to, "/auth/") {
			return a
		}
		a = b.get(to)
	}
	b.t.Fatal("it goes round in circles")
	return a
}

// An answer is what came back.
type answer struct {
	*httptest.ResponseRecorder
	t testing.TB
}

// want checks status and words; a word that begins with "!" must not be there.
func (a answer) want(status int, words ...string) answer {
	a.t.Helper()
	if a.Code != status {
		a.t.Errorf("status %d, want %d: %s", a.Code, status, a.text())
	}
	for _, word := range words {
		word, not := strings.CutPrefix(word, "!")
		if strings.Contains(a.text(), word) == not {
			a.t.Errorf("%q: there is %v, want %v in: %s", word, !not == false, !not, a.text())
		}
	}
	return a
}

// leads checks that it is a redirect by 303 to that path.
func (a answer) leads(to string) answer {
	a.t.Helper()
	if got := a.Header().Get("Location"); a.Code != http.StatusSeeOther || got != to {
		a.t.Errorf("%d to %q, want 303 to %q: %s", a.Code, got, to, a.text())
	}
	return a
}

var refresh = regexp.MustCompile(`<meta http-equiv="refresh" content="0;url=([^"]*)">`)

// next is where the page leads by itself; empty: it stays.
func (a answer) next() string {
	m := refresh.FindStringSubmatch(a.Body.String())
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

// leadsOn checks that it is a page that leads to that path by itself, and by a
// link.
func (a answer) leadsOn(to string) answer {
	a.t.Helper()
	a.want(http.StatusOK, "One moment")
	if got := a.next(); got != to || !strings.Contains(html.UnescapeString(a.Body.String()), `href="`+to+`"`) {
		a.t.Errorf("leads on to %q, want %q: %s", got, to, a.Body)
	}
	return a
}

// done checks that a form led to the list of devices, which is to say so.
func (a answer) done(what string) answer {
	a.t.Helper()
	to, err := url.Parse(a.Header().Get("Location"))
	if err != nil || a.Code != http.StatusSeeOther || to.Path != "/auth/devices" || to.Query().Get("done") != what {
		a.t.Errorf("%d to %q, want the list of devices to say %q: %s", a.Code, to, what, a.text())
	}
	return a
}

// show is the page for a failure.
func (b *browser) show(d httpapi.Description) answer {
	b.serve = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", httpauth.Vary)
		b.Error(w, r, d)
	})
	defer func() { b.serve = nil }()
	return b.get("/app")
}

func escape(text string) string { return url.QueryEscape(text) }

var markup = regexp.MustCompile(`<[^>]*>`)

// text is the body without tags, on one line, without the marks around what
// was filled in.
func (a answer) text() string {
	text := markup.ReplaceAllString(a.Body.String(), " ")
	text = strings.NewReplacer("\u2068", "", "\u2069", "", "&#39;", "'").Replace(text)
	return strings.Join(strings.Fields(text), " ")
}

var valueOf = `name="%s" value="([^"]*)"`

// value returns the value of the first field of that name.
func (a answer) value(name string) string {
	a.t.Helper()
	m := regexp.MustCompile(strings.ReplaceAll(valueOf, "%s", regexp.QuoteMeta(name))).FindStringSubmatch(a.Body.String())
	if m == nil {
		return ""
	}
	return m[1]
}
