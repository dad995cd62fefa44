package memstore_test

import (
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/memstore"
	"github.com/pawlauth/pawl/session/storetest"
)

func TestStorePassesTheSuite(t *testing.T) {
	storetest.Run(t, storetest.Maker{
		Open: func(_ *testing.T, now func() time.Time) session.Store { return memstore.New(now) },
	})
}

// What happens to a clone does not happen to its original, and it has a clock
// of its own.
func TestCloneIsApart(t *testing.T) {
	ctx, clock, later := t.Context(), storetest.NewClock(), storetest.NewClock()
	later.Advance(time.Hour)
	original := memstore.New(clock.Now)
	engine := storetest.NewEngine(t, original, nil)
	kept, err := engine.Start(ctx, session.Login{UserID: "u_alice", ClientID: "web", Audience: "app", Transport: session.Cookie})
	if err != nil {
		t.Fatal(err)
	}
	clone := original.Clone(later.Now)
	ended, err := clone.End(ctx, session.Selection{User: "u_alice"}, session.ReasonOperator)
	if err != nil || len(ended) != 1 {
		t.Fatalf("End on the clone: %v, %v; want the one session", ended, err)
	}
	rows, now, err := original.Load(ctx, []session.ID{kept.Row.ID})
	if err != nil || len(rows) != 1 || rows[0].Ended() || !now.Equal(clock.Now()) {
		t.Errorf("the original changed with its clone: %v at %v, %v", rows, now, err)
	}
	if told, err := original.Ended(ctx, time.Hour); err != nil || len(told.Sessions) != 0 || !told.Epoch.IsZero() {
		t.Errorf("feed of the original: %v, %v; want nothing", told, err)
	}
	if epoch, err := clone.EndEveryone(ctx, time.Time{}, session.ReasonEveryone); err != nil || !epoch.At.Equal(session.NextEpoch(later.Now())) {
		t.Errorf("epoch of the clone: %v, %v; want its clock %v", epoch.At, err, session.NextEpoch(later.Now()))
	}
	if told, err := original.Ended(ctx, time.Hour); err != nil || !told.Epoch.IsZero() {
		t.Errorf("epoch of the original: %v, %v; want none", told.Epoch, err)
	}
	if told, err := clone.Clone(clock.Now).Ended(ctx, time.Hour); err != nil || !told.Epoch.Equal(session.NextEpoch(later.Now())) {
		t.Errorf("a clone lacks the epoch: %v, %v", told.Epoch, err)
	}
	rows, now, err = clone.Load(ctx, []session.ID{kept.Row.ID})
	if err != nil || len(rows) != 1 || !rows[0].EndedAt.Equal(later.Now()) || !now.Equal(later.Now()) {
		t.Errorf("the clone: %v at %v, %v; want it ended by its own clock", rows, now, err)
	}
}
