package explore

import (
	"fmt"
	"strings"
	"time"
)

func keyFor(kind Key, gen uint32) key {
	if kind != OneKey {
		gen = 0
	}
	return key{kind: kind, gen: gen}
}

// text is the key as a request carries it.
func (k key) text() string {
	switch k.kind {
	case OneKey:
		return fmt.Sprintf("renew-%d", k.gen)
	case OtherKey:
		return "another"
	case ThiefKey:
		return "thief"
	default:
		return ""
	}
}

func (p pair) text() string { return fmt.Sprintf("generation %d", p.gen) }

func (m message) text() string {
	switch m.kind {
	case request:
		k := "no key"
		if m.key.kind != NoKey {
			k = "key " + m.key.text()
		}
		return fmt.Sprintf("renewal with generation %d and %s", m.pair.gen, k)
	case answer:
		return fmt.Sprintf("an answer with generation %d", m.pair.gen)
	case use:
		return fmt.Sprintf("a use of an access token of generation %d", m.pair.gen)
	default:
		return fmt.Sprintf("a report that generation %d was used", m.pair.gen)
	}
}

// summary is what one line of a trace says of a state.
func (w *World) summary(s *state) string {
	var b strings.Builder
	ago := func(t time.Time) string {
		if t.IsZero() {
			return "never"
		}
		return w.at(s.now).Sub(t).String() + " ago"
	}
	r := s.row
	fmt.Fprintf(&b, "%v; row: generation %d, rotated %s, confirmed %s, predecessor used %s, late %08b; jar: %d",
		w.at(s.now).Sub(epoch), r.Generation, ago(r.RotatedAt), ago(r.ConfirmedAt), ago(r.PriorUsedAt), r.LateRepeats, s.jar.gen)
	if s.thief.done {
		fmt.Fprintf(&b, "; thief: %d", s.thief.newest.gen)
	}
	if r.Ended() {
		fmt.Fprintf(&b, "; ended: %s", r.EndReason)
	}
	return b.String()
}

// A Counterexample is a way from the login to a state in which a property
// does not hold. No shorter one exists.
type Counterexample struct {
	Property Property
	What     string
	Trace    []string // one step a line
}

// String returns the whole trace.
func (c *Counterexample) String() string {
	return fmt.Sprintf("%s does not hold: %s\n  %s", c.Property, c.What, strings.Join(c.Trace, "\n  "))
}

// trace walks from the login along the ordinals of the steps, and says what
// happened. Time that passes is told once.
func (k *walk) trace(login *state, ordinals []int) []string {
	lines := []string{"login  [" + k.world.summary(login) + "]"}
	at := login
	for _, wanted := range ordinals {
		next, text := k.step(at, wanted)
		if text != k.passing() {
			lines = append(lines, fmt.Sprintf("%s  [%s]", text, k.world.summary(next)))
		}
		at = next
	}
	return lines
}

// passing is the label of the step in which nothing happens.
func (k *walk) passing() string { return k.world.Tick.String() + " pass" }

// step takes the step of that ordinal.
func (k *walk) step(s *state, wanted int) (next *state, text string) {
	i := 0
	k.moves(s, func(to *state, _ *finding, label label) {
		if i == wanted {
			next, text = to, label()
		}
		i++
	})
	return next, text
}
