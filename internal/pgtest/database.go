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
	return database(t, administration(t), "TEMPLATE template0 ENCODING 'UTF8'")
}

// A Template is what many databases of a process are copies of: filling one is
// slower than copying it. It may be used concurrently.
type Template struct {
	Fill func(url string) error // called once for a server of our own

	once sync.Once
	name string // set within once
	err  error  // likewise
}

// Database returns the URL of a database as [Database] does, filled.
func (p *Template) Database(t testing.TB) string {
	t.Helper()
	admin := administration(t)
	if os.Getenv(serverVariable) != "" { // which is not left with a template
		url := Database(t)
		if err := p.Fill(url); err != nil {
			t.Fatal(err)
		}
		return url
	}
	p.once.Do(func() {
		p.name = "template_" + strings.ToLower(rand.Text())
		if _, p.err = execute(admin, patience, "CREATE DATABASE "+p.name+" TEMPLATE template0 ENCODING 'UTF8'"); p.err == nil {
			p.err = p.Fill(named(admin, p.name))
		}
	})
	if p.err != nil {
		t.Fatalf("making a template: %v", p.err)
	}
	return database(t, admin, "TEMPLATE "+p.name)
}

// administration returns the URL of the server on which databases are created.
func administration(t testing.TB) string {
	t.Helper()
	if admin := os.Getenv(serverVariable); admin != "" {
		if _, err := url.Parse(admin); err != nil {
			t.Fatalf("%s is not a URL", serverVariable) // the error would show its password
		}
		return admin
	}
	need(t)
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return s.url("postgres")
}

// named returns the URL of another database on the same server.
func named(admin, name string) string {
	u, err := url.Parse(admin)
	if err != nil {
		panic("a URL that was parsed cannot be parsed")
	}
	u.Path = "/" + name
	return u.String()
}

// database creates a database and drops it at the end of the test.
func database(t testing.TB, admin, how string) string {
	t.Helper()
	name := "pawl_test_" + strings.ToLower(rand.Text())
	if _, err := execute(admin, patience, "CREATE DATABASE "+name+" "+how); err != nil {
		t.Fatalf("creating a database: %v", err)
	}
	t.Cleanup(func() {
		if _, err := execute(admin, patience, fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name)); err != nil {
			t.Errorf("dropping the database: %v", err)
		}
	})
	return named(admin, name)
}
