package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore/postgres"
)

// past gives a user sessions that have ended; marked says whether it was noted
// that they have.
func past(t testing.TB, url string, sessions int, marked bool) {
	t.Helper()
	run(t, connect(t, url), fmt.Sprintf(`WITH s AS (INSERT INTO pawl.sessions SELECT gen_random_uuid(), '\x00000000000000000000000000000000', '\x00000001', 'u_alice', 'c', 'a', 's', 1, now(), null, null,
			0, null, now(), now(), 'pwd', now() + interval '90 days', 1000000, 'bearer', false, '', '', null, '', '', now(), now(), 'sign_out' FROM generate_series(1, %d) RETURNING id)
		INSERT INTO pawl.user_sessions SELECT 'u_alice', id, now() + interval '90 days', %t FROM s`, sessions, marked))
}

// Whoever has had very many sessions is served as quickly as anybody: those
// that have ended are looked at once.
//
// Rows: 198, 252
func TestAUserOfManyEndedSessionsIsServed(t *testing.T) {
	const many = 3 * postgres.LinesPage
	url := database(t)
	s := open(t, with(t, url, "pool_max_conns", "1"), nil)
	past(t, url, many, false)
	live := create(t, s, 3)
	whoseAre := func(limit int) {
		t.Helper()
		rows, _, err := s.List(t.Context(), session.Query{User: "u_alice", Limit: limit})
		if err != nil || len(rows) != min(limit, len(live)) {
			t.Fatalf("%d sessions are listed, %v", len(rows), err)
		}
	}
	whoseAre(1000)
	if n := count(t, url, "user_sessions WHERE ended"); n != many {
		t.Fatalf("%d of %d ended sessions are marked", n, many)
	}
	// From now on nothing of what has ended is read.
	stats := connect(t, url)
	read := func() (n int) {
		t.Helper()
		if err := stats.QueryRow(t.Context(), `SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_user_tables WHERE schemaname = 'pawl' AND relname = 'user_sessions'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	_ = s.Close() // so that it reports what it read
	until(t, "the reads are counted", func() bool { return read() >= many })
	s = open(t, with(t, url, "pool_max_conns", "1"), nil)
	before := read()
	for range 20 {
		whoseAre(1)
		whoseAre(1000)
	}
	if ended, err := s.End(t.Context(), session.Selection{User: "u_alice", Except: live[0].ID}, session.ReasonOperator); err != nil || len(ended) != 2 {
		t.Errorf("ended %d, %v; want 2", len(ended), err)
	}
	_ = s.Close()
	until(t, "the reads are counted", func() bool { return read() > before })
	if n := read() - before; n > many/2 {
		t.Errorf("%d lines were read in 41 calls, of %d that have ended", n, many)
	}
}

// Every page of a user's sessions is walked through, whatever is asked of them.
func TestAUsersSessionsAreWalkedToTheEnd(t *testing.T) {
	const many = 2*postgres.LinesPage + 10
	url := database(t)
	s := open(t, url, nil)
	past(t, url, many, true)
	run(t, connect(t, url), `UPDATE pawl.sessions SET ended_at = NULL, end_reason = '', salt = '\x00000000000000000000000000000001'`, `UPDATE pawl.user_sessions SET ended = false`)
	seen, after := 0, session.ID{}
	for {
		rows, now, err := s.List(t.Context(), session.Query{User: "u_alice", After: after, Limit: 1700})
		if err != nil || now.IsZero() {
			t.Fatal(err, now)
		}
		if seen += len(rows); len(rows) < 1700 {
			break
		}
		after = rows[len(rows)-1].ID
	}
	if seen != many {
		t.Errorf("%d of %d are listed", seen, many)
	}
	ended, err := s.End(t.Context(), session.Selection{User: "u_alice"}, session.ReasonOperator)
	if err != nil || len(ended) != many {
		t.Errorf("%d of %d have ended, %v", len(ended), many, err)
	}
	if rows, now, err := s.List(t.Context(), session.Query{User: "u_alice", Limit: 10}); err != nil || len(rows) != 0 || now.IsZero() {
		t.Errorf("%d live at %v, %v", len(rows), now, err)
	}
	if rows, _, err := s.List(t.Context(), session.Query{User: "u_alice", WithEnded: true, Limit: many + 1}); err != nil || len(rows) != many {
		t.Errorf("%d of %d are listed with those that have ended, %v", len(rows), many, err)
	}
	if erased, _, err := s.EraseSessions(t.Context(), "u_alice"); err != nil || erased != many {
		t.Errorf("%d of %d are erased, %v", erased, many, err)
	}
}

// A line may be there before its session: that it leads to nothing does not
// mean that it always will.
func TestASessionThatIsBeingStoredIsNotTakenForEnded(t *testing.T) {
	url := database(t)
	s := open(t, url, nil)
	row := newRow(time.Now())
	run(t, connect(t, url), fmt.Sprintf(`INSERT INTO pawl.user_sessions VALUES ('u_alice', '%x', now() + interval '1 day')`, row.ID[:]))
	if rows, _, err := s.List(t.Context(), session.Query{User: "u_alice", Limit: 10}); err != nil || len(rows) != 0 {
		t.Fatalf("%d, %v", len(rows), err)
	}
	if ended, err := s.End(t.Context(), session.Selection{User: "u_alice"}, session.ReasonOperator); err != nil || len(ended) != 0 {
		t.Fatalf("%d, %v", len(ended), err)
	}
	if err := s.Create(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	if rows, _, err := s.List(t.Context(), session.Query{User: "u_alice", Limit: 10}); err != nil || len(rows) != 1 {
		t.Errorf("%d sessions, %v; want 1", len(rows), err)
	}
}
