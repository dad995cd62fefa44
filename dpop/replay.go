package dpop

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"
)

// Window is the longest for which a proof that was used could be used again,
// if nobody remembered it: the life of a nonce, and what clocks may differ by.
const Window = NonceLife + clocks

// A Use is one proof about to be used up.
type Use struct {
	Thumbprint  string   // of its key
	Fingerprint [16]byte // of the proof: 128 bits of a hash
	Until       time.Time
}

// Replays remembers used proofs; [*Memory] does so within one process. It is
// safe for concurrent use.
type Replays interface {
	// Use remembers the proof until u.Until, at most [Window] from now, and
	// returns [ErrReplayed] if it was remembered already. Of any number of calls
	// with one proof, at most one returns nil. Any other error, such as
	// [ErrFull], means that it cannot be told.
	Use(ctx context.Context, u Use, now time.Time) error
}

// Bounds of a [Memory], in proofs. One takes about 50 bytes.
const (
	DefaultMemory = 1 << 20
	MinMemory     = 1 << 10
	MaxMemory     = 1 << 24
)

// parts divides a memory: one client that makes proofs as fast as it can fills
// the part that its key is in, and holds up no others.
const parts = 64

// A Memory remembers used proofs, at most so many: when it is full it refuses,
// since whatever it forgot could be used again. Its size does not grow with
// that of the proofs.
type Memory struct {
	seed  maphash.Seed
	parts [parts]part
}

// A part remembers in two maps: those of this window, and those of the last.
type part struct {
	mu         sync.Mutex
	limit      int
	began      time.Time // guarded by mu, as are the maps
	young, old map[[16]byte]struct{}
}

// NewMemory returns a memory of so many proofs: MinMemory to MaxMemory.
func NewMemory(proofs int) (*Memory, error) {
	if proofs < MinMemory || proofs > MaxMemory {
		return nil, fmt.Errorf("dpop: memory of %d proofs is outside %d to %d", proofs, MinMemory, MaxMemory)
	}
	m := &Memory{seed: maphash.MakeSeed()}
	for i := range m.parts {
		m.parts[i] = part{limit: proofs / parts, young: map[[16]byte]struct{}{}, old: map[[16]byte]struct{}{}}
	}
	return m, nil
}

// Use implements [Replays].
func (m *Memory) Use(_ context.Context, u Use, now time.Time) error {
	if u.Until.Sub(now) > Window {
		return errors.New("dpop: a proof is remembered for a window at most")
	}
	// Seeded, so that nobody can look for keys that share another's part.
	return m.parts[maphash.String(m.seed, u.Thumbprint)%parts].use(u.Fingerprint, now)
}

// Len returns how many proofs are remembered.
func (m *Memory) Len() (n int) {
	for i := range m.parts {
		p := &m.parts[i]
		p.mu.Lock()
		n += len(p.young) + len(p.old)
		p.mu.Unlock()
	}
	return n
}

func (p *part) use(id [16]byte, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch age := now.Sub(p.began); {
	case age >= 2*Window:
		clear(p.old)
		clear(p.young)
		p.began = now
	case age >= Window:
		p.old, p.young = p.young, p.old
		clear(p.young)
		p.began = now
	case age < 0: // the clock was set back
		p.began = now
	}
	_, young := p.young[id]
	_, old := p.old[id]
	switch {
	case young || old:
		return ErrReplayed
	case len(p.young)+len(p.old) >= p.limit:
		return ErrFull
	}
	p.young[id] = struct{}{}
	return nil
}
