package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// device is what a session is bound to here.
var device = session.Binding{Kind: session.DBSC, Thumbprint: thumbprint}

func unbound(r *session.Row) { r.Binding = session.Binding{} }

// Rows: 223, 228.
func bindOnce(b *bench) {
	row, bystander := b.create(unbound), b.create(unbound)
	if err := b.store.Bind(b.ctx, row.ID, row.Generation, device); err != nil {
		b.Fatalf("Bind: %v", err)
	}
	row.Binding = device
	b.wantRow(row)
	b.wantRow(bystander)
	// A bound session is bound for good, whatever comes after.
	other := session.Binding{Kind: session.DBSC, Thumbprint: "another"}
	for _, to := range []session.Binding{other, device, {}} {
		if err := b.store.Bind(b.ctx, row.ID, row.Generation, to); !errors.Is(err, session.ErrConflict) {
			b.Errorf("Bind of a bound session to %+v: %v, want ErrConflict", to, err)
		}
	}
	b.wantRow(row)
	// It turns on as before, bound.
	now := b.clock.Advance(time.Hour)
	c := turned(row, now)
	if err := b.replace(c); err != nil {
		b.Fatalf("Replace: %v", err)
	}
	b.wantRow(row.Apply(c, now))
}

func bindConflict(b *bench) {
	at5 := func(r *session.Row) { unbound(r); r.Generation, r.PriorUsedAt = 5, r.CreatedAt }
	row, ended := b.create(at5), b.create(at5)
	b.end(session.Selection{Session: ended.ID})
	ended = b.load(ended.ID)
	for name, err := range map[string]error{
		"an earlier generation": b.store.Bind(b.ctx, row.ID, 4, device),
		"a later generation":    b.store.Bind(b.ctx, row.ID, 6, device),
		"an ended session":      b.store.Bind(b.ctx, ended.ID, 5, device),
		"no session":            b.store.Bind(b.ctx, token.NewID(), 1, device),
	} {
		if !errors.Is(err, session.ErrConflict) {
			b.Errorf("Bind of %s: %v, want ErrConflict", name, err)
		}
	}
	b.wantRow(row)
	b.wantRow(ended)
}

// Many keys for one session: one wins.
func raceBind(b *bench) {
	for range rounds {
		row, errs := b.create(unbound), make([]error, racers)
		key := func(i int) session.Binding {
			return session.Binding{Kind: session.DBSC, Thumbprint: fmt.Sprint("key ", i)}
		}
		b.atOnce(racers, func(i int, store session.Store) { errs[i] = store.Bind(b.ctx, row.ID, row.Generation, key(i)) })
		won := 0
		for i, err := range errs {
			switch {
			case err == nil:
				row.Binding = key(i)
				won++
			case !errors.Is(err, session.ErrConflict):
				b.Errorf("Bind: %v", err)
			}
		}
		if won != 1 {
			b.Fatalf("%d callers bound one session", won)
		}
		b.wantRow(row)
	}
}

// A binding and a turn at the same time: one wins, and the other must look
// again. A turn that was decided before the binding would hand on a session
// without proof of its key.
//
// Rows: 223
func raceBindReplace(b *bench) {
	for range rounds {
		row := b.create(unbound)
		now := b.clock.Advance(2 * time.Minute)
		c := turned(row, now)
		var bound, turn error
		b.atOnce(2, func(i int, store session.Store) {
			if i == 0 {
				bound = store.Bind(b.ctx, row.ID, row.Generation, device)
			} else {
				turn = store.Replace(b.ctx, []session.Change{c})[0]
			}
		})
		switch {
		case bound == nil && errors.Is(turn, session.ErrConflict):
			row.Binding = device
		case turn == nil && errors.Is(bound, session.ErrConflict):
			row = row.Apply(c, now)
		case errors.Is(turn, session.ErrConflict) && errors.Is(bound, session.ErrConflict):
			// Each found the other under way.
		default:
			b.Fatalf("Bind: %v; Replace: %v", bound, turn)
		}
		b.wantRow(row)
	}
}

// bindAgain: whoever saw no answer binds again, to the same key.
var bindAgain = operation{
	name: "BindAgain", calls: []Call{Load, Bind},
	prepare: func(s *scene) func() error {
		s.signIn(nil)
		return func() (err error) {
			s.got, err = s.engine.Bind(s.ctx, s.held.Row.ID, thumbprint, session.Origin{})
			return err
		}
	},
	want: func(s *scene) {
		if got := s.load(s.held.Row.ID).Binding; got != device || s.got.Row.Binding != device || s.got.Refresh != "" {
			s.fail("bound to %+v", got)
		}
	},
}
