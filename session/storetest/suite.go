package storetest

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

// A Maker makes the stores that [Run] tests.
type Maker struct {
	// Open returns a store that is empty, of its own, and takes its clock from
	// now, which is safe for concurrent use. What closes the store is
	// registered with t.Cleanup.
	Open func(t *testing.T, now func() time.Time) session.Store
	// Again returns a second store on the data of one that Open made, as
	// another process would open it; nil if the kind of store cannot be opened
	// twice.
	Again func(t *testing.T, first session.Store, now func() time.Time) session.Store
}

// Run proves the contract of [session.Store], except for durability, which
// takes a second process. It must end with every tier passed.
func Run(t *testing.T, maker Maker) {
	tiers := []struct {
		name  string
		tests []tierTest
	}{
		{"Rows", rowTests},
		{"Directory", directoryTests},
		{"Contention", contentionTests},
		{"Faults", faultTests},
	}
	for _, tier := range tiers {
		t.Run(tier.name, func(t *testing.T) {
			for _, test := range tier.tests {
				t.Run(test.name, func(t *testing.T) {
					b := maker.bench(t)
					test.run(b)
					if err := Check(context.WithoutCancel(t.Context()), b.store); err != nil && !test.unsound {
						t.Errorf("the store is not sound afterwards: %v", err)
					}
				})
			}
		})
	}
}

// A tierTest is one sentence of the contract.
type tierTest struct {
	name    string
	run     func(*bench)
	unsound bool // it stores rows that no engine makes
}

// A bench is one store under test, with its clock.
type bench struct {
	*testing.T
	ctx   context.Context
	clock *Clock
	store session.Store
	other session.Store // on the same data: a second opening, or the store itself
}

func (m Maker) bench(t *testing.T) *bench {
	t.Helper()
	clock := NewClock()
	b := &bench{T: t, ctx: t.Context(), clock: clock, store: m.Open(t, clock.Now)}
	b.other = b.store
	if m.Again != nil {
		b.other = m.Again(t, b.store, clock.Now)
	}
	return b
}

// row returns a row as an engine makes it, with every field set that can be,
// and edited.
func (b *bench) row(edit func(*session.Row)) session.Row {
	now := b.clock.Now()
	row := session.Row{
		ID: token.NewID(), Key: masterKey.ID, UserID: "u_alice", ClientID: "web", Audience: "https://api.example",
		Scope: "read write", Generation: 1, RotatedAt: now, CreatedAt: now, AuthTime: now, Methods: []string{"pwd", "otp"},
		AbsoluteEnd: now.Add(90 * 24 * time.Hour), IdleLimit: 14 * 24 * time.Hour, Transport: session.Cookie, Remembered: true,
		Binding:   session.Binding{Kind: session.DBSC, Thumbprint: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
		UserAgent: `Mozilla/5.0 "quoted" 'quoted' ünïcödé ☃; -- %s \`, Address: "2001:db8::/48", LastSeen: now.Truncate(time.Hour),
	}
	rand.Read(row.Salt[:])
	if edit != nil {
		edit(&row)
	}
	return row
}

// create stores a row as [bench.row] makes it.
func (b *bench) create(edit func(*session.Row)) session.Row {
	b.Helper()
	row := b.row(edit)
	if err := b.store.Create(b.ctx, row); err != nil {
		b.Fatalf("Create: %v", err)
	}
	return row
}

// createMany stores rows of one user.
func (b *bench) createMany(n int, user string) []session.ID {
	b.Helper()
	ids := make([]session.ID, 0, n)
	for range n {
		ids = append(ids, b.create(func(r *session.Row) { r.UserID = user }).ID)
	}
	return sortIDs(ids)
}

// load returns one row, which must exist.
func (b *bench) load(id session.ID) session.Row {
	b.Helper()
	rows, _, err := b.other.Load(b.ctx, []session.ID{id})
	if err != nil || len(rows) != 1 {
		b.Fatalf("Load: %d rows, %v; want the one row", len(rows), err)
	}
	return rows[0]
}

// wantRow fails unless the stored row is this one.
func (b *bench) wantRow(want session.Row) {
	b.Helper()
	if diff := diffRows(want, b.load(want.ID)); diff != "" {
		b.Errorf("stored row differs (-want +got):\n%s", diff)
	}
}

// diffRows compares rows. A store need not tell no methods from an empty list,
// nor keep the zone of a time.
func diffRows(want, got session.Row) string {
	return cmp.Diff(want, got, cmpopts.EquateEmpty())
}

// replace applies one change.
func (b *bench) replace(c session.Change) error {
	b.Helper()
	errs := b.store.Replace(b.ctx, []session.Change{c})
	if len(errs) != 1 {
		b.Fatalf("Replace of one change: %d results", len(errs))
	}
	return errs[0]
}

// end ends sessions and returns which, in order.
func (b *bench) end(which session.Selection) []session.ID {
	b.Helper()
	ended, err := b.store.End(b.ctx, which, session.ReasonOperator)
	if err != nil {
		b.Fatalf("End: %v", err)
	}
	return endedIDs(ended)
}

func endedIDs(ended []session.Ended) []session.ID {
	ids := make([]session.ID, 0, len(ended))
	for _, e := range ended {
		ids = append(ids, e.Session)
	}
	return sortIDs(ids)
}

// feed returns the sessions in the feed, each once, in order.
func (b *bench) feed(window time.Duration) []session.ID {
	b.Helper()
	return distinct(b.endings(window).Sessions)
}

// endings returns what the feed tells.
func (b *bench) endings(window time.Duration) verify.Endings {
	b.Helper()
	f, ok := feedOf(b.other)
	if !ok {
		b.Fatal("the store has no feed")
	}
	told, err := f.Ended(b.ctx, window)
	if err != nil {
		b.Fatalf("Ended: %v", err)
	}
	return told
}

// wantIDs fails unless two lists of ids are equal.
func (b *bench) wantIDs(what string, want, got []session.ID) {
	b.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		b.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// turned is the change that an engine makes of a row when it turns now.
func turned(row session.Row, now time.Time) session.Change {
	return session.Change{
		ID: row.ID, From: row.Generation, Bound: row.Binding.Kind, Generation: row.Generation + 1, RotatedAt: now, PriorUsedAt: now,
		LateRepeats: row.LateRepeats << 1, KeyHash: session.KeyHash{7}, LastSeen: now.Truncate(time.Hour),
		RolledBackAt: row.Binding.RolledBackAt,
	}
}

// use is an access token of a row's newest generation, just old enough for the
// settle time.
func use(row session.Row, now time.Time, settle time.Duration) session.Use {
	return session.Use{Session: row.ID, Generation: row.Generation, IssuedAt: now.Add(-settle - time.Second).Truncate(time.Second)}
}
