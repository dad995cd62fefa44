//go:build linux || darwin

package pgtest

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Options are what a cluster can differ in.
type Options struct {
	_ struct{}

	// Settings are lines of postgresql.conf. Without any, a cluster is as
	// durable as PostgreSQL is when installed.
	Settings map[string]string

	// TLS makes the server speak TLS, with a certificate for 127.0.0.1 and
	// localhost of an authority of its own, and makes URL insist on it. The
	// server still takes connections without.
	TLS bool

	// OnDisk keeps the files in the folder for temporary files, for those who
	// measure. Otherwise they are in memory where there is room, and a commit
	// waits for no disk.
	OnDisk bool
}

// A Cluster is a PostgreSQL server of one test. Failures of its methods end
// the test, so that they must be called from the test's goroutine; URL,
// SocketURL, Addr, CAFile and LogTail may be called from any.
type Cluster struct {
	t        testing.TB
	server   *server
	disk     bool
	upstream *Cluster // whom a standby follows
}

// NewCluster makes a cluster and starts it. At the end of the test it is
// killed and removed.
func NewCluster(t testing.TB, o Options) *Cluster {
	t.Helper()
	c := newCluster(t, need(t), o.OnDisk)
	c.must(c.server.create(o.Settings, o.TLS))
	c.Start()
	return c
}

func newCluster(t testing.TB, i installation, disk bool) *Cluster {
	t.Helper()
	s, err := newServer(i, disk)
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{t: t, server: s, disk: disk}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log of PostgreSQL ends:\n%s", c.LogTail())
		}
		if err := errors.Join(remove(s.dir), await(s.ended)); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (c *Cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// URL addresses a database over TCP, as the superuser. It stays the same when
// the server is started again. The database "postgres" is always there.
func (c *Cluster) URL(db string) string { return c.server.url(db) }

// SocketURL is URL over the server's Unix socket.
func (c *Cluster) SocketURL(db string) string {
	q := url.Values{"host": {c.server.dir}, "port": {fmt.Sprint(c.server.port)}}
	u := url.URL{Scheme: "postgres", User: url.UserPassword("postgres", c.server.password), Path: "/" + db, RawQuery: q.Encode()}
	return u.String()
}

// Addr is the host and port, as [NewProxy] wants them.
func (c *Cluster) Addr() string { return c.server.addr() }

// CAFile is the file of the authority that certifies the server; empty without
// [Options.TLS].
func (c *Cluster) CAFile() string { return c.server.ca }

// Start starts the server after Stop or Kill, and returns when it answers: its
// recovery is over then.
func (c *Cluster) Start() {
	c.t.Helper()
	c.must(c.server.start())
}

// Stop shuts the server down in order, without waiting for its clients
// (PostgreSQL's "fast"), and returns when it has ended.
func (c *Cluster) Stop() {
	c.t.Helper()
	c.must(c.server.stop())
}

// Kill ends all processes of the server at once and returns when they are
// gone. What the kernel was given survives, synced or not: a power cut takes
// more.
func (c *Cluster) Kill() {
	c.t.Helper()
	c.must(c.server.kill())
}

// Pause freezes all processes of the server, and returns when they are frozen.
// Connections stay open and are still accepted, by the kernel; nothing answers.
func (c *Cluster) Pause() {
	c.t.Helper()
	frozen, err := freeze(c.server.dir)
	c.must(err)
	if len(frozen) == 0 {
		c.t.Fatal("freezing PostgreSQL: it does not run")
	}
}

// Resume ends a pause.
func (c *Cluster) Resume() {
	c.t.Helper()
	if len(signal(c.server.dir, syscall.SIGCONT)) == 0 {
		c.t.Fatal("resuming PostgreSQL: it does not run")
	}
}

// Exec runs SQL, which may be several statements, as the superuser, and
// returns the first column of the last row as text, empty if there is none.
func (c *Cluster) Exec(db, sql string) string {
	c.t.Helper()
	value, err := execute(c.URL(db), patience, sql)
	if err != nil {
		c.t.Fatalf("%s: %v", sql, err)
	}
	return value
}

// Standby makes and starts a copy of the server that follows it, asynchronously,
// and answers what only reads.
func (c *Cluster) Standby() *Cluster {
	c.t.Helper()
	to := newCluster(c.t, c.server.installation, c.disk)
	to.upstream, to.server.password, to.server.ca = c, c.server.password, c.server.ca
	c.must(to.server.run("pg_basebackup", "-D", to.server.data(), "-d", c.URL("postgres"), "-c", "fast", "-X", "stream", "-R", "--no-sync"))
	to.Start()
	return to
}

// CatchUp waits until a standby has all that its primary has written so far.
func (c *Cluster) CatchUp() {
	c.t.Helper()
	// A commit that is flushed here, and waited for nowhere else, flushes all before it.
	c.upstream.Exec("postgres", "SET synchronous_commit = local; SELECT pg_logical_emit_message(true, '', '')")
	written := c.upstream.Exec("postgres", "SELECT pg_current_wal_flush_lsn()")
	c.until(fmt.Sprintf("SELECT pg_last_wal_replay_lsn() >= '%s'", written))
}

// Detach makes a standby deaf to its primary: it keeps what it has and gets
// nothing more. It returns when the stream has ended.
func (c *Cluster) Detach() {
	c.t.Helper()
	c.Exec("postgres", "ALTER SYSTEM SET primary_conninfo = ''")
	c.Exec("postgres", "SELECT pg_reload_conf()")
	c.until("SELECT count(*) = 0 FROM pg_stat_wal_receiver")
}

// Promote makes a standby a primary, and returns when it takes writes. What it
// had not received is lost. The old primary is not told: stop or kill it first,
// or there are two.
func (c *Cluster) Promote() {
	c.t.Helper()
	c.Exec("postgres", "SELECT pg_promote(true, 30)")
	c.until("SELECT NOT pg_is_in_recovery()")
	c.upstream = nil
}

// until waits for a query to become true.
func (c *Cluster) until(query string) {
	c.t.Helper()
	if err := await(func() bool { return c.Exec("postgres", query) == "t" }); err != nil {
		c.t.Fatalf("waiting for %s: %v", query, err)
	}
}

// Dump writes a database to a file, in pg_dump's own format.
func (c *Cluster) Dump(db, file string) {
	c.t.Helper()
	c.must(c.tool("pg_dump", "-Fc", "-f", file, "-d", c.URL(db)))
}

// Restore puts what Dump wrote in the place of a database, which need not be
// there. Whoever is connected to it is sent away.
func (c *Cluster) Restore(db, file string) {
	c.t.Helper()
	name := pgx.Identifier{db}.Sanitize()
	c.Exec("template1", "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	c.Exec("template1", "CREATE DATABASE "+name+" TEMPLATE template0")
	c.must(c.tool("pg_restore", "--exit-on-error", "-d", c.URL(db), file))
}

// tool runs a client program as whoever runs the tests, so that it reaches
// the test's files.
func (c *Cluster) tool(name string, args ...string) error {
	cmd := exec.Command(filepath.Join(c.server.bin, name), args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	return finish(cmd)
}

// LogTail is the end of what the server has written to its log, at most 8 KiB.
func (c *Cluster) LogTail() string { return c.server.logFrom(0) }
