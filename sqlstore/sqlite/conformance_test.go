package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/account/accounttest"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/storetest"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
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

// Rows: 94, 114, 119, 252, A39, A96.
func TestStoreKeepsTheContractOfSessions(t *testing.T) {
	paths := make(map[session.Store]string)
	storetest.Run(t, storetest.Maker{
		Open: func(t *testing.T, now func() time.Time) session.Store {
			path := newPath(t)
			s := open(t, path, now)
			paths[s] = path
			return s
		},
		Again: func(t *testing.T, first session.Store, now func() time.Time) session.Store {
			return open(t, paths[first], now)
		},
	})
}

func TestStoreKeepsTheContractOfUsers(t *testing.T) {
	accounttest.Run(t, func(t *testing.T) account.Store { return open(t, newPath(t), time.Now) })
}
