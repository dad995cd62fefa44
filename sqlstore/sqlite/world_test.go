package sqlite_test

import (
	"crypto/rand"
	"database/sql"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
	"github.com/pawlauth/pawl/token"
)

// newRow returns a session as an engine makes it.
func newRow(now time.Time) session.Row {
	row := session.Row{
		ID: token.NewID(), Key: token.KeyID{1, 2, 3, 4}, UserID: "u_alice", ClientID: "web", Audience: "https://api.example",
		Scope: "openid", Generation: 1, RotatedAt: now, CreatedAt: now, AuthTime: now, Methods: []string{"pwd"},
		AbsoluteEnd: now.Add(90 * 24 * time.Hour), IdleLimit: 14 * 24 * time.Hour, Transport: session.Cookie,
		UserAgent: "agent", Address: "192.0.2.0/24", LastSeen: now.UTC().Truncate(time.Hour),
	}
	rand.Read(row.Salt[:])
	return row
}

// turn is the change that an engine makes of a row when it turns now.
func turn(row session.Row, now time.Time) session.Change {
	return session.Change{ID: row.ID, From: row.Generation, Generation: row.Generation + 1, RotatedAt: now, PriorUsedAt: now,
		LastSeen: now.UTC().Truncate(time.Hour)}
}

// create stores a row and returns it.
func create(t testing.TB, s *sqlite.Store) session.Row {
	t.Helper()
	row := newRow(time.Now())
	if err := s.Create(t.Context(), row); err != nil {
		t.Fatalf("Create: %v", err)
	}
	return row
}

// load returns a row that must be there.
func load(t testing.TB, s *sqlite.Store, id session.ID) session.Row {
	t.Helper()
	rows, _, err := s.Load(t.Context(), []session.ID{id})
	if err != nil || len(rows) != 1 {
		t.Fatalf("Load: %d rows, %v; want one", len(rows), err)
	}
	return rows[0]
}

// replace applies one change.
func replace(t testing.TB, s *sqlite.Store, c session.Change) error {
	t.Helper()
	return s.Replace(t.Context(), []session.Change{c})[0]
}

// raw opens the database past the store, for what no store does.
func raw(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", sqlite.DSN(path))
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

// run runs statements past the store.
func run(t testing.TB, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// sound fails the test if a check of the store finds a fault.
func sound(t testing.TB, s *sqlite.Store) sqlstore.Report {
	t.Helper()
	report, err := s.Fsck(t.Context())
	if err != nil {
		t.Fatalf("Fsck: %v", err)
	}
	if len(report.Faults) > 0 {
		t.Fatalf("not sound: %v", report)
	}
	return report
}

// until polls for what another goroutine brings about.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
