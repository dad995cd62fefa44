package postgres_test

import (
	"context"
	"errors"
	neturl "net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl/internal/pgtest"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
	"github.com/pawlauth/pawl/sqlstore/postgres"
)

// connect opens a database past the store, for what no store does.
func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.WithoutCancel(t.Context()), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// run runs statements past the store.
func run(t testing.TB, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := conn.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func TestNodesThatStartAtOnceMigrateOnce(t *testing.T) {
	url := pgtest.Database(t)
	if _, err := postgres.Open(t.Context(), postgres.Options{URL: url}); !errors.Is(err, postgres.ErrOlder) {
		t.Fatalf("Open of an empty database: %v, want ErrOlder", err)
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	var did int
	for range 8 {
		wait.Go(func() {
			from, to, err := postgres.Migrate(t.Context(), postgres.Options{URL: url})
			if err != nil {
				t.Errorf("Migrate: %v", err)
			}
			if from != to {
				mu.Lock()
				did++
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	if did != 1 {
		t.Errorf("%d of them migrated, want 1", did)
	}
	have, newest, err := postgres.Version(t.Context(), postgres.Options{URL: url})
	if err != nil || have != newest {
		t.Errorf("version %d of %d, %v", have, newest, err)
	}
	open(t, url, nil)
}

func TestStrangeSchemasAreNotTouched(t *testing.T) {
	newer := database(t)
	run(t, connect(t, newer), "INSERT INTO pawl.goose_db_version (version_id, is_applied) VALUES (1000000, true)")
	foreign := pgtest.Database(t)
	run(t, connect(t, foreign), "CREATE SCHEMA pawl", "CREATE TABLE pawl.fish (name text)")
	for url, want := range map[string]error{newer: sqlstore.ErrNewer, foreign: sqlstore.ErrForeign} {
		o := postgres.Options{URL: url}
		if _, err := postgres.Open(t.Context(), o); !errors.Is(err, want) {
			t.Errorf("Open: %v, want %v", err, want)
		}
		if _, _, err := postgres.Migrate(t.Context(), o); !errors.Is(err, want) {
			t.Errorf("Migrate: %v, want %v", err, want)
		}
	}
}

func TestOnlyUTF8IsTaken(t *testing.T) {
	url := pgtest.Database(t)
	conn := connect(t, url)
	name := conn.Config().Database + "_latin1"
	run(t, conn, "CREATE DATABASE "+name+" ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
	t.Cleanup(func() { _, _ = connect(t, url).Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)") })
	u, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	if _, _, err := postgres.Migrate(t.Context(), postgres.Options{URL: u.String()}); err == nil {
		t.Error("a schema was made in a database that is not UTF-8")
	}
}

// The roles of docs/operating.md: one that owns the schema, and one that
// serves and can neither change it nor read anything else.
//
// Rows: 197
func TestTheRoleThatServesOwnsNothing(t *testing.T) {
	admin := pgtest.Database(t)
	conn := connect(t, admin)
	suffix := conn.Config().Database
	migrator, runner := "migrate_"+suffix, "run_"+suffix
	run(t, conn,
		"CREATE ROLE "+migrator+" LOGIN PASSWORD 'm'", "CREATE ROLE "+runner+" LOGIN PASSWORD 'r'",
		"GRANT CREATE ON DATABASE "+suffix+" TO "+migrator,
		"REVOKE ALL ON SCHEMA public FROM PUBLIC")
	t.Cleanup(func() {
		drop := connect(t, admin)
		for _, role := range []string{migrator, runner} {
			_, _ = drop.Exec(context.Background(), "DROP OWNED BY "+role+" CASCADE")
			_, _ = drop.Exec(context.Background(), "DROP ROLE "+role)
		}
	})
	as := func(role, password string) string {
		u, err := neturl.Parse(admin)
		if err != nil {
			t.Fatal(err)
		}
		u.User = neturl.UserPassword(role, password)
		return u.String()
	}
	// Before there is a schema, the role that serves can neither find nor make one.
	if _, _, err := postgres.Migrate(t.Context(), postgres.Options{URL: as(runner, "r")}); err == nil {
		t.Fatal("the role that serves made the schema")
	}
	if _, _, err := postgres.Migrate(t.Context(), postgres.Options{URL: as(migrator, "m")}); err != nil {
		t.Fatalf("Migrate: %v", err)
	}
	owner := connect(t, as(migrator, "m"))
	run(t, owner,
		"GRANT USAGE ON SCHEMA pawl TO "+runner,
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pawl TO "+runner,
		"REVOKE INSERT, UPDATE, DELETE ON pawl.goose_db_version FROM "+runner,
		"ALTER DEFAULT PRIVILEGES IN SCHEMA pawl GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "+runner)

	s := open(t, as(runner, "r"), nil)
	row := newRow(time.Now())
	if err := s.Create(t.Context(), row); err != nil {
		t.Errorf("Create: %v", err)
	}
	if err := s.Replace(t.Context(), []session.Change{turn(row, time.Now())})[0]; err != nil {
		t.Errorf("Replace: %v", err)
	}
	if _, err := s.EndEveryone(t.Context(), time.Time{}, session.ReasonEveryone); err != nil {
		t.Errorf("EndEveryone: %v", err)
	}
	if _, err := s.Sweep(t.Context(), 10, time.Hour); err != nil {
		t.Errorf("Sweep: %v", err)
	}
	serving := connect(t, as(runner, "r"))
	for _, forbidden := range []string{"CREATE TABLE pawl.mine (x int)", "ALTER TABLE pawl.sessions ADD x int", "DROP TABLE pawl.sessions",
		"TRUNCATE pawl.sessions", "UPDATE pawl.goose_db_version SET version_id = 7", "CREATE SCHEMA mine"} {
		if _, err := serving.Exec(t.Context(), forbidden); err == nil {
			t.Errorf("the role that serves may %s", forbidden)
		}
	}
}
