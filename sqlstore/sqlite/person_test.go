package sqlite_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
)

// Ended sessions of one user lose what is personal and stay ended; nobody
// else's row changes, and a live session is left alone.
//
// Rows: 243
func TestEraseSessionsKeepsThemEnded(t *testing.T) {
	path, clock := newPath(t), time.Now()
	s := open(t, path, func() time.Time { return clock })
	start := func(user string, change func(*session.Row)) session.Row {
		t.Helper()
		row := newRow(clock)
		row.UserID, row.UserAgent, row.Address = user, "canary-agent", "canary-network"
		change(&row)
		if err := s.Create(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		return row
	}
	plain := func(*session.Row) {}
	short := start("u_alice", func(r *session.Row) { r.AbsoluteEnd, r.IdleLimit = clock.Add(time.Minute), time.Minute })
	bound := start("u_alice", func(r *session.Row) {
		r.Binding = session.Binding{Kind: session.DBSC, Thumbprint: "canary-thumbprint", RolledBackAt: clock}
		r.Scope, r.KeyHash = "canary-scope", session.KeyHash{7}
	})
	other, bystander := start("u_alice", plain), start("u_bob", plain)
	if _, err := s.End(t.Context(), session.Selection{User: "u_alice"}, session.ReasonDisabled); err != nil {
		t.Fatal(err)
	}
	live := start("u_alice", plain)
	before, bob := load(t, s, bound.ID), load(t, s, bystander.ID)
	clock = clock.Add(time.Hour)

	erased, removed, err := s.EraseSessions(t.Context(), "u_alice")
	if err != nil || erased != 2 || removed != 1 {
		t.Fatalf("erased %d and removed %d, %v; want 2 and 1", erased, removed, err)
	}
	if rows, _, err := s.Load(t.Context(), []session.ID{short.ID}); err != nil || len(rows) != 0 {
		t.Errorf("what was over is still there: %d rows, %v", len(rows), err)
	}
	got, second := load(t, s, bound.ID), load(t, s, other.ID)
	if got.UserID == second.UserID || got.UserID == "u_alice" || second.UserID == "u_alice" {
		t.Errorf("erased sessions are of %q and %q", got.UserID, second.UserID)
	}
	if !got.Ended() || !got.EndedAt.Equal(before.EndedAt) || got.EndReason != before.EndReason || !got.AbsoluteEnd.Equal(before.AbsoluteEnd) {
		t.Errorf("the end changed from %v to %v", before.EndedAt, got.EndedAt)
	}
	if err := replace(t, s, turn(got, clock)); !errors.Is(err, session.ErrConflict) {
		t.Errorf("an erased session turns: %v", err)
	}
	if err := s.Create(t.Context(), bound); !errors.Is(err, session.ErrExists) {
		t.Errorf("an erased session is made again: %v", err)
	}
	if now := load(t, s, bystander.ID); !slices.Equal(now.Methods, bob.Methods) || now.UserID != "u_bob" || now.UserAgent != bob.UserAgent {
		t.Errorf("somebody else's session changed: %+v", now)
	}
	if now := load(t, s, live.ID); now.Ended() || now.UserID != "u_alice" {
		t.Errorf("a live session was erased: %+v", now)
	}
	told, err := s.Ended(t.Context(), 24*time.Hour)
	if err != nil || len(told.Sessions) != 2 {
		t.Errorf("the feed has %d sessions, %v; want the 2 that are not over", len(told.Sessions), err)
	}
	for _, value := range columns(t, path) {
		if v := string(value); strings.Contains(v, "canary-thumbprint") || strings.Contains(v, "canary-scope") {
			t.Errorf("left in a column: %q", v)
		}
	}
	if erased, removed, err := s.EraseSessions(t.Context(), "u_alice"); err != nil || erased+removed != 0 {
		t.Errorf("once more: erased %d, removed %d, %v", erased, removed, err)
	}
	sound(t, s)
}

// Events of one user, of more than one step, become anonymous; what happened
// and when stays, for everybody.
//
// Rows: 243
func TestEraseEventsKeepsWhatHappened(t *testing.T) {
	s := open(t, newPath(t), time.Now)
	const n = 2*sqlite.EraseStep + 10
	events := make([]session.Event, n)
	mine := 0
	for i := range events {
		events[i] = session.Event{Time: fixtureTime.Add(time.Duration(i) * time.Second), Type: session.EventRenewed, UserID: "u_bob",
			Session: fmt.Sprint("hash", i), Generation: uint32(i), ClientID: "web",
			Origin: session.Origin{Address: "192.0.2.0/24", UserAgent: "agent", RequestID: "r"}}
		if i%3 == 0 {
			events[i].UserID = "u_alice"
			mine++
		}
	}
	events[3].Type, events[3].Origin = session.EventUserDeleted, session.Origin{}
	mine-- // that one keeps the id
	if err := s.Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	page, err := s.EventsOf(t.Context(), "u_alice", 4, 2) // after the one with cursor 4
	if err != nil || len(page) != 2 || page[0].Cursor != 7 || page[1].Cursor != 10 {
		t.Errorf("EventsOf: %v, %v", page, err)
	}
	if got, err := s.EraseEvents(t.Context(), "u_alice"); err != nil || got != mine {
		t.Fatalf("erased %d, %v; want %d", got, err, mine)
	}
	after, err := s.Events(t.Context(), 0, n+1)
	if err != nil || len(after) != n {
		t.Fatalf("%d events, %v; want all %d", len(after), err, n)
	}
	for i, e := range after {
		want := events[i]
		if i%3 == 0 && i != 3 {
			want.UserID, want.Origin = "", session.Origin{}
		}
		if e.Event != want {
			t.Fatalf("event %d: %+v, want %+v", i, e.Event, want)
		}
	}
	if left, err := s.EventsOf(t.Context(), "u_alice", 0, n); err != nil || len(left) != 1 || left[0].Type != session.EventUserDeleted {
		t.Errorf("left: %v, %v; want the deletion alone", left, err)
	}
	if again, err := s.EraseEvents(t.Context(), "u_alice"); err != nil || again != 0 {
		t.Errorf("once more: %d, %v", again, err)
	}
	sound(t, s)
}
