package sqlite_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
)

func TestOneFailingWriteFailsAlone(t *testing.T) {
	s := open(t, newPath(t), time.Now)
	fault := errors.New("fault")
	held, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Hold(t.Context(), held, release); err != nil {
			t.Error(err)
		}
	})
	<-held // what is queued from here on is one round
	row := newRow(time.Now())
	wg.Go(func() {
		if err := s.Create(t.Context(), row); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		err := s.Fail(t.Context(), "INSERT INTO epoch (one, at, reason) VALUES (1, 1, 'undone')", fault)
		if !errors.Is(err, fault) {
			t.Errorf("got %v, want the fault", err)
		}
	})
	wg.Go(func() {
		if err := s.Fail(t.Context(), "INSERT INTO epoch (one, at, reason) VALUES (2, 1, 'no')", nil); err == nil {
			t.Error("a constraint was not kept")
		}
	})
	until(t, "all are queued", func() bool { return s.Queued() == 3 })
	close(release)
	wg.Wait()
	load(t, s, row.ID)
	var undone int
	if err := s.Reader().QueryRow("SELECT count(*) FROM epoch").Scan(&undone); err != nil || undone != 0 {
		t.Errorf("%d rows of a write that failed are there, %v", undone, err)
	}
}

// Rows: 198, 252.
func TestFullQueueRefusesWrites(t *testing.T) {
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: newPath(t), Now: time.Now, MaxQueue: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	held, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { s.Hold(t.Context(), held, release) })
	<-held
	for range 2 {
		wg.Go(func() { create(t, s) })
	}
	until(t, "the queue is full", func() bool { return s.Queued() == 2 })
	row := newRow(time.Now())
	if err := s.Create(t.Context(), row); !errors.Is(err, sqlstore.ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	if errs := s.Replace(t.Context(), []session.Change{turn(row, time.Now()), turn(row, time.Now())}); len(errs) != 2 ||
		!errors.Is(errs[0], sqlstore.ErrBusy) || !errors.Is(errs[1], sqlstore.ErrBusy) {
		t.Errorf("got %v, want ErrBusy for each change", errs)
	}
	close(release)
	wg.Wait()
	create(t, s)
}

func TestWriteOfACallerThatWentIsNotMade(t *testing.T) {
	s := open(t, newPath(t), time.Now)
	held, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { s.Hold(t.Context(), held, release) })
	<-held
	ctx, cancel := context.WithCancel(t.Context())
	row := newRow(time.Now())
	done := make(chan error)
	go func() { done <- s.Create(ctx, row) }()
	until(t, "it is queued", func() bool { return s.Queued() == 1 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	close(release)
	wg.Wait()
	create(t, s) // a later write: the earlier ones are done
	if rows, _, err := s.Load(t.Context(), []session.ID{row.ID}); err != nil || len(rows) != 0 {
		t.Errorf("%d rows, %v; want none", len(rows), err)
	}
	if err := s.Create(ctx, row); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: got %v, want context.Canceled", err)
	}
}

// A caller that went while its write is being committed does not stop it, nor
// the others.
func TestWriteUnderWayIsFinished(t *testing.T) {
	s := open(t, newPath(t), time.Now)
	held, release := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Hold(ctx, held, release) }()
	<-held
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	close(release)
	create(t, s)
}

func TestCloseFinishesWhatIsQueuedAndRefusesTheRest(t *testing.T) {
	path := newPath(t)
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	held, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { s.Hold(t.Context(), held, release) })
	<-held
	row := newRow(time.Now())
	wg.Go(func() {
		if err := s.Create(t.Context(), row); err != nil {
			t.Error(err)
		}
	})
	until(t, "it is queued", func() bool { return s.Queued() == 1 })
	wg.Go(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	close(release)
	wg.Wait()
	if err := s.Create(t.Context(), newRow(time.Now())); !errors.Is(err, sqlstore.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	if _, _, err := s.Load(t.Context(), []session.ID{row.ID}); err == nil {
		t.Error("a closed store reads")
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(path + suffix); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", suffix, err)
		}
	}
	load(t, open(t, path, time.Now), row.ID)
}

// Rows: 94, 252, A96.
func TestFullDiskIsAnErrorAndLosesNothing(t *testing.T) {
	s := open(t, newPath(t), time.Now)
	kept := []session.Row{create(t, s)}
	var pages int
	if err := s.Reader().QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if err := s.WriterExec(t.Context(), "PRAGMA max_page_count = 1"); err != nil { // SQLite takes the number there is
		t.Fatal(err)
	}
	full := false
	for range 200 {
		row := newRow(time.Now())
		if err := s.Create(t.Context(), row); err == nil {
			kept = append(kept, row)
			continue
		}
		full = true
		if rows, _, err := s.Load(t.Context(), []session.ID{row.ID}); err != nil || len(rows) != 0 {
			t.Fatalf("a row that was not stored: %d, %v", len(rows), err)
		}
		break
	}
	if !full {
		t.Fatal("the disk did not fill up")
	}
	// Every caller of a round hears of it, and none is lost without a word.
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range 32 {
		wg.Go(func() {
			row := newRow(time.Now())
			if s.Create(t.Context(), row) == nil {
				mu.Lock()
				defer mu.Unlock()
				kept = append(kept, row)
			}
		})
	}
	wg.Wait()
	// What needs no space still works.
	if err := replace(t, s, turn(kept[0], time.Now())); err != nil {
		t.Errorf("Replace on a full disk: %v", err)
	}
	if err := s.WriterExec(t.Context(), "PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	kept = append(kept, create(t, s))
	for _, row := range kept {
		load(t, s, row.ID)
	}
	if report := sound(t, s); report.Sessions != len(kept) {
		t.Errorf("%d sessions, want %d", report.Sessions, len(kept))
	}
}

// A connection on which no transaction begins is replaced: here one that was
// told to be read-only.
func TestBadConnectionIsReplaced(t *testing.T) {
	s := open(t, newPath(t), time.Now)
	row := create(t, s)
	if err := s.WriterExec(t.Context(), "PRAGMA query_only = on"); err != nil {
		t.Fatal(err)
	}
	if err := replace(t, s, turn(row, time.Now())); err != nil {
		t.Errorf("Replace: %v", err)
	}
	sound(t, s)
}

// A database that was removed beneath the store is an error; an empty one in its
// place would look as if nobody had ever signed in.
//
// Rows: 252.
func TestRemovedDatabaseIsNotMadeAnew(t *testing.T) {
	path := newPath(t)
	s := open(t, path, time.Now)
	create(t, s)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil {
			t.Fatal(err)
		}
	}
	// So that the next round opens the file again.
	if err := s.WriterExec(t.Context(), "PRAGMA query_only = on"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Create(t.Context(), newRow(time.Now())); err == nil {
			t.Error("a write was taken")
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is there again: %v", err)
	}
}

// A transaction that SQLite gave up by itself, as it does when the disk is
// full or fails, fails its round and no other.
func TestLostTransactionFailsItsRoundOnly(t *testing.T) {
	s := open(t, newPath(t), time.Now)
	if err := s.Fail(t.Context(), "ROLLBACK", errors.New("gone")); err == nil {
		t.Error("no error")
	}
	if err := s.WriterExec(t.Context(), "ROLLBACK"); err == nil {
		t.Error("no error")
	}
	// One that was ended too early: what follows is not in a transaction.
	if err := s.WriterExec(t.Context(), "COMMIT"); err == nil {
		t.Error("no error")
	}
	create(t, s)
	sound(t, s)
}

// While another process holds the lock for longer than a write waits, writes
// fail; then they go on.
func TestWriteWaitsForAnotherProcess(t *testing.T) {
	path := newPath(t)
	s := open(t, path, time.Now)
	other := raw(t, path)
	run(t, other, "BEGIN IMMEDIATE")
	done := make(chan error)
	row := newRow(time.Now())
	go func() { done <- s.Create(t.Context(), row) }()
	until(t, "it waits for the lock", func() bool { return s.Queued() == 0 })
	select {
	case err := <-done:
		t.Fatalf("done while another process writes: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	run(t, other, "COMMIT")
	if err := <-done; err != nil {
		t.Errorf("Create: %v", err)
	}
}

func walSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// churn turns rows n times in all.
func churn(t *testing.T, s *sqlite.Store, rows []session.Row, n int) {
	t.Helper()
	const batch = 100
	for round := range n / batch {
		changes := make([]session.Change, 0, batch)
		for i := range batch {
			row := &rows[(round*batch+i)%len(rows)]
			c := turn(*row, time.Now())
			*row = row.Apply(c, time.Now())
			changes = append(changes, c)
		}
		if err := errors.Join(s.Replace(t.Context(), changes)...); err != nil {
			t.Fatal(err)
		}
	}
}

func manyRows(t *testing.T, s *sqlite.Store, n int) []session.Row {
	t.Helper()
	rows := make([]session.Row, n)
	var wg sync.WaitGroup
	for part := range slices.Chunk(rows, max(1, n/64)) {
		wg.Go(func() {
			for i := range part {
				part[i] = create(t, s)
			}
		})
	}
	wg.Wait()
	return rows
}

// Pitfall: a statement with RETURNING that is not read to its end never
// checkpoints.
func TestLogStaysBounded(t *testing.T) {
	path := newPath(t)
	s := open(t, path, time.Now)
	rows := manyRows(t, s, 2000)
	churn(t, s, rows, 20_000)
	for _, row := range rows[:500] { // End returns rows
		if _, err := s.End(t.Context(), session.Selection{Session: row.ID}, session.ReasonOperator); err != nil {
			t.Fatal(err)
		}
	}
	if size := walSize(t, path); size > sqlite.WALKeep {
		t.Errorf("the log has %d bytes, at most %d", size, sqlite.WALKeep)
	}
	sound(t, s)
}

// A reader that takes long keeps the log from starting anew, and so do readers
// of which there is always one. The log is cut all the same.
func TestLogIsCutInSpiteOfReaders(t *testing.T) {
	path := newPath(t)
	s := open(t, path, time.Now)
	rows := manyRows(t, s, 2000)
	end := hold(t, s)
	for walSize(t, path) < sqlite.WALMost+2*sqlite.WALStep {
		churn(t, s, rows, 1000)
	}
	end()
	most := walSize(t, path) + sqlite.WALStep
	for walSize(t, path) > sqlite.WALKeep {
		churn(t, s, rows, 1000)
		if walSize(t, path) > most {
			t.Fatalf("the log has %d bytes and still grows", walSize(t, path))
		}
	}

	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	for range 3 {
		wg.Go(func() {
			for held := time.NewTicker(5 * time.Millisecond); ; {
				end := hold(t, s)
				select {
				case <-held.C:
					end()
				case <-stop:
					end()
					return
				}
			}
		})
	}
	for range 30 {
		churn(t, s, rows, 1000)
		if size := walSize(t, path); size > sqlite.WALMost+sqlite.WALStep {
			t.Fatalf("the log has %d bytes", size)
		}
	}
	sound(t, s)
}

// hold begins to read one state of the database, and returns what ends that.
func hold(t *testing.T, s *sqlite.Store) (end func()) {
	t.Helper()
	reader, err := s.Reader().BeginTx(context.Background(), nil)
	if err != nil {
		t.Error(err)
		return func() {}
	}
	var n int
	if err := reader.QueryRow("SELECT count(*) FROM users").Scan(&n); err != nil {
		t.Error(err)
	}
	return func() { reader.Rollback() }
}

// A killed process loses nothing without a sync either; a machine that loses
// power would.
func TestCommitsAreSynced(t *testing.T) {
	s := open(t, newPath(t), time.Now)
	for pragma, want := range map[string]int64{"synchronous": 2, "secure_delete": 1, "foreign_keys": 1, "trusted_schema": 0} {
		if got, err := s.WriterPragma(t.Context(), pragma); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", pragma, got, err, want)
		}
	}
	var mode string
	if err := s.Reader().QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
		t.Errorf("journal mode %q, %v; want wal", mode, err)
	}
}
