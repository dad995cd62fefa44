package postgres_test

import (
	"errors"
	neturl "net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pawlauth/pawl/internal/pgtest"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore/postgres"
)

// pair returns a primary with a database of ours, and a standby that has it.
func pair(t testing.TB) (primary, standby *pgtest.Cluster) {
	t.Helper()
	primary = pgtest.NewCluster(t, pgtest.Options{})
	primary.Exec("postgres", "CREATE DATABASE pawl")
	if _, _, err := postgres.Migrate(t.Context(), postgres.Options{URL: primary.URL("pawl")}); err != nil {
		t.Fatal(err)
	}
	standby = primary.Standby()
	standby.CatchUp()
	return primary, standby
}

// with adds a setting to a URL.
func with(t testing.TB, url, name, value string) string {
	t.Helper()
	u, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String()
}

// A server that takes no writes does not know what has ended: nobody takes it
// for the store, wherever the URL leads.
//
// Rows: 198, 252
func TestAStandbyIsNoStore(t *testing.T) {
	primary, standby := pair(t)
	if s, err := postgres.Open(t.Context(), postgres.Options{URL: standby.URL("pawl")}); !errors.Is(err, pgconn.ErrReadOnlyConnection) {
		t.Errorf("Open of a standby: %v", err)
		if err == nil {
			s.Close()
		}
	}
	s := open(t, strings.Replace(primary.URL("pawl"), primary.Addr(), standby.Addr()+","+primary.Addr(), 1), nil)
	create(t, s, 1)

	// Even who is told to take any server is not told that nothing has ended.
	lagging := open(t, with(t, standby.URL("pawl"), "target_session_attrs", "any"), nil)
	if told, err := lagging.Ended(t.Context(), time.Hour); err == nil {
		t.Errorf("a standby tells that %d sessions ended, by the clock %v", len(told.Sessions), told.Now)
	}
}

// A listener does not listen where nobody can end anything.
func TestTheListenerTakesNoStandby(t *testing.T) {
	primary, standby := pair(t)
	proxy := pgtest.NewProxy(t, primary.Addr())
	s := open(t, proxy.URL(primary.URL("pawl")), nil)
	proxy.Retarget(standby.Addr())
	if err := s.Wake(t.Context(), func() { t.Error("woken by a standby") }); !errors.Is(err, pgconn.ErrReadOnlyConnection) {
		t.Errorf("Wake: %v", err)
	}
}

// A primary that was demoted keeps the connections there are. They are given
// up: calls find the new primary, and until there is one, none of them says
// that nothing has ended.
//
// Rows: 198, 252
func TestADemotedPrimaryIsLeft(t *testing.T) {
	primary, standby := pair(t)
	proxy := pgtest.NewProxy(t, primary.Addr())
	url := proxy.URL(primary.URL("pawl"))
	reader, writer := open(t, url, nil), open(t, url, nil)
	row := create(t, writer, 1)[0]
	standby.CatchUp()
	if _, err := reader.Ended(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	witness := connect(t, primary.URL("pawl"))
	primary.Exec("postgres", "ALTER SYSTEM SET default_transaction_read_only = on")
	primary.Exec("postgres", "SELECT pg_reload_conf()")
	until(t, "the old primary takes no writes", func() (demoted bool) {
		if err := witness.QueryRow(t.Context(), "SELECT current_setting('default_transaction_read_only') = 'on'").Scan(&demoted); err != nil {
			t.Fatal(err)
		}
		return demoted
	})
	if told, err := reader.Ended(t.Context(), time.Hour); err == nil {
		t.Errorf("a demoted primary tells that %d sessions ended", len(told.Sessions))
	}
	if err := writer.Create(t.Context(), newRow(time.Now())); err == nil {
		t.Error("stored where nothing can be")
	}

	// From here on the writer's connections are those of before.
	writer = open(t, with(t, url, "target_session_attrs", "any"), nil)
	if _, _, err := writer.Load(t.Context(), []session.ID{row.ID}); err != nil {
		t.Fatal(err)
	}
	standby.Promote()
	proxy.Retarget(standby.Addr())
	if ended, err := writer.End(t.Context(), session.Selection{Session: row.ID}, session.ReasonOperator); err != nil || len(ended) != 1 {
		t.Fatalf("End after the failover: %d ended, %v", len(ended), err)
	}
	if told, err := reader.Ended(t.Context(), time.Hour); err != nil || !slices.Contains(told.Sessions, row.ID) {
		t.Errorf("the feed after the failover: %v, %v", told.Sessions, err)
	}
}
