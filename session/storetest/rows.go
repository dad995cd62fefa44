package storetest

import (
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

var rowTests = []tierTest{
	{name: "CreateStoresTheRowAsItIs", run: createStores, unsound: true},
	{name: "CreateRefusesATakenID", run: createTaken},
	{name: "LoadReturnsEachRowOnce", run: loadOnce},
	{name: "LoadReturnsTheClock", run: loadClock},
	{name: "ReplaceTurns", run: replaceTurns},
	{name: "ReplaceWithinAGenerationKeepsWhatCameBetween", run: replaceWithin},
	{name: "ReplaceEnds", run: replaceEnds},
	{name: "ReplaceRefusesAnotherGenerationOrBinding", run: replaceConflict},
	{name: "ReplaceRefusesTheEnded", run: replaceEnded},
	{name: "ReplaceAnswersEachChangeInOrder", run: replaceMixed},
	{name: "ReplaceAppliesAsRowApplySays", run: replaceApplies, unsound: true},
	{name: "BindBindsOnce", run: bindOnce},
	{name: "BindRefusesWhatHasMovedOn", run: bindConflict},
	{name: "ConfirmStampsTheFirstSettledUse", run: confirmStamps},
	{name: "ConfirmPassesOverEverythingElse", run: confirmPasses},
	{name: "ConfirmJudgesByTheStoresClock", run: confirmClock},
	{name: "TimesKeepMicroseconds", run: timesKeep},
}

// Rows: 10, 119.
func createStores(b *bench) {
	now := b.clock.Now()
	const micro = time.Microsecond
	edits := map[string]func(*session.Row){
		"as an engine makes it": nil,
		"every field set": func(r *session.Row) {
			r.Generation, r.LateRepeats, r.KeyHash = 300, 0xA5, session.KeyHash{0, 0xFF, 1}
			r.ConfirmedAt, r.PriorUsedAt, r.Binding.RolledBackAt = now.Add(micro), now.Add(-micro), now.Add(2*micro)
			r.RotatedAt, r.AuthTime, r.LastSeen = now.Add(-2*micro), now.Add(-time.Hour-micro), now.Add(3*micro)
		},
		"ended": func(r *session.Row) {
			r.Salt, r.EndedAt, r.EndReason = token.Salt{}, now.Add(micro), session.ReasonReuse
		},
		"empty where it may be": func(r *session.Row) {
			r.ClientID, r.Audience, r.Scope, r.UserAgent, r.Address, r.Methods = "", "", "", "", "", nil
			r.Binding, r.Remembered, r.Transport = session.Binding{}, false, session.Bearer
		},
		"largest numbers": func(r *session.Row) {
			r.Generation, r.LateRepeats = math.MaxUint32, 0xFF
			r.IdleLimit = 400*24*time.Hour - micro
			r.AbsoluteEnd = r.CreatedAt.Add(400 * 24 * time.Hour)
		},
		"long texts": func(r *session.Row) {
			r.UserAgent, r.Scope, r.UserID = strings.Repeat("é", 2000), strings.Repeat("scope ", 200), strings.Repeat("u", 200)
			r.Methods = slices.Repeat([]string{"a b", `"`, ",", "{}"}, 8)
		},
		"bytes that are no text": func(r *session.Row) {
			r.ID, r.Key = session.ID{0, 0xFF, 0, 0x80}, token.KeyID{0, 0xFF, 0x80, 0}
			r.Salt = token.Salt{0, 0x80, 0xFF}
		},
	}
	for name, edit := range edits {
		row := b.create(edit)
		if diff := diffRows(row, b.load(row.ID)); diff != "" {
			b.Errorf("%s: stored row differs (-want +got):\n%s", name, diff)
		}
	}
}

func createTaken(b *bench) {
	first := b.create(nil)
	second := b.row(func(r *session.Row) { r.ID, r.UserID = first.ID, "u_mallory" })
	if err := b.other.Create(b.ctx, second); !errors.Is(err, session.ErrExists) {
		b.Errorf("Create with a taken id: %v, want ErrExists", err)
	}
	b.wantRow(first)

	b.end(session.Selection{Session: first.ID})
	if err := b.store.Create(b.ctx, second); !errors.Is(err, session.ErrExists) {
		b.Errorf("Create with the id of an ended session: %v, want ErrExists", err)
	}
	if row := b.load(first.ID); !row.Ended() || row.UserID != first.UserID {
		b.Errorf("an ended session came back")
	}
}

func loadOnce(b *bench) {
	var want, asked []session.ID
	for range 40 {
		id := b.create(nil).ID
		want = append(want, id)
		asked = append(asked, id, token.NewID(), id)
	}
	asked = append(asked, session.ID{})
	before := slices.Clone(asked)
	rows, _, err := b.store.Load(b.ctx, asked)
	if err != nil {
		b.Fatalf("Load: %v", err)
	}
	var got []session.ID
	for _, row := range rows {
		got = append(got, row.ID)
	}
	b.wantIDs("loaded", sortIDs(want), sortIDs(got))
	b.wantIDs("the ids that were asked for changed", before, asked)

	rows, _, err = b.store.Load(b.ctx, []session.ID{token.NewID()})
	if err != nil || len(rows) != 0 {
		b.Errorf("Load of an unknown id: %d rows, %v; want none", len(rows), err)
	}
}

func loadClock(b *bench) {
	id := b.create(nil).ID
	for _, ids := range [][]session.ID{nil, {}, {id}, {token.NewID()}} {
		want := b.clock.Advance(time.Second + time.Microsecond)
		rows, now, err := b.store.Load(b.ctx, ids)
		if err != nil || !now.Equal(want) {
			b.Errorf("Load of %d ids: clock %v, %v; want %v", len(ids), now, err, want)
		}
		if len(ids) == 0 && len(rows) != 0 {
			b.Errorf("Load of no ids returned %d rows", len(rows))
		}
	}
}

// Rows: 111.
func replaceTurns(b *bench) {
	row := b.create(nil)
	b.confirm(use(row, b.clock.Advance(time.Hour), 75*time.Second))
	row = b.load(row.ID)
	if row.ConfirmedAt.IsZero() {
		b.Fatal("not confirmed")
	}
	c := turned(row, b.clock.Advance(time.Hour))
	c.PriorUsedAt, c.LateRepeats = row.ConfirmedAt, 0
	c.RolledBackAt = b.clock.Now()
	if err := b.replace(c); err != nil {
		b.Fatalf("Replace: %v", err)
	}
	want := row.Apply(c, b.clock.Now())
	b.wantRow(want)
	if got := b.load(row.ID); !got.ConfirmedAt.IsZero() || got.Generation != 2 || !got.RotatedAt.Equal(c.RotatedAt) {
		b.Errorf("after turning: generation %d, confirmed %v; want 2, unconfirmed", got.Generation, got.ConfirmedAt)
	}
}

// The change was decided before another process added a bit and confirmed.
func replaceWithin(b *bench) {
	now := b.clock.Now()
	row := b.create(func(r *session.Row) {
		r.CreatedAt, r.AuthTime = now.Add(-48*time.Hour), now.Add(-48*time.Hour)
		r.Generation, r.RotatedAt, r.PriorUsedAt = 9, now.Add(-time.Hour), now.Add(-2*time.Hour)
	})
	mine, others := turned(row, b.clock.Advance(time.Hour)), turned(row, now)
	mine.Generation, mine.LateRepeats, mine.RolledBackAt = row.Generation, 0b0001, b.clock.Now()
	others.Generation, others.LateRepeats = row.Generation, 0b0110

	if err := b.replace(others); err != nil {
		b.Fatalf("Replace: %v", err)
	}
	confirmed := b.clock.Advance(time.Minute)
	b.confirm(use(row, confirmed, 75*time.Second))
	b.clock.Advance(time.Minute)
	if err := b.replace(mine); err != nil {
		b.Fatalf("Replace within the generation: %v", err)
	}

	want := row
	want.LateRepeats, want.ConfirmedAt, want.Binding.RolledBackAt = 0b0111, confirmed, mine.RolledBackAt
	b.wantRow(want)
}

// Rows: 112.
func replaceEnds(b *bench) {
	row := b.create(nil)
	bystander := b.create(nil)
	ended := b.clock.Advance(time.Hour)
	c := turned(row, ended)
	c.End = session.ReasonReuse
	if err := b.replace(c); err != nil {
		b.Fatalf("Replace: %v", err)
	}
	want := row
	want.EndedAt, want.EndReason, want.Salt = ended, session.ReasonReuse, token.Salt{}
	b.wantRow(want)
	b.wantIDs("feed", []session.ID{row.ID}, b.feed(0))
	b.wantRow(bystander)
}

// Rows: 114, A39.
func replaceConflict(b *bench) {
	row := b.create(func(r *session.Row) { r.Generation, r.PriorUsedAt = 5, r.CreatedAt })
	for _, from := range []uint32{0, 4, 6, math.MaxUint32} {
		for _, end := range []session.Reason{"", session.ReasonReuse} {
			c := turned(row, b.clock.Advance(time.Second))
			c.From, c.End = from, end
			if err := b.replace(c); !errors.Is(err, session.ErrConflict) {
				b.Errorf("Replace from generation %d of 5, end %q: %v, want ErrConflict", from, end, err)
			}
		}
	}
	for _, bound := range []session.BindingKind{session.Unbound, session.DPoP} {
		for _, end := range []session.Reason{"", session.ReasonReuse} {
			for _, steps := range []uint32{0, 1} {
				c := turned(row, b.clock.Advance(time.Second))
				c.Bound, c.End, c.Generation = bound, end, row.Generation+steps
				if err := b.replace(c); !errors.Is(err, session.ErrConflict) {
					b.Errorf("Replace of a row as bound to %q, end %q, by %d: %v, want ErrConflict", bound, end, steps, err)
				}
			}
		}
	}
	gone := b.row(nil)
	if err := b.replace(turned(gone, b.clock.Now())); !errors.Is(err, session.ErrConflict) {
		b.Errorf("Replace of no row: %v, want ErrConflict", err)
	}
	b.wantRow(row)
	b.wantIDs("feed", nil, b.feed(time.Hour))

	if err := b.replace(turned(row, b.clock.Now())); err != nil {
		b.Fatalf("Replace: %v", err)
	}
	if err := b.replace(turned(row, b.clock.Now())); !errors.Is(err, session.ErrConflict) {
		b.Errorf("the same Replace again: %v, want ErrConflict", err)
	}
}

// Nothing renews an ended session, and an end stays as it is.
func replaceEnded(b *bench) {
	row := b.create(nil)
	b.end(session.Selection{Session: row.ID})
	want := b.load(row.ID)
	for _, end := range []session.Reason{"", session.ReasonReuse} {
		for _, to := range []uint32{1, 2} {
			c := turned(row, b.clock.Advance(time.Second))
			c.Generation, c.End = to, end
			if err := b.replace(c); !errors.Is(err, session.ErrConflict) {
				b.Errorf("Replace of an ended row to %d, end %q: %v, want ErrConflict", to, end, err)
			}
		}
	}
	b.wantRow(want)
}

func replaceMixed(b *bench) {
	if errs := b.store.Replace(b.ctx, nil); len(errs) != 0 {
		b.Errorf("Replace of nothing: %v", errs)
	}
	// Not in the order of ids, and one kind of outcome beside the other.
	var changes []session.Change
	var want []session.Row
	for i := range 60 {
		row := b.create(nil)
		c := turned(row, b.clock.Now())
		switch i % 4 {
		case 1:
			c.From = 2
		case 2:
			c.End = session.ReasonShadow
		case 3:
			c.ID = token.NewID()
		}
		if i%4 == 0 || i%4 == 2 {
			row = row.Apply(c, b.clock.Now())
		}
		changes, want = append(changes, c), append(want, row)
	}
	errs := b.store.Replace(b.ctx, changes)
	if len(errs) != len(changes) {
		b.Fatalf("Replace of %d changes: %d results", len(changes), len(errs))
	}
	for i, err := range errs {
		if conflict := i%2 == 1; conflict != errors.Is(err, session.ErrConflict) || (!conflict && err != nil) {
			b.Errorf("change %d: %v; want a conflict: %t", i, err, conflict)
		}
		b.wantRow(want[i])
	}
}

func timesKeep(b *bench) {
	// Around a second and a millisecond, where a rounded time would show.
	for _, step := range []time.Duration{time.Microsecond, 876543 * time.Microsecond, time.Microsecond, 998 * time.Microsecond} {
		now := b.clock.Advance(step)
		row := b.create(nil)
		c := turned(row, now)
		if err := b.replace(c); err != nil {
			b.Fatalf("Replace: %v", err)
		}
		b.wantRow(row.Apply(c, now))
		b.end(session.Selection{Session: row.ID})
		if got := b.load(row.ID).EndedAt; !got.Equal(now) {
			b.Errorf("ended at %v, want %v", got, now)
		}
	}
}
