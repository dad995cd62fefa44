package sqlstoretest

import (
	"fmt"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
)

var eventTests = []tierTest{
	{name: "ComeInOrderAndWhole", run: eventsWhole},
	{name: "AreNotMissedByWhoFollows", run: eventsFollowed},
	{name: "OfAUser", run: eventsOfUser},
	{name: "TrimKeepsTheYoungAndTheCursors", run: eventsTrimmed},
	{name: "TrimGoesPastTheFuture", run: eventsOfTheFuture},
}

// events returns all events after a cursor, read in pages of that size.
func (b *bench) events(after int64, page int) (all []sqlstore.StoredEvent) {
	b.Helper()
	for {
		some, err := b.other.Events(b.Context(), after, page)
		b.must(err)
		if len(some) == 0 {
			return all
		}
		if len(some) > page {
			b.Fatalf("%d events on a page of %d", len(some), page)
		}
		for _, e := range some {
			if e.Cursor <= after {
				b.Fatalf("cursor %d after %d", e.Cursor, after)
			}
			after = e.Cursor
		}
		all = append(all, some...)
	}
}

// Rows: 237.
func eventsWhole(b *bench) {
	want := []session.Event{
		{Time: b.clock.Now().Add(-time.Microsecond), Type: session.EventStarted, Reason: "reason", UserID: "u_alice", Session: "pseudonym",
			Generation: 1<<32 - 1, ClientID: "web", Actor: "operator", Key: "key",
			Origin: session.Origin{Address: "192.0.2.0/24", UserAgent: "agent\n\"quoted\" ünïcödé ☃ %s \\", RequestID: "r1"}},
		{Type: session.EventEnded}, // stamped by the store
		{Time: b.clock.Now(), Type: session.EventRenewed},
	}
	b.must(b.store.Append(b.Context(), want))
	b.must(b.store.Append(b.Context(), nil))
	want[1].Time = b.clock.Now()
	for page := 1; page <= 4; page++ {
		var got []session.Event
		for _, e := range b.events(0, page) {
			got = append(got, e.Event)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			b.Errorf("events in pages of %d (-want +got):\n%s", page, diff)
		}
	}
	if none, err := b.other.Events(b.Context(), 0, 0); err != nil || len(none) != 0 {
		b.Errorf("%d events within a limit of 0, %v", len(none), err)
	}
}

// Who follows by cursor misses nothing, however many write.
func eventsFollowed(b *bench) {
	const writers, each = 8, 40
	stores := []sqlstore.Store{b.store, b.other}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				e := session.Event{Type: session.EventRenewed, UserID: string(rune('a' + w)), Generation: uint32(i)}
				if err := stores[w%2].Append(b.Context(), []session.Event{e, e}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	defer wg.Wait()
	seen, next := 0, make(map[string]uint32)
	var last int64
	b.until("all events came", func() bool {
		page, err := b.other.Events(b.Context(), last, 100)
		b.must(err)
		for _, e := range page {
			if e.Cursor <= last || e.Generation != next[e.UserID]/2 {
				b.Fatalf("event %d of %s at %d after %d, want event %d", e.Generation, e.UserID, e.Cursor, last, next[e.UserID]/2)
			}
			last = e.Cursor
			next[e.UserID]++
			seen++
		}
		return seen == 2*writers*each
	})
}

func eventsOfUser(b *bench) {
	var events []session.Event
	for i := range 30 {
		events = append(events, session.Event{Type: session.EventRenewed, UserID: []string{"u_alice", "u_bob", "U_ALICE"}[i%3], Generation: uint32(i)})
	}
	b.must(b.store.Append(b.Context(), events))
	all := b.events(0, 100)
	for _, test := range []struct {
		user  string
		after int64
		limit int
		want  []uint32
	}{
		{"u_alice", 0, 3, []uint32{0, 3, 6}},
		{"u_alice", all[6].Cursor, 2, []uint32{9, 12}},
		{"u_alice", all[26].Cursor, 10, []uint32{27}},
		{"u_bob", all[20].Cursor, 10, []uint32{22, 25, 28}},
		{"u_alice", all[27].Cursor, 10, nil},
		{"u_alic_", 0, 10, nil},
		{"", 0, 10, nil},
	} {
		page, err := b.other.EventsOf(b.Context(), test.user, test.after, test.limit)
		b.must(err)
		var got []uint32
		for _, e := range page {
			if e.UserID != test.user || e.Cursor != all[e.Generation].Cursor {
				b.Errorf("event %d of %q at %d, want those of %q at the same cursors", e.Generation, e.UserID, e.Cursor, test.user)
			}
			got = append(got, e.Generation)
		}
		if fmt.Sprint(got) != fmt.Sprint(test.want) {
			b.Errorf("%d of %q after %d: %v, want %v", test.limit, test.user, test.after, got, test.want)
		}
	}
}

func eventsTrimmed(b *bench) {
	for range 10 {
		b.must(b.store.Append(b.Context(), []session.Event{{Type: session.EventRenewed}}))
		b.clock.Advance(time.Hour)
	}
	if n, err := b.store.TrimEvents(b.Context(), 4*time.Hour, 2); err != nil || n != 2 {
		b.Errorf("trimmed %d, %v; want the limit of 2", n, err)
	}
	if n, err := b.store.TrimEvents(b.Context(), 4*time.Hour, 100); err != nil || n != 4 {
		b.Errorf("trimmed %d, %v; want 4", n, err)
	}
	left := b.events(0, 100)
	if len(left) != 4 {
		b.Fatalf("%d events are left; want 4", len(left))
	}
	if n, err := b.store.TrimEvents(b.Context(), -time.Hour, 100); err != nil || n != 4 {
		b.Errorf("trimmed %d, %v; want the rest", n, err)
	}
	b.must(b.store.Append(b.Context(), []session.Event{{Type: session.EventRenewed}}))
	if next := b.events(0, 100); len(next) != 1 || next[0].Cursor <= left[3].Cursor {
		b.Errorf("a cursor was given again: %+v after %d", next, left[3].Cursor)
	}
}

// An event whose time is in the future, since a clock was wrong, does not keep
// those that come after it.
//
// Rows: 243.
func eventsOfTheFuture(b *bench) {
	now := b.clock.Now()
	for _, ago := range []time.Duration{-365 * 24 * time.Hour, 5 * time.Hour, 6 * time.Hour, 0, 5 * time.Hour} {
		b.must(b.store.Append(b.Context(), []session.Event{{Type: session.EventRenewed, Time: now.Add(-ago)}}))
	}
	if n, err := b.store.TrimEvents(b.Context(), 4*time.Hour, 2); err != nil || n != 1 {
		b.Errorf("trimmed %d, %v; want 1 of the first 2", n, err)
	}
	if n, err := b.store.TrimEvents(b.Context(), 4*time.Hour, 100); err != nil || n != 2 {
		b.Errorf("trimmed %d, %v; want 2", n, err)
	}
	var left []time.Duration
	for _, e := range b.events(0, 100) {
		left = append(left, now.Sub(e.Time))
	}
	if len(left) != 2 || left[0] >= 0 || left[1] != 0 {
		b.Errorf("left: %v; want that of the future and that of now", left)
	}
}
