package sqlite_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
)

// Whoever has had very many sessions is served as quickly as anybody: what has
// ended is not read.
//
// Rows: 198
func TestAUserOfManyEndedSessionsIsServed(t *testing.T) {
	path := newPath(t)
	s := open(t, path, time.Now)
	create(t, s)
	db := raw(t, path)
	list, _ := sqlite.Listing(session.Query{User: "u_alice", Limit: 1})
	for name, statement := range map[string]string{"list": list, "end": sqlite.SQLEndUser} {
		args := make([]any, strings.Count(statement, "?"))
		rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+statement, args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, detail)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(fmt.Sprint(plan), "INDEX sessions_live (user_id=?") {
			t.Errorf("%s goes by %q", name, plan)
		}
	}
}

// However many sessions a user has, no transaction is long, and all of them end.
func TestAUsersSessionsEndAStepAtATime(t *testing.T) {
	const many = 2*sqlite.EndStep + 10
	path := newPath(t)
	s := open(t, path, time.Now)
	first := create(t, s)
	run(t, raw(t, path), fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		INSERT INTO sessions SELECT randomblob(16), salt, master, user_id, client_id, audience, scope, generation, rotated_at, confirmed_at, prior_used_at,
			late_repeats, key_hash, created_at, auth_time, methods, absolute_end, idle_limit, transport, remembered, binding, thumbprint,
			rolled_back_at, user_agent, address, last_seen, ended_at, end_reason FROM sessions, n`, many))
	ended, err := s.End(t.Context(), session.Selection{User: "u_alice", Except: first.ID}, session.ReasonOperator)
	if err != nil || len(ended) != many-1 {
		t.Fatalf("%d of %d have ended, %v", len(ended), many, err)
	}
	if rows, _, err := s.List(t.Context(), session.Query{User: "u_alice", Limit: 10}); err != nil || len(rows) != 1 || rows[0].ID != first.ID {
		t.Errorf("%d sessions are left, %v", len(rows), err)
	}
	if erased, _, err := s.EraseSessions(t.Context(), "u_alice"); err != nil || erased != many-1 {
		t.Errorf("%d of %d are erased, %v", erased, many-1, err)
	}
}
