package postgres_test

import (
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore/postgres"
)

// until polls for what somebody else brings about.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// cursors returns those of the events that come after one.
func cursors(t testing.TB, s *postgres.Store, after int64) (list []int64) {
	t.Helper()
	events, err := s.Events(t.Context(), after, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		list = append(list, e.Cursor)
	}
	return list
}

// Events that are stored later have later cursors, and those that are stored
// earlier are seen first: while one writer has not committed, no other can.
//
// Rows: 237
func TestCursorsRiseAsEventsBecomeVisible(t *testing.T) {
	url := database(t)
	s, slow := open(t, url, nil), connect(t, url)
	run(t, slow, `BEGIN`, `WITH c AS (UPDATE pawl.counter SET value = value + 2 WHERE name = 'events' RETURNING value)
		INSERT INTO pawl.events (cursor, at, type, generation) SELECT value - 2 + n, now(), 'slow', 0 FROM c, generate_series(1, 2) AS n`)
	stored := make(chan error, 1)
	go func() { stored <- s.Append(t.Context(), []session.Event{{Type: session.EventStarted}}) }()
	watcher := connect(t, url)
	until(t, "the second writer waits", func() bool {
		var waits int
		if err := watcher.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%pawl.counter%'
			AND datname = current_database()`).Scan(&waits); err != nil {
			t.Fatal(err)
		}
		return waits > 0
	})
	if early := cursors(t, s, 0); len(early) > 0 {
		t.Errorf("seen before anything was committed: %v", early)
	}
	run(t, slow, `COMMIT`)
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
	all := cursors(t, s, 0)
	if len(all) != 3 || all[0] != 1 || all[1] != 2 {
		t.Errorf("the cursors are %v, want those of the slow writer first", all)
	}
	if next := cursors(t, s, all[1]); len(next) != 1 {
		t.Errorf("who follows misses the second writer's: %v", next)
	}
}

// A database that lost its last writes gives none of their cursors again,
// neither one after the other nor to many at once.
//
// Rows: 237
func TestCursorsThatWereLostAreNotGivenAgain(t *testing.T) {
	url := database(t)
	s, conn := open(t, url, nil), connect(t, url)
	burst := make([]session.Event, 50)
	for i := range burst {
		burst[i].Type = session.EventRenewed
	}
	if err := s.Append(t.Context(), burst[:1]); err != nil {
		t.Fatal(err)
	}
	run(t, conn, `CREATE TABLE backup AS SELECT * FROM pawl.counter`)
	for range 10 {
		if err := s.Append(t.Context(), burst); err != nil {
			t.Fatal(err)
		}
	}
	lost := cursors(t, s, cursors(t, s, 0)[0])
	run(t, conn, `DELETE FROM pawl.events`, `UPDATE pawl.counter SET value = backup.value FROM backup`)
	if err := s.Append(t.Context(), burst); err != nil {
		t.Fatal(err)
	}
	again := cursors(t, s, lost[len(lost)-1])
	if len(again) != len(burst) {
		t.Fatalf("who has read what was lost is told %d of %d events", len(again), len(burst))
	}
	if last := again[len(again)-1]; last >= 1<<53 {
		t.Errorf("the cursor %d is no number to every program", last)
	}
}

// One text that the database cannot keep does not cost the other events of its
// batch.
//
// Rows: 237
func TestStrangeTextsAreKeptAsWellAsCanBe(t *testing.T) {
	s := open(t, database(t), nil)
	strange := session.Event{Type: session.EventSignInFailed, UserID: "u_\x00", Origin: session.Origin{UserAgent: "a\xffgent\x00"}}
	if err := s.Append(t.Context(), []session.Event{{Type: session.EventStarted}, strange}); err != nil {
		t.Fatal(err)
	}
	events, err := s.Events(t.Context(), 0, 10)
	if err != nil || len(events) != 2 || events[1].UserAgent != "a\uFFFDgent\uFFFD" || events[1].UserID != "u_\uFFFD" {
		t.Errorf("kept %+v, %v", events, err)
	}
	for _, id := range []string{"u_\x00", "\xff"} {
		if events, err := s.EventsOf(t.Context(), id, 0, 10); err != nil || len(events) != 0 {
			t.Errorf("events of nobody: %v, %v", events, err)
		}
	}
}

// What a step of trimming costs does not grow with what there is to trim: it
// reads no more than it may remove.
//
// Rows: 243
func TestTrimReadsNoMoreThanItRemoves(t *testing.T) {
	url := database(t)
	s, conn := open(t, url, nil), connect(t, url)
	run(t, conn, `INSERT INTO pawl.events (cursor, at, type, generation) SELECT n, now() - interval '1 day', 'old', 0 FROM generate_series(1, 20000) AS n`,
		`UPDATE pawl.counter SET value = 20000`, `ANALYZE pawl.events`)
	before := tuplesRead(t, url)
	if n, err := s.TrimEvents(t.Context(), time.Hour, 10); err != nil || n != 10 {
		t.Fatalf("trimmed %d, %v", n, err)
	}
	s.Close() // so that it reports what it read
	until(t, "the reads are counted", func() bool { return tuplesRead(t, url) > before })
	if read := tuplesRead(t, url) - before; read > 100 {
		t.Errorf("read %d events to remove 10", read)
	}
}

// tuplesRead is how many rows of the events were read, by scan or by index.
func tuplesRead(t testing.TB, url string) (n int) {
	t.Helper()
	err := connect(t, url).QueryRow(t.Context(), `SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables
		WHERE schemaname = 'pawl' AND relname = 'events'`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
