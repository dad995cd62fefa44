package follow_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
	"github.com/pawlauth/pawl/token"

	"github.com/pawlauth/pawl/verify/follow"
)

const (
	issuer     = "http://localhost"
	audience   = "https://api.example"
	operations = "http://localhost:9443"
	name       = "shop"
	secret     = "pawl_sk_very-secret-0123456789"
	life       = 5 * time.Minute
	keep       = 6*time.Minute + 5*time.Second
)

// A world is an issuer, its service API, and what lies between, all in
// memory, for tests in a bubble of package synctest.
type world struct {
	t      *testing.T
	master *keyring.Master
	store  *keyringtest.Store
	ring   *keyring.Ring
	issuer *web
	feed   *fakeFeed
	uses   *fakeUses
	api    *web
	log    *logBuffer
}

// A web is one server. What it serves, and whether it can be reached, may be
// changed while it runs.
type web struct {
	mu       sync.Mutex
	handler  http.Handler // guarded by mu
	down     bool         // guarded by mu
	requests []time.Time  // guarded by mu
	conns    []net.Conn   // guarded by mu
	accept   chan net.Conn
	closed   chan struct{}
}

func newWeb(t *testing.T, h http.Handler) *web {
	s := &web{handler: h, accept: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: s, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go server.Serve(s)
	t.Cleanup(func() { server.Close() })
	return s
}

func (s *web) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, time.Now())
	h := s.handler
	s.mu.Unlock()
	h.ServeHTTP(w, r)
}

func (s *web) serve(h http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler = h
}

func (s *web) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// cut breaks every connection; down keeps others from being made.
func (s *web) cut(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

func (s *web) dial(ctx context.Context) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, fmt.Errorf("connection refused")
	}
	ours, theirs := net.Pipe()
	s.conns = append(s.conns, theirs)
	select {
	case s.accept <- ours:
		return theirs, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept, Close and Addr make it a [net.Listener].
func (s *web) Accept() (net.Conn, error) {
	select {
	case c := <-s.accept:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *web) Close() error { close(s.closed); return nil }

func (s *web) Addr() net.Addr { return &net.TCPAddr{} }

// A logBuffer is where a follower logs.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newRing(t *testing.T) (*keyring.Master, *keyringtest.Store, *keyring.Ring) {
	t.Helper()
	master, err := keyring.ParseMaster(keyring.NewMasterText())
	if err != nil {
		t.Fatal(err)
	}
	store := keyringtest.NewStore(time.Now)
	ring, err := keyring.Open(t.Context(), store, master, keyring.Options{
		Algorithm: keyring.EdDSA, Rotation: 720 * time.Hour, Publication: time.Hour, TokenLife: life})
	if err != nil {
		t.Fatal(err)
	}
	return master, store, ring
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, log: &logBuffer{}, feed: newFakeFeed(), uses: &fakeUses{}}
	w.master, w.store, w.ring = newRing(t)
	w.issuer = newWeb(t, w.keySet())
	mux := http.NewServeMux()
	mux.Handle("GET /v1/revocations", w.feed)
	mux.Handle("POST /v1/uses", w.uses)
	w.api = newWeb(t, mux)
	return w
}

// keySet serves what the issuer's httpapi serves.
func (w *world) keySet() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/jwks.json", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Cache-Control", "public, max-age=300")
		rw.Header().Set("Content-Type", "application/jwk-set+json")
		rw.Write(w.ring.Set().Document())
	})
	return mux
}

func (w *world) options() follow.Options {
	o := follow.Options{Issuer: issuer, Audience: audience, Service: operations,
		Credential: follow.Credential{Name: name, Secret: secret}, Leeway: 5 * time.Second, CacheSize: 100,
		Log: slog.New(slog.NewTextHandler(w.log, nil))}
	follow.DialBy(&o, func(ctx context.Context, _, address string) (net.Conn, error) {
		switch address {
		case "localhost:80":
			return w.issuer.dial(ctx)
		case "localhost:9443":
			return w.api.dial(ctx)
		}
		return nil, fmt.Errorf("%s is nowhere", address)
	})
	return o
}

func (w *world) open(change ...func(*follow.Options)) *follow.Follower {
	w.t.Helper()
	o := w.options()
	for _, c := range change {
		c(&o)
	}
	f, err := follow.Open(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { f.Close() })
	return f
}

// issue makes a token of a session with the key that signs now.
func (w *world) issue(id token.ID) string {
	w.t.Helper()
	now := time.Now()
	raw, err := token.EncodeAccess(token.Claims{
		Issuer: issuer, Subject: "u1", Audience: audience, ClientID: "web", IssuedAt: now.Unix(), Expires: now.Add(life).Unix(),
		ID: token.NewID(), Session: id, Generation: 3, AuthTime: now.Add(-time.Hour).Unix()}, w.ring.Signer())
	if err != nil {
		w.t.Fatal(err)
	}
	return raw.Reveal()
}

// judge fails the test unless a token is judged like that; nil means good.
func judge(t *testing.T, f *follow.Follower, what, raw string, want error) {
	t.Helper()
	_, err := f.Verifier().Verify(raw, time.Now())
	if want == nil && err != nil || want != nil && err == nil || want != nil && err.Error() != want.Error() {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// A fakeFeed serves GET /v1/revocations as the service API does: everything
// first, or what came after the event that the caller names if this process
// sent it; then what happens, and a sign of life every 5 seconds.
type fakeFeed struct {
	mu      sync.Mutex
	boot    int                                      // guarded by mu: which process this is
	ended   []token.ID                               // guarded by mu
	epoch   time.Time                                // guarded by mu
	keep    time.Duration                            // guarded by mu
	settle  time.Duration                            // guarded by mu; 0 is not told
	part    int                                      // guarded by mu: sessions of a part; 0 is all in one
	quiet   bool                                     // guarded by mu: this node's own feed is stale
	status  int                                      // guarded by mu: if not 0, all it answers
	asked   []string                                 // guarded by mu: what Last-Event-ID said
	begun   []time.Time                              // guarded by mu: of each request
	changed chan struct{}                            // guarded by mu
	raw     func(http.ResponseWriter, *http.Request) // guarded by mu: instead of all that
}

func newFakeFeed() *fakeFeed {
	return &fakeFeed{keep: keep, changed: make(chan struct{}), boot: 1}
}

// set changes what it does.
func (f *fakeFeed) set(change func(*fakeFeed)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeFeed) end(ids ...token.ID) {
	f.set(func(f *fakeFeed) { f.ended = append(f.ended, ids...) })
}

func (f *fakeFeed) connections() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.asked...)
}

func write(w http.ResponseWriter, event, id string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(w, "event: %s\nid: %s\ndata: %s\n\n", event, id, text)
}

func authorized(w http.ResponseWriter, r *http.Request) bool {
	n, s, _ := r.BasicAuth()
	if n == name && s == secret {
		return true
	}
	w.WriteHeader(http.StatusUnauthorized)
	return false
}

func (f *fakeFeed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r.Header.Get("Last-Event-ID"))
	f.begun = append(f.begun, time.Now())
	status, raw := f.status, f.raw
	f.mu.Unlock()
	switch {
	case !authorized(w, r):
	case r.Header.Get("Accept") != "text/event-stream":
		w.WriteHeader(http.StatusNotAcceptable)
	case raw != nil:
		raw(w, r)
	case status != 0:
		w.WriteHeader(status)
	default:
		f.stream(w, r)
	}
}

func (f *fakeFeed) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w).Flush
	f.mu.Lock()
	id := func() string { return fmt.Sprintf("%d-%d", f.boot, len(f.ended)) }
	var boot, place int
	if _, err := fmt.Sscanf(r.Header.Get("Last-Event-ID"), "%d-%d", &boot, &place); err != nil || boot != f.boot {
		rest := f.ended
		for f.part > 0 && len(rest) > f.part {
			write(w, "part", "p", map[string]any{"sessions": rest[:f.part]})
			rest = rest[f.part:]
		}
		whole := map[string]any{"epoch": micros(f.epoch), "sessions": rest, "keep": int(f.keep / time.Second)}
		if f.settle != 0 {
			whole["settle"] = int(f.settle / time.Second)
		}
		write(w, "whole", id(), whole)
		place = len(f.ended)
	}
	epoch := f.epoch
	f.mu.Unlock()
	for {
		if flush() != nil {
			return
		}
		f.mu.Lock()
		changed := f.changed
		if place < len(f.ended) {
			write(w, "ended", id(), map[string]any{"sessions": f.ended[place:]})
			place = len(f.ended)
		}
		if f.epoch.After(epoch) {
			epoch = f.epoch
			write(w, "ended", id(), map[string]any{"epoch": micros(epoch)})
		}
		f.mu.Unlock()
		if flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		case <-time.After(5 * time.Second):
			f.mu.Lock()
			if !f.quiet {
				write(w, "alive", id(), map[string]any{})
			}
			f.mu.Unlock()
		}
	}
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// A fakeUses serves POST /v1/uses.
type fakeUses struct {
	mu     sync.Mutex
	status int   // guarded by mu; 0 is 204
	sizes  []int // guarded by mu: uses of each request
	got    []use // guarded by mu: of those that were accepted
}

type use struct {
	Session    token.ID `json:"session"`
	Generation uint32   `json:"generation"`
	IssuedAt   int64    `json:"issued_at"`
}

func (u *fakeUses) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !authorized(w, r) {
		return
	}
	var body struct {
		Uses []use `json:"uses"`
	}
	if err := json.UnmarshalRead(r.Body, &body, json.RejectUnknownMembers(true)); err != nil || r.Header.Get("Content-Type") != "application/json" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sizes = append(u.sizes, len(body.Uses))
	if u.status != 0 {
		w.WriteHeader(u.status)
		return
	}
	u.got = append(u.got, body.Uses...)
	w.WriteHeader(http.StatusNoContent)
}

func (u *fakeUses) set(status int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.status = status
}

func (u *fakeUses) seen() (got []use, sizes []int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]use{}, u.got...), append([]int{}, u.sizes...)
}
