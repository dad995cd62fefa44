package follow_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/account/accounttest"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/service/servicetest"
	"github.com/pawlauth/pawl/serviceapi"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/memstore"
	"github.com/pawlauth/pawl/sqlstore"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
	"github.com/pawlauth/pawl/verify/follow"
)

// A node is a real Pawl over stores in memory: engine, feed and service API.
type node struct {
	store   *memstore.Store
	engine  *session.Engine
	revoked *verify.Revoked
	uses    *session.Confirmations
	api     *serviceapi.API
}

// Add, AddEpoch and Has make it [session.Ends].
func (n *node) Add(id session.ID)        { n.revoked.Add(id, time.Now()) }
func (n *node) AddEpoch(epoch time.Time) { n.revoked.AddEpoch(epoch, time.Now()) }
func (n *node) Has(id session.ID, created time.Time) bool {
	return errors.Is(n.revoked.Check(id, created, time.Now()), verify.ErrRevoked)
}

type noEvents struct{}

func (noEvents) Events(context.Context, int64, int) ([]sqlstore.StoredEvent, error) { return nil, nil }

// newNode makes a node on the store and keys of a world, and lets it follow
// the store until the test ends.
func newNode(w *world, store *memstore.Store) *node {
	w.t.Helper()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	n := &node{store: store}
	policy, err := session.Preset("default")
	must(err)
	keep := policy.FeedKeep(5 * time.Second)
	n.revoked, err = verify.NewRevoked(verify.FollowOptions{Keep: keep, Overlap: 30 * time.Second, WholeEvery: 10 * time.Second, Stale: time.Minute})
	must(err)
	verifier, err := verify.New(verify.Config{Issuer: issuer, Audience: audience, Keys: w.ring, Revocations: n.revoked})
	must(err)
	record := func(session.Event) {}
	n.engine, err = session.New(session.Options{
		Store: store, Policy: policy, Issuer: issuer, Codec: token.NewRefreshCodec(w.master.RefreshKeys()...), Key: w.master.Current(),
		Signer: func() token.Signer { return w.ring.Signer() }, Pseudonym: w.master.Pseudonyms(), Record: record,
		Ends: n, Timeout: 5 * time.Second, MaxQueue: 100})
	must(err)
	n.uses = session.NewConfirmations(n.engine)
	site, err := httpauth.NewSite([]string{issuer})
	must(err)
	csrf, err := httpauth.NewCSRF(w.master.CSRFKeys())
	must(err)
	guard, err := httpauth.NewGuard(httpauth.Options{Site: site, CSRF: csrf, Verifier: verifier, Now: time.Now, Pseudonym: w.master.Pseudonyms(),
		Note: n.uses.Note, Record: record})
	must(err)
	hasher, err := account.NewHasher(account.DangerouslyWeakParamsForTests(), 1, time.Second)
	must(err)
	accounts, err := account.New(account.Options{Store: accounttest.NewMemory(), Hasher: hasher, Key: [32]byte{1}})
	must(err)
	services := servicetest.NewMemory()
	_, err = services.AddService(w.t.Context(), service.Record{Service: service.Service{Name: name,
		Scopes: []service.Scope{service.RevocationsRead, service.UsesWrite}}, Secret: sha256.Sum256([]byte(secret))})
	must(err)
	public, err := httpapi.New(httpapi.Options{Engine: n.engine, Guard: guard, Accounts: accounts, Keys: w.ring, Services: service.New(services),
		Audience: audience, Log: slog.New(slog.DiscardHandler), Web: httpapi.Client{Scope: "read"}, Clients: []httpapi.Client{{ID: "cli", Scope: "read"}}})
	must(err)
	n.api, err = serviceapi.New(serviceapi.Options{API: public, Accounts: accounts, Events: noEvents{}, Revoked: n.revoked, Keep: keep, Now: time.Now,
		Note: n.uses.Note, DangerouslyPlainHTTP: true}) // the pipes have no address
	must(err)
	ctx, cancel := context.WithCancel(context.Background())
	w.t.Cleanup(cancel)
	go func() {
		for ctx.Err() == nil {
			n.revoked.Poll(ctx, store, time.Now())
			n.uses.Flush(ctx)
			select {
			case <-ctx.Done():
			case <-time.After(250 * time.Millisecond):
			}
		}
	}()
	mux := http.NewServeMux()
	mux.Handle("/.well-known/", public)
	w.issuer.serve(mux)
	w.api.serve(n.api)
	return n
}

// Against the real service API and the real key set: tokens of the engine are
// good, ended sessions are refused, also after another process took over, an
// epoch ends everyone, and first uses arrive. Time is real here, since caches
// of the real server cannot be stopped.
//
// Rows: 93, 94, 188
func TestFollowerOfARealServer(t *testing.T) {
	w := newWorld(t)
	var behind atomic.Int64 // the store's clock, so that the first tokens are settled
	behind.Store(int64(2 * time.Minute))
	store := memstore.New(func() time.Time { return time.Now().Add(-time.Duration(behind.Load())) })
	n := newNode(w, store)
	start := func() session.Issued {
		t.Helper()
		issued, err := n.engine.Start(t.Context(), session.Login{UserID: "u1", ClientID: "cli", Audience: audience, Scope: "read",
			Methods: []string{"pwd"}, Transport: session.Bearer})
		if err != nil {
			t.Fatal(err)
		}
		return issued
	}
	end := func(i session.Issued) {
		t.Helper()
		if _, err := n.engine.End(t.Context(), session.Selection{Session: i.Row.ID}, session.ReasonOperator, "", session.Origin{}); err != nil {
			t.Fatal(err)
		}
	}
	f := &follow.Follower{}
	refused := func(i session.Issued) func() bool {
		return func() bool {
			_, err := f.Verifier().Verify(i.Access.Reveal(), time.Now())
			return errors.Is(err, verify.ErrRevoked)
		}
	}
	early, late, good := start(), start(), start()
	behind.Store(0)
	end(early)
	f = w.open()
	eventually(t, "ready", f.Ready)
	judge(t, f, "ended before", early.Access.Reveal(), verify.ErrRevoked)
	judge(t, f, "good", late.Access.Reveal(), nil)
	end(late)
	eventually(t, "ended now", refused(late))

	// The first settled use confirms the generation in the store.
	p, err := f.Verifier().Verify(good.Access.Reveal(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f.Note(session.Use{Session: p.Session, Generation: p.Generation, IssuedAt: p.IssuedAt}, time.Now())
	eventually(t, "the use is confirmed", func() bool {
		row, _, err := n.engine.Get(t.Context(), p.Session)
		return err == nil && !row.ConfirmedAt.IsZero()
	})

	// Another process takes over; ids of the first mean nothing to it.
	ended := start()
	connects := f.Stats().Connects
	n.api.EndStreams()
	n = newNode(w, store)
	end(ended)
	w.api.cut(false)
	eventually(t, "ended at the other process", refused(ended))
	if s := f.Stats(); s.Revoked != 3 || s.Connects == connects || s.UsesDropped != 0 {
		t.Errorf("%+v\n%s", s, w.log)
	}
	judge(t, f, "still good", good.Access.Reveal(), nil)
	if _, err := n.engine.EndEveryone(t.Context(), session.ReasonEveryone, "", session.Origin{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "before the epoch", refused(good))
	eventually(t, "after the epoch", func() bool {
		_, err := f.Verifier().Verify(start().Access.Reveal(), time.Now())
		return err == nil
	})
}
