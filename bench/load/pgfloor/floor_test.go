package pgfloor

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/pgtest"
)

const said = `pgbench (15.18)
transaction type: floor.sql
number of transactions actually processed: 20000
number of failed transactions: 0 (0.000%)
latency average = 0.730 ms
initial connection time = 5.000 ms
tps = 10993.123000 (without initial connection time)
`

func TestReportOfPgbenchIsRead(t *testing.T) {
	got, err := parse(said)
	if want := (Result{PerSecond: 10993.123, Latency: 730 * time.Microsecond, Transactions: 20000}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, spoil := range [][2]string{{"tps = ", "tps: "}, {"failed transactions: 0", "failed transactions: 3"}, {"processed: 20000", "processed: 0"}, {"0.730 ms", "none"}} {
		if _, err := parse(strings.Replace(said, spoil[0], spoil[1], 1)); err == nil {
			t.Errorf("%s: accepted", spoil[1])
		}
	}
}

// pgbench's time is over before its clients are connected: there is no latency.
func TestReportOfNothingIsKnown(t *testing.T) {
	if _, err := parse("pgbench (15.18)\nnumber of transactions actually processed: 0\nnumber of failed transactions: 0 (NaN%)\n"); !errors.Is(err, errNothing) {
		t.Error(err)
	}
}

func TestProgramsAreToldByTheirEnvironment(t *testing.T) {
	got, err := environment("postgres://joe:s%40cret@127.0.0.1:5433/db?sslmode=disable")
	if want := []string{"LC_ALL=C", "PGHOST=127.0.0.1", "PGPORT=5433", "PGDATABASE=db", "PGUSER=joe", "PGPASSWORD=s@cret", "PGSSLMODE=disable"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	for _, raw := range []string{"", "host=x", "http://x", "postgres://x/?options=-c", "postgres://x/?host=a&host=b", "postgres://x/?%zz"} {
		if _, err := environment(raw); err == nil {
			t.Errorf("%s: accepted", raw)
		}
	}
}

func TestFloorIsMeasuredAndLeavesNothing(t *testing.T) {
	cluster := pgtest.NewCluster(t, pgtest.Options{})
	pid, err := strconv.Atoi(cluster.Exec("postgres", `SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)`))
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{cluster.URL("postgres"), cluster.SocketURL("postgres")} {
		o := Options{URL: url, Postmaster: pid, Rows: 1000}
		f, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), o); err == nil {
			t.Error("a schema that was there already was taken")
		}
		r, err := f.Run(t.Context(), 2, time.Second)
		if err != nil || r.Clients != 2 || r.Transactions < 1 || r.PerSecond <= 0 || r.Latency <= 0 || r.CPU <= 0 || r.CPU > 2*time.Second {
			t.Errorf("%+v, %v", r, err)
		}
		if got := cluster.Exec("postgres", "SELECT sum(counter)::text FROM "+schema+".sessions"); got != strconv.Itoa(r.Transactions) {
			t.Errorf("the rows were updated %s times, in %d transactions", got, r.Transactions)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if got := cluster.Exec("postgres", "SELECT count(*)::text FROM pg_namespace WHERE nspname = '"+schema+"'"); got != "0" {
			t.Error("the schema is left")
		}
	}
}
