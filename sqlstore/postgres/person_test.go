package postgres_test

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
)

// With the sessions of a user goes what leads from the user to them. The line
// of a session that is not stored yet stays, or the session would never be
// found.
//
// Rows: 243
func TestEraseLeavesNoTraceOfTheUser(t *testing.T) {
	now := time.Now()
	url := database(t)
	s := open(t, url, func() time.Time { return now })
	for i := range 3 {
		row := newRow(now)
		if i == 0 {
			row.AbsoluteEnd, row.IdleLimit = now.Add(time.Minute), time.Minute
		}
		if err := s.Create(t.Context(), row); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.End(t.Context(), session.Selection{User: "u_alice"}, session.ReasonDisabled); err != nil {
		t.Fatal(err)
	}
	late, live := newRow(now), newRow(now)
	run(t, connect(t, url), `INSERT INTO pawl.user_sessions VALUES ('u_alice', '`+hex.EncodeToString(late.ID[:])+`', now() + interval '1 hour')`)
	if err := s.Create(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour / 2)
	if erased, removed, err := s.EraseSessions(t.Context(), "u_alice"); err != nil || erased != 2 || removed != 1 {
		t.Errorf("erased %d and removed %d, %v; want 2 and 1", erased, removed, err)
	}
	if n := count(t, url, "user_sessions WHERE user_id = 'u_alice'"); n != 2 {
		t.Errorf("the user has %d lines, want that of the live session and that of the one to come", n)
	}
	if err := s.Create(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	ended, err := s.End(t.Context(), session.Selection{User: "u_alice"}, session.ReasonDisabled)
	if err != nil || len(ended) != 2 {
		t.Errorf("ended %d, %v; want both that were left", len(ended), err)
	}
	if _, _, err := s.EraseSessions(t.Context(), "u_alice"); err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{"user_sessions", "sessions WHERE user_id = 'u_alice'"} {
		if n := count(t, url, where); n != 0 {
			t.Errorf("%d left in %s", n, where)
		}
	}
}
