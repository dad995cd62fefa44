package sqlstoretest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pawlauth/pawl/session"
)

var eraseTests = []tierTest{
	{name: "SessionsStayEnded", run: eraseSessions},
	{name: "SessionsThatTheEpochEnded", run: eraseEpoch},
	{name: "EventsKeepWhatHappened", run: eraseEvents},
}

// erase erases the sessions of a user and checks how many that were.
func (b *bench) erase(user string, erased, removed int) {
	b.Helper()
	gotErased, gotRemoved, err := b.store.EraseSessions(b.Context(), user)
	if err != nil || gotErased != erased || gotRemoved != removed {
		b.Errorf("erased %d and removed %d, %v; want %d and %d", gotErased, gotRemoved, err, erased, removed)
	}
}

// wantErased fails unless a row has lost what is personal, and nothing else.
func (b *bench) wantErased(before session.Row) {
	b.Helper()
	after := b.load(before.ID)
	if after.UserID == "" || after.UserID == before.UserID {
		b.Errorf("an erased session is of %q", after.UserID)
	}
	before.UserID, before.UserAgent, before.Address, before.Scope = after.UserID, "", "", ""
	before.KeyHash, before.Binding = session.KeyHash{}, session.Binding{}
	if diff := cmp.Diff(before, after); diff != "" {
		b.Errorf("an erased session (-want +got):\n%s", diff)
	}
}

// Ended sessions of one user lose what is personal and stay ended; nobody
// else's row changes, and a live session is left alone.
//
// Rows: 243.
func eraseSessions(b *bench) {
	over := b.create(func(r *session.Row) { r.AbsoluteEnd, r.IdleLimit = b.clock.Now().Add(time.Minute), time.Minute })
	bound := b.create(func(r *session.Row) {
		r.Binding = session.Binding{Kind: session.DBSC, Thumbprint: "thumbprint", RolledBackAt: b.clock.Now()}
		r.KeyHash = session.KeyHash{7}
	})
	plain := b.create(nil)
	bystander := b.create(func(r *session.Row) { r.UserID = "u_bob" })
	b.end(session.Selection{User: "u_alice"})
	b.end(session.Selection{User: "u_bob"})
	live := b.create(nil)
	made := bound
	bound, plain, bystander, live = b.load(bound.ID), b.load(plain.ID), b.load(bystander.ID), b.load(live.ID)
	b.clock.Advance(time.Hour)

	b.erase("u_alice", 2, 1)
	if rows, _, err := b.other.Load(b.Context(), []session.ID{over.ID}); err != nil || len(rows) != 0 {
		b.Errorf("what was over is still there: %d rows, %v", len(rows), err)
	}
	b.wantErased(bound)
	b.wantErased(plain)
	if b.load(bound.ID).UserID == b.load(plain.ID).UserID {
		b.Error("two erased sessions are told to be of one user")
	}
	for _, row := range []session.Row{bystander, live} {
		if diff := cmp.Diff(row, b.load(row.ID)); diff != "" {
			b.Errorf("a session that was not to be erased (-want +got):\n%s", diff)
		}
	}
	turned := session.Change{ID: bound.ID, From: 1, Generation: 2, RotatedAt: b.clock.Now(), PriorUsedAt: b.clock.Now(), LastSeen: bound.LastSeen}
	if err := b.store.Replace(b.Context(), []session.Change{turned})[0]; !errors.Is(err, session.ErrConflict) {
		b.Errorf("an erased session turns: %v", err)
	}
	if err := b.store.Create(b.Context(), made); !errors.Is(err, session.ErrExists) {
		b.Errorf("an erased session is made again: %v", err)
	}
	told, err := b.other.Ended(b.Context(), 24*time.Hour)
	if err != nil || !slices.Contains(told.Sessions, bound.ID) || !slices.Contains(told.Sessions, plain.ID) {
		b.Errorf("the feed has lost the erased sessions: %v, %v", told.Sessions, err)
	}
	b.erase("u_alice", 0, 0)
}

// Whether the epoch has been written into the rows makes no difference.
//
// Rows: 243.
func eraseEpoch(b *bench) {
	over := b.create(func(r *session.Row) { r.AbsoluteEnd, r.IdleLimit = b.clock.Now().Add(time.Minute), time.Minute })
	plain := b.create(nil)
	_, err := b.store.EndEveryone(b.Context(), time.Time{}, session.ReasonEveryone)
	b.must(err)
	b.clock.Advance(time.Minute)
	live := b.create(nil)
	ended, young := b.load(plain.ID), b.load(live.ID)
	if !ended.Ended() || young.Ended() {
		b.Fatal("the epoch ended other sessions")
	}

	b.erase("u_alice", 1, 1)
	b.wantErased(ended)
	if rows, _, err := b.other.Load(b.Context(), []session.ID{over.ID}); err != nil || len(rows) != 0 {
		b.Errorf("what was over is still there: %d rows, %v", len(rows), err)
	}
	if diff := cmp.Diff(live, b.load(live.ID)); diff != "" {
		b.Errorf("a live session was erased (-want +got):\n%s", diff)
	}
}

// Events of one user, more than fit into one step, become anonymous; what
// happened and when stays, for everybody.
//
// Rows: 243.
func eraseEvents(b *bench) {
	const n, step = 12_000, 4000
	events := make([]session.Event, n)
	mine := 0
	for i := range events {
		events[i] = session.Event{Time: b.clock.Now().Add(time.Duration(i) * time.Second), Type: session.EventRenewed, UserID: "u_bob",
			Session: fmt.Sprint("hash", i), Generation: uint32(i), ClientID: "web",
			Origin: session.Origin{Address: "192.0.2.0/24", UserAgent: "agent", RequestID: "r"}}
		if i%3 == 0 {
			events[i].UserID = "u_alice"
			mine++
		}
	}
	events[3].Type, events[3].Origin = session.EventUserDeleted, session.Origin{}
	mine-- // that one keeps the id
	for some := range slices.Chunk(events, step) {
		b.must(b.store.Append(b.Context(), some))
	}
	if got, err := b.store.EraseEvents(b.Context(), "u_alice"); err != nil || got != mine {
		b.Fatalf("erased %d, %v; want %d", got, err, mine)
	}
	after := b.events(0, step)
	if len(after) != n {
		b.Fatalf("%d events; want all %d", len(after), n)
	}
	for i, e := range after {
		want := events[i]
		if i%3 == 0 && i != 3 {
			want.UserID, want.Origin = "", session.Origin{}
		}
		if e.Event != want {
			b.Fatalf("event %d: %+v, want %+v", i, e.Event, want)
		}
	}
	if left, err := b.other.EventsOf(b.Context(), "u_alice", 0, n); err != nil || len(left) != 1 || left[0].Type != session.EventUserDeleted {
		b.Errorf("left: %v, %v; want the deletion alone", left, err)
	}
	if again, err := b.store.EraseEvents(b.Context(), "u_alice"); err != nil || again != 0 {
		b.Errorf("once more: %d, %v", again, err)
	}
}
