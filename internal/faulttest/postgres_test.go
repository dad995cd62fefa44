//go:build linux

package faulttest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/pgtest"
	"github.com/pawlauth/pawl/session"
)

// A PostgreSQL that is killed again and again in the middle of renewals costs
// nobody anything but time.
//
// Rows: 94, 114, A96
func TestPostgresIsKilledUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.addNode(w.store(), "--strict")
	w.addNode(w.store(), "--strict")
	w.populate(16, 12, 2)
	w.during(func() {
		for range 4 {
			w.renewals(150)
			w.cluster.Kill()
			w.cluster.Start()
		}
		w.renewals(150)
	})
	w.afterwards()
}

// While PostgreSQL is away, access tokens are good and renewals are answered
// 503; sessions that end are not said to have. It all comes back by itself.
//
// Rows: 94, 198, A96
func TestPostgresIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.addNode(w.store(), "--strict", "--stale", "6s")
	w.populate(4, 1, 1)
	n, ctx := w.nodes[0], t.Context()
	before := w.admit(1, "visitor")[0]

	// Paused, it takes connections and never answers, which is worse than gone.
	for name, away := range map[string][2]func(){
		"gone":   {w.cluster.Kill, w.cluster.Start},
		"silent": {w.cluster.Pause, w.cluster.Resume},
	} {
		began := time.Now()
		away[0]()
		for _, c := range w.honest {
			if a, err := n.letsIn(ctx, c, c.access); err != nil || a.status != http.StatusNoContent {
				t.Errorf("%s: %s is not let in: %d, %v", name, c.name, a.status, err)
			}
		}
		if used := time.Since(began); used > 5*time.Second {
			t.Logf("%s: too slow to be sure that the bound of staleness was not reached: %v", name, used)
		}
		asked := time.Now()
		a, err := before.present(ctx, n, before.tokens, "once")
		if err != nil || a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: a renewal gets %d, %v", name, a.status, err)
		}
		if took := time.Since(asked); took > 11*time.Second {
			t.Errorf("%s: the answer took %v", name, took)
		}
		if done, err := w.leavers[0].signOut(ctx, n); err != nil || done {
			t.Errorf("%s: a sign-out is acknowledged: %v, %v", name, done, err)
		}
		// Beyond the bound nobody is let in, and nobody is sent to sign in.
		eventually(t, 20*time.Second, "the ends of sessions are too old", func() bool {
			a, err := n.letsIn(ctx, before, before.access)
			if err == nil && a.status != http.StatusNoContent && a.status != http.StatusServiceUnavailable {
				t.Fatalf("%s: an access token gets %d", name, a.status)
			}
			return a.status == http.StatusServiceUnavailable && !n.ready()
		})
		away[1]()
		eventually(t, 20*time.Second, "the node is ready", n.ready)
		w.must(before.renew(ctx))
		w.must(before.use(ctx))
	}
	done, err := w.leavers[0].signOut(ctx, n)
	if err != nil || !done {
		t.Errorf("the sign-out cannot be done: %v", err)
	}
	w.refused(ctx, w.leavers[0], w.leavers[0].tokens)
	w.afterwards()
}

// proxied starts a node whose way to the database can be cut.
func (w *world) proxied(args ...string) *pgtest.Proxy {
	w.t.Helper()
	p := pgtest.NewProxy(w.t, w.cluster.Addr())
	w.addNode(p.URL(w.store()), args...)
	return p
}

// Connections that are cut anywhere, commits among it, leave nothing half done.
//
// Rows: 94, 114, A96
func TestConnectionsAreCutUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	proxies := []*pgtest.Proxy{w.proxied("--strict"), w.proxied("--strict")}
	w.populate(16, 12, 2)
	w.during(func() {
		for i := range 60 {
			w.renewals(20)
			proxies[i%2].Cut()
		}
		w.renewals(100)
	})
	w.afterwards()
}

// By the default policy too, where a session turns once in a while: its rows are
// made old again and again, which also gets in the way of those who renew.
//
// Rows: 94, 114, A96
func TestConnectionsAreCutByTheDefaultPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	proxies := []*pgtest.Proxy{w.proxied(), w.proxied()}
	w.populate(16, 12, 0)
	w.repeats.Store(true)
	before := w.sql("SELECT sum(generation) FROM pawl.sessions")
	w.during(func() {
		for i := range 60 {
			w.renewals(20)
			w.sql("UPDATE pawl.sessions SET rotated_at = rotated_at - interval '80 s' WHERE ended_at IS NULL")
			proxies[i%2].Cut()
		}
		w.renewals(100)
	})
	w.afterwards()
	if turned := w.sql("SELECT sum(generation) - " + before + " > 100 FROM pawl.sessions"); turned != "t" {
		t.Error("hardly a session turned")
	}
}

// A renewal whose commit nobody was told of, and one that never reached the
// database, both go on when they are tried again: at the same node or at
// another, to the one generation that comes next.
//
// Rows: 114, A96
func TestConnectionIsCutAtTheCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	p := w.proxied("--strict")
	w.addNode(w.store(), "--strict")
	w.populate(2, 0, 2)
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	for i := range 12 {
		c := w.honest[i%2]
		c.twins, c.at = false, 0 // the node behind the proxy
		key := fmt.Sprintf("attempt-%d", i)
		hash := session.HashKey(c.id, key)
		// The hash goes with the new row, and with nothing else.
		turn := func(sent []byte) bool { return bytes.Contains(sent, hash[:]) }
		cut := p.CutBefore
		if i%4 < 2 {
			cut = p.CutAfter
		}
		sprung, told := cut(turn), w.count.unavailable.Load()
		if i%3 == 0 {
			a, err := c.present(ctx, w.nodes[0], c.tokens, key)
			if err != nil || a.status != http.StatusServiceUnavailable {
				t.Errorf("a commit of which nobody was told is answered: %d, %v", a.status, err)
			}
		}
		w.must(c.renewAs(ctx, key)) // to the next generation, or it fails
		<-sprung
		if i%3 != 0 && w.count.unavailable.Load() == told {
			t.Error("nobody was told that it failed")
		}
		w.must(c.use(ctx))
	}

	// An end of which nobody was told is one all the same, and can be asked for again.
	for i, c := range w.admit(4, "leaver") {
		end := func(sent []byte) bool {
			return bytes.Contains(sent, c.id[:]) && bytes.Contains(sent, []byte("sign_out"))
		}
		cut, ended := p.CutBefore, "f"
		if i < 2 {
			cut, ended = p.CutAfter, "t"
		}
		sprung := cut(end)
		if done, err := c.signOut(ctx, w.nodes[0]); err != nil || done {
			t.Errorf("a sign-out of which nobody was told is acknowledged: %v, %v", done, err)
		}
		<-sprung
		if got := w.field(c, "ended_at IS NOT NULL"); got != ended {
			t.Errorf("ended: %s, want %s", got, ended)
		}
		if done, err := c.signOut(ctx, w.nodes[0]); err != nil || !done {
			t.Errorf("the sign-out cannot be done again: %v", err)
		}
		w.left = append(w.left, c)
	}
	w.afterwards()
}
