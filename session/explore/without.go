package explore

import (
	"context"
	"time"

	"github.com/pawlauth/pawl/session"
)

// without returns the store with a part of it taken away. The parts that are
// numbers of the policy are taken away by [World.TakeAway].
func (w *World) without(store session.Store) session.Store {
	switch w.Without {
	case FirstUse:
		return forgetful{Store: store, forget: func(r *session.Row, _ time.Time) { r.PriorUsedAt = time.Time{} }}
	case LateRepeats:
		return forgetful{Store: store, forget: func(r *session.Row, _ time.Time) { r.LateRepeats = 0 }}
	case FixedEnd:
		return forgetful{Store: store, forget: func(r *session.Row, now time.Time) { r.AbsoluteEnd = now.Add(w.Policy.AbsoluteLimit) }}
	case ConditionalConfirm:
		return credulous{Store: store}
	case CompareAndSwap:
		return careless{Store: store}
	default:
		return store
	}
}

// A forgetful store does not bring back all that was written.
type forgetful struct {
	session.Store
	forget func(*session.Row, time.Time)
}

// Load implements [session.Ratchet].
func (f forgetful) Load(ctx context.Context, ids []session.ID) ([]session.Row, time.Time, error) {
	rows, now, err := f.Store.Load(ctx, ids)
	for i := range rows {
		f.forget(&rows[i], now)
	}
	return rows, now, err
}

// A credulous store confirms the generation that the row is in, whatever
// generation was used.
type credulous struct{ session.Store }

// Confirm implements [session.Ratchet].
func (c credulous) Confirm(ctx context.Context, uses []session.Use, settle time.Duration) (time.Time, error) {
	blind := make([]session.Use, 0, len(uses))
	for _, u := range uses {
		rows, _, err := c.Load(ctx, []session.ID{u.Session})
		if err != nil {
			return time.Time{}, err
		}
		for _, r := range rows {
			u.Generation = r.Generation
			blind = append(blind, u)
		}
	}
	return c.Store.Confirm(ctx, blind, settle)
}

// A careless store replaces the row that is there, whatever the change was
// made for.
type careless struct{ session.Store }

// Replace implements [session.Ratchet].
func (c careless) Replace(ctx context.Context, changes []session.Change) []error {
	for i := range changes {
		rows, _, err := c.Load(ctx, []session.ID{changes[i].ID})
		if err == nil && len(rows) == 1 {
			changes[i].From = rows[0].Generation
		}
	}
	return c.Store.Replace(ctx, changes)
}
