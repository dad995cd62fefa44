package sqlstoretest

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
)

var processTests = []tierTest{
	{name: "WhatOneWritesTheOtherReads", run: shareEverything},
	{name: "NothingIsForgottenWhenAllAreClosed", run: reopen},
	{name: "AttemptsAreSharedAndSurviveARestart", run: shareAttempts},
	{name: "OneOfTwoActivatesAKey", run: oneActivates},
}

func shareEverything(b *bench) {
	row := b.create(nil)
	turned := session.Change{ID: row.ID, From: 1, Generation: 2, RotatedAt: b.clock.Now(), PriorUsedAt: b.clock.Now(), LastSeen: row.LastSeen}
	b.must(b.other.Replace(b.Context(), []session.Change{turned})[0])
	if err := b.store.Replace(b.Context(), []session.Change{turned})[0]; !errors.Is(err, session.ErrConflict) {
		b.Errorf("a row that the other process turned: %v, want ErrConflict", err)
	}
	if ended, err := b.other.End(b.Context(), session.Selection{Session: row.ID}, session.ReasonSignOut); err != nil || len(ended) != 1 {
		b.Errorf("ended %d, %v", len(ended), err)
	}
	told, err := b.store.Ended(b.Context(), time.Minute)
	if err != nil || !slices.Contains(told.Sessions, row.ID) {
		b.Errorf("the feed has %v, %v", told.Sessions, err)
	}
	epoch, err := b.other.EndEveryone(b.Context(), time.Time{}, session.ReasonEveryone)
	b.must(err)
	if told, err = b.store.Ended(b.Context(), time.Minute); err != nil || !told.Epoch.Equal(epoch.At) {
		b.Errorf("the feed tells of epoch %v, %v; want %v", told.Epoch, err, epoch.At)
	}
	b.must(b.other.CreateUser(b.Context(), user("alice"), 0))
	if alice, err := b.store.UserByName(b.Context(), "alice"); err != nil || alice.ID != "u_alice" {
		b.Errorf("a user that the other process made: %+v, %v", alice, err)
	}
	b.must(b.other.Append(b.Context(), []session.Event{{Type: session.EventStarted}}))
	if events, err := b.store.Events(b.Context(), 0, 10); err != nil || len(events) != 1 {
		b.Errorf("events that the other process stored: %v, %v", events, err)
	}
	b.must(b.other.ChangeKeys(b.Context(), []keyring.Change{b.key("key", keyring.Active)}))
	if keys, _, err := b.store.Keys(b.Context()); err != nil || len(keys) != 1 {
		b.Errorf("keys that the other process made: %v, %v", keys, err)
	}
}

func reopen(b *bench) {
	live := b.create(func(r *session.Row) {
		r.CreatedAt = r.CreatedAt.Add(session.EpochMargin + time.Second)
		r.RotatedAt = r.CreatedAt
	})
	gone := b.create(nil)
	epoch, err := b.store.EndEveryone(b.Context(), time.Time{}, session.ReasonEveryone)
	b.must(err)
	b.must(b.store.Append(b.Context(), []session.Event{{Type: session.EventStarted}}))
	b.must(b.store.Close())
	b.must(b.other.Close())
	for name, call := range map[string]func() error{
		"Create": func() error { return b.store.Create(b.Context(), live) },
		"Load":   func() error { _, _, err := b.store.Load(b.Context(), []session.ID{live.ID}); return err },
		"Append": func() error { return b.store.Append(b.Context(), []session.Event{{Type: session.EventEnded}}) },
		"Events": func() error { _, err := b.store.Events(b.Context(), 0, 1); return err },
	} {
		if call() == nil {
			b.Errorf("%s of a store that was closed succeeds", name)
		}
	}
	if err := b.store.Append(b.Context(), []session.Event{{Type: session.EventEnded}}); !errors.Is(err, sqlstore.ErrClosed) {
		b.Errorf("a write after Close: %v, want ErrClosed", err)
	}

	b.other = b.maker.Again(b.T, b.store, b.clock.Now)
	if row := b.load(live.ID); row.Ended() {
		b.Error("a live session ended")
	}
	if row := b.load(gone.ID); !row.EndedAt.Equal(epoch.At) || row.EndReason != session.ReasonEveryone {
		b.Errorf("ended at %v by %q, want by the epoch %v", row.EndedAt, row.EndReason, epoch.At)
	}
	if n := len(b.events(0, 10)); n != 1 {
		b.Errorf("%d events, want 1", n)
	}
}

// Neither a restart nor a second process forgets, and together they let in no
// more than one does.
//
// Rows: 169, A83.
func shareAttempts(b *bench) {
	attempt := func() account.Step {
		return account.Attempt{Account: account.Tag{'a'}, Network: account.Tag{'n'}}.Take()
	}
	first := b.maker.Again(b.T, b.store, b.clock.Now)
	for range 3 {
		if outcome, err := first.Tally(b.Context(), attempt()); err != nil || !outcome.LetIn() {
			b.Fatalf("one of the first attempts: let in %t, %v", outcome.LetIn(), err)
		}
	}
	b.must(first.Close())
	stores := []sqlstore.Store{b.store, b.other}
	const attempts = 40
	var mu sync.Mutex
	in := 0
	var wg sync.WaitGroup
	for n := range attempts {
		wg.Go(func() {
			outcome, err := stores[n%2].Tally(b.Context(), attempt())
			if err != nil {
				b.Error(err)
			}
			if outcome.LetIn() {
				mu.Lock()
				in++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if in != 2 {
		b.Errorf("%d more attempts were let in after 3, want 2", in)
	}
}

func oneActivates(b *bench) {
	stores := []sqlstore.Store{b.store, b.other}
	for round := range 5 {
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				errs[i] = stores[i%2].ChangeKeys(b.Context(), []keyring.Change{b.key(string(rune('a'+8*round+i)), keyring.Active)})
			})
		}
		wg.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner < 0:
				winner = i
			case !errors.Is(err, keyring.ErrConflict):
				b.Fatalf("round %d, key %d: %v, want ErrConflict", round, i, err)
			}
		}
		if winner < 0 {
			b.Fatalf("round %d: nobody won", round)
		}
		retire := b.key(string(rune('a'+8*round+winner)), keyring.Retiring)
		retire.From, retire.To.Sealed = keyring.Active, nil
		b.must(b.store.ChangeKeys(b.Context(), []keyring.Change{retire}))
	}
}
