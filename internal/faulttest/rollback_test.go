//go:build linux

package faulttest

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
)

// anyOf is a URL of several servers, of which the one that takes writes counts.
func anyOf(urls ...string) string {
	u, _ := url.Parse(urls[0]) // what pgtest gives
	var hosts []string
	for _, text := range urls {
		other, _ := url.Parse(text)
		hosts = append(hosts, other.Host)
	}
	query := u.Query()
	query.Set("target_session_attrs", "read-write")
	u.Host, u.RawQuery = strings.Join(hosts, ","), query.Encode()
	return u.String()
}

// The primary is lost, and the standby that takes its place never had the last
// second of writes. Who renewed in it goes on; who left in it has left; what a
// thief had and what he got is found.
//
// Rows: 94, 114, A45, A96
func TestStandbyIsPromotedWithoutTheLastWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	standby := w.cluster.Standby()
	both := anyOf(w.cluster.URL(database), standby.URL(database))
	w.addNode(both, "--strict")
	w.addNode(both, "--strict")
	w.populate(12, 6, 4)
	w.during(func() { w.renewals(100) })
	early := w.left // before the writes that are lost
	leavers := w.admit(6, "late leaver")
	caught := w.robbed[3]
	w.robbed = w.robbed[:3]
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	standby.CatchUp()
	standby.Detach()

	// The writes that will be missing: no session turns twice in them.
	for i, c := range w.honest {
		c.at = i
		w.must(c.renew(ctx))
		if i%3 > 0 { // of the others nobody knows whether they got their tokens
			w.must(c.use(ctx))
		}
	}
	for i, c := range leavers {
		if done, err := c.signOut(ctx, w.nodes[i%2]); err != nil || !done {
			t.Fatalf("%s cannot sign out: %v", c.name, err)
		}
		w.left = append(w.left, c)
	}
	w.robbed[0].copy = w.robbed[0].owner.tokens // the newest, until its owner renews
	w.advance(w.robbed[0].owner)
	w.thiefIsFound(ctx, caught)
	w.left = append(w.left, caught.owner)
	for _, n := range w.nodes {
		for _, c := range w.left {
			eventually(t, time.Second, "node "+n.name+" knows that "+c.name+" has left", func() bool {
				a, err := n.letsIn(ctx, c, c.access)
				return err == nil && a.status == http.StatusUnauthorized
			})
		}
	}

	w.cluster.Kill()
	w.without(ctx, w.honest[:2])
	standby.Promote()
	w.cluster = standby
	for _, c := range w.honest {
		if there := w.field(c, "generation"); there != strconv.Itoa(int(c.generation)-1) {
			t.Errorf("%s has generation %d, the standby %s: it was to miss one", c.name, c.generation, there)
		}
	}

	// Everybody comes with a token that this store has never given out.
	ahead := len(w.honest)
	w.repeats.Store(true)
	for _, c := range w.honest {
		w.must(c.renew(ctx))
		w.must(c.use(ctx))
	}
	w.repeats.Store(false)
	// A node that did not notice that the database was away reads the whole feed
	// all the same, every ten seconds.
	for _, c := range leavers {
		eventually(t, 15*time.Second, "the end of "+c.name+" is written again", func() bool {
			return w.field(c, "end_reason") == "forgotten"
		})
	}
	eventually(t, 15*time.Second, "the thief's victim is ended again", func() bool { return w.field(caught.owner, "end_reason") == "forgotten" })
	// A node that was not there has it from the store.
	w.addNode(both, "--strict")
	// This thief gets ahead of the owner: he holds what the store thinks is newest.
	r := w.robbed[0]
	a, err := r.owner.present(ctx, w.nodes[0], r.copy, "ahead")
	w.must(err)
	if a.status == http.StatusOK {
		r.copy = a.tokens
	}
	w.repeats.Store(true)
	w.must(r.owner.renew(ctx))
	w.repeats.Store(false)
	w.during(func() { w.renewals(200) })
	if n := len(early); len(w.left) < n+len(leavers)+1 {
		t.Errorf("%d have left", len(w.left))
	}
	w.afterwards()
	if n := w.countEvents("reason=store_behind"); n < ahead {
		t.Errorf("%d events tell that the store was behind, of %d sessions", n, ahead)
	}
}

// without holds while the database is away: verifying goes on, renewing waits.
func (w *world) without(ctx context.Context, clients []*client) {
	w.t.Helper()
	for _, n := range w.nodes {
		for _, c := range clients {
			if a, err := n.letsIn(ctx, c, c.access); err != nil || a.status != http.StatusNoContent {
				w.t.Errorf("node %s does not let %s in: %d, %v", n.name, c.name, a.status, err)
			}
			if a, err := c.present(ctx, n, c.tokens, "meanwhile"); err != nil || a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
				w.t.Errorf("node %s answers a renewal of %s: %d, %v", n.name, c.name, a.status, err)
			}
		}
	}
}

// putBack puts a dump in the database's place at once, as far as the nodes can
// tell, as an operator does who restores beside it first.
func (w *world) putBack(file string) {
	w.t.Helper()
	w.cluster.Restore("restored", file)
	w.cluster.Exec("postgres", `ALTER DATABASE `+database+` WITH ALLOW_CONNECTIONS false;
		SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '`+database+`'`)
	eventually(w.t, 10*time.Second, "nobody is connected", func() bool {
		return w.cluster.Exec("postgres", "SELECT count(*) FROM pg_stat_activity WHERE datname = '"+database+"'") == "0"
	})
	w.cluster.Exec("postgres", `DROP DATABASE `+database)
	w.cluster.Exec("postgres", `ALTER DATABASE restored RENAME TO `+database)
}

// The database is put back to what it was some turns ago, under the nodes. A
// session that is one turn ahead of it goes on; one that is further ahead ends
// itself and says why; who left since then stays out, because the nodes know.
//
// Rows: 94, A45
func TestDumpIsRestoredUnderNodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.addNode(w.store(), "--strict")
	w.addNode(w.store(), "--strict")
	w.populate(8, 6, 2)
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	w.cluster.Dump(database, w.file("dump"))

	ahead := w.honest[:4] // they turn again and again; the others once
	for _, c := range append(append(w.honest[:8:8], ahead...), ahead...) {
		w.must(c.renew(ctx))
		w.must(c.use(ctx))
	}
	for i, c := range w.leavers {
		if done, err := c.signOut(ctx, w.nodes[i%2]); err != nil || !done {
			t.Fatalf("%s cannot sign out: %v", c.name, err)
		}
	}
	w.left, w.leavers = w.leavers, nil
	time.Sleep(time.Second) // until each node has read of them

	w.putBack(w.file("dump"))
	for i, c := range ahead {
		var a answer
		eventually(t, 10*time.Second, c.name+" gets an answer", func() (decided bool) {
			var err error
			a, err = c.present(ctx, w.nodes[i%2], c.tokens, "again")
			return err == nil && a.status != http.StatusServiceUnavailable
		})
		if a.status != http.StatusBadRequest && a.status != http.StatusUnauthorized {
			t.Errorf("%s is three turns ahead of the store and gets %d %s", c.name, a.status, a.raw)
		}
		if why := w.field(c, "end_reason"); why != "store_behind" {
			t.Errorf("%s ended because of %q", c.name, why)
		}
		w.refused(ctx, c, c.tokens)
	}
	w.honest = w.honest[4:]
	w.repeats.Store(true)
	for _, c := range w.honest {
		w.must(c.renew(ctx))
	}
	w.repeats.Store(false)
	if n := w.countEvents("session_ended", "reason=store_behind"); n != len(ahead) {
		t.Errorf("%d events tell that a session ended because the store is behind, of %d", n, len(ahead))
	}
	w.afterwards()
}

// After a fence nothing is honoured that was issued before: not the tokens of
// the moment of the dump, not what came later, not what had ended since, and
// not by nodes that know nothing but the database.
//
// Rows: 93, 94, A45
func TestDumpIsRestoredAndFenced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.addNode(w.store(), "--strict")
	w.addNode(w.store(), "--strict")
	w.populate(4, 2, 2)
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	type held struct {
		c *client
		t tokens
	}
	var all []held
	hold := func() {
		for _, c := range append(w.honest[:4:4], append(w.leavers, w.robbed[0].owner, w.robbed[1].owner)...) {
			all = append(all, held{c, c.tokens})
		}
	}
	hold()
	w.cluster.Dump(database, w.file("dump"))
	for range 2 {
		for _, c := range w.honest {
			w.must(c.renew(ctx))
			w.must(c.use(ctx))
		}
	}
	hold()
	for _, c := range w.leavers {
		if done, err := c.signOut(ctx, w.nodes[0]); err != nil || !done {
			t.Fatalf("%s cannot sign out: %v", c.name, err)
		}
	}
	unknown := w.admit(1, "unknown to the dump")[0]
	all = append(all, held{unknown, unknown.tokens})

	// As docs/operating.md says: stop, restore, fence, start.
	for _, n := range w.nodes {
		n.kill()
	}
	w.cluster.Restore(database, w.file("dump"))
	w.pawl("fence", "--yes")
	for _, n := range w.nodes {
		w.must(n.start())
	}
	for _, h := range all {
		w.refused(ctx, h.c, h.t)
	}
	w.honest, w.leavers, w.robbed, w.left = nil, nil, nil, nil
	// The epoch lies up to three seconds ahead, so nobody could stay who came before.
	time.Sleep(session.EpochMargin)
	var again *client
	eventually(t, 10*time.Second, "who signs in again is in", func() bool {
		again = w.admit(1, "again")[0]
		a, err := w.nodes[0].letsIn(ctx, again, again.access)
		b, more := again.present(ctx, w.nodes[1], again.tokens, "again")
		return err == nil && more == nil && a.status == http.StatusNoContent && b.status == http.StatusOK
	})
	w.populate(4, 0, 1)
	w.during(func() { w.renewals(50) })
	w.afterwards()
}
