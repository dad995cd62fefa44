package pawl_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/internal/pgtest"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
)

// A node is one of several Pawls on one PostgreSQL.
type node struct {
	t    *testing.T
	pawl *pawl.Pawl
	app  http.Handler
	log  lockedBuffer
}

// A lockedBuffer may be written and read at once.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// newNode opens a Pawl with the master key of a folder, which the first makes.
func newNode(t *testing.T, dir, store string, changes ...func(*pawl.Options)) *node {
	t.Helper()
	n := &node{t: t}
	policy, err := session.Preset("default")
	if err != nil {
		t.Fatal(err)
	}
	o := pawl.Options{Store: store, MasterKeyFile: filepath.Join(dir, "master.key"), Origins: []string{"http://localhost:8080"},
		Clients: []httpapi.Client{{ID: "app"}}, Policy: policy.MakeStrict(), Log: slog.New(slog.NewTextHandler(&n.log, nil))}
	for _, change := range changes {
		change(&o)
	}
	if n.pawl, err = pawl.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.pawl.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the log of a node:\n%s", n.log.String())
		}
	})
	n.app = n.pawl.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	return n
}

// An answer is what a node said.
type answer struct {
	status          int
	Access, Refresh string
	header          http.Header
}

func send(h http.Handler, method, path, contentType, body string, headers ...string) answer {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host, r.RemoteAddr = "localhost:8080", "127.0.0.1:4711"
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	tokens := struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}{}
	_ = json.Unmarshal(w.Body.Bytes(), &tokens) // many answers have none
	return answer{w.Code, tokens.Access, tokens.Refresh, w.Header()}
}

func (n *node) signIn() answer {
	n.t.Helper()
	a := send(n.pawl.Handler(), "POST", "/auth/login", "application/json",
		`{"username":"ada","password":"correct horse battery","transport":"bearer","client_id":"app"}`)
	if a.status != 200 || a.Access == "" || a.Refresh == "" {
		n.t.Fatalf("sign-in: %d", a.status)
	}
	return a
}

func (n *node) renew(refresh string) answer {
	return send(n.pawl.Handler(), "POST", "/auth/token", "application/x-www-form-urlencoded",
		url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}.Encode())
}

func (n *node) signOut(access string) answer {
	return send(n.pawl.Handler(), "POST", "/auth/logout", "", "", "Authorization", "Bearer "+access)
}

// use is the status with which the application answers.
func (n *node) use(access string) int {
	return send(n.app, "GET", "/", "", "", "Authorization", "Bearer "+access).status
}

// eventually asks again until it holds, at most for limit.
func eventually(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// twoNodes are on one PostgreSQL, which has a user.
func twoNodes(t *testing.T, changes ...func(*pawl.Options)) (a, b *node, store, dir string) {
	t.Helper()
	store, dir = pgtest.Database(t), t.TempDir()
	a, b = newNode(t, dir, store, changes...), newNode(t, dir, store, changes...)
	if _, err := a.pawl.Accounts().Add(t.Context(), "ada", account.NewPassword("correct horse battery")); err != nil {
		t.Fatal(err)
	}
	return a, b, store, dir
}

// checked holds if the data is whole.
func checked(t *testing.T, store, dir string) {
	t.Helper()
	data, err := pawl.OpenData(t.Context(), pawl.Place{Store: store, MasterKeyFile: filepath.Join(dir, "master.key")}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	if report, err := data.Store.Fsck(t.Context()); err != nil || len(report.Faults) > 0 {
		t.Errorf("fsck: %v, %v", report, err)
	}
}

// A session begins on one node and goes on at the other; a token that was
// copied is found wherever it comes back; and who signs out at one node is
// refused at the other within a second.
//
// Rows: 93, 111, 114, 155, A33, A43
func TestTwoNodesOnOneStore(t *testing.T) {
	a, b, store, dir := twoNodes(t)
	first := a.signIn()
	if got := b.use(first.Access); got != 204 {
		t.Fatalf("the other node answers a token of the first by %d", got)
	}
	second := b.renew(first.Refresh)
	if second.status != 200 || second.Refresh == first.Refresh {
		t.Fatalf("renewal at the other node: %d", second.status)
	}
	if got := a.use(second.Access); got != 204 { // and that confirms it
		t.Fatalf("the first node answers the new token by %d", got)
	}
	eventually(t, 5*time.Second, "the replay is refused", func() bool { return a.renew(first.Refresh).status == 400 })
	eventually(t, time.Second, "the stolen session is refused at both", func() bool {
		return a.use(second.Access) == 401 && b.use(second.Access) == 401
	})
	if got := b.renew(second.Refresh).status; got != 400 {
		t.Errorf("the stolen session renews: %d", got)
	}

	for range 5 {
		other := b.signIn()
		if got := a.use(other.Access); got != 204 {
			t.Fatalf("before the sign-out: %d", got)
		}
		if got := b.signOut(other.Access).status; got != 204 {
			t.Fatalf("sign-out: %d", got)
		}
		eventually(t, time.Second, "a session that was signed out is refused at the other node", func() bool { return a.use(other.Access) == 401 })
		if got := a.renew(other.Refresh).status; got != 400 {
			t.Errorf("it renews at the other node: %d", got)
		}
	}
	checked(t, store, dir)
}

// A service ends everything of everybody at one node: within a second both
// refuse whatever was issued, and what begins after the epoch stays.
//
// Rows: 143, 155, 197, A98
func TestEveryoneIsEndedAtEveryNode(t *testing.T) {
	a, b, store, dir := twoNodes(t)
	_, secret, err := a.pawl.Services().Add(t.Context(), "ops", []service.Scope{service.EveryoneEnd})
	if err != nil {
		t.Fatal(err)
	}
	_, weak, err := a.pawl.Services().Add(t.Context(), "shop", []service.Scope{service.SessionsEnd})
	if err != nil {
		t.Fatal(err)
	}
	before := []answer{a.signIn(), b.signIn(), b.signIn()}
	endAll := func(name, secret string) int {
		r := httptest.NewRequest("POST", "/v1/end-everyone", strings.NewReader(`{}`))
		r.RemoteAddr = "127.0.0.1:4711"
		r.Header.Set("Content-Type", "application/json")
		r.SetBasicAuth(name, secret)
		w := httptest.NewRecorder()
		b.pawl.ServiceAPI().ServeHTTP(w, r)
		return w.Code
	}
	if wrong, less := endAll("ops", weak.Reveal()), endAll("shop", weak.Reveal()); wrong != 401 || less != 403 || a.use(before[0].Access) != 204 {
		t.Fatalf("with another's secret: %d; without the scope: %d", wrong, less)
	}
	if got := endAll("ops", secret.Reveal()); got/100 != 2 {
		t.Fatalf("end everyone: %d", got)
	}
	for i, s := range before {
		for name, n := range map[string]*node{"A": a, "B": b} {
			eventually(t, time.Second, "a session is refused at "+name, func() bool { return n.use(s.Access) == 401 })
			if got := n.renew(s.Refresh).status; got != 400 {
				t.Errorf("session %d renews at %s: %d", i, name, got)
			}
		}
	}
	var after answer
	var asked time.Time
	eventually(t, 20*time.Second, "a session that begins later stays", func() bool {
		if time.Since(asked) < 500*time.Millisecond {
			return false // who signs in all the time is held up
		}
		asked, after = time.Now(), a.signIn()
		return b.use(after.Access) == 204
	})
	if got := b.renew(after.Refresh).status; got != 200 {
		t.Errorf("it does not renew: %d", got)
	}
	checked(t, store, dir)
}

// While the store is away, what was issued is verified for as long as the
// operator allows and is then refused by 503; one that was told to goes on, and
// says so. Renewals are refused by 503 at once. When the store is back, all
// goes on without a restart, and what was ended meanwhile is refused.
//
// Rows: 94, 155, 198, A96
func TestNodesWithoutTheirStore(t *testing.T) {
	for what, outage := range map[string]struct {
		begin, end func(way *pgtest.Proxy, at string)
	}{
		"it refuses connections":          {func(w *pgtest.Proxy, _ string) { w.Retarget("127.0.0.1:1"); w.Cut() }, func(w *pgtest.Proxy, at string) { w.Retarget(at) }},
		"it neither answers nor hangs up": {func(w *pgtest.Proxy, _ string) { w.Freeze() }, func(w *pgtest.Proxy, _ string) { w.Thaw() }},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			withoutStore(t, outage.begin, outage.end)
		})
	}
}

func withoutStore(t *testing.T, begin, end func(way *pgtest.Proxy, at string)) {
	store, dir := pgtest.Database(t), t.TempDir()
	u, err := url.Parse(store)
	if err != nil {
		t.Fatal(err)
	}
	way := pgtest.NewProxy(t, u.Host)
	close := func(o *pawl.Options) { o.Stale = 5 * time.Second }
	near := newNode(t, dir, store, close)
	if _, err := near.pawl.Accounts().Add(t.Context(), "ada", account.NewPassword("correct horse battery")); err != nil {
		t.Fatal(err)
	}
	careful := newNode(t, dir, way.URL(store), close)
	careless := newNode(t, dir, way.URL(store), close, func(o *pawl.Options) { o.DangerouslyAcceptStale = true })
	stays, ends := near.signIn(), near.signIn()
	for name, n := range map[string]*node{"careful": careful, "careless": careless} {
		if n.use(stays.Access) != 204 || n.use(ends.Access) != 204 || !n.pawl.Stats().Ready {
			t.Fatalf("%s node before: %+v", name, n.pawl.Stats())
		}
	}

	begin(way, u.Host)
	gone := time.Now()
	if got := near.signOut(ends.Access).status; got != 204 {
		t.Fatalf("sign-out: %d", got)
	}
	var renewals sync.WaitGroup
	for name, n := range map[string]*node{"careful": careful, "careless": careless} {
		if got := n.use(stays.Access); got != 204 {
			t.Errorf("%s node refuses at once: %d", name, got)
		}
		renewals.Go(func() {
			asked := time.Now()
			got := n.renew(stays.Refresh)
			if took := time.Since(asked); got.status != 503 || got.header.Get("Retry-After") == "" || took > 8*time.Second {
				t.Errorf("%s node answers a renewal by %d, Retry-After %q, after %v", name, got.status, got.header.Get("Retry-After"), took)
			}
		})
	}
	eventually(t, 15*time.Second, "the careful node refuses", func() bool { return careful.use(stays.Access) != 204 })
	if after := time.Since(gone); after < 4*time.Second {
		t.Errorf("it refuses after %v already", after)
	}
	refused := send(careful.app, "GET", "/", "", "", "Authorization", "Bearer "+stays.Access)
	if stats := careful.pawl.Stats(); refused.status != 503 || stats.Ready || stats.FeedAge < 5*time.Second {
		t.Errorf("a stale node answers %d: %+v", refused.status, stats)
	}
	if stats := careless.pawl.Stats(); careless.use(stays.Access) != 204 || careless.use(ends.Access) != 204 || stats.FeedAge < 4*time.Second {
		t.Errorf("a node that was told to go on does not, or does not say so: %+v", stats)
	}
	if log := careful.log.String(); !strings.Contains(log, `task="follow revocations"`) {
		t.Errorf("the log does not say it: %s", log)
	}

	renewals.Wait()
	end(way, u.Host)
	for name, n := range map[string]*node{"careful": careful, "careless": careless} {
		eventually(t, 10*time.Second, name+" node is back", func() bool { return n.pawl.Stats().Ready && n.pawl.Stats().FeedAge < time.Second })
		if live, ended := n.use(stays.Access), n.use(ends.Access); live != 204 || ended != 401 {
			t.Errorf("%s node answers what lives by %d and what ended by %d", name, live, ended)
		}
	}
	renewed := careful.renew(stays.Refresh)
	if renewed.status != 200 || careless.use(renewed.Access) != 204 {
		t.Errorf("afterwards, a renewal is answered by %d", renewed.status)
	}
	checked(t, store, dir)
}

// Everything that is wrong about a store is told at once, and no error tells
// the URL, which has a password in it.
//
// Rows: 94, 197
func TestOptionsReportEveryFaultOfTheStore(t *testing.T) {
	err := pawl.Options{Store: "postgres://pawl:hunter2-sekrit@db.example.com/pawl?sslmode=require", Stale: time.Second, KeepEvents: time.Hour,
		Origins: []string{"https://app.example.com"}, Keys: keyring.Options{Algorithm: "none"}}.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"directory", "verify-full", "1s", "1h0m0s", "none"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the fault of %q is not told in: %v", part, err)
		}
	}
	for _, url := range []string{"postgres://pawl:hunter2-sekrit@db.example.com/pawl?sslmode=prefer", "postgres://pawl:hunter2-sekrit@[::1/pawl",
		"postgres://pawl:hunter2-sekrit@localhost:x/pawl", "host=db.example.com password=hunter2-sekrit sslmode=disable", "hunter2-sekrit"} {
		o := pawl.Options{Store: url, Data: t.TempDir(), Origins: []string{"https://app.example.com"}}
		if err := o.Validate(); err == nil || strings.Contains(err.Error(), "sekrit") {
			t.Errorf("%s: %v", url, err)
		}
		for what, call := range map[string]func() error{
			"Open": func() error { _, err := pawl.Open(t.Context(), o); return err },
			"OpenData": func() error {
				_, err := pawl.OpenData(t.Context(), pawl.Place{Directory: o.Data, Store: url}, true)
				return err
			},
			"Migrate": func() error {
				_, _, err := pawl.Migrate(t.Context(), pawl.Place{Directory: o.Data, Store: url})
				return err
			},
			"SchemaVersion": func() error {
				_, _, err := pawl.SchemaVersion(t.Context(), pawl.Place{Directory: o.Data, Store: url})
				return err
			},
			"CopyStore": func() error {
				return pawl.CopyStore(context.Background(), pawl.Place{Directory: o.Data}, pawl.Place{Directory: o.Data, Store: url}, nil)
			},
		} {
			if err := call(); err == nil || strings.Contains(err.Error(), "sekrit") {
				t.Errorf("%s of %s: %v", what, url, err)
			}
		}
	}
}

// A node with another master key, or with none, does not get to the data of the
// others.
func TestNodesShareOneMasterKey(t *testing.T) {
	_, _, store, _ := twoNodes(t)
	for _, create := range []bool{true, false} {
		for what, dir := range map[string]string{"none": t.TempDir(), "another": withMasterKey(t)} {
			data, err := pawl.OpenData(t.Context(), pawl.Place{Directory: dir, Store: store}, create)
			if !errors.Is(err, keyring.ErrWrongMaster) {
				t.Errorf("with %s: %v", what, err)
			}
			if err == nil {
				data.Close()
			}
		}
	}
}

// withMasterKey returns a data directory of another Pawl.
func withMasterKey(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	data, err := pawl.OpenData(t.Context(), pawl.Place{Directory: dir}, true)
	if err != nil {
		t.Fatal(err)
	}
	data.Close()
	return dir
}

// Nodes that start at once on an empty database are one in the end: the schema
// is made once, and the keys.
//
// Rows: 114, A96
func TestNodesStartAtOnce(t *testing.T) {
	store, dir := pgtest.Database(t), t.TempDir()
	nodes := make([]*pawl.Pawl, 3)
	var starts sync.WaitGroup
	for i := range nodes {
		starts.Go(func() {
			p, err := pawl.Open(t.Context(), pawl.Options{Store: store, MasterKeyFile: filepath.Join(dir, "master.key"),
				Origins: []string{"http://localhost:8080"}, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Errorf("node %d: %v", i, err)
				return
			}
			nodes[i] = p
		})
	}
	starts.Wait()
	var sets [3]string
	for i, p := range nodes {
		if p == nil {
			continue
		}
		defer p.Close()
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/.well-known/jwks.json", nil)
		r.Host = "localhost:8080"
		p.Handler().ServeHTTP(w, r)
		sets[i] = w.Body.String()
	}
	if sets[0] == "" || sets[0] != sets[1] || sets[1] != sets[2] {
		t.Errorf("the nodes publish %q", sets)
	}
	checked(t, store, dir)
}
