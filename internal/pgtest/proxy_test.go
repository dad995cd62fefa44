//go:build linux || darwin

package pgtest

import (
	"context"
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// cuttable returns a proxy and a connection through it to a database with an
// empty table "writes", which the other URL reaches directly.
func cuttable(t *testing.T) (p *Proxy, through *pgx.Conn, direct string) {
	t.Helper()
	direct = Database(t)
	config, err := pgx.ParseConfig(direct)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := execute(direct, patience, "CREATE TABLE writes (n text)"); err != nil {
		t.Fatal(err)
	}
	p = NewProxy(t, hostPort(config))
	return p, connect(t, p.URL(direct)), direct
}

func TestCutEndsConnectionsAndTakesNewOnes(t *testing.T) {
	p, conn, direct := cuttable(t)
	if err := conn.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Cut()
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("a connection outlived the cut")
	}
	connect(t, p.URL(direct))
}

func TestFrozenProxyMovesNothing(t *testing.T) {
	p, conn, direct := cuttable(t)
	p.Freeze()
	written := make(chan error, 1)
	go func() {
		_, err := conn.Exec(t.Context(), "INSERT INTO writes VALUES ('late')")
		written <- err
	}()
	if _, err := execute(p.URL(direct), 300*time.Millisecond, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a new connection: %v, want a deadline exceeded", err)
	}
	if n, err := execute(direct, patience, "SELECT count(*) FROM writes"); err != nil || n != "0" {
		t.Errorf("%s rows came through, %v", n, err)
	}
	p.Thaw()
	if err := <-written; err != nil {
		t.Errorf("after the thaw: %v", err)
	}
}

func TestCutAroundACommit(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*Proxy) <-chan struct{}
		rows string
	}{
		"the answer is lost":  {func(p *Proxy) <-chan struct{} { return p.CutAfter(Containing("commit")) }, "1"},
		"the request is lost": {func(p *Proxy) <-chan struct{} { return p.CutBefore(Containing("commit")) }, "0"},
	} {
		t.Run(name, func(t *testing.T) {
			p, conn, direct := cuttable(t)
			cut := c.set(p)
			tx, err := conn.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec(t.Context(), "INSERT INTO writes VALUES ($1)", "x"); err != nil {
				t.Fatal(err)
			}
			if err := tx.Commit(t.Context()); err == nil {
				t.Error("the commit was answered")
			}
			<-cut
			if n, err := execute(direct, patience, "SELECT count(*) FROM writes"); err != nil || n != c.rows {
				t.Errorf("%s rows, %v; want %s", n, err, c.rows)
			}
			again := connect(t, p.URL(direct))
			if _, err := again.Exec(t.Context(), "begin; commit"); err != nil {
				t.Errorf("the proxy cut twice: %v", err)
			}
		})
	}
}

// A statement outside a transaction commits with its own answer; its
// parameters tell which it is.
func TestCutAfterAParameter(t *testing.T) {
	p, conn, direct := cuttable(t)
	const insert = "INSERT INTO writes VALUES ($1)"
	cut := p.CutAfter(Containing("unlucky"))
	if _, err := conn.Exec(t.Context(), insert, "lucky"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), insert, "unlucky"); err == nil {
		t.Error("it was answered")
	}
	<-cut
	if n, err := execute(direct, patience, "SELECT count(*) FROM writes WHERE n = 'unlucky'"); err != nil || n != "1" {
		t.Errorf("%s rows, %v", n, err)
	}
}

func TestProxyFollowsAMovedServer(t *testing.T) {
	p, conn, direct := cuttable(t)
	other := NewCluster(t, Options{})
	p.Retarget(other.Addr())
	if err := conn.Ping(t.Context()); err != nil {
		t.Errorf("a connection that was there: %v", err)
	}
	if conn, err := pgx.Connect(t.Context(), p.URL(direct)); err == nil {
		conn.Close(t.Context())
		t.Error("a new connection went to the old server, which has this password")
	}
	connect(t, p.URL(other.URL("postgres")))
	other.Stop()
	if _, err := pgx.Connect(t.Context(), p.URL(other.URL("postgres"))); err == nil {
		t.Error("a server that does not run was reached")
	}
}

// hostPort is where a connection string leads to.
func hostPort(c *pgx.ConnConfig) string { return net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))) }
