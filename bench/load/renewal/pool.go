package renewal

import (
	"container/heap"
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"
)

// A chain is one session: its newest refresh token. Whoever has taken it from
// the pool owns it until it is given back.
type chain struct {
	token []byte
	key   []byte    // Idempotency-Key of the renewal that has no answer yet; empty: none
	again time.Time // while parked: when it may be used again
}

// A pool hands the chains out in turn, so that each rests while all others are
// renewed. Its methods may be called concurrently.
type pool struct {
	mu     sync.Mutex
	ready  []*chain // a ring: count of them from first on
	first  int
	count  int
	parked parked
	alive  int // those that have not ended, wherever they are
	all    []*chain
}

// newPool shuffles the chains: the order in which sessions began is that in
// which many servers store them, and life does not renew them in it.
func newPool(tokens []string) *pool {
	p := &pool{alive: len(tokens), count: len(tokens)}
	for _, t := range tokens {
		p.all = append(p.all, &chain{token: []byte(t)})
	}
	p.ready = append(p.ready, p.all...)
	for i := len(p.ready) - 1; i > 0; i-- {
		var random [8]byte
		rand.Read(random[:])
		j := int(binary.LittleEndian.Uint64(random[:]) % uint64(i+1))
		p.ready[i], p.ready[j] = p.ready[j], p.ready[i]
	}
	return p
}

// take returns the chain that has rested longest; nil if all that have not
// ended are in use or parked.
func (p *pool) take(now time.Time) *chain {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.parked) > 0 && !p.parked[0].again.After(now) {
		return heap.Pop(&p.parked).(*chain)
	}
	if p.count == 0 {
		return nil
	}
	c := p.ready[p.first]
	p.first, p.count = (p.first+1)%len(p.ready), p.count-1
	return c
}

// give returns a chain for its next turn.
func (p *pool) give(c *chain) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready[(p.first+p.count)%len(p.ready)] = c
	p.count++
}

// park returns a chain that is not to be used for a while.
func (p *pool) park(c *chain, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.again = until
	heap.Push(&p.parked, c)
}

// end keeps a chain from being used again.
func (p *pool) end(c *chain) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.token = nil
	p.alive--
}

func (p *pool) left() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.alive
}

// tokens returns the newest token of every chain that has not ended; call it
// when none is in use.
func (p *pool) tokens() []string {
	var out []string
	for _, c := range p.all {
		if c.token != nil {
			out = append(out, string(c.token))
		}
	}
	return out
}

// parked is a heap: the one that may be used first is first.
type parked []*chain

func (p parked) Len() int           { return len(p) }
func (p parked) Less(i, j int) bool { return p[i].again.Before(p[j].again) }
func (p parked) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *parked) Push(c any)        { *p = append(*p, c.(*chain)) }
func (p *parked) Pop() any {
	last := len(*p) - 1
	c := (*p)[last]
	*p = (*p)[:last]
	return c
}
