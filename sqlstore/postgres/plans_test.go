package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore/postgres"
)

// scans is how often a table was read as a whole, and how often by an index.
func scans(t testing.TB, url, table string) (whole, indexed int) {
	t.Helper()
	err := connect(t, url).QueryRow(t.Context(), `SELECT seq_scan, idx_scan FROM pg_stat_user_tables WHERE schemaname = 'pawl' AND relname = $1`, table).
		Scan(&whole, &indexed)
	if err != nil {
		t.Fatal(err)
	}
	return whole, indexed
}

// A connection keeps the plans that it made while a table was empty until the
// table is analysed. What renews and what counts attempts must not read the
// whole of it until then.
//
// Rows: 198, 252
func TestPlansOfAnEmptyTableAreGoodForAFullOne(t *testing.T) {
	url := database(t)
	s := open(t, with(t, url, "pool_max_conns", "1"), nil)
	one := func(id session.ID, generation uint32) {
		t.Helper()
		rows, now, err := s.Load(t.Context(), []session.ID{id})
		if err != nil || len(rows) != 1 {
			t.Fatalf("Load: %d rows, %v", len(rows), err)
		}
		if _, err := s.Confirm(t.Context(), []session.Use{{Session: id, Generation: generation, IssuedAt: now.Add(-time.Hour)}}, time.Minute); err != nil {
			t.Fatal(err)
		}
		note := turn(rows[0], now)
		note.Generation, note.LateRepeats = rows[0].Generation, 1
		for _, c := range []session.Change{note, turn(rows[0], now)} {
			if err := s.Replace(t.Context(), []session.Change{c})[0]; err != nil {
				t.Fatal(err)
			}
		}
	}
	of := 0
	attempt := func() { t.Helper(); of++; tally(t, s, at(of, of).Take()) }
	first := create(t, s, 1)[0]
	for generation := range uint32(12) { // generic plans are made at the sixth time
		one(first.ID, generation+1)
		attempt()
	}
	conn := connect(t, url)
	run(t, conn, `INSERT INTO pawl.sessions SELECT gen_random_uuid(), '\x00000000000000000000000000000001', '\x00000001', 'u', 'c', 'a', 's', 1, now(), null, null,
			0, null, now(), now(), 'pwd', now() + interval '90 days', 1000000, 'bearer', false, '', '', null, '', '', now(), null, '' FROM generate_series(1, 20000)`,
		`INSERT INTO pawl.attempts SELECT uuid_send(gen_random_uuid()), uuid_send(gen_random_uuid()), now() + interval '1 hour', null, null, now() + interval '1 hour'
			FROM generate_series(1, 20000)`)
	rows, err := conn.Query(t.Context(), `SELECT id FROM pawl.sessions WHERE user_id = 'u' LIMIT 20`)
	if err != nil {
		t.Fatal(err)
	}
	var ids []session.ID
	for rows.Next() {
		var id session.ID
		if err := rows.Scan((*[16]byte)(&id)); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	_ = conn.Close(t.Context()) // so that it reports what it read
	wholeSessions, indexed := scans(t, url, "sessions")
	wholeAttempts, _ := scans(t, url, "attempts")
	for _, id := range ids {
		one(id, 1)
		attempt()
	}
	s.Close() // likewise
	until(t, "the reads are counted", func() bool { _, now := scans(t, url, "sessions"); return now >= indexed+len(ids) })
	if whole, _ := scans(t, url, "sessions"); whole != wholeSessions {
		t.Errorf("the sessions were read as a whole %d times", whole-wholeSessions)
	}
	if whole, _ := scans(t, url, "attempts"); whole != wholeAttempts {
		t.Errorf("the attempts were read as a whole %d times", whole-wholeAttempts)
	}
}

// What an engine does not know is done without; see [postgres.Prefer].
func TestAnEngineMayKnowNoPlans(t *testing.T) {
	config, err := pgxpool.ParseConfig(database(t))
	if err != nil {
		t.Fatal(err)
	}
	config.AfterConnect = postgres.Prefer([]string{"SET no_such_setting = off", "SET jit = off", "SET enable_seqscan = perhaps"})
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var jit string
	if err := pool.QueryRow(t.Context(), "SHOW jit").Scan(&jit); err != nil || jit != "off" {
		t.Errorf("jit is %q, %v", jit, err)
	}
}
