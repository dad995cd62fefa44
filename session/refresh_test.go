package session_test

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/storetest"
	"github.com/pawlauth/pawl/token"
)

// Rows: 111, 136.
func TestRefreshTurnsAndKeepsTheLogin(t *testing.T) {
	w := newWorld(t, nil)
	held := w.login(nil)
	start, absoluteEnd := w.clock.Now(), held.Row.AbsoluteEnd
	for generation := uint32(2); generation <= 12; generation++ {
		now := w.clock.Advance(time.Hour)
		r := asks(held)
		r.IdempotencyKey = "key"
		next := w.renewAs(r)
		if next.Row.Generation != generation || next.Refresh.Reveal() == held.Refresh.Reveal() {
			t.Fatalf("generation %d, token new: %t; want %d", next.Row.Generation, next.Refresh.Reveal() != held.Refresh.Reveal(), generation)
		}
		want := held.Row
		want.Generation, want.RotatedAt, want.PriorUsedAt, want.LastSeen = generation, now, now, now.Truncate(time.Hour)
		want.KeyHash = session.HashKey(want.ID, "key")
		w.wantRow(want)
		c := w.claims(next)
		if c.AuthTime != start.Unix() || len(c.Methods) != 1 || c.Methods[0] != "pwd" || c.Generation != generation ||
			c.Scope != "read write" || c.Audience != "https://api.example" || c.ClientID != "web" || c.Subject != "u_alice" {
			t.Fatalf("claims moved: %+v", c)
		}
		held = next
	}
	if !w.row(held.Row.ID).AbsoluteEnd.Equal(absoluteEnd) {
		t.Error("the absolute end moved")
	}
	if n := w.journal.Count(session.EventRenewed); n != 11 {
		t.Errorf("%d renewals recorded, want 11", n)
	}
}

// Whoever asks within the turn interval gets the newest tokens once more, and
// nothing is written.
//
// Rows: 115.
func TestRefreshRepeatsWithinTheTurnInterval(t *testing.T) {
	w := newWorld(t, nil)
	first := w.login(nil)
	w.clock.Advance(75*time.Second - time.Microsecond)
	again := w.renew(first)
	w.sameTokens(first, again)
	if w.store.Calls(storetest.Replace) != 0 {
		t.Error("a repeat was written")
	}
	if c := w.claims(again); c.IssuedAt != w.clock.Now().Unix() {
		t.Errorf("the repeated access token is of %d, want a fresh one", c.IssuedAt)
	}
	w.clock.Advance(time.Microsecond)
	second := w.renew(first)
	if second.Row.Generation != 2 {
		t.Errorf("generation %d after the turn interval, want 2", second.Row.Generation)
	}
	w.sameTokens(second, w.renew(first), w.renew(second))
}

// Constant activity, hour by hour, for longer than the session may last.
//
// Rows: 116, 134, 135, A40.
func TestAbsoluteEndHoldsHoweverOftenItTurns(t *testing.T) {
	w := newWorld(t, func(o *session.Options) { o.Policy, _ = session.Preset("aal2") })
	first := w.login(nil)
	held := first
	for range 28 {
		w.clock.Advance(50 * time.Minute)
		held = w.renew(held)
		if !held.Row.AbsoluteEnd.Equal(first.Row.AbsoluteEnd) {
			t.Fatal("the absolute end moved")
		}
	}
	w.clock.Advance(40*time.Minute - time.Microsecond) // 24 h after the login
	held = w.renew(held)
	w.clock.Advance(time.Microsecond)
	for _, h := range []session.Issued{first, held} {
		w.wantRefused(asks(h), session.ReasonExpired, false)
	}
	// Logging in again resets both limits.
	if next := w.login(nil); !next.Row.AbsoluteEnd.Equal(w.clock.Now().Add(24*time.Hour)) || !next.Row.IdleEnd().Equal(w.clock.Now().Add(time.Hour)) {
		t.Errorf("after a new login: absolute end %v, idle end %v", next.Row.AbsoluteEnd, next.Row.IdleEnd())
	}
}

// Rows: 117, 133, 135.
func TestIdleLimitCountsFromTheLastRenewal(t *testing.T) {
	w := newWorld(t, func(o *session.Options) { o.Policy, _ = session.Preset("aal2") })
	held := w.login(nil)
	for range 5 {
		w.clock.Advance(time.Hour - time.Microsecond)
		held = w.renew(held)
	}
	// Using the access token is not renewing.
	w.clock.Advance(time.Hour - 77*time.Second)
	w.uses(held)
	w.wantRefused(asks(held), session.ReasonIdle, false)
	if row := w.row(held.Row.ID); row.Ended() {
		t.Error("an expiry was written as an end")
	}
}

// Rows: 121.
func TestScopeNarrowsForOneAccessTokenAndNeverWidens(t *testing.T) {
	w := newWorld(t, nil)
	held := w.login(nil)
	w.clock.Advance(time.Hour)
	narrow := asks(held)
	narrow.Scope = "write"
	held = w.renewAs(narrow)
	if c := w.claims(held); c.Scope != "write" || w.row(held.Row.ID).Scope != "read write" {
		t.Errorf("asked for %q, got %q; the row has %q", "write", c.Scope, w.row(held.Row.ID).Scope)
	}
	w.clock.Advance(time.Hour)
	held = w.renew(held)
	if c := w.claims(held); c.Scope != "read write" {
		t.Errorf("asked for nothing, got %q; want what was granted", c.Scope)
	}
	before := w.row(held.Row.ID)
	for _, scope := range []string{"read write admin", "admin", "Read"} {
		wider := asks(held)
		wider.Scope = scope
		w.wantRefused(wider, session.ReasonScope, false)
	}
	w.wantRow(before)
}

// Somebody who cannot show that the session is his is refused, whatever the
// token, and the session goes on as if nothing had been.
//
// Rows: 109, 122, A42.
func TestRefusalsChangeNothing(t *testing.T) {
	bound := func(l *session.Login) {
		l.Transport, l.Binding = session.Bearer, session.Binding{Kind: session.DPoP, Thumbprint: "key"}
	}
	for _, test := range []struct {
		name   string
		login  func(*session.Login)
		edit   func(*session.Renewal)
		reason session.Reason
	}{
		{"as bearer", nil, func(r *session.Renewal) { r.Transport, r.Witness = session.Bearer, session.ID{} }, session.ReasonTransport},
		{"without the access cookie", nil, func(r *session.Renewal) { r.Witness = session.ID{} }, session.ReasonNoWitness},
		{"with another session's access cookie", nil, func(r *session.Renewal) { r.Witness = token.NewID() }, session.ReasonWitness},
		{"by another client", nil, func(r *session.Renewal) { r.ClientID = "app" }, session.ReasonClient},
		{"without the key", bound, func(r *session.Renewal) { r.Thumbprint = "" }, session.ReasonUnproved},
		{"with another key", bound, func(r *session.Renewal) { r.Thumbprint = "other" }, session.ReasonUnproved},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, nil)
			first := w.login(test.login)
			w.clock.Advance(time.Hour)
			second := w.renew(first)
			w.uses(second)
			before := w.row(first.Row.ID)
			w.journal.Take()
			for _, held := range []session.Issued{first, second} {
				w.clock.Advance(time.Hour)
				r := asks(held)
				test.edit(&r)
				w.wantRefused(r, test.reason, false)
			}
			w.wantRow(before)
			for _, e := range w.journal.Take() {
				if e.Type != session.EventRenewalRefused || e.Reason != string(test.reason) {
					t.Errorf("recorded %s for %q", e.Type, e.Reason)
				}
			}
			w.renew(second)
		})
	}
}

// Every character of a token counts, and junk costs no query.
//
// Rows: 120, A44.
func TestTokensThatAreNotOursAskNoStore(t *testing.T) {
	w := newWorld(t, nil)
	held := w.login(nil)
	good := held.Refresh.Reveal()
	before, loads := w.row(held.Row.ID), w.store.Calls(storetest.Load)
	bad := []string{"", "pawl_rt_", good + "A", good[:len(good)-1], "x" + good, held.Access.Reveal()}
	for i := range good {
		flipped := []byte(good)
		if flipped[i]++; flipped[i] == '.' {
			flipped[i]++
		}
		bad = append(bad, string(flipped))
	}
	for _, raw := range bad {
		r := asks(held)
		r.Refresh = raw
		w.wantRefused(r, session.ReasonNotOurs, false)
	}
	if n := w.store.Calls(storetest.Load); n != loads {
		t.Errorf("the store was asked %d times", n-loads)
	}
	w.wantRow(before)
}

// A copy of the database is one half of a token: with every column of a row,
// and another master key, nothing can be made that is taken.
//
// Rows: 119, A43, A44.
func TestRowsAloneMakeNoTokens(t *testing.T) {
	w := newWorld(t, nil)
	held := w.login(nil)
	row := w.row(held.Row.ID)

	thiefs := token.RefreshKey{ID: row.Key}
	rand.Read(thiefs.Outer[:])
	rand.Read(thiefs.Inner[:])
	made, err := token.NewRefreshCodec(thiefs).Seal(row.Key, row.ID, row.Generation, row.Salt)
	if err != nil {
		t.Fatal(err)
	}
	r := asks(held)
	r.Refresh = made.Reveal()
	w.wantRefused(r, session.ReasonNotOurs, false)
	w.wantRow(row)
}

// The other half: the master key, and any salt but the row's.
//
// Rows: 119, A43, A44.
func TestTheMasterKeyAloneMakesNoTokens(t *testing.T) {
	w := newWorld(t, nil)
	held := w.login(nil)
	row := w.row(held.Row.ID)
	for _, generation := range []uint32{1, 2, 3, 900} {
		made, err := w.engine.Codec.Seal(row.Key, row.ID, generation, token.Salt{1})
		if err != nil {
			t.Fatal(err)
		}
		r := asks(held)
		r.Refresh = made.Reveal()
		w.wantRefused(r, session.ReasonForged, false)
	}
	unknown, err := w.engine.Codec.Seal(row.Key, token.NewID(), 1, row.Salt)
	if err != nil {
		t.Fatal(err)
	}
	r := asks(held)
	r.Refresh = unknown.Reveal()
	w.wantRefused(r, session.ReasonUnknown, false)
	w.wantRow(row)
}

// Rows: 252, A96.
func TestRefreshWithoutAStoreIsUnavailable(t *testing.T) {
	for _, call := range []storetest.Call{storetest.Load, storetest.Replace} {
		for _, fault := range []storetest.Fault{storetest.Lost, storetest.Unanswered} {
			w := newWorld(t, nil)
			held := w.login(nil)
			w.clock.Advance(time.Hour)
			w.journal.Take()
			w.store.Fail(call, 1, fault)
			issued, err := w.engine.Refresh(t.Context(), asks(held))
			if !errors.Is(err, session.ErrUnavailable) || errors.Is(err, session.ErrRefused) || issued.Refresh != "" || issued.Access != "" {
				t.Errorf("%s %s: %v; want ErrUnavailable and no tokens", call, fault, err)
			}
			if events := w.journal.Take(); len(events) != 0 {
				t.Errorf("%s %s: recorded %+v", call, fault, events)
			}
			// The same token again, as the error says.
			if next := w.renew(held); next.Row.Generation != 2 || w.row(held.Row.ID).Generation != 2 {
				t.Errorf("%s %s: the retry holds generation %d, want 2", call, fault, next.Row.Generation)
			}
		}
	}
}

// What is recorded names no token, no id and no key.
//
// Rows: 250.
func TestRefreshRecordsWhatHappened(t *testing.T) {
	w := newWorld(t, nil)
	held := w.login(nil)
	w.journal.Take()
	from := session.Origin{Address: "192.0.2.0/24", UserAgent: "browser", RequestID: "r1"}
	ask := func(held session.Issued, key string) {
		r := asks(held)
		r.Origin, r.IdempotencyKey = from, key
		_, _ = w.engine.Refresh(t.Context(), r)
	}
	event := func(kind session.EventType, reason string, presented uint32) session.Event {
		return session.Event{Type: kind, Reason: reason, UserID: "u_alice", Session: "pseudonym", Generation: presented, ClientID: "web", Origin: from}
	}
	w.clock.Advance(time.Hour)
	ask(held, "a") // turns
	ask(held, "a") // the same attempt
	ask(held, "b") // another one
	w.uses(w.renew(held))
	w.journal.Take()
	w.clock.Advance(time.Hour)
	ask(held, "c") // reuse
	ask(held, "c") // over
	want := []session.Event{
		event(session.EventEnded, "reuse", 1),
		event(session.EventRenewalRefused, "ended:reuse", 1),
	}
	if diff := cmp.Diff(want, w.journal.Take()); diff != "" {
		t.Errorf("events differ (-want +got):\n%s", diff)
	}

	held = w.login(nil)
	w.clock.Advance(time.Hour)
	w.journal.Take()
	ask(held, "a")
	ask(held, "a")
	ask(held, "b")
	want = []session.Event{
		event(session.EventRenewed, "", 1), event(session.EventRepeated, "", 1), event(session.EventRepeated, "late", 1),
	}
	if diff := cmp.Diff(want, w.journal.Take()); diff != "" {
		t.Errorf("events differ (-want +got):\n%s", diff)
	}
}
