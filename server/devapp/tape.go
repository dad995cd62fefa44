package devapp

import (
	"slices"
	"sync"

	"github.com/pawlauth/pawl/session"
)

// Bounds of a tape.
const (
	maxReels  = 256 // sessions; the one that was heard of first is forgotten
	maxEvents = 12  // of one session, the newest
)

// A Tape remembers what happened to the sessions of a development server, and
// the refresh token that the last turn of each replaced. It is safe for
// concurrent use. The zero Tape is empty and ready.
type Tape struct {
	mu    sync.Mutex
	heard int              // events; guarded by mu
	reels map[string]*reel // by pseudonym; guarded by mu
	order []string         // of first hearing; guarded by mu
}

// A reel is what is remembered of one session.
type reel struct {
	entries  []entry
	previous func() string // fmt prints what a field holds, but nothing of a function
	from     uint32        // the generation of previous; 0: there is none
}

// An entry is an event and its place among all of them.
type entry struct {
	at    int
	event session.Event
}

// Observe notes an event; it is for [pawl.Options].Observe.
func (t *Tape) Observe(e session.Event) {
	if e.Session == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard++
	r := t.reel(e.Session)
	r.entries = append(r.entries, entry{t.heard, e})
	if over := len(r.entries) - maxEvents; over > 0 {
		r.entries = slices.Delete(r.entries, 0, over)
	}
}

// reel returns the reel of a session, a new one if there is none.
func (t *Tape) reel(name string) *reel {
	if r, ok := t.reels[name]; ok {
		return r
	}
	if t.reels == nil {
		t.reels = make(map[string]*reel)
	}
	if len(t.order) >= maxReels {
		delete(t.reels, t.order[0])
		t.order = slices.Delete(t.order, 0, 1)
	}
	t.reels[name], t.order = &reel{}, append(t.order, name)
	return t.reels[name]
}

// mark is a place on the tape, for since.
func (t *Tape) mark() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.heard
}

// since returns what happened to a session after the mark, oldest first.
func (t *Tape) since(name string, mark int) []session.Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []session.Event
	if r, ok := t.reels[name]; ok {
		for _, e := range r.entries {
			if e.at > mark {
				out = append(out, e.event)
			}
		}
	}
	return out
}

// keep remembers the refresh token of a generation that was replaced.
func (t *Tape) keep(name, refresh string, generation uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.reel(name)
	r.previous, r.from = func() string { return refresh }, generation
}

// previous returns the token that keep was given last, and its generation; 0
// if there is none.
func (t *Tape) previous(name string) (refresh string, generation uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, ok := t.reels[name]
	if !ok || r.from == 0 {
		return "", 0
	}
	return r.previous(), r.from
}
