package session_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/storetest"
)

// bind binds the session to a key, which must succeed.
func (w *world) bind(held session.Issued, key string) session.Issued {
	w.Helper()
	bound, err := w.engine.Bind(w.Context(), held.Row.ID, key, session.Origin{})
	if err != nil {
		w.Fatalf("Bind: %v", err)
	}
	return bound
}

// proves is the renewal of a device that comes with these tokens in its jar and
// answers a challenge of that generation.
func proves(jar session.Issued, challenge uint32) session.Renewal {
	return session.Renewal{Transport: session.Cookie, Thumbprint: "device",
		Device: &session.Device{Session: jar.Row.ID, Generation: jar.Row.Generation, Challenge: challenge}}
}

// Rows: 110, 122, 223.
func TestBoundSessionIsRenewedByItsDeviceAlone(t *testing.T) {
	w := newWorld(t, nil)
	first := w.login(nil)
	bound := w.bind(first, "device")
	if c := w.claims(bound); c.Binding == nil || c.Binding.Device != "device" || c.Generation != 1 {
		t.Errorf("the access token that comes with the binding: %+v", c)
	}
	if bound.Refresh != "" || bound.Row.Binding.Kind != session.DBSC {
		t.Errorf("bound: %+v", bound.Row.Binding)
	}
	w.clock.Advance(time.Hour)
	before := w.row(first.Row.ID)
	// The refresh token of the time before, in its owner's hands or a thief's.
	w.wantRefused(session.Renewal{Refresh: first.Refresh.Reveal(), Transport: session.Cookie, Witness: first.Row.ID}, session.ReasonUnproved, false)
	other := proves(first, 1)
	other.Thumbprint = "his own"
	w.wantRefused(other, session.ReasonUnproved, false)
	w.wantRow(before)
	if second := w.renewAs(proves(first, 1)); second.Row.Generation != 2 {
		t.Errorf("generation %d, want 2", second.Row.Generation)
	}
}

// A device stands for the refresh token of a session that is bound to a device,
// and for no other.
//
// Rows: 122.
func TestDeviceStandsForNoOtherSession(t *testing.T) {
	w := newWorld(t, nil)
	app := w.login(func(l *session.Login) {
		l.Transport, l.Binding = session.Bearer, session.Binding{Kind: session.DPoP, Thumbprint: "device"}
	})
	for name, held := range map[string]session.Issued{"unbound": w.login(nil), "DPoP": app} {
		r := proves(held, 1)
		r.Transport = held.Row.Transport
		w.clock.Advance(time.Hour)
		before := w.row(held.Row.ID)
		w.wantRefused(r, session.ReasonForged, false)
		w.wantRow(before)
		if t.Failed() {
			t.Fatal(name)
		}
	}
	bound := w.login(nil)
	w.bind(bound, "device")
	for name, spoil := range map[string]func(*session.Renewal){
		"no key":           func(r *session.Renewal) { r.Thumbprint = "" },
		"a refresh token":  func(r *session.Renewal) { r.Refresh = bound.Refresh.Reveal() },
		"no session":       func(r *session.Renewal) { r.Device.Session = session.ID{} },
		"no generation":    func(r *session.Renewal) { r.Device.Generation = 0 },
		"unknown session":  func(r *session.Renewal) { r.Device.Session[0]++ },
		"bearer transport": func(r *session.Renewal) { r.Transport = session.Bearer },
	} {
		r := proves(bound, 1)
		spoil(&r)
		if _, err := w.engine.Refresh(t.Context(), r); !errors.Is(err, session.ErrRefused) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
}

// A challenge is used once the session has turned, on whichever node it did.
//
// Rows: 228, A72.
func TestChallengeIsUsedOnceTheSessionTurned(t *testing.T) {
	w := newWorld(t, nil)
	first := w.login(nil)
	w.bind(first, "device")
	w.clock.Advance(time.Hour)
	second := w.renewAs(proves(first, 1))
	before := w.row(first.Row.ID)
	for _, jar := range []session.Issued{first, second} {
		w.wantRefused(proves(jar, 1), session.ReasonChallenge, false)
		w.wantRefused(proves(jar, 3), session.ReasonChallenge, false)
	}
	w.wantRow(before)
	w.sameTokens(second, w.renewAs(proves(first, 2))) // the answer was lost
	w.clock.Advance(time.Hour)
	if third := w.renewAs(proves(second, 2)); third.Row.Generation != 3 {
		t.Errorf("generation %d, want 3", third.Row.Generation)
	}
}

// A copied profile, key and all: the copy that is behind is served once a day,
// recorded, and the second time ends the session.
//
// Rows: 122, A10.
func TestCopiedDeviceIsFoundByItsOldJar(t *testing.T) {
	w := newWorld(t, nil)
	copied := w.login(nil)
	w.bind(copied, "device")
	held := copied
	for range 3 {
		w.clock.Advance(time.Hour)
		held = w.renewAs(proves(held, held.Row.Generation))
	}
	w.uses(held)
	w.journal.Take()
	w.sameTokens(held, w.renewAs(proves(copied, held.Row.Generation)))
	if events := w.journal.Take(); len(events) != 1 || events[0].Reason != string(session.ReasonRolledBack) {
		t.Errorf("events: %+v", events)
	}
	w.clock.Advance(time.Hour)
	w.wantRefused(proves(copied, held.Row.Generation), session.ReasonReuse, true)
	w.wantRefused(proves(held, held.Row.Generation), session.ReasonEnded, false)
}

// Rows: 223.
func TestBindRefusesWhatCannotBeBound(t *testing.T) {
	w := newWorld(t, nil)
	bound, ended := w.login(nil), w.login(nil)
	w.bind(bound, "device")
	if _, err := w.engine.End(t.Context(), session.Selection{Session: ended.Row.ID}, session.ReasonSignOut, "", session.Origin{}); err != nil {
		t.Fatal(err)
	}
	bearer := w.login(func(l *session.Login) { l.Transport = session.Bearer })
	for name, id := range map[string]session.ID{"bound to another key": bound.Row.ID, "ended": ended.Row.ID, "bearer": bearer.Row.ID, "unknown": {9}} {
		if issued, err := w.engine.Bind(t.Context(), id, "another", session.Origin{}); !errors.Is(err, session.ErrRefused) || issued.Access != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	before := w.row(bound.Row.ID)
	again, err := w.engine.Bind(t.Context(), bound.Row.ID, "device", session.Origin{})
	if err != nil || again.Access != "" || again.Refresh != "" {
		t.Errorf("the same key again: %v, and tokens: %t", err, again.Access != "")
	}
	w.wantRow(before)
	old := w.login(nil)
	w.clock.Advance(15 * 24 * time.Hour)
	if _, err := w.engine.Bind(t.Context(), old.Row.ID, "device", session.Origin{}); !errors.Is(err, session.ErrRefused) {
		t.Errorf("idle too long: %v", err)
	}
	if _, err := w.engine.Bind(t.Context(), w.login(nil).Row.ID, "", session.Origin{}); err == nil {
		t.Error("bound to no key")
	}
}

// A session that turns while it is being bound is bound as it is then.
func TestBindLooksAgainAtWhatTurned(t *testing.T) {
	w := newWorld(t, nil)
	held := w.login(nil)
	turning := &turningStore{Faulty: w.store, turn: func() {
		w.clock.Advance(time.Hour)
		w.renew(held)
	}}
	engine := w.node(turning, nil)
	bound, err := engine.Bind(t.Context(), held.Row.ID, "device", session.Origin{})
	if err != nil || bound.Row.Generation != 2 {
		t.Fatalf("Bind: %v, generation %d", err, bound.Row.Generation)
	}
	if row := w.row(held.Row.ID); row.Generation != 2 || row.Binding.Thumbprint != "device" {
		t.Errorf("stored: %+v", row.Binding)
	}
}

// A turningStore lets the session turn just before it is bound.
type turningStore struct {
	*storetest.Faulty
	turn func()
}

func (s *turningStore) Bind(ctx context.Context, id session.ID, generation uint32, to session.Binding) error {
	if s.turn != nil {
		s.turn()
		s.turn = nil
	}
	return s.Faulty.Bind(ctx, id, generation, to)
}

// Where a key is required, a session in cookies begins without and is renewed
// only with one.
//
// Rows: 110, 132.
func TestRequiredBindingIsAskedForAtTheFirstRenewal(t *testing.T) {
	w := newWorld(t, func(o *session.Options) { o.Policy, _ = session.Preset("aal3") })
	held := w.login(nil)
	w.clock.Advance(4 * time.Minute)
	w.wantRefused(asks(held), session.ReasonUnbound, false)
	if _, err := w.engine.Refresh(t.Context(), asks(held)); !errors.Is(err, session.ErrBindingRequired) {
		t.Errorf("%v, want ErrBindingRequired", err)
	}
	w.bind(held, "device")
	w.renewAs(proves(held, 1))
}
