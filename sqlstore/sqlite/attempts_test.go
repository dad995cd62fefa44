package sqlite_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
)

// tag returns a tag that differs for every kind and number.
func tag(kind byte, n int) account.Tag {
	return account.Tag{kind, byte(n >> 16), byte(n >> 8), byte(n)}
}

// at returns an attempt at an account from a network.
func at(of, network int) account.Attempt {
	return account.Attempt{Account: tag('a', of), Network: tag('n', network)}
}

func tally(t testing.TB, s *sqlite.Store, step account.Step) account.Outcome {
	t.Helper()
	outcome, err := s.Tally(t.Context(), step)
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

// stored returns how many tallies the database holds.
func stored(t testing.TB, s *sqlite.Store) (n int) {
	t.Helper()
	if err := s.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM attempts").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A flood that is refused waits for no other write and keeps none waiting: it only reads.
//
// Rows: 169
func TestRefusedAttemptsDoNotWrite(t *testing.T) {
	s := open(t, newPath(t), time.Now)
	for range 5 {
		tally(t, s, at(1, 1).Take())
	}
	held, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Hold(t.Context(), held, release); err != nil {
			t.Error(err)
		}
	})
	<-held
	for range 200 {
		if tally(t, s, at(1, 1).Take()).LetIn() {
			t.Error("let in")
		}
	}
	close(release)
	wg.Wait()
}

// Whoever invents names fills the disk neither at once nor in the long run.
//
// Rows: 169, 243
func TestTalliesAreBoundedAndEnd(t *testing.T) {
	now := time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	pass := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}
	s := open(t, newPath(t), clock)
	tally(t, s, tally(t, s, at(0, 0).Take()).Succeed())
	for n := range 500 {
		tally(t, s, at(1+n, 1+n).Take()) // three tallies each
	}
	if n := stored(t, s); n != 1502 { // and two of the login
		t.Fatalf("%d tallies", n)
	}
	sweep := func() (total int) {
		for {
			n, err := s.SweepAttempts(t.Context(), 1000, 100)
			if err != nil {
				t.Fatal(err)
			}
			if total += n; n < 100 {
				return total
			}
		}
	}
	if n := sweep(); n != 501 || stored(t, s) != 1001 {
		t.Errorf("swept %d, %d are left; want 1000 and the known one", n, stored(t, s))
	}
	pass(25 * time.Hour)
	if sweep(); stored(t, s) != 1 {
		t.Errorf("%d tallies a day later, want the known one", stored(t, s))
	}
	pass(101 * 24 * time.Hour)
	if sweep(); stored(t, s) != 0 {
		t.Errorf("%d tallies in the end", stored(t, s))
	}
	sound(t, s)
}

// A network that is about to be unknown says more than what was counted later: room is made of the others.
//
// Rows: 243
func TestSweepForRoomLeavesKnownNetworks(t *testing.T) {
	now := time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)
	s := open(t, newPath(t), func() time.Time { return now })
	tally(t, s, tally(t, s, at(0, 0).Take()).Succeed())
	now = now.Add(100*24*time.Hour - time.Minute) // a minute before it ends
	for n := range 10 {
		tally(t, s, at(1+n, 1+n).Take())
	}
	for range 10 {
		if _, err := s.SweepAttempts(t.Context(), 0, 5); err != nil {
			t.Fatal(err)
		}
	}
	if n := stored(t, s); n != 1 {
		t.Errorf("%d tallies are left, want the known one", n)
	}
}

// Counting what there is to spare reads all of an index: not while there is something to remove that has ended.
//
// Rows: 243
func TestFullSweepDoesNotCount(t *testing.T) {
	now := time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)
	path := newPath(t)
	s := open(t, path, func() time.Time { return now })
	for n := range 5 {
		tally(t, s, at(1+n, 1+n).Take())
	}
	now = now.Add(48 * time.Hour)
	// Without this column nothing can be counted.
	if _, err := raw(t, path).ExecContext(t.Context(), `ALTER TABLE attempts RENAME COLUMN known_until TO gone`); err != nil {
		t.Fatal(err)
	}
	if n, err := s.SweepAttempts(t.Context(), 0, 10); err != nil || n != 10 {
		t.Errorf("a full sweep: %d, %v", n, err)
	}
	if _, err := s.SweepAttempts(t.Context(), 0, 10); err == nil {
		t.Error("a sweep that is not full was to count, or this test shows nothing")
	}
}

// What people type into the field for the name, often their password, is in the database in no form that can be read, nor are
// addresses.
//
// Rows: 243
func TestAttemptsHideNamesAndAddresses(t *testing.T) {
	path := newPath(t)
	s := open(t, path, time.Now)
	hasher, err := account.NewHasher(account.DangerouslyWeakParamsForTests(), 1, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := account.New(account.Options{Store: s, Hasher: hasher, Key: [32]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	const typed = "hunter2-typed-into-the-wrong-field"
	from := netip.MustParseAddr("203.0.113.77")
	if _, err := accounts.Authenticate(t.Context(), typed, account.NewPassword("something"), from); !errors.Is(err, account.ErrCredentials) {
		t.Fatal(err)
	}
	if n := stored(t, s); n != 3 {
		t.Fatalf("%d tallies", n)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 2 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		raw := from.As4()
		for _, secret := range [][]byte{[]byte(typed), []byte("hunter2"), []byte(from.String()), raw[:], []byte("203.0.113")} {
			if bytes.Contains(content, secret) {
				t.Errorf("%s holds %q", filepath.Base(name), secret)
			}
		}
	}
}

// BenchmarkTally is what the throttle costs a login: one attempt taken and one success.
func BenchmarkTally(b *testing.B) {
	for _, parallel := range []int{1, 32} {
		b.Run(fmt.Sprint("parallel", parallel), func(b *testing.B) {
			s := open(b, newPath(b), time.Now)
			b.SetParallelism(parallel)
			var mu sync.Mutex
			n := 0
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					mu.Lock()
					n++
					of := n
					mu.Unlock()
					outcome, err := s.Tally(b.Context(), at(of, of).Take())
					if err == nil {
						_, err = s.Tally(b.Context(), outcome.Succeed())
					}
					if err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
