package serviceapi_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/account/accounttest"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/service/servicetest"
	"github.com/pawlauth/pawl/serviceapi"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/memstore"
	"github.com/pawlauth/pawl/sqlstore"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

const (
	origin   = "https://app.example"
	password = "correct horse battery"
	jsonType = "Content-Type: application/json"
	keep     = 16 * time.Minute
)

// A world is the routes over stores in memory, with a clock that moves when
// told to.
type world struct {
	*serviceapi.API
	t        testing.TB
	public   *httpapi.API
	engine   *session.Engine
	store    *memstore.Store
	services *servicetest.Memory
	accounts *account.Accounts
	revoked  *verify.Revoked
	log      *syncBuffer
	ada      account.User

	mu     sync.Mutex
	now    time.Time       // guarded by mu
	events []session.Event // guarded by mu
	used   []session.Use   // guarded by mu
	fails  error           // guarded by mu
}

func newWorld(t testing.TB, change ...func(*serviceapi.Options)) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), log: &syncBuffer{}, services: servicetest.NewMemory()}
	w.store = memstore.New(w.clock)
	w.services.Advance(w.now.Sub(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)))
	for _, scope := range service.Scopes {
		w.addService(nameOf(scope), scope)
	}
	w.addService("all", service.Scopes...)
	w.addUsers()
	master, err := keyring.ParseMaster(keyring.NewMasterText())
	w.must(err)
	ring, err := keyring.Open(t.Context(), keyringtest.NewStore(w.clock), master, keyring.Options{
		Algorithm: keyring.EdDSA, Rotation: 30 * 24 * time.Hour, Publication: time.Hour, TokenLife: time.Hour})
	w.must(err)
	w.revoked, err = verify.NewRevoked(verify.FollowOptions{Keep: keep, Overlap: 30 * time.Second, WholeEvery: time.Second, Stale: time.Minute})
	w.must(err)
	w.poll()
	verifier, err := verify.New(verify.Config{Issuer: origin, Audience: "app", Keys: ring, Revocations: w.revoked, CacheSize: 1 << 10})
	w.must(err)
	policy, err := session.Preset("default")
	w.must(err)
	w.engine, err = session.New(session.Options{
		Store: w.store, Policy: policy, Issuer: origin, Codec: token.NewRefreshCodec(master.RefreshKeys()...), Key: master.Current(),
		Signer: func() token.Signer { return ring.Signer() }, Pseudonym: master.Pseudonyms(), Record: w.record,
		Ends: ends{w}, Timeout: 5 * time.Second, MaxQueue: 100})
	w.must(err)
	site, err := httpauth.NewSite([]string{origin})
	w.must(err)
	csrf, err := httpauth.NewCSRF(master.CSRFKeys())
	w.must(err)
	guard, err := httpauth.NewGuard(httpauth.Options{Site: site, CSRF: csrf, Verifier: verifier, Now: w.clock, Pseudonym: master.Pseudonyms(),
		Note: func(session.Use, time.Time) {}, Record: w.record})
	w.must(err)
	w.public, err = httpapi.New(httpapi.Options{Engine: w.engine, Guard: guard, Accounts: w.accounts, Keys: ring, Services: service.New(w.services),
		Audience: "app", Log: slog.New(slog.NewJSONHandler(w.log, nil)), Web: httpapi.Client{Scope: "read"}, MaxSessions: 3,
		Clients: []httpapi.Client{{ID: "cli", Scope: "read write"}}})
	w.must(err)
	o := serviceapi.Options{API: w.public, Accounts: w.accounts, Events: eventLog{w}, Revoked: w.revoked, Keep: keep, Now: w.clock,
		Note: func(u session.Use, _ time.Time) { w.mu.Lock(); defer w.mu.Unlock(); w.used = append(w.used, u) }}
	for _, c := range change {
		c(&o)
	}
	w.API, err = serviceapi.New(o)
	w.must(err)
	return w
}

func nameOf(scope service.Scope) string { return strings.ReplaceAll(string(scope), ":", "-") }

// addService adds a service whose secret is its name with an exclamation mark.
func (w *world) addService(name string, scopes ...service.Scope) {
	w.t.Helper()
	_, err := w.services.AddService(context.Background(), service.Record{Service: service.Service{Name: name, Scopes: scopes}, Secret: sha256.Sum256([]byte(name + "!"))})
	w.must(err)
}

func (w *world) addUsers() {
	hasher, err := account.NewHasher(account.DangerouslyWeakParamsForTests(), 4, time.Second)
	w.must(err)
	w.accounts, err = account.New(account.Options{Store: accounttest.NewMemory(), Hasher: hasher, Key: [32]byte{1}})
	w.must(err)
	w.ada, err = w.accounts.Add(context.Background(), "ada", account.NewPassword(password))
	w.must(err)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// advance lets time pass, with or without news of ended sessions.
func (w *world) advance(d time.Duration, polling bool) {
	w.t.Helper()
	w.mu.Lock()
	w.now = w.now.Add(d)
	w.mu.Unlock()
	if polling {
		w.poll()
	}
}

func (w *world) poll() {
	w.t.Helper()
	_, err := w.revoked.Poll(context.Background(), w.store, w.clock())
	w.must(err)
}

func (w *world) record(e session.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
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

// ends are what the node refuses.
type ends struct{ *world }

func (e ends) Add(id session.ID)        { e.revoked.Add(id, e.clock()) }
func (e ends) AddEpoch(epoch time.Time) { e.revoked.AddEpoch(epoch, e.clock()) }
func (e ends) Has(id session.ID, created time.Time) bool {
	return errors.Is(e.revoked.Check(id, created, e.clock()), verify.ErrRevoked)
}

// eventLog tells what the world recorded. Cursors have gaps.
type eventLog struct{ *world }

func (l eventLog) Events(_ context.Context, after int64, limit int) (out []sqlstore.StoredEvent, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, e := range l.events {
		if cursor := int64(i+1) * 10; cursor > after && len(out) < limit {
			out = append(out, sqlstore.StoredEvent{Cursor: cursor, Event: e})
		}
	}
	return out, l.fails
}

// start makes a session without going through a route.
func (w *world) start(userID string) session.Issued {
	w.t.Helper()
	issued, err := w.engine.Start(context.Background(), session.Login{UserID: userID, ClientID: "cli", Audience: "app", Scope: "read", Methods: []string{"pwd"},
		Transport: session.Bearer, Origin: session.Origin{Address: "192.0.2.0/24", UserAgent: "curl"}})
	w.must(err)
	return issued
}

func (w *world) alive(id session.ID) bool {
	w.t.Helper()
	row, _, err := w.engine.Get(context.Background(), id)
	w.must(err)
	return !row.Ended()
}

// An answer is what came back.
type answer struct {
	*httptest.ResponseRecorder
	t testing.TB
}

// do makes a request as a service, from this machine; an empty name is no
// credential.
func (w *world) do(name, method, path, body string, headers ...string) answer {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:4711"
	if name != "" {
		r.SetBasicAuth(name, name+"!")
	}
	if body != "" {
		headers = append([]string{jsonType}, headers...)
	}
	for _, h := range headers {
		key, value, _ := strings.Cut(h, ": ")
		switch key {
		case "Peer":
			r.RemoteAddr = value
		case "Content-Type":
			r.Header.Set(key, value)
		default:
			r.Header.Add(key, value)
		}
	}
	a := answer{httptest.NewRecorder(), w.t}
	w.ServeHTTP(a, r)
	return a
}

func (a answer) code() string {
	code, _ := a.member("code").(string)
	return code
}

func (a answer) want(status int, code string) answer {
	a.t.Helper()
	if a.Code != status || status >= 400 && a.code() != code {
		a.t.Errorf("got %d, want %d %q: %s", a.Code, status, code, a.Body)
	}
	return a
}

// member returns a member of the JSON answer, of any type.
func (a answer) member(path ...any) any {
	var v any
	if json.Unmarshal(a.Body.Bytes(), &v) != nil {
		return nil
	}
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			list, _ := v.([]any)
			if step >= len(list) {
				return nil
			}
			v = list[step]
		}
	}
	return v
}

func (a answer) text(path ...any) string {
	text, _ := a.member(path...).(string)
	return text
}

type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
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

// A heard is one event of a stream.
type heard struct {
	name, id string
	data     struct {
		Epoch    int64      `json:"epoch"`
		Sessions []token.ID `json:"sessions"`
		Keep     int64      `json:"keep"`
		Settle   int64      `json:"settle"`
	}
}

// A follower reads a stream from a real server.
type follower struct {
	t    testing.TB
	body io.ReadCloser
	from *bufio.Scanner
	stop context.CancelFunc
}

// follow begins a stream; if the answer is another one, it returns its status.
func follow(t testing.TB, server *httptest.Server, name, lastID string) (*follower, int) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/revocations", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(name, name+"!")
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{t, resp.Body, bufio.NewScanner(resp.Body), stop}
	f.from.Buffer(nil, 1<<20)
	t.Cleanup(f.close)
	return f, resp.StatusCode
}

func (f *follower) close() { f.stop(); f.body.Close() }

// next returns the next event; false at the end of the stream.
func (f *follower) next() (e heard, more bool) {
	f.t.Helper()
	for f.from.Scan() {
		field, value, _ := strings.Cut(f.from.Text(), ": ")
		switch field {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			if err := json.Unmarshal([]byte(value), &e.data); err != nil {
				f.t.Fatalf("%q: %v", value, err)
			}
		case "":
			return e, true
		default:
			f.t.Fatalf("a line that says %q", field)
		}
	}
	return e, false
}

// until returns the next event that is not "alive".
func (f *follower) until() heard {
	f.t.Helper()
	for range 100 {
		e, more := f.next()
		if !more {
			f.t.Fatal("the stream has ended")
		}
		if e.name != "alive" {
			return e
		}
	}
	f.t.Fatal("nothing happens")
	return heard{}
}

func (e heard) tells(id session.ID) bool { return slices.Contains(e.data.Sessions, id) }
