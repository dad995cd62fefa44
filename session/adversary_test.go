package session_test

import (
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// An old master key that is still honoured for old sessions makes no token
// for a session of the new one, not even together with the database.
//
// Rows: 119, 184, A43
func TestOldMasterKeyMakesNothingForNewSessions(t *testing.T) {
	fresh := token.RefreshKey{ID: token.KeyID{1}, Outer: [32]byte{1}, Inner: [32]byte{2}}
	old := token.RefreshKey{ID: token.KeyID{2}, Outer: [32]byte{3}, Inner: [32]byte{4}}
	w := newWorld(t, func(o *session.Options) { o.Codec, o.Key = token.NewRefreshCodec(fresh, old), fresh.ID })
	held := w.login(nil)
	leaked := w.row(held.Row.ID)
	forged, err := token.NewRefreshCodec(old).Seal(old.ID, leaked.ID, leaked.Generation, leaked.Salt)
	if err != nil {
		t.Fatal(err)
	}
	r := asks(held)
	r.Refresh = forged.Reveal()
	w.wantRefused(r, session.ReasonForged, false)
	if _, err := w.engine.Identify(t.Context(), forged.Reveal()); err == nil {
		t.Error("it identifies the session")
	}
	w.renew(held)
}

// A device that proves itself and comes back with an old jar may ask again
// when the answer was lost, and so may its other tabs.
func TestRolledBackDeviceMayRetry(t *testing.T) {
	w := newWorld(t, nil)
	old := w.login(func(l *session.Login) { l.Binding = session.Binding{Kind: session.DBSC, Thumbprint: "device"} })
	w.clock.Advance(time.Hour)
	w.uses(w.renew(old))
	w.clock.Advance(time.Hour)
	first := w.renew(old)
	w.clock.Advance(30 * time.Second)
	w.sameTokens(first, w.renew(old))
	w.clock.Advance(10 * time.Minute)
	w.wantRefused(asks(old), session.ReasonReuse, true)
}

// What one node notes of a device that came back is not undone by what another
// node decided before it knew.
func TestRolledBackOnlyMovesForward(t *testing.T) {
	now := time.Now()
	row := session.Row{Generation: 5, RotatedAt: now}
	stale := session.Change{From: 5, Generation: 5, RotatedAt: now, LateRepeats: 1}
	rolled := stale
	rolled.RolledBackAt = now
	turn := stale
	turn.Generation = 6
	for name, later := range map[string]session.Change{"a late repeat": stale, "a turn": turn} {
		if got := row.Apply(rolled, now).Apply(later, now); !got.Binding.RolledBackAt.Equal(now) {
			t.Errorf("lost to %s: %v", name, got.Binding.RolledBackAt)
		}
	}
}

// After the clock was set back, new tokens are still well-formed.
//
// Rows: 79, A62
func TestClockSetBackMakesNoMalformedToken(t *testing.T) {
	w := newWorld(t, nil)
	held := w.login(nil)
	w.clock.Advance(-10 * time.Minute)
	if c := w.claims(w.renew(held)); c.AuthTime > c.IssuedAt || c.Expires <= c.IssuedAt {
		t.Errorf("logged in at %d, issued at %d, expires at %d", c.AuthTime, c.IssuedAt, c.Expires)
	}
}

// A generation that a failover took from the store and its client brought
// back can be confirmed, although this node had noted it before.
//
// Rows: A45
func TestCaughtUpGenerationIsConfirmed(t *testing.T) {
	w := newWorld(t, nil)
	first := w.login(nil)
	before := w.inner.Clone(w.clock.Now)
	w.clock.Advance(2 * time.Minute)
	second := w.renew(first)
	use := func(held session.Issued) session.Use {
		return session.Use{Session: held.Row.ID, Generation: held.Row.Generation, IssuedAt: time.Unix(w.claims(held).IssuedAt, 0)}
	}
	// The store goes back by one write, and the use of the second generation
	// reaches it before its refresh token does.
	w.engine, w.inner = w.node(before, nil), before
	c := session.NewConfirmations(w.engine)
	w.clock.Advance(2 * time.Minute)
	c.Note(use(second), w.clock.Now())
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := w.renew(second) // caught up
	w.clock.Advance(2 * time.Minute)
	c.Note(use(again), w.clock.Now())
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if row := w.row(first.Row.ID); row.Generation != 2 || row.ConfirmedAt.IsZero() {
		t.Errorf("generation %d, confirmed %v", row.Generation, row.ConfirmedAt)
	}
}

// Nobody's login, and nobody's list.
func TestZeroValuesAreRefused(t *testing.T) {
	w := newWorld(t, nil)
	for name, l := range map[string]session.Login{
		"nothing": {}, "no user": {ClientID: "c", Audience: "a", Transport: session.Cookie}, "no client": {UserID: "u", Audience: "a", Transport: session.Cookie},
		"no audience": {UserID: "u", ClientID: "c", Transport: session.Cookie}, "no transport": {UserID: "u", ClientID: "c", Audience: "a"},
	} {
		if _, err := w.engine.Start(t.Context(), l); err == nil {
			t.Errorf("%s: a session started", name)
		}
	}
	w.login(nil)
	if rows, _, err := w.engine.List(t.Context(), ""); err == nil || len(rows) > 0 {
		t.Errorf("a list of %d rows for nobody", len(rows))
	}
}
