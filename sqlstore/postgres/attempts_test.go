package postgres_test

import (
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/sqlstore/postgres"
)

// at returns an attempt at an account from a network.
func at(of, network int) account.Attempt {
	return account.Attempt{Account: account.Tag{'a', byte(of >> 8), byte(of)}, Network: account.Tag{'n', byte(network >> 8), byte(network)}}
}

func tally(t testing.TB, s *postgres.Store, step account.Step) account.Outcome {
	t.Helper()
	outcome, err := s.Tally(t.Context(), step)
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

// count returns how many rows a table has.
func count(t testing.TB, url, table string) (n int) {
	t.Helper()
	if err := connect(t, url).QueryRow(t.Context(), "SELECT count(*) FROM pawl."+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A flood that is refused waits for no write and keeps none waiting: it only
// reads.
//
// Rows: 169
func TestRefusedAttemptsDoNotWrite(t *testing.T) {
	url := database(t)
	s, holder := open(t, url, nil), connect(t, url)
	for range 5 {
		tally(t, s, at(1, 1).Take())
	}
	run(t, holder, `BEGIN`, `SELECT * FROM pawl.attempts FOR UPDATE`)
	start := time.Now()
	for range 100 {
		if tally(t, s, at(1, 1).Take()).LetIn() {
			t.Error("let in")
		}
	}
	if took := time.Since(start); took > 2*time.Second { // when the database gives up waiting for a lock
		t.Errorf("waited for %v", took)
	}
	run(t, holder, `ROLLBACK`)
}

// All keys of a step are counted or none: one that was changed since it was
// read, or made, or removed, makes the step be judged again. However many do
// that at once, each failure is counted.
//
// Rows: 114, A83
func TestNoAttemptIsLost(t *testing.T) {
	url := database(t)
	a, b := open(t, url, nil), open(t, url, nil)
	const networks, each = 8, 4
	start := time.Now()
	var wait sync.WaitGroup
	for n := range networks {
		wait.Go(func() {
			for i := range each {
				// One account and one network are common to all, so are some pairs.
				step := at(0, n).Take()
				if i%2 == 1 {
					step = at(n, 0).Take()
				}
				if _, err := []*postgres.Store{a, b}[n%2].Tally(t.Context(), step); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Go(func() {
		for range 10 {
			if err := a.ForgetAttempts(t.Context(), account.Tag{'x'}); err != nil {
				t.Error(err)
			}
			if _, err := b.SweepAttempts(t.Context(), 1<<20, 100); err != nil {
				t.Error(err)
			}
		}
	})
	wait.Wait()
	// Each failure on a network is owed for five minutes: 8 networks with 2 on
	// the account that is common, 8 accounts with 2 on the common network.
	var owed float64
	err := connect(t, url).QueryRow(t.Context(), `SELECT sum(extract(epoch FROM owed_until - now()))::float8 / 300 FROM pawl.attempts
		WHERE account = '\x00000000000000000000000000000000'`).Scan(&owed)
	forgiven := networks*time.Since(start).Minutes()/5 + 0.01
	if err != nil || owed > networks*each || owed < networks*each-forgiven {
		t.Errorf("%v failures are counted under networks, %v; want %d", owed, err, networks*each)
	}
}

// Whoever invents names fills the disk neither at once nor in the long run.
//
// Rows: 169, 243
func TestTalliesAreBoundedAndEnd(t *testing.T) {
	now := time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)
	url := database(t)
	s := open(t, url, func() time.Time { return now })
	tally(t, s, tally(t, s, at(0, 0).Take()).Succeed())
	for n := range 100 {
		tally(t, s, at(1+n, 1+n).Take()) // three tallies each
	}
	if n := count(t, url, "attempts"); n != 302 { // and two of the login
		t.Fatalf("%d tallies", n)
	}
	sweep := func(keep int) (total int) {
		t.Helper()
		for {
			n, err := s.SweepAttempts(t.Context(), keep, 30)
			if err != nil {
				t.Fatal(err)
			}
			if total += n; n < 30 {
				return total
			}
		}
	}
	if n := sweep(200); n != 101 || count(t, url, "attempts") != 201 {
		t.Errorf("swept %d, %d are left; want 200 and the known one", n, count(t, url, "attempts"))
	}
	now = now.Add(25 * time.Hour)
	if sweep(200); count(t, url, "attempts") != 1 {
		t.Errorf("%d tallies a day later, want the known one", count(t, url, "attempts"))
	}
	if err := s.ForgetNetworks(t.Context(), at(0, 0).Account, 0); err != nil {
		t.Fatal(err)
	}
	if sweep(200); count(t, url, "attempts") != 0 {
		t.Errorf("%d tallies in the end", count(t, url, "attempts"))
	}
}
