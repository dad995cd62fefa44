package explore

import (
	"context"
	"crypto/sha256"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pawlauth/pawl/session"
)

// A Report is what came of walking a world.
type Report struct {
	World       World
	States      int  // different ones that were reached
	Transitions int  // steps that were taken
	Depth       int  // of the deepest state: steps from the login
	Complete    bool // nothing within the bounds was left out
	Decisions   Decisions
	Found       *Counterexample
}

// Decisions counts what the engine said to renewals.
type Decisions struct{ Rotated, Repeated, CaughtUp, Refused, Ended int64 }

// A tally counts decisions while workers make them.
type tally struct{ rotated, repeated, caughtUp, refused, ended atomic.Int64 }

func (c *tally) count(v *verdict) {
	switch v.event {
	case session.EventRenewed:
		c.rotated.Add(1)
	case session.EventRepeated:
		c.repeated.Add(1)
	case session.EventCaughtUp:
		c.caughtUp.Add(1)
	case session.EventRenewalRefused:
		c.refused.Add(1)
	case session.EventEnded:
		c.ended.Add(1)
	}
}

func (c *tally) decisions() Decisions {
	return Decisions{Rotated: c.rotated.Load(), Repeated: c.repeated.Load(), CaughtUp: c.caughtUp.Load(),
		Refused: c.refused.Load(), Ended: c.ended.Load()}
}

// String prints the report: who was there, the bounds, the assumptions, the
// numbers, and the counterexample if there is one.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "world %q: %s\nbounds: %s\nassumptions:\n", r.World.Name, r.World.parties(), r.World.Bounds())
	for _, a := range r.World.Assumptions() {
		fmt.Fprintf(&b, "  - %s\n", a)
	}
	fmt.Fprintf(&b, "checked: %q\n", r.World.Properties())
	end := "complete"
	if !r.Complete {
		end = "not complete"
	}
	d := &r.Decisions
	fmt.Fprintf(&b, "decisions: %d rotated, %d repeated, %d caught up, %d refused, %d ended\n",
		d.Rotated, d.Repeated, d.CaughtUp, d.Refused, d.Ended)
	fmt.Fprintf(&b, "states: %d, transitions: %d, depth: %d, %s", r.States, r.Transitions, r.Depth, end)
	if r.Found != nil {
		fmt.Fprintf(&b, "\n%s", r.Found)
	}
	return b.String()
}

// A form is the canonical form of a state, hashed.
type form [16]byte

func (k *walk) formOf(s *state) form {
	sum := sha256.Sum256(k.world.form(s))
	return form(sum[:16])
}

// An origin is how a state was first reached: by which step of which state.
type origin struct {
	from    int32
	ordinal int32
}

// A walk is one exploration.
type walk struct {
	world   *World
	issuer  *issuer
	seen    map[form]struct{}
	origins []origin
	tally   tally
	report  Report
}

// An open state is one whose steps were not taken yet.
type open struct {
	state *state
	index int32
}

// A fresh state is one that was not known when it was reached.
type fresh struct {
	state  *state
	form   form
	origin origin
	found  *finding
}

// Explore walks a world breadth first, until it finds a counterexample or
// nothing new, or the bounds or the context end it. The report's Complete
// tells which. It fails if the world makes no sense.
func Explore(ctx context.Context, w World) (Report, error) {
	if err := w.check(); err != nil {
		return Report{}, err
	}
	k := &walk{world: &w, issuer: &issuer{world: &w}, seen: make(map[form]struct{})}
	k.report.World = w
	login, err := k.issuer.login(ctx)
	if err != nil {
		return Report{}, err
	}
	k.seen[k.formOf(login)] = struct{}{}
	k.origins = append(k.origins, origin{from: -1})
	frontier := []open{{state: login}}
	for len(frontier) > 0 && ctx.Err() == nil {
		if w.MaxDepth > 0 && k.report.Depth >= w.MaxDepth || w.MaxStates > 0 && len(k.seen) > w.MaxStates {
			break
		}
		next, last := k.level(frontier)
		if last != nil {
			ordinals := k.path(last.origin)
			k.report.Found = &Counterexample{Property: last.found.property, What: last.found.what, Trace: k.trace(login, ordinals)}
			k.report.Depth++
			break
		}
		if frontier = next; len(frontier) > 0 {
			k.report.Depth++
		}
	}
	k.report.States, k.report.Decisions = len(k.seen), k.tally.decisions()
	k.report.Complete = k.report.Found == nil && (len(frontier) == 0 || w.MaxDepth > 0 && k.report.Depth >= w.MaxDepth)
	return k.report, ctx.Err()
}

// level takes every step of every open state, and returns the states that
// are new, or the first one in which a property does not hold.
func (k *walk) level(frontier []open) ([]open, *fresh) {
	const chunk = 256
	var next []open
	workers := runtime.GOMAXPROCS(0)
	for batch := range slices.Chunk(frontier, chunk*workers) {
		parts := make([]expansion, workers)
		var wg sync.WaitGroup
		for i := range parts {
			// Split evenly; seen is only read meanwhile.
			mine := batch[len(batch)*i/workers : len(batch)*(i+1)/workers]
			wg.Go(func() { parts[i] = k.expand(mine) })
		}
		wg.Wait()
		for _, part := range parts {
			k.report.Transitions += part.transitions
			for i := range part.fresh {
				f := &part.fresh[i]
				if f.found != nil {
					return nil, f
				}
				if _, known := k.seen[f.form]; known {
					continue
				}
				k.seen[f.form] = struct{}{}
				next = append(next, open{state: f.state, index: int32(len(k.origins))})
				k.origins = append(k.origins, f.origin)
			}
		}
	}
	return next, nil
}

type expansion struct {
	fresh       []fresh
	transitions int
}

func (k *walk) expand(states []open) expansion {
	var e expansion
	for _, o := range states {
		ordinal := int32(0)
		k.moves(o.state, func(next *state, found *finding, _ label) {
			f := fresh{state: next, form: k.formOf(next), origin: origin{from: o.index, ordinal: ordinal}, found: found}
			ordinal++
			e.transitions++
			if _, known := k.seen[f.form]; !known || found != nil {
				e.fresh = append(e.fresh, f)
			}
		})
	}
	return e
}

// path returns the ordinals of the steps from the login.
func (k *walk) path(last origin) []int {
	var ordinals []int
	for at := last; at.from >= 0; at = k.origins[at.from] {
		ordinals = append(ordinals, int(at.ordinal))
	}
	slices.Reverse(ordinals)
	return ordinals
}
