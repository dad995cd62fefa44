package explore

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/pawlauth/pawl/session"
)

// A Property is what must hold in every state that can be reached.
type Property string

// The properties.
const (
	NoFalseAlarm   Property = "no false alarm"
	Detection      Property = "detection"
	NoResurrection Property = "no resurrection"
	OneLineage     Property = "one lineage"
)

// A finding is a property that does not hold.
type finding struct {
	property Property
	what     string
}

// A beginning is the request that began a generation.
type beginning struct {
	party party
	key   key
	at    int // tick
}

// A ghost is the history of a session as an onlooker knows it who sees what
// the engine answers and never what is in the row. The properties are judged
// by it.
type ghost struct {
	newest    uint32
	begun     beginning // of newest
	used      int       // tick of the first use of newest; never: not yet
	priorUsed int       // of newest-1
	doubled   uint8     // bit i: newest-i was given to both parties, at their own request
	again     uint8     // bit i: the owner asked for newest-i again without the same key
	rotated   uint32    // the newest generation that was replaced
	ended     bool
}

// turn moves the ghost to a generation.
func (g *ghost) turn(to uint32, by beginning) {
	g.priorUsed = g.used
	if g.priorUsed == never {
		g.priorUsed = by.at
	}
	g.newest, g.begun, g.used = to, by, never
	g.doubled, g.again = g.doubled<<1, g.again<<1
}

// A verdict is what came of one request to renew.
type verdict struct {
	message message
	longer  bool  // see [issuer.clerk]
	at      int   // tick of the decision: the clock that was read with the row
	seen    ghost // the history when the row was read
	event   session.EventType
	issued  session.Issued
	err     error
}

// judge checks the properties against a verdict, and takes it into the ghost.
func (t *step) judge(v verdict) {
	g := &t.state.ghost
	t.walk.tally.count(&v)
	if v.err == nil {
		t.judgeTokens(&v)
	}
	late := v.message.pair.gen < g.newest && !t.sameAttempt(&v)
	switch {
	case t.state.thief.acted:
		g.again = 0 // from here on it is not claimed that nobody is logged out
	case late:
		g.again |= 1
	}
	if refusal, ok := errors.AsType[*session.Refusal](v.err); ok {
		t.judgeRefusal(&v, refusal)
		return
	}
	if v.err != nil {
		t.fail(NoFalseAlarm, "the engine failed: %v", v.err)
		return
	}
	t.judgeDetection(&v, late)
	switch v.event {
	case session.EventRenewed:
		if v.message.pair.gen <= g.rotated && t.state.failovers == 0 {
			t.fail(OneLineage, "the token of generation %d rotated again", v.message.pair.gen)
		}
		g.rotated = v.message.pair.gen
		g.turn(v.issued.Row.Generation, beginning{party: v.message.party, key: v.message.key, at: v.at})
	case session.EventCaughtUp:
		g.turn(v.issued.Row.Generation, beginning{party: v.message.party, at: v.at})
	}
}

// judgeTokens checks what every answer must be, whoever asked.
func (t *step) judgeTokens(v *verdict) {
	issuer, row := t.walk.issuer, &v.issued.Row
	if t.state.ghost.ended {
		t.fail(NoResurrection, "a session that had ended was renewed")
	}
	if !v.issued.Now.Before(issuer.end) || v.issued.Expires.After(issuer.end) || !row.AbsoluteEnd.Equal(issuer.end) {
		t.fail(NoResurrection, "tokens reach beyond the absolute end of the login")
	}
	text := v.issued.Refresh.Reveal()
	if first, loaded := issuer.refresh.LoadOrStore(row.Generation, text); loaded && first != text {
		t.fail(OneLineage, "generation %d has two refresh tokens", row.Generation)
	}
}

// sameAttempt: the request shows that it is the one that began the
// generation, tried again.
func (t *step) sameAttempt(v *verdict) bool {
	begun := &t.state.ghost.begun
	if v.message.key.kind != NoKey || begun.key.kind != NoKey {
		return v.message.key == begun.key
	}
	return !t.passed(v, begun.at)
}

// passed: the race window since the tick is over.
func (t *step) passed(v *verdict, since int) bool {
	w := t.walk.world
	race := w.Policy.RaceWindow
	if v.longer {
		race++
	}
	return w.at(v.at).Sub(w.at(since)) >= race
}

func (t *step) judgeRefusal(v *verdict, r *session.Refusal) {
	w, g, row := t.walk.world, &t.state.ghost, t.state.row
	now := w.at(v.at)
	before := g.ended
	g.ended = g.ended || r.Ended
	switch {
	case before, t.state.thief.acted && r.Ended:
	case r.Reason == session.ReasonExpired && !now.Before(t.walk.issuer.end):
	case r.Reason == session.ReasonIdle && !now.Before(row.RotatedAt.Add(w.Policy.IdleLimit)):
	case r.Reason == session.ReasonShadow && bits.OnesCount8(g.again) >= w.Policy.LateRepeats:
		t.broken = true
	default:
		t.fail(NoFalseAlarm, "a renewal is refused: %s", r.Reason)
	}
}

// judgeDetection checks a renewal that was granted. The ghost still stands
// before it.
func (t *step) judgeDetection(v *verdict, late bool) {
	g, w := &t.state.ghost, t.walk.world
	if w.Thief == NoThief || v.message.pair.gen >= g.newest {
		return
	}
	behind := g.newest - v.message.pair.gen
	used, prior := v.seen.used, v.seen.priorUsed
	confirmed := used != never && t.passed(v, used) || behind >= 2 && prior != never && t.passed(v, prior) || behind >= 3
	if confirmed {
		t.fail(Detection, "generation %d is answered although a later one was confirmed", v.message.pair.gen)
	}
	if late && v.message.party != g.begun.party {
		g.doubled |= 1
		if n := bits.OnesCount8(g.doubled); n >= w.Policy.LateRepeats {
			t.fail(Detection, "both parties renewed %d of eight generations and the session lives", n)
		}
	}
}

// confirmed takes the landing of a report into the ghost: the statement that
// the store has to make of it.
func (t *step) confirmed(p pair) {
	w, g := t.walk.world, &t.state.ghost
	settled := t.walk.used(p).Settled(w.at(t.state.now), w.Policy.Settle)
	if !g.ended && g.used == never && p.gen == g.newest && settled {
		g.used = t.state.now
	}
}

// settle checks what must hold whatever was done.
func (t *step) settle() {
	row, g := t.state.row, &t.state.ghost
	switch {
	case g.ended && !row.Ended():
		t.fail(NoResurrection, "a session that had ended lives")
	case row.Ended() && !g.ended:
		t.fail(NoFalseAlarm, "the session ended and nobody was told")
	case !row.AbsoluteEnd.Equal(t.walk.issuer.end):
		t.fail(NoResurrection, "the absolute end moved")
	case row.Ended() && !row.Salt.IsZero():
		t.fail(NoResurrection, "the salt outlives the session")
	}
}

// fail notes the first finding of a step.
func (t *step) fail(p Property, format string, args ...any) {
	if t.found == nil {
		t.found = &finding{property: p, what: fmt.Sprintf(format, args...)}
	}
}
