//go:build linux

package faulttest

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// hold runs SQL in a transaction and leaves it open, until release is called or
// the test ends: an operator who was called to the telephone.
func (w *world) hold(sql string) (release func()) {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), w.store())
	w.must(err)
	release = sync.OnceFunc(func() { conn.Close(context.Background()) })
	w.t.Cleanup(release)
	_, err = conn.Exec(w.t.Context(), "BEGIN; "+sql)
	w.must(err)
	return release
}

// slowest is the longest that any of the latencies took, but for one in a
// hundred.
func slowest(latencies []time.Duration) time.Duration {
	slices.Sort(latencies)
	return latencies[len(latencies)*99/100]
}

// One session whose row an operator holds waits alone: it is told to come again,
// and everybody else goes on at full speed.
//
// Rows: 94, 198, A96
func TestOneRowIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.addNode(w.store()+"&pool_max_conns=2", "--strict")
	w.populate(8, 0, 1)
	n, ctx := w.nodes[0], t.Context()
	victim := w.admit(1, "victim")[0]
	release := w.hold("SELECT 1 FROM pawl.sessions WHERE " + w.is(victim) + " FOR UPDATE")

	w.during(func() {
		w.renewals(50)
		var free []time.Duration // of somebody else, while the victim tries
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 3 {
				asked := time.Now()
				a, err := victim.present(ctx, n, victim.tokens, "held")
				if err != nil || a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
					t.Errorf("who is held gets %d, %v", a.status, err)
				}
				if took := time.Since(asked); took > 6*time.Second {
					t.Errorf("who is held is told so after %v", took)
				}
			}
		}()
		other := w.robbed[0].owner
		for held := true; held; {
			asked := time.Now()
			w.must(other.renew(ctx))
			free = append(free, time.Since(asked))
			select {
			case <-done:
				held = false
			default:
			}
		}
		t.Logf("%d renewals of another session meanwhile, the slowest 1%% over %v", len(free), slowest(free))
		if p99 := slowest(free); p99 > 500*time.Millisecond {
			t.Errorf("others waited for %v", p99)
		}
	})
	if w.count.unavailable.Load() > 0 {
		t.Errorf("%d of the others' requests were answered 503", w.count.unavailable.Load())
	}
	release()
	w.must(victim.renew(ctx))
	w.honest = append(w.honest, victim)
	w.afterwards()
}

// A table that nobody may touch, and a server that takes no connection, make
// everybody wait for a time that is bounded, and nothing worse.
//
// Rows: 94, 198, A96
func TestNoConnectionIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.sql("CREATE ROLE serves LOGIN PASSWORD '" + password + "'; GRANT USAGE ON SCHEMA pawl TO serves; GRANT ALL ON ALL TABLES IN SCHEMA pawl TO serves")
	serves, err := url.Parse(w.store())
	w.must(err)
	serves.User = url.UserPassword("serves", password)
	w.addNode(serves.String()+"&pool_max_conns=1", "--strict")
	w.addNode(serves.String()+"&pool_max_conns=2", "--strict")
	w.populate(12, 6, 2)
	ctx := t.Context()
	visitor := w.admit(1, "visitor")[0]
	told := func(what string) {
		t.Helper()
		var group sync.WaitGroup
		for _, n := range w.nodes {
			group.Go(func() {
				asked := time.Now()
				a, err := visitor.present(ctx, n, visitor.tokens, "full")
				if err != nil || a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
					t.Errorf("%s: node %s answers %d, %v", what, n.name, a.status, err)
				}
				if took := time.Since(asked); took > 11*time.Second {
					t.Errorf("%s: node %s took %v", what, n.name, took)
				}
				if a, err = n.letsIn(ctx, visitor, visitor.access); err != nil || a.status != http.StatusNoContent {
					t.Errorf("%s: node %s does not let anybody in: %d, %v", what, n.name, a.status, err)
				}
			})
		}
		group.Wait()
	}
	w.during(func() {
		w.renewals(50)
		release := w.hold("LOCK TABLE pawl.sessions IN ACCESS EXCLUSIVE MODE")
		told("table locked")
		release()
		w.renewals(50)

		// Who had connections loses them and gets no other.
		w.sql("ALTER ROLE serves CONNECTION LIMIT 0") // by itself: it counts when it is committed
		eventually(t, 10*time.Second, "all connections have ended", func() bool {
			return w.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'serves'") == "0"
		})
		told("no connection left")
		w.sql("ALTER ROLE serves CONNECTION LIMIT -1")
		w.renewals(50)
	})
	w.must(visitor.renew(ctx))
	w.honest = append(w.honest, visitor)
	w.afterwards()
}
