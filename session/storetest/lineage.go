package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/pawlauth/pawl/session"
)

// nodes are engines on one store, as several processes would run them, and
// what they recorded.
func (b *bench) nodes(n int) ([]*session.Engine, *Journal) {
	journal := &Journal{}
	engines := make([]*session.Engine, n)
	for i := range engines {
		store := b.store
		if i%2 == 1 {
			store = b.other
		}
		engines[i] = NewEngine(b, store, func(o *session.Options) { o.Record = journal.Record })
	}
	return engines, journal
}

// start makes a session by a cookie login.
func (b *bench) start(e *session.Engine) session.Issued {
	b.Helper()
	issued, err := e.Start(b.ctx, session.Login{UserID: "u_alice", ClientID: "web", Audience: "https://api.example",
		Scope: "read write", Methods: []string{"pwd"}, Transport: session.Cookie})
	if err != nil {
		b.Fatalf("Start: %v", err)
	}
	return issued
}

// renewal is the renewal that an honest browser sends.
func renewal(from session.Issued) session.Renewal {
	return session.Renewal{Refresh: from.Refresh.Reveal(), Transport: session.Cookie, Witness: from.Row.ID}
}

// Two hundred callers on three nodes renew with one token, again and again:
// one of them turns the session, and all get the same successor.
//
// Rows: 111, 114, 115, A39.
func raceLineage(b *bench) {
	const callers, generations = 200, 5
	engines, journal := b.nodes(3)
	held := b.start(engines[0])
	for generation := uint32(2); generation <= generations; generation++ {
		b.clock.Advance(time.Hour)
		journal.Take()
		got := make([]session.Issued, callers)
		errs := make([]error, callers)
		b.atOnce(callers, func(i int, _ session.Store) {
			got[i], errs[i] = engines[i%len(engines)].Refresh(b.ctx, renewal(held))
		})
		if err := errors.Join(errs...); err != nil {
			b.Fatalf("generation %d: %v", generation, err)
		}
		for _, g := range got {
			if g.Row.Generation != generation || g.Refresh.Reveal() != got[0].Refresh.Reveal() {
				b.Fatalf("callers of one token hold generations %d and %d, or other bytes", got[0].Row.Generation, g.Row.Generation)
			}
		}
		if n := journal.Count(session.EventRenewed); n != 1 {
			b.Fatalf("generation %d was begun %d times", generation, n)
		}
		if row := b.load(held.Row.ID); row.Generation != generation || row.LateRepeats != 0 {
			b.Fatalf("row in generation %d with late repeats %08b; want %d and none", row.Generation, row.LateRepeats, generation)
		}
		held = got[0]
	}
}

// A session is ended while two hundred callers renew it: who asks after that
// is refused, on every node, and nothing moves the row.
//
// Rows: 112, 118, A37.
func raceEngineEnd(b *bench) {
	const callers = 200
	for range 3 {
		engines, _ := b.nodes(3)
		held := b.start(engines[0])
		b.clock.Advance(time.Hour)
		var over atomic.Bool
		b.atOnce(callers, func(i int, _ session.Store) {
			engine := engines[i%len(engines)]
			if i == callers/2 {
				if _, err := engine.End(b.ctx, session.Selection{User: "u_alice"}, session.ReasonPassword, "", session.Origin{}); err != nil {
					b.Errorf("End: %v", err)
				}
				over.Store(true)
				return
			}
			wasOver := over.Load()
			_, err := engine.Refresh(b.ctx, renewal(held))
			if err == nil && wasOver {
				b.Error("an ended session was renewed")
			}
			if err != nil && !errors.Is(err, session.ErrRefused) {
				b.Errorf("Refresh: %v", err)
			}
		})
		row := b.load(held.Row.ID)
		if !row.Ended() || row.EndReason != session.ReasonPassword {
			b.Fatalf("ended %t, reason %q", row.Ended(), row.EndReason)
		}
		for _, engine := range engines {
			if _, err := engine.Refresh(b.ctx, renewal(held)); !errors.Is(err, session.ErrRefused) {
				b.Errorf("Refresh after the end: %v, want ErrRefused", err)
			}
		}
		b.wantRow(row)
	}
}

// An interposed store does something else right before it replaces.
type interposed struct {
	session.Store
	before func()
}

func (s interposed) Replace(ctx context.Context, changes []session.Change) []error {
	s.before()
	return s.Store.Replace(ctx, changes)
}

// A session is ended after a renewal was decided and before it is stored: the
// renewal is decided anew, and refused.
//
// Rows: 112, 118, A37.
func inFlightEnd(b *bench) {
	ended := false
	engine := NewEngine(b, interposed{b.store, func() {
		if !ended {
			ended = true
			if _, err := b.other.End(b.ctx, session.Selection{User: "u_alice"}, session.ReasonPassword); err != nil {
				b.Errorf("End: %v", err)
			}
		}
	}}, nil)
	held := b.start(engine)
	b.clock.Advance(time.Hour)
	issued, err := engine.Refresh(b.ctx, renewal(held))
	if !errors.Is(err, session.ErrRefused) || issued.Refresh != "" || issued.Access != "" || !ended {
		b.Errorf("Refresh: %v, want ErrRefused and no tokens", err)
	}
	if row := b.load(held.Row.ID); !row.Ended() || row.Generation != 1 || row.EndReason != session.ReasonPassword {
		b.Errorf("ended %t in generation %d, reason %q", row.Ended(), row.Generation, row.EndReason)
	}
}
