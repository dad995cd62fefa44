package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore/postgres"
)

// A statement that does not see an epoch has an earlier clock, however long it
// takes between its messages: its clock is read before it looks at any row.
//
// Rows: 198, 252
func TestTheClockIsReadBeforeTheRows(t *testing.T) {
	url := database(t)
	slow, err := pgconn.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close(context.Background())
	if _, err := slow.Prepare(t.Context(), "slow", "SELECT true, at > '-infinity' AND at < "+postgres.SQLNow+
		", "+postgres.SQLNow+"::text FROM pawl.epoch", nil); err != nil {
		t.Fatal(err)
	}
	f := slow.Frontend()
	f.SendBind(&pgproto3.Bind{PreparedStatement: "slow", Parameters: [][]byte{nil}})
	f.Send(&pgproto3.Flush{})
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	receive := func() pgproto3.BackendMessage {
		t.Helper()
		m, err := slow.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if m := receive(); fmt.Sprintf("%T", m) != "*pgproto3.BindComplete" {
		t.Fatalf("answered %T", m)
	}
	var at time.Time
	if err := connect(t, url).QueryRow(t.Context(), `UPDATE pawl.epoch SET at = clock_timestamp() RETURNING at`).Scan(&at); err != nil {
		t.Fatal(err)
	}
	f.SendExecute(&pgproto3.Execute{})
	f.SendSync(&pgproto3.Sync{})
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	for {
		switch m := receive().(type) {
		case *pgproto3.DataRow:
			clock, err := time.Parse("2006-01-02 15:04:05.999999-07", string(m.Values[2]))
			if err != nil {
				t.Fatal(err)
			}
			if seen := string(m.Values[1]) == "t"; !seen && !clock.Before(at) {
				t.Errorf("by the clock %v the epoch of %v is not seen", clock, at)
			}
		case *pgproto3.ErrorResponse:
			t.Fatal(m.Message)
		case *pgproto3.ReadyForQuery:
			return
		}
	}
}

// Who waits for a lock too long has done nothing, and tries again as long as
// the call may take.
//
// Rows: 198
func TestALockThatIsHeldForLongIsWaitedForAgain(t *testing.T) {
	url := database(t)
	s, holder, watcher := open(t, with(t, url, "lock_timeout", "50"), nil), connect(t, url), connect(t, url)
	run(t, holder, `BEGIN`, `SELECT 1 FROM pawl.counter FOR UPDATE`)
	stored := make(chan error, 1)
	go func() { stored <- s.Append(t.Context(), []session.Event{{Type: session.EventStarted}}) }()
	waits := make(map[time.Time]bool)
	until(t, "it waits once more", func() bool {
		select {
		case err := <-stored:
			t.Fatalf("given up: %v", err)
		default:
		}
		rows, err := watcher.Query(t.Context(), `SELECT query_start FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%pawl.counter%'
			AND datname = current_database()`)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var began time.Time
			if err := rows.Scan(&began); err != nil {
				t.Fatal(err)
			}
			waits[began] = true
		}
		return len(waits) > 1
	})
	run(t, holder, `COMMIT`)
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
	if all := cursors(t, s, 0); len(all) != 1 {
		t.Errorf("stored as %v", all)
	}
}

// How far an epoch is written is not taken for how far the next one is, though
// both begin at the same place.
//
// Rows: 243
func TestANewEpochIsWrittenFromTheBeginning(t *testing.T) {
	url := database(t)
	s, holder, conn := open(t, url, nil), connect(t, url), connect(t, url)
	rows := create(t, s, 3)
	run(t, conn, `UPDATE pawl.sessions SET created_at = now() - interval '1 minute'`,
		fmt.Sprintf(`UPDATE pawl.sessions SET created_at = now() - interval '1 hour' WHERE id = '%x'`, rows[0].ID[:]),
		`UPDATE pawl.epoch SET at = now() - interval '30 minutes', reason = 'first', written = '00000000-0000-0000-0000-000000000000'`)
	run(t, holder, `BEGIN`, fmt.Sprintf(`SELECT 1 FROM pawl.sessions WHERE id = '%x' FOR UPDATE`, rows[0].ID[:]))
	swept := make(chan error, 1)
	go func() {
		_, err := s.Sweep(t.Context(), 10, time.Second)
		swept <- err
	}()
	until(t, "the sweep waits for a row", func() bool {
		var waits int
		if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`).Scan(&waits); err != nil {
			t.Fatal(err)
		}
		return waits > 0
	})
	run(t, conn, `UPDATE pawl.epoch SET at = now() - interval '10 seconds', reason = 'second', written = '00000000-0000-0000-0000-000000000000'`)
	run(t, holder, `COMMIT`)
	if err := <-swept; err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sweep(t.Context(), 10, time.Second); err != nil {
		t.Fatal(err)
	}
	var kept int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pawl.sessions WHERE ended_at IS NULL`).Scan(&kept); err != nil || kept > 0 {
		t.Errorf("%d sessions that the epoch ended keep their secret, %v", kept, err)
	}
}
