package pawl

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

var errBroken = errors.New("the connection is broken")

// A promotedStore was a standby: it has forgotten every end, and the first use
// of each old connection fails.
type promotedStore struct {
	sqlstore.Store
	reads, writes int // connections that fail
	ends          []session.ID
}

func (s *promotedStore) Ended(context.Context, time.Duration) (verify.Endings, error) {
	if s.reads--; s.reads >= 0 {
		return verify.Endings{}, errBroken
	}
	return verify.Endings{Now: time.Now()}, nil
}

func (s *promotedStore) End(_ context.Context, which session.Selection, _ session.Reason) ([]session.Ended, error) {
	if s.writes--; s.writes >= 0 {
		return nil, errBroken
	}
	s.ends = append(s.ends, which.Session)
	return nil, nil
}

// What a store has lost is written again as soon as it can be, not when all is
// read the next time.
//
// Rows: A45, A96
func TestLostEndsAreWrittenUntilItWorks(t *testing.T) {
	p, err := Open(t.Context(), Options{Data: t.TempDir() + "/data", Origins: []string{"https://app.example.com"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.tasks.stop(func() {}) // we do what they do
	store := &promotedStore{Store: p.data.Store, reads: 1, writes: 2}
	p.data.Store, p.engine.Store = store, store
	id := token.NewID()
	p.revoked.Add(id, time.Now().Add(-time.Second))
	for step, fails := range []bool{true, true, true, false, false} {
		if err := errors.Join(p.follow(t.Context()), p.endAgain(t.Context())); (err != nil) != fails {
			t.Errorf("step %d: %v", step, err)
		}
	}
	if len(store.ends) != 1 || store.ends[0] != id {
		t.Errorf("written again: %v, want %v once", store.ends, id)
	}
}
