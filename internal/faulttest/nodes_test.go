//go:build linux

package faulttest

import (
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/pgtest"
)

// What one node is told, the other knows: by the database's notice at once, and
// without it, as on engines that have none, within a second. A session goes
// from node to node as its client does, and a thief is found wherever he comes.
//
// Rows: 93, 114, A33, A43
func TestTwoNodesAreOne(t *testing.T) {
	w := newWorld(t, nil)
	w.addNode(w.store(), "--strict")
	w.addNode(w.store(), "--strict")
	deaf := pgtest.NewProxy(t, w.cluster.Addr())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { // it never hears anything
		for {
			select {
			case <-deaf.CutBefore(pgtest.Containing("LISTEN ")):
			case <-ctx.Done():
				return
			}
		}
	}()
	w.addNode(deaf.URL(w.store()), "--strict")

	var told [2][]time.Duration
	for i, c := range w.admit(12, "leaver") {
		done, err := c.signOut(ctx, w.nodes[0])
		if err != nil || !done {
			t.Fatalf("%s cannot sign out: %v", c.name, err)
		}
		acknowledged := time.Now()
		for b, n := range w.nodes[1:] {
			for {
				a, err := n.letsIn(ctx, c, c.access)
				w.must(err)
				if a.status == http.StatusUnauthorized {
					break
				}
				if time.Since(acknowledged) > 5*time.Second {
					t.Fatalf("node %s lets %s in: %d", n.name, c.name, a.status)
				}
				time.Sleep(time.Millisecond)
			}
			told[b] = append(told[b], time.Since(acknowledged))
		}
		if i == 0 {
			told = [2][]time.Duration{} // the first connections are made
		}
		w.left = append(w.left, c)
	}
	for b, what := range []string{"with notice", "by polling"} {
		slices.Sort(told[b])
		median, last := told[b][len(told[b])/2], told[b][len(told[b])-1]
		t.Logf("%s: refused elsewhere after %v (median), %v at most", what, median, last)
		if last > time.Second {
			t.Errorf("%s: a session that ended was let in for %v", what, last)
		}
	}
	if len(told[0]) > 0 && told[0][len(told[0])/2] > 200*time.Millisecond {
		t.Errorf("a notice takes %v, as if there was none", told[0][len(told[0])/2])
	}
	if !w.nodes[2].printed("polled for only") {
		t.Error("the deaf node does not say that it polls")
	}

	// In on A, renewed on B, the old token back on C.
	c := w.admit(1, "wanderer")[0]
	old := c.tokens
	for i := range 6 {
		c.at = i
		w.must(c.renew(ctx))
		c.at = i + 1
		w.must(c.use(ctx))
	}
	eventually(t, 5*time.Second, "the use is confirmed", func() bool { return w.field(c, "confirmed_at IS NOT NULL") == "t" })
	a, err := c.present(ctx, w.nodes[2], old, "stolen")
	if err != nil || a.status == http.StatusOK {
		t.Errorf("a thief gets %d, %v", a.status, err)
	}
	w.left = append(w.left, c)
	w.populate(4, 0, 2)
	w.afterwards()
}

// Keys change under load, and nobody is refused; a key that is withdrawn is
// refused by every node within a second, and whoever is honest renews.
//
// Rows: 186, A61
func TestKeysChangeUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.addNode(w.store(), "--strict")
	w.addNode(w.store(), "--strict")
	w.populate(12, 6, 2)
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	active := func() string {
		for line := range strings.Lines(w.pawl("key", "list")) {
			if strings.Contains(line, " active ") {
				return strings.Fields(line)[0]
			}
		}
		t.Fatal("no key is active")
		return ""
	}
	w.during(func() {
		for range 2 {
			before := active()
			w.pawl("key", "rotate")
			w.renewals(50)
			time.Sleep(time.Second) // every node has read of the new key
			w.sql("UPDATE pawl.keys SET created_at = created_at - interval '1 hour', due_at = due_at - interval '1 hour' WHERE state = 'next'")
			eventually(t, 20*time.Second, "the new key signs", func() bool { return active() != before })
			w.renewals(50)
		}
	})

	held, key := w.robbed[0].owner, active()
	eventually(t, 5*time.Second, "the last key signs", func() bool {
		w.must(held.renew(ctx))
		header, err := base64.RawURLEncoding.DecodeString(held.access[:strings.Index(held.access, ".")])
		w.must(err)
		return strings.Contains(string(header), key)
	})
	w.must(held.use(ctx))
	w.refuses.Store(true)
	w.during(func() {
		w.pawl("key", "withdraw", key, "--yes")
		for _, n := range w.nodes {
			eventually(t, time.Second, "node "+n.name+" refuses what the withdrawn key signed", func() bool {
				a, err := n.letsIn(ctx, held, held.access)
				return err == nil && a.status == http.StatusUnauthorized
			})
		}
		w.renewals(50)
		time.Sleep(time.Second) // each node signs with a key that the others know
		w.refuses.Store(false)
		w.renewals(50)
	})
	w.must(w.robbed[1].owner.renew(ctx))
	w.afterwards()
}

// A node that dies takes nothing with it: its clients go on at another.
//
// Rows: 94, 114, A96
func TestNodesAreKilledUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.addNode(w.store(), "--strict")
	w.addNode(w.store(), "--strict")
	w.populate(16, 12, 2)
	w.during(func() {
		for i := range 6 {
			w.renewals(100)
			n := w.nodes[i%2]
			n.kill()
			w.renewals(30)
			w.must(n.start())
		}
		w.renewals(100)
	})
	w.afterwards()
}

// A node that dies in the middle of sweeping leaves the rest for the next, and
// nothing of what lives is swept.
//
// Rows: 94, A96
func TestNodeIsKilledWhileItSweeps(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.addNode(w.store(), "--strict")
	w.populate(6, 4, 2)
	template := w.honest[0]
	// Sessions of long ago: expired, ended, and lines of users without a session.
	w.sql(`CREATE TEMP TABLE old AS SELECT * FROM pawl.sessions WHERE ` + w.is(template) + `;
		UPDATE old SET created_at = created_at - interval '100 days', auth_time = auth_time - interval '100 days', last_seen = last_seen - interval '100 days',
			rotated_at = rotated_at - interval '100 days', prior_used_at = prior_used_at - interval '100 days', confirmed_at = confirmed_at - interval '100 days',
			absolute_end = absolute_end - interval '100 days';
		INSERT INTO pawl.user_sessions SELECT old.user_id, gen_random_uuid(), old.absolute_end FROM old, generate_series(1, 60000);
		INSERT INTO pawl.sessions SELECT n.* FROM old, pawl.user_sessions u, LATERAL (SELECT (jsonb_populate_record(old, jsonb_build_object('id', u.session))).*) n WHERE u.over_at < now()`)
	old := func() string { return w.sql("SELECT count(*) FROM pawl.sessions WHERE absolute_end < now()") }
	all := old()
	if all != "60000" {
		t.Fatalf("%s old sessions", all)
	}
	n := w.nodes[0]
	w.during(func() {
		eventually(t, 90*time.Second, "a sweep has begun", func() bool { return old() != all })
		n.kill()
		left := old()
		t.Logf("killed with %s old sessions left", left)
		if left == "0" {
			t.Error("the sweep was over before the node was killed")
		}
		w.fsck()
		w.must(n.start())
		w.renewals(20)
	})
	w.afterwards()
}

// A node that stood still for a minute does not know what happened meanwhile,
// and says so until it does: what ended is refused, and a request that waited
// in it all the time does not make an honest client a thief.
//
// Rows: 93, 94, 114, A96
func TestNodeStandsStillForAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.addNode(w.store(), "--strict")
	w.addNode(w.store(), "--strict")
	w.populate(8, 4, 2)
	frozen, other := w.nodes[0], w.nodes[1]
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	leavers := w.admit(4, "leaver")
	waiting := w.admit(6, "waiting")

	w.during(func() {
		w.renewals(50)
		frozen.freeze()
		began := time.Now()
		// They ask, wait, give up, and go on elsewhere.
		for _, c := range waiting {
			short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
			if a, err := c.present(short, frozen, c.tokens, "given-up"); err == nil {
				t.Errorf("a node that stands still answers %d", a.status)
			}
			cancel()
			c.at = 1
			w.must(c.renew(ctx))
			w.must(c.use(ctx))
		}
		for _, c := range leavers {
			if done, err := c.signOut(ctx, other); err != nil || !done {
				t.Fatalf("%s cannot sign out: %v", c.name, err)
			}
		}
		w.left = append(w.left, leavers...)
		time.Sleep(time.Until(began.Add(61 * time.Second)))
		frozen.signal(syscall.SIGCONT)
		for _, c := range leavers {
			if a, err := frozen.letsIn(ctx, c, c.access); err != nil || a.status != http.StatusUnauthorized && a.status != http.StatusServiceUnavailable {
				t.Errorf("%s, who left, is let in: %d, %v", c.name, a.status, err)
			}
			if a, err := c.present(ctx, frozen, c.tokens, "late"); err != nil || a.status == http.StatusOK {
				t.Errorf("%s, who left, renews: %d, %v", c.name, a.status, err)
			}
		}
		w.renewals(50)
	})
	w.honest = append(w.honest, waiting...)
	w.afterwards()
}
