package session_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/memstore"
	"github.com/pawlauth/pawl/session/storetest"
	"github.com/pawlauth/pawl/token"
)

// A world is one engine over the reference store, whose clock stands still
// until it is moved.
type world struct {
	*testing.T
	clock   *storetest.Clock
	inner   *memstore.Store
	store   *storetest.Faulty
	engine  *session.Engine
	journal *storetest.Journal

	mu    sync.Mutex
	ended []session.ID // guarded by mu: what this node was told to refuse
	epoch time.Time    // guarded by mu
}

// ends are what the node of a world refuses.
type ends world

func (e *ends) Add(id session.ID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = append(e.ended, id)
}

func (e *ends) AddEpoch(epoch time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.epoch = epoch
}

func (e *ends) Has(id session.ID, created time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Contains(e.ended, id) || session.Epoch{At: e.epoch}.Ended(created)
}

func newWorld(t *testing.T, edit func(*session.Options)) *world {
	t.Helper()
	w := &world{T: t, clock: storetest.NewClock(), journal: &storetest.Journal{}}
	w.inner = memstore.New(w.clock.Now)
	w.store = storetest.NewFaulty(w.inner)
	w.engine = w.node(w.store, edit)
	t.Cleanup(func() {
		if err := storetest.Check(t.Context(), w.inner); err != nil && t.Context().Err() == nil {
			t.Errorf("the store is not sound afterwards: %v", err)
		}
	})
	return w
}

// node is an engine of this world over some store.
func (w *world) node(store session.Store, edit func(*session.Options)) *session.Engine {
	w.Helper()
	return storetest.NewEngine(w, store, func(o *session.Options) {
		o.Record = w.journal.Record
		o.Ends = (*ends)(w)
		if edit != nil {
			edit(o)
		}
	})
}

// login starts a browser session.
func (w *world) login(edit func(*session.Login)) session.Issued {
	w.Helper()
	l := session.Login{
		UserID: "u_alice", ClientID: "web", Audience: "https://api.example", Scope: "read write",
		Methods: []string{"pwd"}, Transport: session.Cookie,
	}
	if edit != nil {
		edit(&l)
	}
	issued, err := w.engine.Start(w.Context(), l)
	if err != nil {
		w.Fatalf("Start: %v", err)
	}
	return issued
}

// asks is the renewal that the holder of these tokens sends.
func asks(held session.Issued) session.Renewal {
	return session.Renewal{Refresh: held.Refresh.Reveal(), Transport: held.Row.Transport, Witness: held.Row.ID,
		Thumbprint: held.Row.Binding.Thumbprint}
}

// renew renews and must succeed.
func (w *world) renew(held session.Issued) session.Issued {
	w.Helper()
	return w.renewAs(asks(held))
}

// renewAs sends this renewal, which must succeed.
func (w *world) renewAs(r session.Renewal) session.Issued {
	w.Helper()
	issued, err := w.engine.Refresh(w.Context(), r)
	if err != nil {
		w.Fatalf("Refresh: %v", err)
	}
	return issued
}

// wantRefused sends a renewal that must be refused for this reason.
func (w *world) wantRefused(r session.Renewal, reason session.Reason, ended bool) {
	w.Helper()
	issued, err := w.engine.Refresh(w.Context(), r)
	refusal, ok := errors.AsType[*session.Refusal](err)
	switch {
	case !ok || !errors.Is(err, session.ErrRefused):
		w.Errorf("Refresh: %v, want a refusal for %q", err, reason)
	case refusal.Reason != reason || refusal.Ended != ended:
		w.Errorf("refused for %q, ended by this %t; want %q, %t", refusal.Reason, refusal.Ended, reason, ended)
	}
	if issued.Access != "" || issued.Refresh != "" {
		w.Error("a refusal came with tokens")
	}
}

// uses lets the holder use the access token once it has settled, as a verifier
// would report it.
func (w *world) uses(held session.Issued) {
	w.Helper()
	w.clock.Advance(77 * time.Second)
	u := session.Use{Session: held.Row.ID, Generation: held.Row.Generation, IssuedAt: time.Unix(w.claims(held).IssuedAt, 0)}
	if _, err := w.engine.Confirm(w.Context(), []session.Use{u}); err != nil {
		w.Fatalf("Confirm: %v", err)
	}
}

// row returns what is stored.
func (w *world) row(id session.ID) session.Row {
	w.Helper()
	rows, _, err := w.inner.Load(w.Context(), []session.ID{id})
	if err != nil || len(rows) != 1 {
		w.Fatalf("Load: %d rows, %v; want one", len(rows), err)
	}
	return rows[0]
}

// wantRow fails unless this is what is stored.
func (w *world) wantRow(want session.Row) {
	w.Helper()
	if diff := cmp.Diff(want, w.row(want.ID), cmpopts.EquateEmpty()); diff != "" {
		w.Errorf("stored row differs (-want +got):\n%s", diff)
	}
}

// wantOver fails unless the session was ended for this reason, its tokens are
// refused, and everybody was told.
func (w *world) wantOver(reason session.Reason, holders ...session.Issued) {
	w.Helper()
	id := holders[0].Row.ID
	if row := w.row(id); !row.Ended() || row.EndReason != reason || !row.Salt.IsZero() {
		w.Errorf("ended %t, reason %q; want it ended for %q", row.Ended(), row.EndReason, reason)
	}
	for _, held := range holders {
		w.wantRefused(asks(held), session.ReasonEnded, false)
	}
	if !slices.Contains(w.ended, id) {
		w.Error("this node was not told to refuse the session's access tokens")
	}
	feed, err := w.inner.Ended(w.Context(), time.Minute)
	if err != nil || !slices.Contains(feed.Sessions, id) {
		w.Errorf("the other nodes were not told (%v)", err)
	}
}

// claims reads an access token, whose signature is not in question.
func (w *world) claims(held session.Issued) token.Claims {
	w.Helper()
	parts, err := token.SplitAccess(held.Access.Reveal())
	if err != nil {
		w.Fatalf("SplitAccess: %v", err)
	}
	claims, err := token.DecodeClaims(parts.Payload)
	if err != nil {
		w.Fatalf("DecodeClaims: %v", err)
	}
	return claims
}

// sameTokens fails unless all hold one generation's refresh token, each with
// an access token of its own.
func (w *world) sameTokens(holders ...session.Issued) {
	w.Helper()
	seen := make(map[token.ID]bool)
	for _, held := range holders {
		if held.Row.Generation != holders[0].Row.Generation || held.Refresh.Reveal() != holders[0].Refresh.Reveal() {
			w.Errorf("generations %d and %d, or other bytes; want one refresh token", holders[0].Row.Generation, held.Row.Generation)
		}
		c := w.claims(held)
		if c.Generation != held.Row.Generation || seen[c.ID] {
			w.Errorf("access token of generation %d, its id new: %t; want one of %d", c.Generation, !seen[c.ID], held.Row.Generation)
		}
		seen[c.ID] = true
	}
}
