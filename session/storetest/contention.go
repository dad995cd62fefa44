package storetest

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawlauth/pawl/session"
)

var contentionTests = []tierTest{
	{name: "OneCreateWins", run: raceCreate},
	{name: "OneReplaceWins", run: raceReplace},
	{name: "LateRepeatsAddUp", run: raceLateRepeats},
	{name: "ConfirmNeverReachesTheNextGeneration", run: raceConfirm},
	{name: "OneBindWins", run: raceBind},
	{name: "BindAndTurnExcludeEachOther", run: raceBindReplace},
	{name: "OneEndTells", run: raceEnd},
	{name: "EndIsNeverUndone", run: raceEndReplace},
	{name: "LoadReadsTheClockFirst", run: raceClock},
	{name: "EpochLiesAheadOfWhoDoesNotKnowIt", run: raceEpoch},
	{name: "OneLineage", run: raceLineage},
	{name: "EndedSessionsStayEnded", run: raceEngineEnd},
	{name: "RenewalInFlightLosesToAnEnd", run: inFlightEnd},
}

// atOnce runs f n times, all released together, alternately on both openings
// of the store.
func (b *bench) atOnce(n int, f func(i int, store session.Store)) {
	var wait sync.WaitGroup
	release := make(chan struct{})
	for i := range n {
		store := b.store
		if i%2 == 1 {
			store = b.other
		}
		wait.Go(func() {
			<-release
			f(i, store)
		})
	}
	close(release)
	wait.Wait()
}

// racers is how many callers contend, and rounds how often.
const (
	racers = 16
	rounds = 12
)

func raceCreate(b *bench) {
	for range rounds {
		rows := make([]session.Row, racers)
		errs := make([]error, racers)
		id := b.row(nil).ID
		for i := range rows {
			rows[i] = b.row(func(r *session.Row) { r.ID = id })
		}
		b.atOnce(racers, func(i int, store session.Store) { errs[i] = store.Create(b.ctx, rows[i]) })
		b.wantRow(rows[b.oneWinner(errs, session.ErrExists)])
	}
}

// oneWinner returns who got no error, and fails unless all others got this one.
func (b *bench) oneWinner(errs []error, others error) int {
	b.Helper()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = i
		case err == nil:
			b.Fatalf("two callers won")
		case !errors.Is(err, others):
			b.Fatalf("caller %d: %v, want %v", i, err, others)
		}
	}
	if winner < 0 {
		b.Fatal("nobody won")
	}
	return winner
}

// Rows: 114, A39.
func raceReplace(b *bench) {
	row := b.create(nil)
	for range rounds {
		errs := make([]error, racers)
		changes := make([]session.Change, racers)
		now := b.clock.Advance(time.Minute)
		for i := range changes {
			changes[i] = turned(row, now)
			changes[i].KeyHash = session.KeyHash{byte(i)}
		}
		b.atOnce(racers, func(i int, store session.Store) { errs[i] = store.Replace(b.ctx, changes[i:i+1])[0] })
		row = row.Apply(changes[b.oneWinner(errs, session.ErrConflict)], now)
		b.wantRow(row)
	}
}

// insist replaces a row that others are changing, too, but in a way that the
// change still fits: a conflict says that one of them is at it.
func insist(b *bench, store session.Store, c session.Change) error {
	for range 10000 {
		if err := store.Replace(b.ctx, []session.Change{c})[0]; !errors.Is(err, session.ErrConflict) {
			return err
		}
	}
	return session.ErrConflict
}

func raceLateRepeats(b *bench) {
	for range rounds {
		now := b.clock.Now()
		row := b.create(func(r *session.Row) {
			r.Generation, r.CreatedAt, r.AuthTime, r.PriorUsedAt = 9, now.Add(-time.Hour), now.Add(-time.Hour), now
		})
		u := use(row, b.clock.Advance(2*time.Minute), settle)
		errs := make([]error, 8)
		b.atOnce(9, func(i int, store session.Store) {
			if i == 8 {
				if _, err := store.Confirm(b.ctx, []session.Use{u}, settle); err != nil {
					b.Errorf("Confirm: %v", err)
				}
				return
			}
			c := turned(row, now)
			c.Generation, c.LateRepeats = row.Generation, 1<<i
			errs[i] = insist(b, store, c)
		})
		if err := errors.Join(errs...); err != nil {
			b.Fatalf("Replace within a generation: %v", err)
		}
		row.LateRepeats, row.ConfirmedAt = 0xFF, b.clock.Now()
		b.wantRow(row)
	}
}

// A confirmation and a turn at the same time, in either order: the use was of
// the old generation, and the new one is not confirmed by it.
func raceConfirm(b *bench) {
	for range 2 * rounds {
		row := b.create(nil)
		now := b.clock.Advance(2 * time.Minute)
		c, u := turned(row, now), use(row, now, settle)
		b.atOnce(4, func(i int, store session.Store) {
			if i == 1 {
				if err := insist(b, store, c); err != nil {
					b.Errorf("Replace: %v", err)
				}
				return
			}
			if _, err := store.Confirm(b.ctx, []session.Use{u}, settle); err != nil {
				b.Errorf("Confirm: %v", err)
			}
		})
		b.wantRow(row.Apply(c, now))
	}
}

func raceEnd(b *bench) {
	for range rounds {
		ids := b.createMany(8, "u_alice")
		told := make([][]session.Ended, racers)
		b.atOnce(racers, func(i int, store session.Store) {
			which := session.Selection{User: "u_alice"}
			switch i % 4 {
			case 0:
				which = session.Selection{Session: ids[i/2]}
			case 1:
				which = session.Selection{User: "u_alice", Except: ids[i/2]}
			}
			var err error
			if told[i], err = store.End(b.ctx, which, session.ReasonOperator); err != nil {
				b.Errorf("End: %v", err)
			}
		})
		b.wantIDs("told, over all callers", ids, endedIDs(slices.Concat(told...)))
	}
	b.wantIDs("feed", endedOf(b), b.feed(time.Hour))
}

// From when End returns, nothing moves the row: everybody goes on until he has
// tried once after that.
func raceEndReplace(b *bench) {
	for range rounds {
		row := b.create(nil)
		var over atomic.Bool
		b.atOnce(racers, func(i int, store session.Store) {
			if i == 0 {
				if _, err := store.End(b.ctx, session.Selection{Session: row.ID}, session.ReasonSignOut); err != nil {
					b.Errorf("End: %v", err)
				}
				over.Store(true)
				return
			}
			mine := row
			for range 1000 {
				wasOver := over.Load()
				err := store.Replace(b.ctx, []session.Change{turned(mine, b.clock.Now())})[0]
				switch {
				case err == nil && wasOver:
					b.Error("an ended session was renewed")
					return
				case err != nil && !errors.Is(err, session.ErrConflict):
					b.Errorf("Replace: %v", err)
					return
				}
				rows, _, err := store.Load(b.ctx, []session.ID{row.ID})
				if err != nil || len(rows) != 1 {
					b.Errorf("Load: %v", err)
					return
				}
				if mine = rows[0]; wasOver {
					return
				}
			}
		})
		if got := b.load(row.ID); !got.Ended() || got.EndReason != session.ReasonSignOut || !got.Salt.IsZero() {
			b.Errorf("ended %t, reason %q, salt erased %t", got.Ended(), got.EndReason, got.Salt.IsZero())
		}
	}
}

// The clock moves only after the end: who sees the session live must have read
// the clock before it moved.
func raceClock(b *bench) {
	for range 4 * rounds {
		row := b.create(nil)
		var moved time.Time
		type sight struct {
			live bool
			now  time.Time
		}
		sights := make([][]sight, 6)
		b.atOnce(len(sights), func(i int, store session.Store) {
			if i == 0 {
				if _, err := store.End(b.ctx, session.Selection{Session: row.ID}, session.ReasonSignOut); err != nil {
					b.Errorf("End: %v", err)
				}
				moved = b.clock.Advance(time.Second)
				return
			}
			for range 4 {
				rows, now, err := store.Load(b.ctx, []session.ID{row.ID})
				if err != nil || len(rows) != 1 {
					b.Errorf("Load: %v", err)
					return
				}
				sights[i] = append(sights[i], sight{!rows[0].Ended(), now})
			}
		})
		for _, s := range slices.Concat(sights...) {
			if s.live && !s.now.Before(moved) {
				b.Fatal("a row was read before the clock that came with it")
			}
		}
	}
}
