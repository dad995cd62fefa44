//go:build linux || darwin

package pgtest

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// connect opens a connection that ends with the test.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func want(t *testing.T, got, want, what string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestDatabasesAreApart(t *testing.T) {
	for _, name := range []string{"one", "two"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := connect(t, Database(t))
			if _, err := conn.Exec(t.Context(), "CREATE TABLE mine AS SELECT 1"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDatabaseIsDroppedWithItsConnections(t *testing.T) {
	var url string
	var open *pgx.Conn
	t.Run("user", func(t *testing.T) {
		url = Database(t)
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		open = conn
	})
	defer open.Close(t.Context())
	if err := open.Ping(t.Context()); err == nil {
		t.Error("a connection outlived its test")
	}
	if _, err := pgx.Connect(t.Context(), url); err == nil {
		t.Error("the database outlived its test")
	}
}

func TestGivenServerIsUsed(t *testing.T) {
	c := NewCluster(t, Options{})
	t.Setenv(serverVariable, c.URL("postgres"))
	conn := connect(t, Database(t))
	var port string
	if err := conn.QueryRow(t.Context(), "SELECT current_setting('port')").Scan(&port); err != nil {
		t.Fatal(err)
	}
	want(t, net.JoinHostPort("127.0.0.1", port), c.Addr(), "the server")
}

func TestKilledServerKeepsWhatWasCommitted(t *testing.T) {
	c := NewCluster(t, Options{Settings: map[string]string{"cluster_name": "it's"}})
	want(t, c.Exec("postgres", "SHOW cluster_name"), "it's", "a setting")
	want(t, c.Exec("postgres", "SHOW fsync"), "on", "fsync")
	c.Exec("postgres", "CREATE TABLE kept (n int)")
	open := connect(t, c.URL("postgres"))
	if _, err := open.Exec(t.Context(), "BEGIN; INSERT INTO kept VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	c.Exec("postgres", "INSERT INTO kept VALUES (2)")
	before := c.URL("postgres")
	c.Kill()
	if left := processes(c.server.dir); len(left) > 0 {
		t.Errorf("processes %v outlived the kill", left)
	}
	if err := open.Ping(t.Context()); err == nil {
		t.Error("a connection outlived the kill")
	}
	c.Start()
	want(t, c.URL("postgres"), before, "the URL after the restart")
	want(t, c.Exec("postgres", "SELECT string_agg(n::text, ',') FROM kept"), "2", "rows")
	if !strings.Contains(c.LogTail(), "redo") {
		t.Error("the log tells of no recovery, so it was no crash")
	}
}

func TestStoppedServerStartsAgain(t *testing.T) {
	c := NewCluster(t, Options{OnDisk: true})
	c.Exec("postgres", "CREATE DATABASE other")
	c.Stop()
	c.Stop() // again is no error
	if _, err := net.Dial("tcp", c.Addr()); err == nil {
		t.Error("the port is still served")
	}
	c.Start()
	want(t, c.Exec("other", "SELECT current_database()"), "other", "a database")
	conn := connect(t, c.SocketURL("other"))
	if err := conn.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPausedServerDoesNotAnswer(t *testing.T) {
	c := NewCluster(t, Options{})
	conn := connect(t, c.URL("postgres"))
	c.Pause()
	answered := make(chan error, 1)
	go func() { answered <- conn.Ping(t.Context()) }()
	if _, err := execute(c.URL("postgres"), 300*time.Millisecond, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a new connection: %v, want a deadline exceeded", err)
	}
	select {
	case err := <-answered:
		t.Errorf("a paused server answers: %v", err)
	default:
	}
	c.Resume()
	if err := <-answered; err != nil {
		t.Errorf("after the pause: %v", err)
	}
	c.Pause() // and so it is removed
}

func TestPromotedStandbyHasWhatReachedIt(t *testing.T) {
	primary := NewCluster(t, Options{})
	primary.Exec("postgres", "CREATE TABLE writes AS SELECT 1 AS n")
	standby := primary.Standby()
	primary.Exec("postgres", "INSERT INTO writes VALUES (2)")
	standby.CatchUp()
	want(t, standby.Exec("postgres", "SELECT max(n) FROM writes"), "2", "the standby")

	standby.Detach()
	primary.Exec("postgres", "INSERT INTO writes VALUES (3)")
	primary.Kill()
	standby.Promote()
	want(t, standby.Exec("postgres", "SELECT max(n) FROM writes"), "2", "after the promotion")
	standby.Exec("postgres", "INSERT INTO writes VALUES (4)")

	second := standby.Standby()
	second.CatchUp()
	standby.Kill()
	second.Promote()
	want(t, second.Exec("postgres", "SELECT string_agg(n::text, ',' ORDER BY n) FROM writes"), "1,2,4", "after a promotion with everything there")
}

func TestRestoreReplacesADatabase(t *testing.T) {
	c := NewCluster(t, Options{})
	c.Exec("postgres", `CREATE DATABASE "it's"`)
	c.Exec("it's", "CREATE TABLE t AS SELECT 1 AS n")
	file := filepath.Join(t.TempDir(), "dump")
	c.Dump("it's", file)
	c.Exec("it's", "UPDATE t SET n = 2; CREATE TABLE later ()")
	open := connect(t, c.URL("it's"))
	c.Restore("it's", file)
	if err := open.Ping(t.Context()); err == nil {
		t.Error("a connection outlived its database")
	}
	want(t, c.Exec("it's", "SELECT n FROM t"), "1", "the row")
	want(t, c.Exec("it's", "SELECT to_regclass('later') IS NULL"), "t", "the later table is gone")
	c.Restore("elsewhere", file)
	want(t, c.Exec("elsewhere", "SELECT n FROM t"), "1", "the row elsewhere")
}

func TestTLSIsOfTheAuthority(t *testing.T) {
	c := NewCluster(t, Options{TLS: true})
	want(t, c.Exec("postgres", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"), "t", "TLS")
	config, err := pgx.ParseConfig(c.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	config.TLSConfig = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	if _, err := pgx.ConnectConfig(t.Context(), config); err == nil {
		t.Error("a client that knows no authority was content")
	}
	pem, err := os.ReadFile(c.CAFile())
	if err != nil || !config.TLSConfig.RootCAs.AppendCertsFromPEM(pem) {
		t.Fatalf("%s: %v", c.CAFile(), err)
	}
	if conn, err := pgx.ConnectConfig(t.Context(), config); err != nil {
		t.Errorf("as localhost: %v", err)
	} else {
		conn.Close(t.Context())
	}
	standby := c.Standby()
	standby.CatchUp()
	want(t, c.Exec("postgres", "SELECT s.ssl FROM pg_stat_ssl s JOIN pg_stat_replication USING (pid)"), "t", "the standby's TLS")
}

// Somebody who is killed leaves no process and no file, even of a server that
// cannot hear it.
func TestNothingOutlivesAKilledTest(t *testing.T) {
	need(t)
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), victimVariable+"=1")
	victim.Stderr = os.Stderr
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	dir, err := bufio.NewReader(out).ReadString('\n')
	dir = filepath.Dir(strings.TrimSuffix(dir, "\n"))
	if err != nil || !strings.HasPrefix(filepath.Base(dir), "pawl-pg-") {
		t.Errorf("the victim says %q: %v", dir, err)
	} else if len(processes(dir)) < 3 {
		t.Error("the victim runs no server")
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	victim.Wait()
	err = await(func() bool {
		_, err := os.Stat(dir)
		return errors.Is(err, os.ErrNotExist)
	})
	if err != nil || len(processes(dir)) > 0 {
		t.Errorf("%s: %v; processes %v", dir, err, processes(dir))
	}
}
