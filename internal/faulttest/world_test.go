//go:build linux

package faulttest

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/pgtest"
	"github.com/pawlauth/pawl/token"
)

const (
	user     = "ada"
	password = "correct horse battery staple"
	database = "pawl"
)

// A world is a database, the nodes on it, and those who use them.
type world struct {
	t       *testing.T
	dir     string
	cluster *pgtest.Cluster // the one that is written to
	nodes   []*node
	http    *http.Client
	ledger  ledger
	count   counts
	repeats atomic.Bool // a renewal may bring the generation that it was asked with
	refuses atomic.Bool // access tokens may be refused, for an operator's reason

	honest  []*client
	leavers []*client // sign out one after the other
	left    []*client // whose sign-out was acknowledged
	robbed  []robbery
	arrived []*client // owned by arrive while it runs
}

// A robbery is a session and an old token of it that somebody copied.
type robbery struct {
	owner *client
	copy  tokens
}

// newWorld makes a database with a user, and no node.
func newWorld(t *testing.T, settings map[string]string) *world {
	t.Helper()
	if _, err := pawlBinary(); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: t.TempDir(), cluster: pgtest.NewCluster(t, pgtest.Options{Settings: settings}),
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
	w.ledger.given = make(map[token.ID]map[uint32]string)
	t.Cleanup(w.http.CloseIdleConnections)
	w.cluster.Exec("postgres", "CREATE DATABASE "+database)
	w.pawl("user", "add", user, "--password-stdin")
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// store is the URL of the database as it is now.
func (w *world) store() string { return w.cluster.URL(database) }

// sql runs SQL in the database of the nodes.
func (w *world) sql(query string) string {
	w.t.Helper()
	return w.cluster.Exec(database, query)
}

// admit signs in clients, of both transports by turns.
func (w *world) admit(n int, role string) []*client {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	clients, errs := make([]*client, n), make(chan error, n)
	var group sync.WaitGroup
	places := make(chan struct{}, 3) // passwords that are hashed at once
	for i := range clients {
		clients[i] = &client{w: w, name: fmt.Sprintf("%s %d", role, i), cookie: i%2 == 1, at: i}
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			errs <- clients[i].signIn(ctx)
		})
	}
	group.Wait()
	for range clients {
		w.must(<-errs)
	}
	return clients
}

// populate signs everybody in: honest clients, of whom each fourth renews at
// two nodes at once; those who will leave; and the robbed.
func (w *world) populate(honest, leavers, robbed int) {
	w.t.Helper()
	w.honest = w.admit(honest, "honest")
	for i, c := range w.honest {
		c.twins = i%4 == 0 && len(w.nodes) > 1
	}
	w.leavers = w.admit(leavers, "leaver")
	for _, owner := range w.admit(robbed, "robbed") {
		w.robbed = append(w.robbed, robbery{owner, owner.tokens})
		w.advance(owner)
	}
}

// advance renews a session, uses the tokens, and waits until the store knows of
// the use.
func (w *world) advance(c *client) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	w.must(c.renew(ctx))
	eventually(w.t, 20*time.Second, c.name+"'s use is confirmed", func() bool {
		w.must(c.use(ctx))
		return w.field(c, "confirmed_at IS NOT NULL") == "t"
	})
}

// field reads something of a session's row.
func (w *world) field(c *client, expression string) string {
	w.t.Helper()
	return w.sql("SELECT " + expression + " FROM pawl.sessions WHERE " + w.is(c))
}

// is is the condition on the row of a client's session.
func (*world) is(c *client) string { return "id = '" + hex.EncodeToString(c.id[:]) + "'" }

// during runs the honest clients, and those who leave, while a failure goes on.
func (w *world) during(failure func()) {
	w.t.Helper()
	stop := make(chan struct{})
	var group sync.WaitGroup
	stopped := sync.OnceFunc(func() { close(stop); group.Wait() })
	defer stopped() // also when the failure ends the test
	for _, c := range w.honest {
		group.Go(func() { c.live(w.t, stop) })
	}
	leaving := w.leavers
	w.leavers = nil
	left := make(chan *client, len(leaving))
	group.Go(func() { w.leave(leaving, left, stop) })
	group.Go(func() { w.arrive(stop) })
	failure()
	stopped()
	close(left)
	w.honest, w.arrived = append(w.honest, w.arrived...), nil
	for c := range left {
		w.left = append(w.left, c)
	}
	w.t.Logf("%d renewals, %d answers 503, %d requests without an answer, %d sign-outs acknowledged", w.count.renewed.Load(),
		w.count.unavailable.Load(), w.count.unanswered.Load(), len(w.left))
}

// longest is how long an honest client may have to try, whatever happens.
const longest = 90 * time.Second

// live renews and uses until it is told to stop, or something happens that must
// not.
func (c *client) live(t *testing.T, stop <-chan struct{}) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), longest)
		err := c.renew(ctx)
		if err == nil {
			err = c.use(ctx)
		}
		cancel()
		if err != nil {
			t.Error(err)
			return
		}
		select {
		case <-stop:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// maxArrivals keeps users below the number of sessions that ends the oldest.
const maxArrivals = 10

// arrive signs in one client after the other, until it is told to stop. Each
// tries until it is in.
func (w *world) arrive(stop <-chan struct{}) {
	for i := range maxArrivals {
		select {
		case <-stop:
			return
		case <-time.After(200 * time.Millisecond):
		}
		c := &client{w: w, name: fmt.Sprintf("newcomer %d", i), cookie: i%2 == 1, at: i}
		ctx, cancel := context.WithTimeout(context.Background(), longest)
		if err := c.signIn(ctx); err != nil {
			w.t.Error(err)
		} else {
			w.arrived = append(w.arrived, c)
		}
		cancel()
	}
}

// leave signs out one client after the other.
func (w *world) leave(leaving []*client, left chan<- *client, stop <-chan struct{}) {
	for i, c := range leaving {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		done, err := c.signOut(ctx, w.nodes[i%len(w.nodes)])
		cancel()
		if err != nil {
			w.t.Error(err)
		}
		if done {
			left <- c
		}
		select {
		case <-stop:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// renewals waits until so many more renewals were answered.
func (w *world) renewals(n int64) {
	w.t.Helper()
	until := w.count.renewed.Load() + n
	eventually(w.t, 60*time.Second, fmt.Sprintf("%d more renewals", n), func() bool { return w.count.renewed.Load() >= until || w.t.Failed() })
}

// afterwards holds when a failure is over: all nodes serve; everybody honest
// goes on, at every node; nobody who left is let in; thieves are found; and the
// data is whole.
func (w *world) afterwards() {
	w.t.Helper()
	for _, n := range w.nodes {
		eventually(w.t, 20*time.Second, "node "+n.name+" is ready", n.ready)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), longest)
	defer cancel()
	for i, c := range w.honest {
		for range w.nodes {
			c.at = i
			w.must(c.renew(ctx))
			w.must(c.use(ctx))
			i++
		}
		if newest := w.field(c, "generation || ' ' || end_reason"); newest != strconv.Itoa(int(c.generation))+" " {
			w.t.Errorf("%s holds generation %d, the store has %q", c.name, c.generation, newest)
		}
	}
	for _, c := range w.left {
		w.refused(ctx, c, c.tokens)
	}
	for _, r := range w.robbed {
		w.thiefIsFound(ctx, r)
	}
	w.fsck()
}

// refused holds if no node takes a token of a session: the refresh token at
// once, the access token within a second.
func (w *world) refused(ctx context.Context, c *client, t tokens) {
	w.t.Helper()
	for _, n := range w.nodes {
		a, err := c.present(ctx, n, t, "late")
		w.must(err)
		if a.status != http.StatusBadRequest && a.status != http.StatusUnauthorized {
			w.t.Errorf("node %s renews an ended session of %s: %d", n.name, c.name, a.status)
		}
		err = poll(time.Second, func() bool {
			a, err = n.letsIn(ctx, c, t.access)
			return err == nil && a.status == http.StatusUnauthorized
		})
		if err != nil {
			w.t.Errorf("node %s lets %s in, who has left: %d", n.name, c.name, a.status)
		}
	}
}

// thiefIsFound renews a robbed session and has the thief come with his copy.
func (w *world) thiefIsFound(ctx context.Context, r robbery) {
	w.t.Helper()
	w.advance(r.owner)
	n := w.nodes[r.owner.at%len(w.nodes)]
	a, err := r.owner.present(ctx, n, r.copy, "stolen")
	w.must(err)
	if a.status == http.StatusOK || w.field(r.owner, "end_reason") != "reuse" {
		w.t.Errorf("a thief of %s gets %d; the session ended for %q", r.owner.name, a.status, w.field(r.owner, "end_reason"))
	}
	w.refused(ctx, r.owner, r.owner.tokens)
}

// fsck checks the data.
func (w *world) fsck() {
	w.t.Helper()
	if out, err := w.try("fsck"); err != nil {
		w.t.Errorf("fsck: %v\n%s", err, out)
	}
}

// events are the types and reasons of all events, one a line.
func (w *world) events() string { return w.pawl("events") }

// file is a path in the folder of the world.
func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

// countEvents counts the events whose line has all of these.
func (w *world) countEvents(parts ...string) (n int) {
	w.t.Helper()
lines:
	for line := range strings.Lines(w.events()) {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue lines
			}
		}
		n++
	}
	return n
}
