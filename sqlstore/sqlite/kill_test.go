package sqlite_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
)

// childOf names the database that a child process works on; childRole says
// what it does there.
const (
	childOf   = "SQLSTORE_CHILD_PATH"
	childRole = "SQLSTORE_CHILD_ROLE"
)

func TestMain(m *testing.M) {
	path := os.Getenv(childOf)
	if path == "" {
		os.Exit(m.Run())
	}
	if err := child(path, os.Getenv(childRole)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child is the process that is killed, or one of several that start at once.
func child(path, role string) error {
	s, err := sqlite.Open(context.Background(), sqlite.Options{Path: path, Now: time.Now})
	if err != nil {
		return err
	}
	if role == "open" {
		return errors.Join(s.Create(context.Background(), newRow(time.Now())), s.Close())
	}
	return hammer(s)
}

// hammer makes sessions, turns and ends them, from many goroutines, until it
// is killed. It tells each change on stdout when, and only when, the store has
// answered that it is done: the id and the generation, 0 for the end.
func hammer(s *sqlite.Store) error {
	ctx := context.Background()
	var out sync.Mutex
	acknowledge := func(id session.ID, generation uint32) {
		line := fmt.Appendf(nil, "%x %d\n", id[:], generation)
		out.Lock()
		defer out.Unlock()
		os.Stdout.Write(line) // one write: it arrives whole or not at all
	}
	failed := make(chan error)
	for range 16 {
		go func() {
			for {
				row := newRow(time.Now())
				if err := s.Create(ctx, row); err != nil {
					failed <- err
					return
				}
				acknowledge(row.ID, 1)
				for range 10 {
					c := turn(row, time.Now())
					if err := s.Replace(ctx, []session.Change{c})[0]; err != nil {
						failed <- err
						return
					}
					row = row.Apply(c, time.Now())
					acknowledge(row.ID, row.Generation)
				}
				if row.ID[0]%4 > 0 {
					continue
				}
				if _, err := s.End(ctx, session.Selection{Session: row.ID}, session.ReasonOperator); err != nil {
					failed <- err
					return
				}
				acknowledge(row.ID, 0)
			}
		}()
	}
	return <-failed
}

func command(t *testing.T, path, role string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childOf+"="+path, childRole+"="+role)
	return cmd
}

// runAndKill runs a child until it has acknowledged so many changes, kills it,
// and adds what it acknowledged.
func runAndKill(t *testing.T, path string, changes int, last map[session.ID]uint32) {
	t.Helper()
	cmd := command(t, path, "hammer")
	var complaints strings.Builder
	cmd.Stderr = &complaints
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tooLong := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer tooLong.Stop()
	n := 0
	for lines := bufio.NewScanner(stdout); lines.Scan(); n++ {
		if n == changes {
			// SIGKILL. What it acknowledged before it died is still read.
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
		text, number, _ := strings.Cut(lines.Text(), " ")
		var id session.ID
		var generation uint32
		if _, err := hex.Decode(id[:], []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(number, &generation); err != nil {
			t.Fatal(err)
		}
		last[id] = generation
	}
	if err := cmd.Wait(); err == nil || n <= changes {
		t.Fatalf("the child ended by itself after %d changes: %v\n%s", n, err, complaints.String())
	}
}

// A killed process never loses an acknowledged write, and never leaves anything
// to repair.
//
// Rows: 252, A45, A96.
func TestKilledProcessLosesNothing(t *testing.T) {
	const kills = 50
	path := newPath(t)
	last := make(map[session.ID]uint32)
	for kill := range kills {
		// Sooner and later within a round, a checkpoint, and the first making.
		runAndKill(t, path, kill*kill*7%1500+kill%3, last)
		s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Now: time.Now})
		if err != nil {
			t.Fatalf("after kill %d: %v", kill, err)
		}
		ids := make([]session.ID, 0, len(last))
		for id := range last {
			ids = append(ids, id)
		}
		rows, _, err := s.Load(t.Context(), ids)
		if err != nil || len(rows) != len(ids) {
			t.Fatalf("after kill %d: %d of %d sessions, %v", kill, len(rows), len(ids), err)
		}
		for _, row := range rows {
			// More may have been stored than was acknowledged, never less.
			switch told := last[row.ID]; {
			case told == 0 && !row.Ended():
				t.Errorf("after kill %d: a session came back", kill)
			case told > 0 && row.Generation < told:
				t.Errorf("after kill %d: generation %d, acknowledged %d", kill, row.Generation, told)
			}
		}
		sound(t, s)
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	t.Logf("%d kills, %d sessions", kills, len(last))
}

// Processes that start first at the same time make one database.
func TestProcessesThatStartAtOnceMakeOneDatabase(t *testing.T) {
	for range 3 {
		path := newPath(t)
		var wg sync.WaitGroup
		const processes = 4
		for range processes {
			wg.Go(func() {
				if out, err := command(t, path, "open").CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
		wg.Wait()
		if report := sound(t, open(t, path, time.Now)); report.Sessions != processes {
			t.Errorf("%d sessions, want %d", report.Sessions, processes)
		}
	}
}
