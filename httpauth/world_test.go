package httpauth_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

const (
	origin = "https://app.example"
	host   = "app.example"
)

// A world is a guard with real keys, a real verifier and a clock that stands.
type world struct {
	*httpauth.Guard
	now    time.Time
	ring   *keyring.Ring
	master *keyring.Master

	mu     sync.Mutex
	events []session.Event
	uses   []session.Use
	ended  map[token.ID]bool
}

// Check implements [verify.Revocations].
func (w *world) Check(id token.ID, _, _ time.Time) error {
	if w.ended[id] {
		return verify.ErrRevoked
	}
	return nil
}

func newWorld(t testing.TB, change ...func(*httpauth.Options)) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), ended: map[token.ID]bool{}}
	clock := func() time.Time { return w.now }
	var err error
	w.master, err = keyring.ParseMaster(keyring.NewMasterText())
	must(t, err)
	w.ring, err = keyring.Open(t.Context(), keyringtest.NewStore(clock), w.master, keyring.Options{
		Algorithm: keyring.EdDSA, Rotation: 30 * 24 * time.Hour, Publication: time.Hour, TokenLife: time.Hour,
	})
	must(t, err)
	verifier, err := verify.New(verify.Config{Issuer: origin, Audience: "app", Keys: w.ring, Revocations: w, CacheSize: 1 << 10})
	must(t, err)
	site, err := httpauth.NewSite([]string{origin})
	must(t, err)
	csrf, err := httpauth.NewCSRF(w.master.CSRFKeys())
	must(t, err)
	o := httpauth.Options{
		Site: site, CSRF: csrf, Verifier: verifier, Now: clock, Pseudonym: w.master.Pseudonyms(),
		Note: func(u session.Use, _ time.Time) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if len(w.uses) < 100 { // the benchmark makes many
				w.uses = append(w.uses, u)
			}
		},
		Record: func(e session.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
		},
	}
	for _, c := range change {
		c(&o)
	}
	w.Guard, err = httpauth.NewGuard(o)
	must(t, err)
	return w
}

// access returns a good access token of the session, but for the changes.
func (w *world) access(t testing.TB, id token.ID, change ...func(*token.Claims)) string {
	t.Helper()
	c := token.Claims{
		Issuer: origin, Subject: "u_ada", Audience: "app", ClientID: "web", IssuedAt: w.now.Unix(), Expires: w.now.Unix() + 300,
		ID: token.NewID(), Session: id, Generation: 1, AuthTime: w.now.Unix(), Methods: []string{"pwd"},
	}
	for _, f := range change {
		f(&c)
	}
	text, err := token.EncodeAccess(c, w.ring.Signer())
	must(t, err)
	return text.Reveal()
}

// request returns a request over TLS to the site. Headers are "Name: value".
func request(method, path string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, path, nil)
	r.Host, r.TLS = host, &tls.ConnectionState{}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func cookie(value string) string { return "Cookie: " + httpauth.AccessCookie + "=" + value }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) eventTypes() (types []session.EventType) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		types = append(types, e.Type)
	}
	return types
}
