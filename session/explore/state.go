package explore

import (
	"bytes"
	"slices"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/memstore"
)

// A pair is what a party holds: the refresh token of a generation, and the
// access token that came with it, told by when it was made. Tokens are
// functions of session and generation, so the number stands for the text.
type pair struct {
	gen    uint32
	minted int // tick
}

type party uint8

const (
	owner party = iota
	robber
)

// A key is the Idempotency-Key of a request.
type key struct {
	kind Key
	gen  uint32 // of the token renewed, for OneKey
}

type kind uint8

const (
	request kind = iota // to renew, on its way to the engine
	answer              // on its way to the jar
	use                 // of an access token, on its way to a verifier
	report              // of a settled use, on its way to the store; never too late
)

// A message is on its way.
type message struct {
	kind  kind
	party party
	pair  pair // presented, or brought
	key   key
	tab   uint8
	sent  int  // tick
	deaf  bool // nobody waits for the answer any more
}

// A former pair is one that the jar held until a moment ago: it may still be
// the one on disk.
type former struct {
	pair  pair
	until int // tick
}

// A robbery is what the thief holds.
type robbery struct {
	done          bool // he has copied the jar
	acted         bool // the engine has seen something of him
	newest, prior pair
}

// A saved session is what a failover brings back.
type saved struct {
	row   *session.Row
	ghost ghost
}

// A state is everything at one moment. States are never changed once made;
// clone, and change the clone.
type state struct {
	now       int // tick
	store     *memstore.Store
	row       *session.Row // the one in store
	undo      *saved       // what it was before its last write; nil: no failover to come
	failovers int          // that happened

	jar    pair
	former []former
	known  [2]int // when each tab's newest access token was made; for tabs that do not talk
	flight []message
	thief  robbery
	ghost  ghost
}

func (s *state) clone() *state {
	c := *s
	c.former = slices.Clone(s.former)
	c.flight = slices.Clone(s.flight)
	return &c
}

// without returns a clone that lacks the message.
func (s *state) without(i int) *state {
	c := s.clone()
	c.flight = slices.Delete(c.flight, i, i+1)
	return c
}

func (s *state) count(k kind, p party) int {
	n := 0
	for _, m := range s.flight {
		if m.kind == k && m.party == p {
			n++
		}
	}
	return n
}

// epoch is the tick 0.
var epoch = time.Unix(1_800_000_000, 0)

func (w *World) at(tick int) time.Time { return epoch.Add(time.Duration(tick) * w.Tick) }

func (w *World) tickOf(t time.Time) int { return int(t.Sub(epoch) / w.Tick) }

// never stands for a time that has not come.
const never = -1

// A canon writes the canonical form of a state: generations relative to the
// row's, times as ages, and no age beyond the greatest that anything compares
// with. States of one form have the same future.
type canon struct {
	world *World
	state *state
	buf   []byte
}

func (c *canon) byte(b ...byte) { c.buf = append(c.buf, b...) }

func (c *canon) flag(b bool) {
	if b {
		c.byte(1)
	} else {
		c.byte(0)
	}
}

// oldest is the most that a token can be behind and yet differ from one that
// is further behind: decide tells G-2, and a failover may bring G down by one.
const oldest = -4

func (c *canon) gen(g uint32) {
	c.byte(byte(int8(max(int64(g)-int64(c.state.row.Generation), oldest))))
}

// age writes how long ago a tick was, up to limit.
func (c *canon) age(tick int, limit int) {
	if tick == never {
		c.byte(255)
		return
	}
	c.byte(byte(min(c.state.now-tick, limit)))
}

func (c *canon) time(t time.Time, limit int) {
	if t.IsZero() {
		c.byte(255)
		return
	}
	c.age(c.world.tickOf(t), limit)
}

// minted writes the age of an access token: refresh_in and settle look at it.
func (c *canon) minted(tick int) {
	c.age(tick, max(c.world.refreshIn(), c.world.ticks(c.world.Policy.Settle+time.Second)))
}

func (c *canon) key(k key) {
	c.byte(byte(k.kind))
	if k.kind == OneKey {
		c.gen(k.gen)
	}
}

func (c *canon) row(r *session.Row) {
	p := &c.world.Policy
	turn, race := p.TurnInterval, p.RaceWindow
	c.gen(r.Generation)
	c.time(r.RotatedAt, c.world.ticks(max(turn, race, c.idle()))+1)
	c.time(r.ConfirmedAt, c.world.ticks(race)+1)
	c.time(r.PriorUsedAt, c.world.ticks(race)+1)
	c.byte(r.LateRepeats)
}

// idle is the idle limit where sessions expire within the walk, else 0.
func (c *canon) idle() time.Duration {
	if c.world.expires() {
		return c.world.Policy.IdleLimit
	}
	return 0
}

func (c *canon) ghost(g *ghost) {
	race := c.world.ticks(c.world.Policy.RaceWindow) + 1
	c.gen(g.newest)
	c.byte(byte(g.begun.party))
	c.key(g.begun.key)
	c.age(g.begun.at, race)
	c.age(g.used, race)
	c.age(g.priorUsed, race)
	c.byte(g.doubled, g.again)
	c.gen(g.rotated)
}

func (c *canon) message(m *message) []byte {
	w := c.world
	c.buf = c.buf[:0]
	c.byte(byte(m.kind), byte(m.party), m.tab)
	c.gen(m.pair.gen)
	if m.kind == request {
		c.key(m.key)
		c.flag(m.deaf)
	} else {
		c.minted(m.pair.minted)
	}
	if m.kind != report {
		c.age(m.sent, w.ticks(max(w.RequestTime, w.AnswerTime)))
	}
	return c.buf
}

// form returns the canonical form of the state.
func (w *World) form(s *state) []byte {
	parts := make([][]byte, len(s.flight))
	for i := range s.flight {
		c := canon{world: w, state: s}
		parts[i] = c.message(&s.flight[i])
	}
	slices.SortFunc(parts, bytes.Compare)
	c := canon{world: w, state: s, buf: make([]byte, 0, 96)}
	c.flag(s.ghost.ended)
	c.flag(s.row.Ended())
	c.byte(byte(s.failovers))
	if w.expires() {
		c.age(0, w.ticks(w.Policy.AbsoluteLimit)+1)
	}
	c.byte(byte(len(parts)))
	c.buf = append(c.buf, bytes.Join(parts, nil)...)
	c.gen(s.jar.gen)
	c.minted(s.jar.minted)
	if s.row.Ended() && s.ghost.ended {
		return c.buf // nothing else has a future
	}
	c.row(s.row)
	c.ghost(&s.ghost)
	if s.undo != nil {
		c.row(s.undo.row)
		c.ghost(&s.undo.ghost)
	}
	for _, f := range s.former {
		c.gen(f.pair.gen)
		c.minted(f.pair.minted)
		c.age(f.until, w.ticks(w.FlushTime))
	}
	c.flag(s.thief.done)
	c.flag(s.thief.acted)
	if s.thief.done {
		c.gen(s.thief.newest.gen)
		c.minted(s.thief.newest.minted)
		c.gen(s.thief.prior.gen)
	}
	if w.OwnTimers {
		c.minted(s.known[0])
		c.minted(s.known[1])
	}
	return c.buf
}
