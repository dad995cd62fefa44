package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

var directoryTests = []tierTest{
	{name: "EndNamesSessions", run: endSelections},
	{name: "EndStampsErasesAndTells", run: endStamps},
	{name: "EndTwiceChangesNothing", run: endTwice},
	{name: "EndOfAUserEndsManyAtOnce", run: endMany},
	{name: "EpochEndsWhatWasCreatedUntilThen", run: epochEnds},
	{name: "EpochNeverMovesBack", run: epochForward},
	{name: "EpochIsWrittenIntoTheRows", run: epochSwept},
	{name: "SweepKeepsWhatTheEpochEnded", run: epochKept},
	{name: "ListIsInTheOrderOfIDs", run: listOrder},
	{name: "ListPages", run: listPages},
	{name: "ListSelects", run: listSelects},
	{name: "SweepRemovesWhatIsPastItsEnd", run: sweepRows},
	{name: "SweepStopsAtItsLimit", run: sweepLimit},
	{name: "FeedReachesBackAsFarAsAsked", run: feedWindows},
	{name: "FeedIsKeptAsLongAsAsked", run: feedKept},
	{name: "CanceledWriteIsNeverHalfDone", run: canceledWrite},
	{name: "CanceledEndIsNeverHalfDone", run: canceledEnd},
}

// Rows: 118, 140, 143.
func endSelections(b *bench) {
	const user = "u_a%lice_"
	// Only whole, equal names are the user's.
	near := []string{"u_a%lice", "u_a%lice_2", "U_A%LICE_", "u_aXlice_", "u_a%lice_ "}
	for _, test := range []struct {
		name  string
		which func(mine, others []session.ID) session.Selection
		ends  func(mine, others []session.ID) []session.ID
	}{
		{"one session",
			func(mine, _ []session.ID) session.Selection { return session.Selection{Session: mine[1]} },
			func(mine, _ []session.ID) []session.ID { return mine[1:2] }},
		{"one session, excepted",
			func(mine, _ []session.ID) session.Selection {
				return session.Selection{Session: mine[1], Except: mine[1]}
			},
			func(_, _ []session.ID) []session.ID { return nil }},
		{"an unknown session",
			func(_, _ []session.ID) session.Selection { return session.Selection{Session: token.NewID()} },
			func(_, _ []session.ID) []session.ID { return nil }},
		{"a user",
			func(_, _ []session.ID) session.Selection { return session.Selection{User: user} },
			func(mine, _ []session.ID) []session.ID { return mine }},
		{"a user but for one session",
			func(mine, _ []session.ID) session.Selection { return session.Selection{User: user, Except: mine[2]} },
			func(mine, _ []session.ID) []session.ID { return slices.Delete(slices.Clone(mine), 2, 3) }},
		{"a user but for somebody else's session",
			func(_, others []session.ID) session.Selection {
				return session.Selection{User: user, Except: others[0]}
			},
			func(mine, _ []session.ID) []session.ID { return mine }},
		{"an unknown user",
			func(_, _ []session.ID) session.Selection { return session.Selection{User: "u_nobody"} },
			func(_, _ []session.ID) []session.ID { return nil }},
	} {
		mine := b.createMany(4, user)
		var others []session.ID
		for _, other := range near {
			others = append(others, b.createMany(1, other)...)
		}
		want := sortIDs(slices.Clone(test.ends(mine, others)))
		b.wantIDs(test.name, want, b.end(test.which(mine, others)))
		for _, id := range slices.Concat(mine, others) {
			if row := b.load(id); row.Ended() != slices.Contains(want, id) {
				b.Errorf("%s: session of %q ended: %t", test.name, row.UserID, row.Ended())
			}
		}
		b.end(session.Selection{User: user}) // for the next case
	}
}

// Rows: 112, 113.
func endStamps(b *bench) {
	row := b.create(func(r *session.Row) { r.UserID = "u_bob" })
	live := b.create(nil)
	b.clock.Advance(time.Hour)
	b.confirm(use(row, b.clock.Now(), settle))
	want := b.load(row.ID)

	at := b.clock.Advance(time.Hour)
	ended, err := b.store.End(b.ctx, session.Selection{Session: row.ID}, session.ReasonPassword)
	if err != nil || len(ended) != 1 || ended[0] != (session.Ended{Session: row.ID, UserID: "u_bob"}) {
		b.Fatalf("End: %v, %v; want the session and its user", ended, err)
	}
	want.EndedAt, want.EndReason, want.Salt = at, session.ReasonPassword, token.Salt{}
	b.wantRow(want)
	b.wantIDs("feed", []session.ID{row.ID}, b.feed(0))
	b.wantRow(live)
}

// Rows: 139.
func endTwice(b *bench) {
	ids := b.createMany(3, "u_alice")
	b.end(session.Selection{Session: ids[0]})
	first := b.load(ids[0])

	b.clock.Advance(time.Minute)
	b.wantIDs("ended again", nil, b.end(session.Selection{Session: ids[0]}))
	b.wantIDs("the user's others", ids[1:], b.end(session.Selection{User: "u_alice"}))
	b.wantRow(first)
	b.wantIDs("nobody is left", nil, b.end(session.Selection{User: "u_alice"}))
	b.wantIDs("feed", ids, b.feed(time.Hour))
	// The first end is a minute old, and ending it again did not renew it in
	// the feed.
	b.wantIDs("feed of half a minute", ids[1:], b.feed(30*time.Second))
}

func endMany(b *bench) {
	ids := b.createMany(300, "u_alice")
	at := b.clock.Advance(time.Second)
	b.wantIDs("ended", ids, b.end(session.Selection{User: "u_alice"}))
	b.wantIDs("feed", ids, b.feed(0))
	for _, row := range b.list(session.Query{WithEnded: true, Limit: 1000}) {
		if !row.EndedAt.Equal(at) {
			b.Fatalf("ended at %v, want all at %v", row.EndedAt, at)
		}
	}
}

// list returns rows.
func (b *bench) list(q session.Query) []session.Row {
	b.Helper()
	rows, now, err := b.other.List(b.ctx, q)
	if err != nil || !now.Equal(b.clock.Now()) {
		b.Fatalf("List: clock %v, %v; want the store's clock %v", now, err, b.clock.Now())
	}
	return rows
}

func listOrder(b *bench) {
	// Bytes compare as unsigned numbers, from the first.
	ids := []session.ID{{1}, {0x7F}, {0x80}, {0xFF}, {0, 1}, {0, 0xFF, 0}, {0, 0xFF, 1}, {1, 0, 0x80}, {15: 1}}
	want := make(map[session.ID]session.Row)
	for _, id := range ids {
		want[id] = b.create(func(r *session.Row) { r.ID = id })
	}
	var got []session.ID
	for _, row := range b.list(session.Query{Limit: 100}) {
		got = append(got, row.ID)
		if diff := diffRows(want[row.ID], row); diff != "" {
			b.Errorf("listed row differs (-want +got):\n%s", diff)
		}
	}
	b.wantIDs("listed", sortIDs(ids), got)
	b.clock.Advance(time.Microsecond)
	b.list(session.Query{Limit: 1})
}

func listPages(b *bench) {
	ids := b.createMany(25, "u_alice")
	for _, limit := range []int{1, 7, 24, 25, 26} {
		var got []session.ID
		var last session.ID
		for range len(ids) + 1 {
			rows := b.list(session.Query{User: "u_alice", After: last, Limit: limit})
			if len(rows) > limit {
				b.Fatalf("List with limit %d: %d rows", limit, len(rows))
			}
			if len(rows) == 0 {
				break
			}
			for _, row := range rows {
				got, last = append(got, row.ID), row.ID
			}
		}
		b.wantIDs(fmt.Sprintf("pages of %d", limit), ids, got)
	}
	if rows := b.list(session.Query{After: ids[len(ids)-1], Limit: 5}); len(rows) != 0 {
		b.Errorf("List after the last: %d rows", len(rows))
	}
	// After need not name a row.
	between := ids[3]
	between[15]++
	if rows := b.list(session.Query{After: between, Limit: 1}); len(rows) != 1 || rows[0].ID != ids[4] {
		b.Errorf("List after an id that does not exist: not the next one")
	}
}

// Rows: 127.
func listSelects(b *bench) {
	alice, bob := b.createMany(4, "u_alice"), b.createMany(3, "u_bob")
	b.createMany(1, "u_alice2")
	b.end(session.Selection{Session: alice[0]})
	b.end(session.Selection{User: "u_alice2"})
	listed := func(q session.Query) []session.ID { return idsOf(b.list(q)) }
	b.wantIDs("a user's", alice[1:], listed(session.Query{User: "u_alice", Limit: 10}))
	b.wantIDs("a user's, with ended", alice, listed(session.Query{User: "u_alice", WithEnded: true, Limit: 10}))
	b.wantIDs("everybody's", sortIDs(slices.Concat(alice[1:], bob)), listed(session.Query{Limit: 10}))
	b.wantIDs("a user's without any", nil, listed(session.Query{User: "u_alice2", Limit: 10}))
	b.wantIDs("an unknown user's", nil, listed(session.Query{User: "u_ALICE", WithEnded: true, Limit: 10}))
	// Expired rows are listed: only an end and a sweep take them away.
	b.clock.Advance(1000 * 24 * time.Hour)
	b.wantIDs("expired", bob, listed(session.Query{User: "u_bob", Limit: 10}))
}

func idsOf(rows []session.Row) (ids []session.ID) {
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	return ids
}

// sweep removes rows and returns how many.
func (b *bench) sweep(limit int, feedKeep time.Duration) int {
	b.Helper()
	n, err := b.store.Sweep(b.ctx, limit, feedKeep)
	if err != nil {
		b.Fatalf("Sweep: %v", err)
	}
	return n
}

func sweepRows(b *bench) {
	lasting := func(d time.Duration) session.Row {
		return b.create(func(r *session.Row) { r.AbsoluteEnd, r.IdleLimit = b.clock.Now().Add(d), time.Minute })
	}
	past, endedPast := lasting(time.Hour-time.Microsecond), lasting(time.Hour-time.Microsecond)
	now, later, ended := lasting(time.Hour), lasting(time.Hour+time.Microsecond), lasting(time.Hour+time.Microsecond)
	b.end(session.Selection{Session: endedPast.ID})
	b.end(session.Selection{Session: ended.ID})
	b.clock.Advance(time.Hour)

	if n := b.sweep(100, 24*time.Hour); n != 2 {
		b.Errorf("swept %d rows, want 2", n)
	}
	// What is over stays while the feed needs it.
	b.wantIDs("feed", sortIDs([]session.ID{endedPast.ID, ended.ID}), b.feed(24*time.Hour))
	if n := b.sweep(100, time.Hour-time.Second); n != 1 {
		b.Errorf("swept %d rows, want 1", n)
	}
	rows, _, err := b.other.Load(b.ctx, []session.ID{past.ID, endedPast.ID, now.ID, later.ID, ended.ID})
	if err != nil {
		b.Fatalf("Load: %v", err)
	}
	var left []session.ID
	for _, row := range rows {
		left = append(left, row.ID)
	}
	// Idle and ended ones stay until their absolute end.
	b.wantIDs("left", sortIDs([]session.ID{later.ID, ended.ID}), sortIDs(left))
	b.wantRow(later)
	if rows := b.list(session.Query{User: past.UserID, WithEnded: true, Limit: 10}); len(rows) != 2 {
		b.Errorf("the user has %d sessions, want 2", len(rows))
	}
}

func sweepLimit(b *bench) {
	b.createMany(25, "u_alice")
	b.clock.Advance(1000 * 24 * time.Hour)
	for _, want := range []int{10, 10, 5, 0} {
		if n := b.sweep(10, time.Hour); n != want {
			b.Errorf("swept %d rows, want %d", n, want)
		}
	}
}

// Leaving an entry out is what a feed must not do; more than asked for is
// harmless.
func feedWindows(b *bench) {
	var ids []session.ID
	for range 6 {
		id := b.create(nil).ID
		b.end(session.Selection{Session: id})
		ids = append(ids, id)
		b.clock.Advance(time.Minute)
	}
	live := b.create(nil).ID
	// They ended 6, 5, ... 1 minutes ago.
	for ago := 1; ago <= 6; ago++ {
		got := b.feed(time.Duration(ago) * time.Minute)
		for _, id := range ids[6-ago:] {
			if !slices.Contains(got, id) {
				b.Errorf("a feed of %d minutes leaves out an end of that time", ago)
			}
		}
		if slices.Contains(got, live) {
			b.Errorf("the feed has a session that lives")
		}
	}
}

func feedKept(b *bench) {
	var ids []session.ID
	for range 4 {
		id := b.create(nil).ID
		b.end(session.Selection{Session: id})
		ids = append(ids, id)
		b.clock.Advance(time.Minute)
	}
	const long = 1000 * time.Hour
	b.wantIDs("before", sortIDs(slices.Clone(ids)), b.feed(long))
	// They ended 4, 3, 2, 1 minutes ago; one that is just as old as asked stays.
	if n := b.sweep(10, 2*time.Minute); n != 0 {
		b.Errorf("swept %d rows, want none: they are not past their end", n)
	}
	for _, id := range ids[2:] {
		if !slices.Contains(b.feed(long), id) {
			b.Error("the feed left out an end that it was to keep")
		}
	}
	for _, id := range ids {
		if row := b.load(id); !row.Ended() {
			b.Errorf("an ended session came back")
		}
	}
}

// Rows: 252.
func canceledWrite(b *bench) {
	ids := b.createMany(20, "u_alice")
	for i := range 10 {
		ctx, cancel := context.WithCancel(b.ctx)
		done := make(chan struct{})
		if i == 0 {
			cancel() // before the call; the others race with it
		}
		go func() { defer close(done); cancel() }()

		row := b.row(nil)
		createErr := b.store.Create(ctx, row)
		var changes []session.Change
		before := make(map[session.ID]session.Row)
		for _, id := range ids {
			before[id] = b.load(id)
			changes = append(changes, turned(before[id], b.clock.Now()))
		}
		errs := b.store.Replace(ctx, changes)
		if len(errs) != len(changes) {
			b.Fatalf("Replace of %d changes: %d results", len(changes), len(errs))
		}
		<-done
		if rows, _, err := b.other.Load(b.ctx, []session.ID{row.ID}); err != nil || (createErr == nil && len(rows) != 1) {
			b.Errorf("a row that was created is not there")
		} else if len(rows) == 1 && diffRows(row, rows[0]) != "" {
			b.Errorf("a row is half created: %s", diffRows(row, rows[0]))
		}
		for j, c := range changes {
			was, after := before[c.ID], before[c.ID].Apply(c, b.clock.Now())
			got := b.load(c.ID)
			if errors.Is(errs[j], session.ErrConflict) {
				b.Errorf("a change that fits its row: %v", errs[j])
			}
			if d := diffRows(after, got); d != "" && (errs[j] == nil || diffRows(was, got) != "") {
				b.Errorf("a change is half applied, or reported and not applied (%v):\n%s", errs[j], d)
			}
		}
		b.clock.Advance(time.Second)
	}
}

// Rows: 252.
func canceledEnd(b *bench) {
	for i := range 10 {
		user := fmt.Sprint("u_", i)
		ids := b.createMany(10, user)
		ctx, cancel := context.WithCancel(b.ctx)
		if i%2 == 0 {
			cancel()
		}
		go cancel()
		told, err := b.store.End(ctx, session.Selection{User: user}, session.ReasonOperator)
		// What was given up may still be under way; a later write comes after it.
		b.createMany(1, "u_later")
		ended := 0
		for _, id := range ids {
			if row := b.load(id); row.Ended() {
				ended++
			}
		}
		if ended != 0 && ended != len(ids) || err == nil && (ended != len(ids) || len(told) != ended) {
			b.Errorf("%d of %d sessions ended, told of %d (%v); want all or none", ended, len(ids), len(told), err)
		}
		b.wantIDs("feed", endedOf(b), b.feed(time.Hour))
	}
}

// endedOf returns the sessions that the rows say have ended.
func endedOf(b *bench) (ids []session.ID) {
	for _, row := range b.list(session.Query{WithEnded: true, Limit: 1000}) {
		if row.Ended() {
			ids = append(ids, row.ID)
		}
	}
	return ids
}
