package httpapi_test

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/dbsc"
	"github.com/pawlauth/pawl/dbsc/dbsctest"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// wire carries what a browser sends to the nodes of a world, one after the
// other.
type wire struct {
	mu    sync.Mutex
	nodes []http.Handler
	turn  int
	down  bool
}

func (c *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	node, down := c.nodes[c.turn%len(c.nodes)], c.down
	c.turn++
	c.mu.Unlock()
	if down {
		return nil, errors.New("connection refused")
	}
	r = r.Clone(r.Context())
	r.TLS, r.Host, r.RequestURI, r.RemoteAddr = &tls.ConnectionState{}, r.URL.Host, r.URL.RequestURI(), "192.0.2.7:1"
	r.URL.Scheme, r.URL.Host = "", "" // a server sees the path only
	w := httptest.NewRecorder()
	node.ServeHTTP(w, r)
	return w.Result(), nil
}

// app is the API, and a page behind it at /app.
func (w *world) app() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/auth/", w)
	mux.Handle("/app", w.Guard.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }), w.Refuse))
	return mux
}

// browses returns a browser that speaks DBSC and has signed in.
func (w *world) browses(more ...string) (*dbsctest.Browser, *wire) {
	w.t.Helper()
	c := &wire{nodes: []http.Handler{w.app()}}
	b := dbsctest.NewBrowser(origin, c, func() time.Time { return w.now })
	w.signsIn(b, more...)
	return b, c
}

func (w *world) signsIn(b *dbsctest.Browser, more ...string) session.ID {
	w.t.Helper()
	answer := w.asks(b, "POST", "/auth/login", loginBody("ada", password, strings.Join(more, "")), 200)
	id, err := token.ParseID(answer.member("session", "id").(string))
	w.must(err)
	return id
}

// asks sends a request of a browser, whose answer must have that status.
func (w *world) asks(b *dbsctest.Browser, method, path, body string, status int) answer {
	w.t.Helper()
	headers := []string{}
	if body != "" {
		headers = append(headers, jsonType)
	}
	got, err := b.Do(method, path, body, headers...)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	rec := httptest.NewRecorder()
	maps.Copy(rec.Header(), got.Header)
	rec.WriteHeader(got.StatusCode)
	rec.Body.ReadFrom(got.Body)
	if got.StatusCode != status {
		w.t.Fatalf("%s %s: %d, want %d: %s", method, path, got.StatusCode, status, rec.Body)
	}
	return answer{rec, w.t}
}

// current is the session that the browser's cookies are of.
func (w *world) current(b *dbsctest.Browser) session.ID {
	w.t.Helper()
	id, err := token.WitnessOf(b.Value(httpauth.AccessCookie))
	w.must(err)
	return id
}

func wantTrace(t *testing.T, b *dbsctest.Browser, want ...string) {
	t.Helper()
	if got := b.Trace(); !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
}

const (
	registered = "POST /auth/dbsc/register 200"
	renewed    = "POST /auth/dbsc/refresh 200"
	challenged = "POST /auth/dbsc/refresh 403"
	used       = "GET /app 204"
)

// Rows: 110, 122, 223, 225, 227, 229, 233.
func TestABrowserBindsItsSessionAndRenewsByProof(t *testing.T) {
	w := newWorld(t)
	b, _ := w.browses(`,"remember":true`)
	wantTrace(t, b, "POST /auth/login 200", registered)
	id := w.current(b)
	if row := w.row(id); row.Binding.Kind != session.DBSC || b.Value(httpauth.RefreshCookie) != "" || b.Value(httpauth.BoundCookie) == "" {
		t.Fatalf("bound to %+v; refresh cookie %q", row.Binding, b.Value(httpauth.RefreshCookie))
	}
	p, err := w.Guard.Verifier.VerifyBound(b.Value(httpauth.AccessCookie), w.now)
	if err != nil || p.Device != w.row(id).Binding.Thumbprint {
		t.Errorf("the access token names the key %+v, %v", p, err)
	}
	if told := b.Bound(); told.Credentials[0].Attributes != "Path=/; HttpOnly; Secure; SameSite=Lax" || told.Scope.IncludeSite {
		t.Errorf("told %+v", told)
	}
	w.asks(b, "GET", "/app", "", 204)
	wantTrace(t, b, used)
	// A renewal is one request, since the challenge came with the last answer.
	for range 3 {
		w.wait(6 * time.Minute)
		w.asks(b, "GET", "/app", "", 204)
		wantTrace(t, b, renewed, used)
	}
	if row := w.row(id); row.Generation != 4 {
		t.Errorf("generation %d, want 4", row.Generation)
	}
	doc := w.asks(b, "GET", "/auth/session", "", 200)
	if doc.member("session", "binding") != "dbsc" || doc.member("refresh_in") != doc.member("access_expires_in") {
		t.Errorf("document: %s", doc.Body)
	}
	list := w.asks(b, "GET", "/auth/sessions", "", 200).Body.String()
	if !strings.Contains(list, `"binding":"dbsc"`) {
		t.Errorf("devices: %s", list)
	}
	if events := w.recorded(session.EventBound); len(events) != 1 || events[0].UserID != w.ada.ID {
		t.Errorf("events: %+v", events)
	}
}

// A browser that lost its challenges asks for one.
//
// Rows: 226, 228.
func TestARenewalWithoutAChallengeGetsOne(t *testing.T) {
	w := newWorld(t)
	b, _ := w.browses()
	b.Trace()
	for name, lose := range map[string]func(){
		"none":                   func() { b.SetChallenge("") },
		"junk":                   func() { b.SetChallenge("junk") },
		"of another purpose":     func() { b.SetChallenge(w.challenge(dbsc.Registration, w.current(b), w.now)) },
		"of another session":     func() { b.SetChallenge(w.challenge(dbsc.Renewal, token.NewID(), w.now)) },
		"of another generation":  func() { b.SetChallenge(w.challengeOf(w.current(b), 77)) },
		"too old":                func() { b.SetChallenge(w.challenge(dbsc.Renewal, w.current(b), w.now.Add(-dbsc.RenewalLife))) },
		"of another's future":    func() { b.SetChallenge(w.challenge(dbsc.Renewal, w.current(b), w.now.Add(time.Hour))) },
		"of another master key":  func() { b.SetChallenge(strings.Repeat("A", 71)) },
		"longer than anything":   func() { b.SetChallenge(strings.Repeat("A", 1000)) },
		"one that was used":      func() {},
		"one that is wanted now": func() {},
	} {
		w.wait(6 * time.Minute)
		old := b.Challenge()
		lose()
		want := []string{challenged, renewed, used}
		switch name {
		case "one that was used":
			w.asks(b, "GET", "/app", "", 204)
			b.Trace()
			w.wait(6 * time.Minute)
			b.SetChallenge(old)
		case "one that is wanted now":
			want = want[1:]
		}
		w.asks(b, "GET", "/app", "", 204)
		if got := b.Trace(); !slices.Equal(got, want) {
			t.Errorf("%s: sent %q, want %q", name, got, want)
		}
	}
}

func (w *world) challenge(p dbsc.Purpose, id session.ID, made time.Time) string {
	return w.DBSC.Challenge(dbsc.Challenge{Purpose: p, Session: id, Generation: w.generation(id), Made: made})
}

func (w *world) challengeOf(id session.ID, generation uint32) string {
	return w.DBSC.Challenge(dbsc.Challenge{Purpose: dbsc.Renewal, Session: id, Generation: generation, Made: w.now})
}

func (w *world) generation(id session.ID) uint32 {
	rows, _, err := w.store.Store.Load(context.Background(), []session.ID{id})
	w.must(err)
	if len(rows) == 0 {
		return 1
	}
	return rows[0].Generation
}

// renewal is what a browser sends to renew.
func renewal(b *dbsctest.Browser, proof string, more ...string) *http.Request {
	r := request("POST", "/auth/dbsc/refresh", "", append([]string{fromPage, "Sec-Fetch-Mode: no-cors",
		"Cookie: " + accessPair(b.Value(httpauth.AccessCookie)), dbsc.IdentifierHeader + ": " + b.Bound().Identifier}, more...)...)
	if proof != "" {
		r.Header.Set(dbsc.ResponseHeader, proof)
	}
	return r
}

// A thief has every cookie, the identifier and a challenge, but not the key.
//
// Rows: 122, 226, 234, A10, A68, A69, A70, A71, A76.
func TestAThiefOfABoundSessionCannotRenewNorHarm(t *testing.T) {
	w := newWorld(t)
	b, _ := w.browses(`,"remember":true`)
	before := b.Value(httpauth.AccessCookie)
	id, thief := w.current(b), b.Clone()
	w.asks(thief, "GET", "/app", "", 204) // within the access life: the inherent window
	w.wait(6 * time.Minute)
	row := w.row(id)
	own, challenge := thief.Device, b.Challenge()
	for name, proof := range map[string]string{
		"his own key":        own.Prove(challenge),
		"his own key, shown": own.Register(challenge),
		"alg none":           own.Sign(map[string]any{"alg": "none", "typ": "dbsc+jwt"}, map[string]any{"jti": challenge}),
		"alg HS256":          own.Sign(map[string]any{"alg": "HS256", "typ": "dbsc+jwt"}, map[string]any{"jti": challenge}),
		"the owner's key, shown": own.Sign(map[string]any{"alg": "ES256", "typ": "dbsc+jwt", "jwk": b.Device.JWK()},
			map[string]any{"jti": challenge}),
		"another type": own.Sign(map[string]any{"alg": "ES256", "typ": "dpop+jwt"}, map[string]any{"jti": challenge}),
		"junk":         "a.b.c",
	} {
		got := w.send(renewal(b, proof))
		if got.want(401, "login_required"); len(got.Header()["Set-Cookie"]) > 0 || got.Header().Get(dbsc.ChallengeHeader) != "" {
			t.Errorf("%s: %v", name, got.Header())
		}
	}
	w.send(renewal(b, "")).want(403, "challenge")
	forged := renewal(b, own.Prove(challenge))
	forged.Header.Set(dbsc.IdentifierHeader, w.DBSC.Identifier(dbsc.Identifier{Session: id})[:100]+b.Bound().Identifier[100:])
	w.send(forged).want(401, "login_required")
	// His own key, registered for another login of his, is none of this session's.
	mine, _ := w.browses()
	swapped := renewal(b, mine.Device.Prove(challenge))
	swapped.Header.Set(dbsc.IdentifierHeader, mine.Bound().Identifier)
	w.send(swapped).want(401, "login_required")
	// The old way is closed.
	w.do("POST", "/auth/refresh", "", fromPage, "Cookie: "+accessPair(before)).want(401, "login_required")
	if got := w.row(id); got.Generation != row.Generation || got.Binding != row.Binding || got.Ended() {
		t.Errorf("the row changed: %+v", got)
	}
	w.asks(thief, "GET", "/app", "", 401)
	b.Trace()
	w.asks(b, "GET", "/app", "", 204)
	wantTrace(t, b, renewed, used)
	for range 3 {
		w.wait(6 * time.Minute)
		w.asks(thief, "GET", "/app", "", 401)
		w.asks(b, "GET", "/app", "", 204)
	}
	if refused := w.recorded(session.EventProofRefused); len(refused) < 8 {
		t.Errorf("recorded %+v", refused)
	}
}

// Rows: 228, A72.
func TestACapturedProofIsGoodOnce(t *testing.T) {
	w := newWorld(t)
	b, _ := w.browses()
	for _, age := range []time.Duration{6 * time.Minute, time.Second} { // answered by a turn, and by a repeat
		w.wait(age)
		proof := b.Device.Prove(b.Challenge())
		first := w.send(renewal(b, proof))
		first.want(200, "")
		again := w.send(renewal(b, proof))
		if again.want(403, "challenge"); len(again.Header()["Set-Cookie"]) > 0 || again.Header().Get(dbsc.ChallengeHeader) == "" {
			t.Errorf("the second time: %v", again.Header())
		}
		access, _ := first.cookie(httpauth.AccessCookie)
		b.Set(httpauth.AccessCookie, access, "/")
		b.SetChallenge(w.challengeOf(w.current(b), w.row(w.current(b)).Generation))
	}
}

// Many requests find the cookie gone: one of them renews.
//
// Rows: 230.
func TestTenRequestsMakeOneRenewal(t *testing.T) {
	w := newWorld(t)
	b, _ := w.browses()
	w.wait(6 * time.Minute)
	b.Trace()
	var wait sync.WaitGroup
	for range 10 {
		wait.Go(func() {
			if got, err := b.Do("GET", "/app", ""); err != nil || got.StatusCode != 204 {
				t.Errorf("%v", err)
			}
		})
	}
	wait.Wait()
	trace := b.Trace()
	if n := len(slices.DeleteFunc(slices.Clone(trace), func(s string) bool { return s != renewed })); n != 1 || len(trace) != 11 {
		t.Errorf("sent %q", trace)
	}
}

// A jar of the time before a crash is served once a day.
//
// Rows: 122.
func TestAnOldJarOfTheDevice(t *testing.T) {
	w := newWorld(t)
	b, _ := w.browses(`,"remember":true`)
	old := b.Value(httpauth.AccessCookie)
	for range 3 {
		w.wait(6 * time.Minute)
		w.asks(b, "GET", "/app", "", 204)
		w.wait(2 * time.Minute)
		w.asks(b, "GET", "/app", "", 204) // settled
	}
	id := w.current(b)
	w.wait(10 * time.Minute)
	b.Set(httpauth.AccessCookie, old, "/")
	w.asks(b, "GET", "/app", "", 204)
	if w.row(id).Binding.RolledBackAt.IsZero() {
		t.Error("the return is not recorded")
	}
	w.wait(10 * time.Minute)
	b.Set(httpauth.AccessCookie, old, "/")
	w.asks(b, "GET", "/app", "", 401)
	if w.alive(id) || b.Bound() != nil {
		t.Errorf("alive %t, and the browser goes on: %t", w.alive(id), b.Bound() != nil)
	}
}
