package sqlite_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
)

// limitFiles keeps this process from making any file longer than size, and
// returns what ends that. Such a write fails as on a disk that is full or bad.
func limitFiles(t *testing.T, size int64) (restore func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	limit := before
	limit.Cur = uint64(size)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Error(err)
		}
		signal.Reset(syscall.SIGXFSZ)
	})
}

// inOwnProcess runs the test once more in a process of its own and returns
// true, or false there: what the test does to its process hits others, and the
// files of package testing too.
func inOwnProcess(t *testing.T) bool {
	t.Helper()
	const mark = "PAWL_TEST_IN_OWN_PROCESS"
	if os.Getenv(mark) != "" {
		return false
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self, "-test.v", "-test.run", "^"+t.Name()+"$")
	child.Env = append(os.Environ(), mark+"=1")
	if out, err := child.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("%v\n%s", err, out)
	}
	return true
}

// The operating system refuses to write, in the middle of a commit.
//
// Rows: 94, 252, A96.
func TestFailingDiskIsAnErrorAndRecovers(t *testing.T) {
	if inOwnProcess(t) {
		return
	}
	path := newPath(t)
	s := open(t, path, time.Now)
	rows := manyRows(t, s, 64)
	other := raw(t, path)
	run(t, other, "PRAGMA busy_timeout = 0")
	for _, room := range []int64{0, 100, 4096 + 24, 3*(4096+24) + 1} {
		restore := limitFiles(t, walSize(t, path)+room)
		defer restore()
		failed := 0
		for round := range 8 {
			var changes []session.Change
			for _, row := range rows {
				changes = append(changes, turn(row, time.Now()))
			}
			if err := s.Create(t.Context(), newRow(time.Now())); err != nil {
				failed++
			}
			for i, err := range s.Replace(t.Context(), changes) {
				switch {
				case err == nil:
					rows[i] = rows[i].Apply(changes[i], time.Now())
				case errors.Is(err, session.ErrConflict):
					t.Fatalf("round %d: a failed commit took effect and was undone, or was never undone: %v", round, err)
				default:
					failed++
				}
			}
			// A commit that failed holds no lock.
			run(t, other, "BEGIN IMMEDIATE")
			run(t, other, "ROLLBACK")
			for _, row := range rows {
				if got := load(t, s, row.ID); got.Generation != row.Generation {
					t.Fatalf("round %d: generation %d, want %d", round, got.Generation, row.Generation)
				}
			}
		}
		if failed == 0 {
			t.Errorf("no write failed with room for %d bytes", room)
		}
		restore()
		create(t, s)
		for i := range rows {
			c := turn(rows[i], time.Now())
			if err := replace(t, s, c); err != nil {
				t.Fatalf("after the disk came back: %v", err)
			}
			rows[i] = rows[i].Apply(c, time.Now())
		}
	}
	sound(t, s)
	// Another process reads the same.
	another := open(t, path, time.Now)
	for _, row := range rows {
		if got := load(t, another, row.ID); got.Generation != row.Generation {
			t.Errorf("generation %d, want %d", got.Generation, row.Generation)
		}
	}
}
