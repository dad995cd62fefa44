//go:build linux || darwin

package pgtest

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
)

// serverVariable names a server on which databases may be created.
const serverVariable = "PAWL_TEST_POSTGRES"

// quick gives up what only matters after a crash.
var quick = map[string]string{
	"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "wal_level": "minimal", "max_wal_senders": "0",
	"max_wal_size": "64MB", "autovacuum_naptime": "1h", "max_connections": "200",
}

// shared is the server of all tests of this binary; its guard ends it.
var shared = sync.OnceValues(func() (*server, error) {
	found, err := findInstallation()
	if err != nil {
		return nil, err
	}
	s, err := newServer(found, false)
	if err != nil {
		return nil, err
	}
	if err := s.create(quick, false); err != nil {
		return nil, err
	}
	return s, s.start()
})

// Database returns the URL of an empty database that is the test's alone, and
// is dropped at its end together with the connections it still has. Its
// encoding is UTF-8. Its user may do everything on an own server, and what it
// may do on the one of PAWL_TEST_POSTGRES.
//
// Tests may call it concurrently. It takes some tens of milliseconds, and at
// the first call of a process about a second.
func Database(t testing.TB) string {
	t.Helper()
	admin := os.Getenv(serverVariable)
	if admin == "" {
		need(t)
		s, err := shared()
		if err != nil {
			t.Fatal(err)
		}
		admin = s.url("postgres")
	}
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatalf("%s is not a URL", serverVariable) // the error would show its password
	}
	name := "pawl_test_" + strings.ToLower(rand.Text())
	if _, err := execute(admin, patience, fmt.Sprintf("CREATE DATABASE %s TEMPLATE template0 ENCODING 'UTF8'", name)); err != nil {
		t.Fatalf("creating a database: %v", err)
	}
	t.Cleanup(func() {
		if _, err := execute(admin, patience, fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name)); err != nil {
			t.Errorf("dropping the database: %v", err)
		}
	})
	u.Path = "/" + name
	return u.String()
}
