package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/account/accounttest"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/service/servicetest"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/storetest"
	"github.com/pawlauth/pawl/sqlstore"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
	"github.com/pawlauth/pawl/sqlstore/sqlstoretest"
)

// newPath returns where a database can be made.
func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "pawl.db") }

// open opens a database and closes it at the end of the test.
func open(t testing.TB, path string, now func() time.Time) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Now: now})
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

// maker makes stores, and opens their files again.
func maker() sqlstoretest.Maker {
	paths := make(map[sqlstore.Store]string)
	return sqlstoretest.Maker{
		Open: func(t *testing.T, now func() time.Time) sqlstore.Store {
			path := newPath(t)
			s := open(t, path, now)
			paths[s] = path
			return s
		},
		Again: func(t *testing.T, first sqlstore.Store, now func() time.Time) sqlstore.Store {
			return open(t, paths[first], now)
		},
	}
}

// Rows: 94, 114, 119, 143, 252, A39, A96.
func TestStoreKeepsTheContractOfSessions(t *testing.T) {
	m := maker()
	storetest.Run(t, storetest.Maker{
		Open: func(t *testing.T, now func() time.Time) session.Store { return m.Open(t, now) },
		Again: func(t *testing.T, first session.Store, now func() time.Time) session.Store {
			return m.Again(t, first.(sqlstore.Store), now)
		},
	})
}

func TestStoreKeepsTheContractOfServices(t *testing.T) {
	servicetest.Run(t, func(t *testing.T) service.Store { return open(t, newPath(t), time.Now) })
	t.Run("Contention", func(t *testing.T) {
		path := newPath(t)
		servicetest.Contend(t, open(t, path, time.Now), open(t, path, time.Now))
	})
}

func TestStoreKeepsTheContractOfUsers(t *testing.T) {
	accounttest.Run(t, func(t *testing.T) account.Store { return open(t, newPath(t), time.Now) })
}

// Rows: 169, 237, 243, A83.
func TestStoreKeepsTheContractOfSQLStores(t *testing.T) { sqlstoretest.Run(t, maker()) }
