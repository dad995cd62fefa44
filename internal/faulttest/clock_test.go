//go:build linux

package faulttest

import (
	"context"
	"net/http"
	"testing"
	"time"
)

// Nodes whose clocks are five minutes before or behind that of the database go
// by the database's: what it issued is good at once, for as long as it says and
// no longer; sessions turn, thieves are found, and nobody is signed out. Here
// the database's clock is the one that is moved, which is the same to a node.
//
// Rows: 93, 114
func TestClocksOfNodesAreWrong(t *testing.T) {
	const life = 8 * time.Second
	for name, moved := range map[string]string{"nodes behind": "5 minutes", "nodes ahead": "-5 minutes"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			// Found before the system's own by everybody who does not ask for that.
			w.sql(`CREATE SCHEMA moved;
				CREATE FUNCTION moved.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE AS
					$$ SELECT pg_catalog.statement_timestamp() + interval '` + moved + `' $$;
				CREATE FUNCTION moved.transaction_timestamp() RETURNS timestamptz LANGUAGE sql STABLE AS
					$$ SELECT pg_catalog.transaction_timestamp() + interval '` + moved + `' $$;
				ALTER DATABASE ` + database + ` SET search_path = moved, pg_catalog`)
			w.addNode(w.store(), "--strict", "--access-ttl", life.String())
			w.addNode(w.store(), "--strict", "--access-ttl", life.String())
			w.populate(6, 4, 2)
			ctx, cancel := context.WithTimeout(t.Context(), longest)
			defer cancel()
			if skew := w.sql("SELECT abs(extract(epoch FROM max(rotated_at) - pg_catalog.now())) BETWEEN 250 AND 310 FROM pawl.sessions"); skew != "t" {
				t.Fatal("the nodes do not see the clock that was moved")
			}
			w.during(func() { w.renewals(100) })

			c := w.admit(1, "visitor")[0]
			issued := time.Now()
			for _, n := range w.nodes {
				if a, err := n.letsIn(ctx, c, c.access); err != nil || a.status != http.StatusNoContent {
					t.Errorf("node %s does not let in whom it should: %d, %v", n.name, a.status, err)
				}
			}
			for _, n := range w.nodes {
				eventually(t, life+8*time.Second, "the access token expires", func() bool {
					a, err := n.letsIn(ctx, c, c.access)
					return err == nil && a.status == http.StatusUnauthorized
				})
			}
			// A token lives at most a twentieth shorter than it is told to.
			if lived := time.Since(issued); lived < life-life/20-time.Second {
				t.Errorf("the access token expired after %v", lived)
			}
			w.must(c.renew(ctx))
			w.must(c.use(ctx))
			w.afterwards()
		})
	}
}
