package storetest

import (
	"errors"
	"time"

	"github.com/pawlauth/pawl/session"
)

// endEveryone sets the epoch.
func (b *bench) endEveryone(at time.Time) session.Epoch {
	b.Helper()
	epoch, err := b.store.EndEveryone(b.ctx, at, session.ReasonEveryone)
	if err != nil {
		b.Fatalf("EndEveryone: %v", err)
	}
	return epoch
}

// Rows: 143.
func epochEnds(b *bench) {
	old := b.createMany(3, "u_alice")
	dead := b.create(nil)
	b.end(session.Selection{Session: dead.ID})
	dead = b.load(dead.ID)
	before, free := b.load(old[0]), b.create(unbound)
	at := b.clock.Advance(time.Minute)
	epoch := b.endEveryone(time.Time{})
	if epoch.At.Before(at) || epoch.At.After(at.Add(session.EpochMargin)) || epoch.Reason != session.ReasonEveryone {
		b.Fatalf("epoch %v, want one from %v on, by at most the margin", epoch, at)
	}
	young := b.create(func(r *session.Row) { r.CreatedAt = epoch.At.Add(time.Microsecond) })
	last := b.create(func(r *session.Row) { r.CreatedAt = epoch.At })

	b.wantRow(epoch.Apply(before))
	b.wantRow(epoch.Apply(last))
	b.wantRow(young)
	b.wantRow(dead)
	b.wantIDs("listed live", []session.ID{young.ID}, idsOf(b.list(session.Query{Limit: 10})))
	if n := len(b.list(session.Query{WithEnded: true, Limit: 10})); n != 7 {
		b.Errorf("listed %d with ended ones, want 7", n)
	}
	if err := b.replace(turned(before, b.clock.Now())); !errors.Is(err, session.ErrConflict) {
		b.Errorf("a row that the epoch ended was changed: %v", err)
	}
	if err := b.store.Bind(b.ctx, free.ID, free.Generation, device); !errors.Is(err, session.ErrConflict) {
		b.Errorf("a session that the epoch ended was bound: %v", err)
	}
	b.wantRow(epoch.Apply(free))
	b.confirm(use(before, b.clock.Now(), settle))
	b.wantRow(epoch.Apply(before))
	b.wantIDs("ended once more", nil, b.end(session.Selection{User: "u_alice", Except: young.ID}))
	if told := b.endings(time.Hour); !told.Epoch.Equal(epoch.At) {
		b.Errorf("the feed tells of epoch %v, want %v", told.Epoch, epoch.At)
	}
}

func epochForward(b *bench) {
	if told := b.endings(time.Hour); !told.Epoch.IsZero() {
		b.Errorf("epoch %v of a new store", told.Epoch)
	}
	first := b.endEveryone(time.Time{})
	if back := b.endEveryone(first.At.Add(-time.Hour)); back != first {
		b.Errorf("the epoch moved from %v to %v", first, back)
	}
	want := first.At.Add(time.Hour)
	if on := b.endEveryone(want); !on.At.Equal(want) {
		b.Errorf("epoch %v, want the one that was given, %v", on.At, want)
	}
	if told := b.endings(time.Hour); !told.Epoch.Equal(want) {
		b.Errorf("the feed tells of epoch %v, want %v", told.Epoch, want)
	}
}

func epochSwept(b *bench) {
	ids := b.createMany(25, "u_alice")
	want := b.load(ids[7])
	epoch := b.endEveryone(time.Time{})
	if n := b.sweep(10, time.Hour); n != 0 {
		b.Errorf("swept %d rows while the epoch is in the feed, want 0", n)
	}
	b.clock.Advance(time.Hour + time.Minute)
	total := 0
	for range 10 {
		n := b.sweep(10, time.Hour)
		if total += n; n < 10 {
			break
		}
	}
	if total != len(ids) {
		b.Errorf("swept %d rows, want %d", total, len(ids))
	}
	b.wantRow(epoch.Apply(want))
	b.wantIDs("feed", nil, b.feed(30*time.Minute))
	b.wantIDs("those that were written", ids, b.feed(2*time.Hour))
	if n := b.sweep(10, time.Hour); n != 0 {
		b.Errorf("swept %d rows again", n)
	}
	// Those that come later are not of this epoch.
	live := b.create(nil)
	b.sweep(10, time.Hour)
	b.wantRow(live)
}

func epochKept(b *bench) {
	row := b.create(func(r *session.Row) { r.AbsoluteEnd, r.IdleLimit = b.clock.Now().Add(time.Hour), time.Minute })
	b.clock.Advance(time.Hour - time.Minute)
	epoch := b.endEveryone(time.Time{})
	b.clock.Advance(2 * time.Minute)
	if n := b.sweep(10, time.Hour); n != 0 {
		b.Errorf("swept %d rows that ended within the time of the feed", n)
	}
	b.wantRow(epoch.Apply(row))
	b.clock.Advance(time.Hour)
	if n := b.sweep(10, time.Hour); n != 1 {
		b.Errorf("swept %d rows, want the one that is over", n)
	}
}

// The clock moves on while the epoch is set: who does not know of it must have
// read the clock before it.
//
// Rows: 143.
func raceEpoch(b *bench) {
	for range 2 * rounds {
		b.clock.Advance(time.Minute)
		row := b.create(nil)
		var epoch session.Epoch
		seen := make([]time.Time, 6) // the latest clock with which the row was live
		b.atOnce(len(seen), func(i int, store session.Store) {
			if i == 0 {
				var err error
				if epoch, err = store.EndEveryone(b.ctx, time.Time{}, session.ReasonEveryone); err != nil {
					b.Errorf("EndEveryone: %v", err)
				}
				return
			}
			for range 8 {
				rows, now, err := store.Load(b.ctx, []session.ID{row.ID})
				if err != nil || len(rows) != 1 {
					b.Errorf("Load: %v", err)
					return
				}
				if !rows[0].Ended() {
					seen[i] = now
				}
				b.clock.Advance(time.Second)
			}
		})
		for _, now := range seen {
			if now.After(epoch.At) {
				b.Fatalf("a session was live at %v, after the epoch %v that ended it", now, epoch.At)
			}
		}
	}
}
