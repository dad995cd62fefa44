package session_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/storetest"
	"github.com/pawlauth/pawl/token"
)

func TestNewRequiresEveryPart(t *testing.T) {
	whole := newWorld(t, nil).engine.Options
	if _, err := session.New(whole); err != nil {
		t.Fatalf("the whole: %v", err)
	}
	for name, edit := range map[string]func(*session.Options){
		"store":      func(o *session.Options) { o.Store = nil },
		"policy":     func(o *session.Options) { o.Policy = session.Policy{} },
		"bad policy": func(o *session.Options) { o.Policy.Settle = 0 },
		"issuer":     func(o *session.Options) { o.Issuer = "" },
		"codec":      func(o *session.Options) { o.Codec = nil },
		"signer":     func(o *session.Options) { o.Signer = nil },
		"pseudonym":  func(o *session.Options) { o.Pseudonym = nil },
		"record":     func(o *session.Options) { o.Record = nil },
		"timeout":    func(o *session.Options) { o.Timeout = 0 },
		"queue":      func(o *session.Options) { o.MaxQueue = 0 },
	} {
		o := whole
		edit(&o)
		if _, err := session.New(o); err == nil {
			t.Errorf("New without %s succeeds", name)
		}
	}
	whole.Ends = nil
	engine, err := session.New(whole)
	if err != nil {
		t.Fatalf("without the one part that may be missing: %v", err)
	}
	engine.Ends.Add(session.ID{})
	engine.Ends.AddEpoch(time.Unix(1, 0))
	if engine.Ends.Has(session.ID{}, time.Unix(0, 0)) {
		t.Error("a node that knows of no end knows of one")
	}
	whole.Policy.Settle = 0
	if _, err := session.DangerouslyNewUnchecked(whole); err != nil {
		t.Errorf("DangerouslyNewUnchecked with a bad policy: %v", err)
	}
}

// Rows: 10, 136, A36.
func TestStartStoresTheSessionAndIssuesItsFirstTokens(t *testing.T) {
	w := newWorld(t, nil)
	issued := w.login(func(l *session.Login) {
		l.Remembered, l.Origin = true, session.Origin{UserAgent: "browser", Address: "192.0.2.0/24"}
	})
	now := w.clock.Now()
	want := session.Row{
		ID: issued.Row.ID, Salt: issued.Row.Salt, Key: issued.Row.Key, UserID: "u_alice", ClientID: "web",
		Audience: "https://api.example", Scope: "read write", Generation: 1, RotatedAt: now, CreatedAt: now, AuthTime: now,
		Methods: []string{"pwd"}, AbsoluteEnd: now.Add(90 * 24 * time.Hour), IdleLimit: 14 * 24 * time.Hour,
		Transport: session.Cookie, Remembered: true, UserAgent: "browser", Address: "192.0.2.0/24", LastSeen: now.Truncate(time.Hour),
	}
	w.wantRow(want)
	if issued.Row.ID.IsZero() || issued.Row.Salt.IsZero() {
		t.Error("id or salt is zero")
	}
	got := w.claims(issued)
	claims := token.Claims{
		Issuer: "https://issuer.example", Subject: "u_alice", Audience: "https://api.example", ClientID: "web", IssuedAt: now.Unix(),
		Expires: issued.Expires.Unix(), ID: got.ID, Session: issued.Row.ID, Generation: 1, AuthTime: now.Unix(),
		Methods: []string{"pwd"}, Scope: "read write",
	}
	if diff := cmp.Diff(claims, got); diff != "" {
		t.Errorf("claims differ (-want +got):\n%s", diff)
	}
	if events := w.journal.Take(); len(events) != 1 || events[0].Type != session.EventStarted || events[0].Session != "pseudonym" {
		t.Errorf("events: %+v", events)
	}
	// Nothing of a session is used again for the next one.
	next := w.login(nil)
	if next.Row.ID == issued.Row.ID || next.Row.Salt == issued.Row.Salt || next.Refresh.Reveal() == issued.Refresh.Reveal() {
		t.Error("two logins share an id, a salt or a token")
	}
}

// Rows: 110, 132.
func TestStartKeepsToARequiredBinding(t *testing.T) {
	w := newWorld(t, func(o *session.Options) { o.Policy, _ = session.Preset("aal3") })
	_, err := w.engine.Start(t.Context(), session.Login{UserID: "u_alice", ClientID: "web", Audience: "app", Transport: session.Bearer})
	if !errors.Is(err, session.ErrBindingRequired) {
		t.Errorf("Start without binding: %v, want ErrBindingRequired", err)
	}
	if w.store.Calls(storetest.Create) != 0 || w.store.Calls(storetest.Load) != 0 {
		t.Error("the store was asked")
	}
	bound := w.login(func(l *session.Login) { l.Binding = session.Binding{Kind: session.DPoP, Thumbprint: "key"} })
	device := w.login(func(l *session.Login) { l.Binding = session.Binding{Kind: session.DBSC, Thumbprint: "key"} })
	if c := w.claims(device); c.Binding == nil || *c.Binding != (token.Confirmation{Device: "key"}) {
		t.Errorf("a session of a device has tokens bound to %+v", c.Binding)
	}
	if c := w.claims(bound); c.Binding == nil || c.Binding.Thumbprint != "key" {
		t.Errorf("cnf of a bound session: %+v", c.Binding)
	}
}

// Signing fails after the row is stored: nobody holds a token of it, and
// nobody is told of a start.
//
// Rows: 252.
func TestStartThatCannotSignIssuesNothing(t *testing.T) {
	w := newWorld(t, func(o *session.Options) { o.Signer = func() token.Signer { return brokenSigner{} } })
	issued, err := w.engine.Start(t.Context(), session.Login{UserID: "u_alice", ClientID: "web", Audience: "app", Transport: session.Cookie})
	if !errors.Is(err, errBroken) || issued.Refresh != "" || issued.Access != "" {
		t.Errorf("Start: %v", err)
	}
	if events := w.journal.Take(); len(events) != 0 {
		t.Errorf("events: %+v", events)
	}
}

var errBroken = errors.New("broken")

type brokenSigner struct{}

func (brokenSigner) Header() string              { return "e30" }
func (brokenSigner) Sign([]byte) ([]byte, error) { return nil, errBroken }

func TestAccessLifeVariesByAtMostFivePercentDownward(t *testing.T) {
	w := newWorld(t, nil)
	lives := make(map[int64]bool)
	for range 400 {
		c := w.claims(w.login(nil))
		life := c.Expires - c.IssuedAt
		if life < 285 || life > 300 {
			t.Fatalf("access token lives %d s, want 285 to 300", life)
		}
		lives[life] = true
	}
	if len(lives) < 8 {
		t.Errorf("400 tokens have %d lives; want them spread", len(lives))
	}
}

// Rows: 116, A40.
func TestAccessTokensEndWithTheSession(t *testing.T) {
	w := newWorld(t, func(o *session.Options) { o.Policy, _ = session.Preset("aal1") })
	held := w.login(nil)
	w.clock.Advance(held.Row.AbsoluteEnd.Sub(w.clock.Now()) - time.Minute)
	held = w.renew(held)
	if c := w.claims(held); c.Expires > held.Row.AbsoluteEnd.Unix() || held.Expires.After(held.Row.AbsoluteEnd) {
		t.Errorf("access token expires at %d, the session at %d", c.Expires, held.Row.AbsoluteEnd.Unix())
	}
	// In the last second, too, a token has a life.
	w.clock.Advance(time.Minute - time.Millisecond)
	if c := w.claims(w.renew(held)); c.Expires != c.IssuedAt+1 {
		t.Errorf("in the last millisecond a token lives %d s, want 1", c.Expires-c.IssuedAt)
	}
}

// No clock but the store's counts: this one is years off.
func TestTimesCountFromTheStoresClock(t *testing.T) {
	w := newWorld(t, nil)
	w.clock.Advance(20 * 365 * 24 * time.Hour)
	held := w.login(nil)
	now := w.clock.Advance(time.Hour)
	held = w.renew(held)
	c := w.claims(held)
	if c.IssuedAt != now.Unix() || c.Expires < now.Unix()+285 || c.Expires > now.Unix()+300 || !held.Now.Equal(now) || !held.Row.RotatedAt.Equal(now) {
		t.Errorf("iat %d, exp %d, turned %v; the store's clock says %d", c.IssuedAt, c.Expires, held.Row.RotatedAt, now.Unix())
	}
}

// Rows: 139.
func TestIdentifyTellsWhoseTokenItIs(t *testing.T) {
	w := newWorld(t, nil)
	first := w.login(nil)
	w.clock.Advance(time.Hour)
	second := w.renew(first)
	for _, held := range []session.Issued{first, second} {
		if row, err := w.engine.Identify(t.Context(), held.Refresh.Reveal()); err != nil || row.ID != first.Row.ID {
			t.Errorf("Identify of generation %d: %v, %v", held.Row.Generation, row.ID, err)
		}
	}
	if _, err := w.engine.Identify(t.Context(), "pawl_rt_junk"); !errors.Is(err, session.ErrRefused) {
		t.Errorf("Identify of junk: %v, want ErrRefused", err)
	}
	before := w.row(first.Row.ID)
	w.wantRow(before)

	w.store.Fail(storetest.Load, 1, storetest.Lost)
	if _, err := w.engine.Identify(t.Context(), second.Refresh.Reveal()); !errors.Is(err, session.ErrUnavailable) || errors.Is(err, session.ErrRefused) {
		t.Errorf("Identify without a store: %v, want ErrUnavailable", err)
	}
	w.end(session.Selection{Session: first.Row.ID}, session.ReasonSignOut)
	for _, held := range []session.Issued{first, second} {
		if _, err := w.engine.Identify(t.Context(), held.Refresh.Reveal()); !errors.Is(err, session.ErrRefused) {
			t.Errorf("Identify after the end: %v, want ErrRefused", err)
		}
	}
}

func TestGetReturnsOneSession(t *testing.T) {
	w := newWorld(t, nil)
	held := w.login(nil)
	row, now, err := w.engine.Get(t.Context(), held.Row.ID)
	if err != nil || row.ID != held.Row.ID || !now.Equal(w.clock.Now()) {
		t.Errorf("Get: %v at %v, %v", row.ID, now, err)
	}
	if _, _, err := w.engine.Get(t.Context(), token.NewID()); !errors.Is(err, session.ErrRefused) {
		t.Errorf("Get of an unknown id: %v, want ErrRefused", err)
	}
}

// Rows: 127.
func TestListShowsWhatCanBeRenewedNewestFirst(t *testing.T) {
	w := newWorld(t, nil)
	idle := w.login(nil)
	w.clock.Advance(10 * 24 * time.Hour)
	var want []session.ID
	for range 3 {
		want = append(want, w.login(nil).Row.ID)
		w.clock.Advance(time.Hour)
	}
	slices.Reverse(want)
	ended := w.login(nil)
	w.end(session.Selection{Session: ended.Row.ID}, session.ReasonSignOut)
	w.login(func(l *session.Login) { l.UserID = "u_bob" })
	w.clock.Advance(5 * 24 * time.Hour)
	rows, now, err := w.engine.List(t.Context(), "u_alice")
	if err != nil || !now.Equal(w.clock.Now()) {
		t.Fatalf("List: %v at %v", err, now)
	}
	var got []session.ID
	for _, row := range rows {
		got = append(got, row.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v; idle is %v, ended %v", got, want, idle.Row.ID, ended.Row.ID)
	}
}

// end ends sessions as their owner.
func (w *world) end(which session.Selection, reason session.Reason) []session.Ended {
	w.Helper()
	ended, err := w.engine.End(w.Context(), which, reason, "", session.Origin{})
	if err != nil {
		w.Fatalf("End: %v", err)
	}
	return ended
}

// Each event that ends sessions leaves none of their tokens good.
//
// Rows: 113, 118, 139, 140, 143.
func TestEndRefusesEveryTokenAndTellsEverybody(t *testing.T) {
	for _, reason := range []session.Reason{session.ReasonSignOut, session.ReasonPassword, session.ReasonDisabled, session.ReasonOperator} {
		w := newWorld(t, nil)
		first := w.login(nil)
		kept := w.login(nil)
		w.clock.Advance(time.Hour)
		second := w.renew(first)
		w.journal.Take()

		which := session.Selection{User: "u_alice", Except: kept.Row.ID}
		ended, err := w.engine.End(t.Context(), which, reason, "operator", session.Origin{Address: "192.0.2.0/24"})
		if err != nil || !slices.Equal(ended, []session.Ended{{Session: first.Row.ID, UserID: "u_alice"}}) {
			t.Fatalf("End: %v, %v", ended, err)
		}
		want := session.Event{Type: session.EventEnded, Reason: string(reason), UserID: "u_alice", Session: "pseudonym",
			Actor: "operator", Origin: session.Origin{Address: "192.0.2.0/24"}}
		if diff := cmp.Diff([]session.Event{want}, w.journal.Take()); diff != "" {
			t.Errorf("events differ (-want +got):\n%s", diff)
		}
		w.wantOver(reason, first, second)
		w.renew(kept)
		if again := w.end(which, reason); len(again) != 0 || len(w.ended) != 1 {
			t.Errorf("ended again: %v; told %d times", again, len(w.ended))
		}
	}
}

// A stepwise is a store that fails after it has ended the first sessions of a
// user.
type stepwise struct{ session.Store }

func (s stepwise) End(ctx context.Context, which session.Selection, reason session.Reason) ([]session.Ended, error) {
	ended, err := s.Store.End(ctx, which, reason)
	return ended, errors.Join(err, errBroken)
}

// What ended although the store failed afterwards is refused, and told of.
func TestEndThatFailsHalfwayRefusesWhatHasEnded(t *testing.T) {
	w := newWorld(t, nil)
	held := w.login(nil)
	e := w.node(stepwise{w.store}, nil)
	w.journal.Take()
	ended, err := e.End(t.Context(), session.Selection{User: "u_alice"}, session.ReasonDisabled, "operator", session.Origin{})
	if !errors.Is(err, session.ErrUnavailable) || len(ended) != 1 || !slices.Equal(w.ended, []session.ID{held.Row.ID}) {
		t.Errorf("End: %v, %v; the node refuses %v", ended, err, w.ended)
	}
	if told := w.journal.Take(); len(told) != 1 || told[0].Type != session.EventEnded {
		t.Errorf("told of %v", told)
	}
}

func TestEndRefusesASelectionOfNothing(t *testing.T) {
	w := newWorld(t, nil)
	held := w.login(nil)
	for _, which := range []session.Selection{{}, {User: "u_alice", Session: held.Row.ID}, {Except: held.Row.ID}} {
		if _, err := w.engine.End(t.Context(), which, session.ReasonOperator, "", session.Origin{}); err == nil {
			t.Errorf("End of %+v succeeds", which)
		}
	}
	if w.store.Calls(storetest.End) != 0 {
		t.Error("the store was asked")
	}
}

func TestConfirmReturnsWhatHasNotSettled(t *testing.T) {
	w := newWorld(t, nil)
	old := w.login(nil)
	w.clock.Advance(2 * time.Minute)
	young := w.login(nil)
	useOf := func(i session.Issued) session.Use {
		return session.Use{Session: i.Row.ID, Generation: 1, IssuedAt: time.Unix(w.claims(i).IssuedAt, 0)}
	}
	early, err := w.engine.Confirm(t.Context(), []session.Use{useOf(old), useOf(young)})
	if err != nil || !slices.Equal(early, []session.Use{useOf(young)}) {
		t.Errorf("early: %v, %v; want the young one", early, err)
	}
	if w.row(old.Row.ID).ConfirmedAt.IsZero() || !w.row(young.Row.ID).ConfirmedAt.IsZero() {
		t.Error("the wrong one is confirmed")
	}
}

func TestSweepRemovesExpiredSessions(t *testing.T) {
	w := newWorld(t, nil)
	for range 3 {
		w.login(nil)
	}
	w.clock.Advance(91 * 24 * time.Hour)
	live := w.login(nil)
	if n, err := w.engine.Sweep(t.Context(), 2, time.Hour); n != 2 || err != nil {
		t.Errorf("swept %d, %v; want 2", n, err)
	}
	if n, err := w.engine.Sweep(t.Context(), 2, time.Hour); n != 1 || err != nil {
		t.Errorf("swept %d, %v; want 1", n, err)
	}
	w.row(live.Row.ID)
}

// An entry of the feed is needed for as long as an access token can be good.
func TestFeedKeepOutlivesAccessTokens(t *testing.T) {
	for _, name := range session.Presets {
		p, err := session.Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		if keep := p.FeedKeep(30 * time.Second); keep < p.AccessTTL+30*time.Second+time.Minute {
			t.Errorf("%s: kept for %v", name, keep)
		}
	}
}

// A store that hangs is given up on, whatever is asked of it.
//
// Rows: 252.
func TestNoCallOutlivesTheTimeout(t *testing.T) {
	w := newWorld(t, nil)
	held := w.login(nil)
	engine := w.node(hanging{w.inner}, func(o *session.Options) { o.Timeout = time.Millisecond })
	for name, call := range map[string]func() error{
		"Start": func() error {
			_, err := engine.Start(t.Context(), session.Login{UserID: "u", ClientID: "web", Audience: "app", Transport: session.Bearer})
			return err
		},
		"Refresh": func() error { _, err := engine.Refresh(t.Context(), asks(held)); return err },
		"Get":     func() error { _, _, err := engine.Get(t.Context(), held.Row.ID); return err },
	} {
		if err := call(); !errors.Is(err, session.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s on a store that hangs: %v, want ErrUnavailable", name, err)
		}
	}
}

// hanging answers no Load before its context ends.
type hanging struct{ session.Store }

func (hanging) Load(ctx context.Context, _ []session.ID) ([]session.Row, time.Time, error) {
	<-ctx.Done()
	return nil, time.Time{}, ctx.Err()
}
