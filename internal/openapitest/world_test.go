package openapitest

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
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
	host     = "app.example.com"
	origin   = "https://" + host
	password = "correct horse battery"
	proxy    = "10.0.0.1:4711"
)

// A world is the API over stores in memory, with a clock that moves when told
// to and a store that fails when told to.
type world struct {
	*httpapi.API
	t       *testing.T
	now     time.Time
	store   *failingStore
	ada     account.User
	initial string       // password of eve's
	handler http.Handler // the API, or what stands before it
	service *serviceapi.API
}

func newWorld(t *testing.T, edit ...func(*httpapi.Options, *keyring.Master)) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	w.store = &failingStore{Store: memstore.New(clock)}
	master, err := keyring.ParseMaster(keyring.NewMasterText())
	w.must(err)
	ring, err := keyring.Open(t.Context(), keyringtest.NewStore(clock), master, keyring.Options{
		Algorithm: keyring.EdDSA, Rotation: 30 * 24 * time.Hour, Publication: time.Hour, TokenLife: time.Hour})
	w.must(err)
	revoked, err := verify.NewRevoked(verify.FollowOptions{
		Keep: time.Hour, Overlap: 30 * time.Second, WholeEvery: time.Second, Stale: time.Minute})
	w.must(err)
	_, err = revoked.Poll(t.Context(), w.store, w.now)
	w.must(err)
	verifier, err := verify.New(verify.Config{Issuer: origin, Audience: "app", Keys: ring, Revocations: revoked, CacheSize: 1 << 10})
	w.must(err)
	site, err := httpauth.NewSite([]string{origin})
	w.must(err)
	csrf, err := httpauth.NewCSRF(master.CSRFKeys())
	w.must(err)
	proxies, err := httpauth.NewProxies("10.0.0.0/8")
	w.must(err)
	policy, err := session.Preset("default")
	w.must(err)
	engine, err := session.New(session.Options{
		Store: w.store, Policy: policy, Issuer: origin, Codec: token.NewRefreshCodec(master.RefreshKeys()...), Key: master.Current(),
		Signer: func() token.Signer { return ring.Signer() }, Pseudonym: master.Pseudonyms(), Record: func(session.Event) {},
		Ends: ends{w, revoked}, Timeout: 5 * time.Second, MaxQueue: 100})
	w.must(err)
	guard, err := httpauth.NewGuard(httpauth.Options{
		Site: site, CSRF: csrf, Verifier: verifier, Proxies: proxies, Now: clock, Pseudonym: master.Pseudonyms(),
		Note: session.NewConfirmations(engine).Note, Record: func(session.Event) {}})
	w.must(err)
	accounts := w.accounts()
	options := httpapi.Options{
		Engine: engine, Guard: guard, Accounts: accounts, Keys: ring, Services: service.New(w.services()), Audience: "app", Log: slog.New(slog.DiscardHandler),
		SignIn: "/auth/signin", Renewal: "/auth/renew", Pages: pages.Below("/auth"), AllowSignup: true, RenewalRate: 5, Web: httpapi.Client{Scope: "read"},
		Clients: []httpapi.Client{{ID: "cli", Scope: "read write"}, {ID: "spa", Scope: "read", Origins: []string{"https://spa.example"}}}}
	for _, e := range edit {
		e(&options, master)
	}
	w.API, err = httpapi.New(options)
	w.must(err)
	w.handler = w.API
	w.service, err = serviceapi.New(serviceapi.Options{API: w.API, Accounts: accounts, Events: w.store, Revoked: revoked, Keep: time.Hour, Now: clock,
		Note: func(session.Use, time.Time) {}})
	w.must(err)
	return w
}

// ends are what the node of a world refuses.
type ends struct {
	*world
	revoked *verify.Revoked
}

func (e ends) Add(id session.ID)        { e.revoked.Add(id, e.now) }
func (e ends) AddEpoch(epoch time.Time) { e.revoked.AddEpoch(epoch, e.now) }
func (e ends) Has(id session.ID, created time.Time) bool {
	return errors.Is(e.revoked.Check(id, created, e.now), verify.ErrRevoked)
}

// services are "gateway", which may do everything, and "poor", which may next
// to nothing.
func (w *world) services() *servicetest.Memory {
	store := servicetest.NewMemory()
	for name, scopes := range map[string][]service.Scope{"gateway": service.Scopes, "poor": {service.UsesWrite}, "other": {service.EventsRead}} {
		_, err := store.AddService(w.t.Context(), service.Record{Service: service.Service{Name: name, Scopes: scopes}, Secret: sha256.Sum256([]byte("s3cret"))})
		w.must(err)
	}
	return store
}

func (w *world) accounts() *account.Accounts {
	w.t.Helper()
	hasher, err := account.NewHasher(account.DangerouslyWeakParamsForTests(), 4, time.Second)
	w.must(err)
	accounts, err := account.New(account.Options{Store: accounttest.NewMemory(), Hasher: hasher, Key: [32]byte{1}})
	w.must(err)
	w.ada, err = accounts.Add(w.t.Context(), "ada", account.NewPassword(password))
	w.must(err)
	_, w.initial, err = accounts.AddInitial(w.t.Context(), "eve")
	w.must(err)
	return accounts
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// start makes a session without going through the API.
func (w *world) start(transport session.Transport, client string) session.Issued {
	w.t.Helper()
	issued, err := w.Engine.Start(w.t.Context(), session.Login{UserID: w.ada.ID, ClientID: client, Audience: "app", Scope: "read",
		Methods: []string{"pwd"}, Transport: transport})
	w.must(err)
	return issued
}

// send makes a request of "Name: value" lines, from our own page unless they
// say something else, and serves it.
func (w *world) send(method, target, body string, headers []string) (*http.Request, *http.Response) {
	w.t.Helper()
	r := httptest.NewRequest(method, origin+target, strings.NewReader(body))
	r.URL.Scheme, r.URL.Host, r.RequestURI = "", "", target // as it comes over the wire
	r.Host, r.TLS = host, &tls.ConnectionState{}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		switch name {
		case "Host":
			r.Host = value
		case "Peer":
			r.RemoteAddr = value
		default:
			r.Header.Add(name, value)
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	if target == "/v1/revocations" {
		ctx, cancel = context.WithTimeout(ctx, 100*time.Millisecond) // it has no end of its own
		defer cancel()
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(connection{rec}, r.WithContext(ctx))
	return r, rec.Result()
}

// A connection has deadlines, which do nothing.
type connection struct{ *httptest.ResponseRecorder }

// SetReadDeadline is for [http.ResponseController].
func (connection) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline is for [http.ResponseController].
func (connection) SetWriteDeadline(time.Time) error { return nil }

// A failingStore fails on demand.
type failingStore struct {
	*memstore.Store
	fails bool
}

var errDisk = errors.New("disk on fire")

// Load implements [session.Store].
func (s *failingStore) Load(ctx context.Context, ids []session.ID) ([]session.Row, time.Time, error) {
	if s.fails {
		return nil, time.Time{}, errDisk
	}
	return s.Store.Load(ctx, ids)
}

// List implements [session.Store].
func (s *failingStore) List(ctx context.Context, q session.Query) ([]session.Row, time.Time, error) {
	if s.fails {
		return nil, time.Time{}, errDisk
	}
	return s.Store.List(ctx, q)
}

// Events implements [serviceapi.Events] with what there may be in one event.
func (s *failingStore) Events(_ context.Context, after int64, _ int) ([]sqlstore.StoredEvent, error) {
	e := session.Event{Time: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Type: session.EventEnded, Reason: "operator", UserID: "u_1", Session: "h", Generation: 3, ClientID: "web",
		Actor: "gateway", Key: "k", Origin: session.Origin{Address: "192.0.2.0/24", UserAgent: "curl", RequestID: "r"}}
	return []sqlstore.StoredEvent{{Cursor: after + 1, Event: e}, {Cursor: after + 2, Event: session.Event{Time: e.Time, Type: session.EventFenced}}}, nil
}
