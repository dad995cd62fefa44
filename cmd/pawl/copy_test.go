package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/internal/pgtest"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// slow makes every page of sessions that is copied take half a second; fast
// ends that.
const (
	slow = `CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END';
		CREATE TRIGGER hold AFTER INSERT ON pawl.sessions FOR EACH STATEMENT EXECUTE FUNCTION public.hold()`
	fast = `DROP TRIGGER hold ON pawl.sessions; DROP FUNCTION public.hold()`
)

// tried runs a command that may fail, and returns what it printed.
func tried(t *testing.T, args ...string) (out, errOut string, ok bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var a, b bytes.Buffer
	cmd := exec.CommandContext(ctx, "pawl", args...)
	cmd.Stdout, cmd.Stderr = &a, &b
	err := cmd.Run()
	if exit, failed := errors.AsType[*exec.ExitError](err); err != nil && (!failed || exit.ExitCode() != exitFault) {
		t.Fatalf("pawl %s: %v\n%s%s", strings.Join(args, " "), err, a.String(), b.String())
	}
	return a.String(), b.String(), err == nil
}

// number asks a database for one.
func number(t *testing.T, at, query string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// mustExecute runs SQL.
func mustExecute(t *testing.T, at, statement string) {
	t.Helper()
	if err := execute(at, statement); err != nil {
		t.Fatal(err)
	}
}

// notServed holds if nothing is served from a database into which the copy is
// not complete.
func notServed(t *testing.T, at, data string) {
	t.Helper()
	for _, args := range [][]string{
		{"serve", "--dev", "--listen", "localhost:0", "--ops-listen", "localhost:0", "--origin", "http://localhost:8080"},
		{"user", "list"}, {"user", "add", "eve"}, {"session", "list"}, {"fsck"}, {"fence", "--yes"}, {"service", "list"},
	} {
		if out, errOut, ok := tried(t, append(args, "--store", at, "--data", data)...); ok || !strings.Contains(errOut, "pawl store copy") {
			t.Errorf("pawl %s on half a copy: %t\n%s%s", args[0], ok, out, errOut)
		}
	}
}

// What a file holds goes on from a PostgreSQL: tokens that were issued before,
// passwords, credentials of services, ended sessions. A database that is in use
// is left alone.
//
// Rows: 118, A45
func TestFileIsMovedToPostgreSQL(t *testing.T) {
	to, occupied := pgtest.Database(t), pgtest.Database(t)
	data := filepath.Join(t.TempDir(), "data")
	port := freePort(t)
	file := serveAt(t, port, data)
	password := file.password
	first, second, ended := file.login("demo", password), file.login("demo", password), file.login("demo", password)
	if a := file.must("POST", "/auth/logout", "", "", "Authorization", "Bearer "+ended.text("access_token")); a.status != 204 {
		t.Fatalf("sign-out: %d", a.status)
	}
	secret := regexp.MustCompile(`pawl_sk_\S+`).FindString(file.pawl("service", "add", "shop", "--scope", "events:read"))
	if err := file.stop(); err != nil {
		t.Fatal(err)
	}

	command(t, "user", "add", "grace", "--store", occupied, "--data", filepath.Join(t.TempDir(), "other"))
	if _, errOut, ok := tried(t, "store", "copy", data, occupied); ok || !strings.Contains(errOut, "never used") {
		t.Errorf("into a database that is in use: %t\n%s", ok, errOut)
	}
	if n := number(t, occupied, `SELECT count(*) FROM pawl.users WHERE name <> 'grace'`); n != 0 {
		t.Errorf("%d users came into a database that is in use", n)
	}
	if _, errOut, ok := tried(t, "store", "copy", filepath.Join(t.TempDir(), "nothing"), to); ok || !strings.Contains(errOut, "no Pawl data here") {
		t.Errorf("from nothing: %t\n%s", ok, errOut)
	}

	out, errOut, ok := tried(t, "store", "copy", data, to)
	if !ok || !strings.Contains(out, "no fault") || !strings.Contains(out, "copied") || !strings.Contains(errOut, "3 of 3\n") {
		t.Fatalf("copy: %t\n%s%s", ok, out, errOut)
	}
	if strings.Contains(out+errOut, "\r") {
		t.Error("a bar is drawn where there is no terminal")
	}
	if _, errOut, ok := tried(t, "store", "copy", data, to); ok || !strings.Contains(errOut, "never used") {
		t.Errorf("once more: %t\n%s", ok, errOut)
	}

	shared := serveAt(t, port, data, "--store", to)
	for name, a := range map[string]answer{"first": first, "second": second} {
		if got := shared.session(a.text("access_token")); got.status != 200 {
			t.Errorf("the %s access token: %d", name, got.status)
		}
		renewed := shared.renew(a.text("refresh_token"))
		if renewed.status != 200 || shared.session(renewed.text("access_token")).status != 200 {
			t.Errorf("the %s session renews: %d %s", name, renewed.status, renewed.raw)
		}
	}
	if got := shared.renew(ended.text("refresh_token")); got.status != 400 {
		t.Errorf("a session that had ended renews: %d", got.status)
	}
	if got := shared.session(ended.text("access_token")); got.status != 401 {
		t.Errorf("a session that had ended is let in: %d", got.status)
	}
	if got := shared.login("demo", password); got.status != 200 {
		t.Errorf("the password: %d", got.status)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", shared.ops+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("shop", secret)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("the service: %s", resp.Status)
	}
	command(t, "fsck", "--store", to, "--data", data)
}

// A copy that was killed goes on where it was; until it has got to its end,
// nothing is served from it.
//
// Rows: A96
func TestKilledCopyGoesOn(t *testing.T) {
	const sessions = 3500
	to := pgtest.Database(t)
	dir := filepath.Join(t.TempDir(), "data")
	data, err := pawl.OpenData(t.Context(), pawl.Place{Directory: dir}, true)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, data, sessions)
	if err := data.Close(); err != nil {
		t.Fatal(err)
	}
	command(t, "migrate", "up", "--store", to)
	mustExecute(t, to, slow)

	killed := exec.Command("pawl", "store", "copy", dir, to)
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	defer killed.Process.Kill()
	eventually(t, 30*time.Second, "a page of sessions is copied", func() bool { return number(t, to, `SELECT count(*) FROM pawl.sessions`) > 0 })
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed.Wait()
	// What the database was told before is still done.
	eventually(t, 10*time.Second, "the copy has gone", func() bool {
		return number(t, to, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`) == 0
	})
	if n := number(t, to, `SELECT count(*) FROM pawl.sessions`); n == 0 || n >= sessions {
		t.Fatalf("killed after %d of %d", n, sessions)
	}
	notServed(t, to, dir)

	mustExecute(t, to, fast)
	if out, errOut, ok := tried(t, "store", "copy", dir, to); !ok || !strings.Contains(errOut, fmt.Sprintf("%[1]d of %[1]d\n", sessions)) {
		t.Fatalf("it does not go on: %s%s", out, errOut)
	}
	if n := number(t, to, `SELECT count(*) FROM pawl.sessions`); n != sessions {
		t.Errorf("%d sessions of %d", n, sessions)
	}
	command(t, "fsck", "--store", to, "--data", dir)
	command(t, "key", "rotate", "--store", to, "--data", dir)
}

// fill stores sessions.
func fill(t *testing.T, data *pawl.Data, sessions int) {
	t.Helper()
	now := time.Now().UTC()
	var wait sync.WaitGroup
	for i := range 50 {
		wait.Go(func() {
			for n := i; n < sessions; n += 50 {
				err := data.Store.Create(t.Context(), session.Row{ID: token.NewID(), Salt: token.Salt{1, byte(n), byte(n >> 8)}, Key: data.Master.Current(), UserID: fmt.Sprint("u_", n%100),
					ClientID: "web", Audience: "https://app.example.com", Generation: 1, RotatedAt: now, CreatedAt: now, AuthTime: now, Methods: []string{"pwd"},
					AbsoluteEnd: now.Add(90 * 24 * time.Hour), IdleLimit: 14 * 24 * time.Hour, Transport: session.Cookie, LastSeen: now.Truncate(time.Hour)})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
}

// A server that has the file open, even one that has nothing to do, is noticed
// before anything is copied, and is not disturbed.
//
// Rows: A96
func TestCopyNoticesThatTheFileIsInUse(t *testing.T) {
	to := pgtest.Database(t)
	data := filepath.Join(t.TempDir(), "data")
	file := serve(t, data, "--strict")
	tokens := file.login("demo", file.password).text("refresh_token")
	command(t, "migrate", "up", "--store", to)
	if _, errOut, ok := tried(t, "store", "copy", data, to); ok || !strings.Contains(errOut, "has the database open") {
		t.Errorf("a copy of a file in use: %t\n%s", ok, errOut)
	}
	if n := number(t, to, `SELECT count(*) FROM pawl.users`); n != 0 {
		t.Errorf("%d users were copied", n)
	}
	if a := file.renew(tokens); a.status != 200 {
		t.Errorf("the session at the file: %d", a.status)
	}
	if err := file.stop(); err != nil {
		t.Fatal(err)
	}
	if out, errOut, ok := tried(t, "store", "copy", data, to); !ok {
		t.Errorf("a copy of a file that nobody uses: %s%s", out, errOut)
	}
}
