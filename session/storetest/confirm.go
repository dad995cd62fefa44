package storetest

import (
	"time"

	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// settle is that of the default policy.
const settle = 75 * time.Second

// confirm reports uses and returns the clock they were judged by.
func (b *bench) confirm(uses ...session.Use) time.Time {
	b.Helper()
	now, err := b.store.Confirm(b.ctx, uses, settle)
	if err != nil {
		b.Fatalf("Confirm: %v", err)
	}
	return now
}

func confirmStamps(b *bench) {
	row, bystander := b.create(nil), b.create(nil)
	first := b.clock.Advance(2 * time.Minute)
	u := use(row, first, settle)
	if now := b.confirm(u, u); !now.Equal(first) {
		b.Errorf("judged by %v, want the store's clock %v", now, first)
	}
	row.ConfirmedAt = first
	b.wantRow(row)

	// Later uses do not move the stamp, or the race window would slide.
	b.clock.Advance(time.Hour)
	b.confirm(u)
	b.wantRow(row)
	b.wantRow(bystander)
}

func confirmPasses(b *bench) {
	at5 := func(r *session.Row) { r.Generation, r.PriorUsedAt = 5, r.CreatedAt }
	row, ended := b.create(at5), b.create(at5)
	b.clock.Advance(time.Hour)
	b.end(session.Selection{Session: ended.ID})
	ended = b.load(ended.ID)
	now := b.clock.Advance(time.Hour)

	settled := use(row, now, settle)
	older, newer, early, unknown := settled, settled, settled, settled
	older.Generation, newer.Generation = 4, 6
	early.IssuedAt = now.Add(-settle).Truncate(time.Second)
	unknown.Session = token.NewID()
	if at := b.confirm(older, newer, early, unknown, use(ended, now, settle)); !at.Equal(now) {
		b.Errorf("judged by %v, want %v", at, now)
	}
	b.wantRow(row)
	b.wantRow(ended)

	if at := b.confirm(); !at.Equal(now) {
		b.Errorf("Confirm of nothing: clock %v, want %v", at, now)
	}
	// One that counts among those that do not.
	b.confirm(older, settled, newer, unknown)
	row.ConfirmedAt = now
	b.wantRow(row)
}

// "iat" is whole seconds, rounded down: a use confirms from settle and one
// second after it on.
func confirmClock(b *bench) {
	start := b.clock.Now()
	b.clock.Advance(start.Truncate(time.Second).Add(time.Second).Sub(start))
	for _, test := range []struct {
		name   string
		settle time.Duration
		age    time.Duration // of "iat"
		want   bool
	}{
		{"too young", settle, settle, false},
		{"a microsecond too young", settle, settle + time.Second - time.Microsecond, false},
		{"old enough", settle, settle + time.Second, true},
		{"no settle time", 0, 0, true},
		{"no settle time, from the future", 0, -time.Hour, true},
	} {
		row := b.create(nil)
		issued := b.clock.Now()
		b.clock.Advance(max(test.age, 0))
		u := session.Use{Session: row.ID, Generation: 1, IssuedAt: issued.Add(-min(test.age, 0))}
		if _, err := b.store.Confirm(b.ctx, []session.Use{u}, test.settle); err != nil {
			b.Fatalf("Confirm: %v", err)
		}
		if got := !b.load(row.ID).ConfirmedAt.IsZero(); got != test.want {
			b.Errorf("%s: confirmed %t, want %t", test.name, got, test.want)
		}
		b.clock.Advance(b.clock.Now().Truncate(time.Second).Add(time.Second).Sub(b.clock.Now()))
	}
}

// Whatever the row and the change: a conflict that leaves the row alone, or
// what Row.Apply computes.
func replaceApplies(b *bench) {
	rapid.Check(b.T, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "changes")
		var changes []session.Change
		var want []session.Row
		var conflict []bool
		now := b.clock.Now()
		for range n {
			row := b.create(func(r *session.Row) { drawRow(t, r, now) })
			if rapid.Bool().Draw(t, "confirmed between") {
				b.confirm(use(row, now, settle))
			}
			c := drawChange(t, row, now)
			stored := b.load(row.ID)
			refused := c.From != stored.Generation || stored.Ended()
			if !refused {
				stored = stored.Apply(c, now)
			}
			changes, want, conflict = append(changes, c), append(want, stored), append(conflict, refused)
		}
		errs := b.store.Replace(b.ctx, changes)
		if len(errs) != n {
			t.Fatalf("%d results for %d changes", len(errs), n)
		}
		for i := range want {
			if (errs[i] != nil) != conflict[i] {
				t.Fatalf("change %d: %v; want a conflict: %t", i, errs[i], conflict[i])
			}
			if diff := diffRows(want[i], b.load(want[i].ID)); diff != "" {
				t.Fatalf("change %+v: stored row differs from Row.Apply (-want +got):\n%s", changes[i], diff)
			}
		}
	})
}

// Some times at which something happened, in microseconds.
func drawTime(t *rapid.T, now time.Time, label string) time.Time {
	return now.Add(time.Duration(rapid.Int64Range(-1e9, 1e6).Draw(t, label)) * time.Microsecond)
}

func drawMaybe(t *rapid.T, now time.Time, label string) time.Time {
	if rapid.Bool().Draw(t, label+" set") {
		return drawTime(t, now, label)
	}
	return time.Time{}
}

func drawRow(t *rapid.T, r *session.Row, now time.Time) {
	r.Generation = rapid.Uint32Range(1, 1<<32-100).Draw(t, "generation")
	r.RotatedAt = drawTime(t, now, "rotated")
	r.ConfirmedAt, r.PriorUsedAt = drawMaybe(t, now, "confirmed"), drawMaybe(t, now, "prior used")
	r.LateRepeats = rapid.Uint8().Draw(t, "late repeats")
	r.Binding.RolledBackAt = drawMaybe(t, now, "rolled back")
	if rapid.IntRange(0, 5).Draw(t, "ended") == 0 {
		r.EndedAt, r.EndReason, r.Salt = now, session.ReasonSignOut, token.Salt{}
	}
}

func drawChange(t *rapid.T, row session.Row, now time.Time) session.Change {
	c := session.Change{
		ID: row.ID, From: row.Generation, Bound: row.Binding.Kind, RotatedAt: drawTime(t, now, "to rotated"), PriorUsedAt: drawMaybe(t, now, "to prior used"),
		LateRepeats: rapid.Uint8().Draw(t, "to late repeats"), LastSeen: now.Truncate(time.Hour),
		RolledBackAt: drawMaybe(t, now, "to rolled back"),
	}
	copy(c.KeyHash[:], rapid.SliceOfN(rapid.Byte(), 0, len(c.KeyHash)).Draw(t, "key"))
	// A batch may turn a row by more than one.
	c.Generation = row.Generation + rapid.SampledFrom([]uint32{0, 0, 1, 1, 1, 2, 7, 8, 40}).Draw(t, "steps")
	if rapid.IntRange(0, 5).Draw(t, "stale") == 0 {
		c.From = rapid.Uint32().Draw(t, "from")
	}
	if rapid.IntRange(0, 3).Draw(t, "ends") == 0 {
		c.End = session.ReasonShadow
	}
	return c
}
