package httpapi_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/account/accounttest"
	"github.com/pawlauth/pawl/dbsc"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
	svc "github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/service/servicetest"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/memstore"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

const (
	origin    = "https://app.example"
	spa       = "https://spa.example" // of the bearer client "spa"
	password  = "correct horse battery"
	fromPage  = "Sec-Fetch-Site: same-origin"
	jsonType  = "Content-Type: application/json"
	formType  = "Content-Type: application/x-www-form-urlencoded"
	service   = "Authorization: Basic Z2F0ZXdheTpzM2NyZXQ=" // gateway:s3cret
	proxyPeer = "10.0.0.1:4711"
)

// A world is the whole API over stores in memory, with real keys, real
// passwords and a clock that moves when told to.
type world struct {
	*httpapi.API
	t        testing.TB
	now      time.Time
	store    *watchedStore
	users    *accounttest.Memory
	accounts *account.Accounts
	ada, bob account.User
	ring     *keyring.Ring
	revoked  *verify.Revoked
	services *servicetest.Memory // has gateway, which may introspect
	log      *syncBuffer
	seen     *session.Confirmations

	mu     sync.Mutex
	events []session.Event
}

type change struct {
	api   func(*httpapi.Options)
	guard func(*httpauth.Options)
	users func(*world) httpapi.Accounts
	rules func(*session.Policy)
}

func newWorld(t testing.TB, changes ...change) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), log: &syncBuffer{}, users: accounttest.NewMemory()}
	clock := func() time.Time { return w.now }
	w.store = &watchedStore{Store: memstore.New(clock)}
	w.addUsers()
	w.services = servicetest.NewMemory()
	_, err := w.services.AddService(t.Context(), svc.Record{
		Service: svc.Service{Name: "gateway", Scopes: []svc.Scope{svc.Introspect}}, Secret: sha256.Sum256([]byte("s3cret"))})
	w.must(err)

	master, err := keyring.ParseMaster(keyring.NewMasterText())
	w.must(err)
	w.ring, err = keyring.Open(t.Context(), keyringtest.NewStore(clock), master, keyring.Options{
		Algorithm: keyring.EdDSA, Rotation: 30 * 24 * time.Hour, Publication: time.Hour, TokenLife: time.Hour,
	})
	w.must(err)
	policy, err := session.Preset("default")
	w.must(err)
	guard := w.guardOptions(master, clock)
	options := httpapi.Options{
		Keys: w.ring, Services: svc.New(w.services), Audience: "app", Log: slog.New(slog.NewJSONHandler(w.log, nil)),
		Web:     httpapi.Client{Scope: "read"},
		DBSC:    w.devices(master),
		Clients: []httpapi.Client{{ID: "cli", Scope: "read write"}, {ID: "spa", Scope: "read", Origins: []string{spa}}},
	}
	options.Accounts = w.accounts
	for _, c := range changes {
		if c.rules != nil {
			c.rules(&policy)
		}
		if c.guard != nil {
			c.guard(&guard)
		}
		if c.users != nil {
			options.Accounts = c.users(w)
		}
		if c.api != nil {
			c.api(&options)
		}
	}
	engine, err := session.New(session.Options{
		Store: w.store, Policy: policy, Issuer: origin, Codec: token.NewRefreshCodec(master.RefreshKeys()...), Key: master.Current(),
		Signer: func() token.Signer { return w.ring.Signer() }, Pseudonym: master.Pseudonyms(), Record: guard.Record,
		Ends: ends{w}, Timeout: 5 * time.Second, MaxQueue: 100,
	})
	w.must(err)
	options.Engine = engine
	w.seen = session.NewConfirmations(engine)
	guard.Note = w.seen.Note
	options.Guard, err = httpauth.NewGuard(guard)
	w.must(err)
	w.API, err = httpapi.New(options)
	w.must(err)
	return w
}

func (w *world) addUsers() {
	hasher, err := account.NewHasher(account.DangerouslyWeakParamsForTests(), 4, time.Second)
	w.must(err)
	w.accounts, err = account.New(account.Options{Store: w.users, Hasher: hasher, Key: [32]byte{1}})
	w.must(err)
	w.ada, err = w.accounts.Add(context.Background(), "ada", account.NewPassword(password))
	w.must(err)
	w.bob, err = w.accounts.Add(context.Background(), "bob", account.NewPassword(password))
	w.must(err)
}

func (w *world) devices(master *keyring.Master) *dbsc.Issuer {
	issuer, err := dbsc.NewIssuer(master.DBSCKeys())
	w.must(err)
	return issuer
}

// ends are what the node of a world refuses.
type ends struct{ *world }

func (e ends) Add(id session.ID)        { e.revoked.Add(id, e.now) }
func (e ends) AddEpoch(epoch time.Time) { e.revoked.AddEpoch(epoch, e.now) }
func (e ends) Has(id session.ID, created time.Time) bool {
	return errors.Is(e.revoked.Check(id, created, e.now), verify.ErrRevoked)
}

func (w *world) guardOptions(master *keyring.Master, clock func() time.Time) httpauth.Options {
	var err error
	w.revoked, err = verify.NewRevoked(verify.FollowOptions{
		Keep: time.Hour, Overlap: 30 * time.Second, WholeEvery: time.Second, Stale: time.Minute,
	})
	w.must(err)
	w.poll()
	verifier, err := verify.New(verify.Config{Issuer: origin, Audience: "app", Keys: w.ring, Revocations: w.revoked, CacheSize: 1 << 10})
	w.must(err)
	site, err := httpauth.NewSite([]string{origin, "http://localhost:8080"})
	w.must(err)
	csrf, err := httpauth.NewCSRF(master.CSRFKeys())
	w.must(err)
	proxies, err := httpauth.NewProxies("10.0.0.0/8")
	w.must(err)
	return httpauth.Options{
		Site: site, CSRF: csrf, Verifier: verifier, Proxies: proxies, Now: clock, Pseudonym: master.Pseudonyms(),
		Note: func(session.Use, time.Time) {},
		Record: func(e session.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
		},
	}
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

// wait lets time pass while the revocations are followed and what was seen in
// use is reported.
func (w *world) wait(d time.Duration) {
	w.must(w.seen.Flush(context.Background()))
	w.now = w.now.Add(d)
	w.poll()
}

// start makes a session without going through the API.
func (w *world) start(change ...func(*session.Login)) session.Issued {
	w.t.Helper()
	l := session.Login{UserID: w.ada.ID, ClientID: "web", Audience: "app", Scope: "read", Methods: []string{"pwd"}, Transport: session.Cookie}
	for _, c := range change {
		c(&l)
	}
	issued, err := w.Engine.Start(context.Background(), l)
	w.must(err)
	return issued
}

func bearerSession(l *session.Login) {
	l.Transport, l.ClientID, l.Scope = session.Bearer, "cli", "read write"
}

func (w *world) row(id session.ID) session.Row {
	w.t.Helper()
	rows, _, err := w.store.Store.Load(context.Background(), []session.ID{id})
	if err != nil || len(rows) != 1 {
		w.t.Fatalf("session %v: %d rows, %v", id, len(rows), err)
	}
	return rows[0]
}

func (w *world) alive(id session.ID) bool {
	w.t.Helper()
	row := w.row(id)
	return !row.Ended()
}

// request returns a request over TLS to the site.
func request(method, path, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host, r.TLS = "app.example", &tls.ConnectionState{}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// An answer is what came back.
type answer struct {
	*httptest.ResponseRecorder
	t testing.TB
}

func (w *world) do(method, path, body string, headers ...string) answer {
	w.t.Helper()
	return w.send(request(method, path, body, headers...))
}

func (w *world) send(r *http.Request) answer {
	a := answer{httptest.NewRecorder(), w.t}
	w.ServeHTTP(a, r)
	return a
}

// code is the problem's code, or OAuth's error.
func (a answer) code() string {
	var body struct {
		Code  string `json:"code"`
		Error string `json:"error"`
	}
	if json.Unmarshal(a.Body.Bytes(), &body) != nil {
		return ""
	}
	return body.Code + body.Error
}

func (a answer) want(status int, code string) {
	a.t.Helper()
	if a.Code != status || a.code() != code {
		a.t.Errorf("got %d %q, want %d %q: %s", a.Code, a.code(), status, code, a.Body)
	}
}

// member returns a member of the JSON answer, of any type.
func (a answer) member(path ...string) any {
	var v any
	if err := json.Unmarshal(a.Body.Bytes(), &v); err != nil {
		a.t.Fatalf("%v: %s", err, a.Body)
	}
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

// cookie returns the value that the answer sets, and whether it does.
func (a answer) cookie(name string) (string, bool) {
	for _, c := range a.Result().Cookies() {
		if c.Name == name {
			return c.Value, true
		}
	}
	return "", false
}

// cookies is the Cookie header of a session.
func cookies(s session.Issued) string {
	return "Cookie: " + accessPair(s.Access.Reveal()) + "; " + refreshPair(s.Refresh.Reveal())
}

func accessPair(value string) string  { return httpauth.AccessCookie + "=" + value }
func refreshPair(value string) string { return httpauth.RefreshCookie + "=" + value }

func loginBody(user, pass, more string) string {
	return `{"username":"` + user + `","password":"` + pass + `"` + more + `}`
}

func (w *world) recorded(kind session.EventType) (found []session.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Type == kind {
			found = append(found, e)
		}
	}
	return found
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var errDisk = errors.New("disk on fire")

// A watchedStore counts what changes sessions, and fails on demand.
type watchedStore struct {
	*memstore.Store
	mu     sync.Mutex
	writes int
	fails  map[string]int // by method, how often
	// heedsContext makes End fail if its context ended, as a database does.
	heedsContext bool
}

func (s *watchedStore) enter(method string, writes int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes += writes
	if s.fails[method] > 0 {
		s.fails[method]--
		return errDisk
	}
	return nil
}

func (s *watchedStore) fail(methods ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = map[string]int{}
	for _, m := range methods {
		s.fails[m] = 1 << 30
	}
}

func (s *watchedStore) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

func (s *watchedStore) Create(ctx context.Context, row session.Row) error {
	if err := s.enter("Create", 1); err != nil {
		return err
	}
	return s.Store.Create(ctx, row)
}

func (s *watchedStore) Load(ctx context.Context, ids []session.ID) ([]session.Row, time.Time, error) {
	if err := s.enter("Load", 0); err != nil {
		return nil, time.Time{}, err
	}
	return s.Store.Load(ctx, ids)
}

func (s *watchedStore) Replace(ctx context.Context, changes []session.Change) []error {
	if err := s.enter("Replace", len(changes)); err != nil {
		errs := make([]error, len(changes))
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	return s.Store.Replace(ctx, changes)
}

func (s *watchedStore) End(ctx context.Context, which session.Selection, why session.Reason) ([]session.Ended, error) {
	if err := s.enter("End", 0); err != nil {
		return nil, err
	}
	if s.heedsContext && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	ended, err := s.Store.End(ctx, which, why)
	s.enter("", len(ended))
	return ended, err
}

func (s *watchedStore) List(ctx context.Context, q session.Query) ([]session.Row, time.Time, error) {
	if err := s.enter("List", 0); err != nil {
		return nil, time.Time{}, err
	}
	return s.Store.List(ctx, q)
}
