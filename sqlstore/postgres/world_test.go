package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/pgtest"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/storetest"
	"github.com/pawlauth/pawl/sqlstore/postgres"
)

var migrated = pgtest.Template{Fill: func(url string) error {
	_, _, err := postgres.Migrate(context.Background(), postgres.Options{URL: url})
	return err
}}

// database returns the URL of a database of its own with the schema.
func database(t testing.TB) string {
	t.Helper()
	return migrated.Database(t)
}

// open opens a database and closes it at the end of the test. A nil clock is
// that of the database.
func open(t testing.TB, url string, now func() time.Time) *postgres.Store {
	t.Helper()
	return openAs(t, postgres.Options{URL: url, Now: now})
}

func openAs(t testing.TB, o postgres.Options) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// An opener is [open], or opens the same as if it were sharded.
type opener = func(t testing.TB, url string, now func() time.Time) *postgres.Store

func openSharded(t testing.TB, url string, now func() time.Time) *postgres.Store {
	t.Helper()
	return openAs(t, postgres.Options{URL: url, Sharded: true, Now: now})
}

// eachForm runs a test with each form in which sessions are changed: many in
// one statement, and each in its own.
func eachForm(t *testing.T, test func(t *testing.T, open opener)) {
	t.Run("Together", func(t *testing.T) { test(t, open) })
	t.Run("Sharded", func(t *testing.T) { test(t, openSharded) })
}

// Rows: 94, 114, 119, 252, A39, A96.
func TestStoreKeepsTheContractOfSessions(t *testing.T) {
	eachForm(t, func(t *testing.T, open opener) { keepsTheContract(t, database, open) })
}

func keepsTheContract(t *testing.T, database func(testing.TB) string, open opener) {
	urls := make(map[session.Store]string)
	storetest.Run(t, storetest.Maker{
		Open: func(t *testing.T, now func() time.Time) session.Store {
			url := database(t)
			s := open(t, url, now)
			urls[s] = url
			return s
		},
		Again: func(t *testing.T, first session.Store, now func() time.Time) session.Store {
			return open(t, urls[first], now)
		},
	})
}
