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

// keys is how many keys it takes to fill a memory: one that makes proofs as fast
// as it can gets [ErrFull] for its own, and takes no room that others need.
const keys = 64

// A Memory remembers used proofs, at most so many in all and so many of one key:
// when it is full it refuses, since whatever it forgot could be used again. Its
// size does not grow with that of the proofs.
type Memory struct {
	seed          maphash.Seed
	limit, perKey int

	mu         sync.Mutex
	began      time.Time // guarded by mu, as are the spans
	young, old span      // this window, and the last
}

// A span is what was used in one window.
type span struct {
	proofs map[[16]byte]struct{}
	counts map[uint64]int // by a hash of the key's thumbprint
}

func newSpan() span { return span{map[[16]byte]struct{}{}, map[uint64]int{}} }

func (s span) clear() {
	clear(s.proofs)
	clear(s.counts)
}

// NewMemory returns a memory of so many proofs: MinMemory to MaxMemory.
func NewMemory(proofs int) (*Memory, error) {
	if proofs < MinMemory || proofs > MaxMemory {
		return nil, fmt.Errorf("dpop: memory of %d proofs is outside %d to %d", proofs, MinMemory, MaxMemory)
	}
	return &Memory{seed: maphash.MakeSeed(), limit: proofs, perKey: proofs / keys, young: newSpan(), old: newSpan()}, nil
}

// Use implements [Replays].
func (m *Memory) Use(_ context.Context, u Use, now time.Time) error {
	if u.Until.Sub(now) > Window {
		return errors.New("dpop: a proof is remembered for a window at most")
	}
	// Seeded, so that nobody can look for keys that are counted with another's.
	key := maphash.String(m.seed, u.Thumbprint)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(now)
	_, young := m.young.proofs[u.Fingerprint]
	_, old := m.old.proofs[u.Fingerprint]
	switch {
	case young || old:
		return ErrReplayed
	case m.young.counts[key]+m.old.counts[key] >= m.perKey, m.held() >= m.limit:
		return ErrFull
	}
	m.young.proofs[u.Fingerprint] = struct{}{}
	m.young.counts[key]++
	return nil
}

// Len returns how many proofs are remembered.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held()
}

func (m *Memory) held() int { return len(m.young.proofs) + len(m.old.proofs) }

// forget drops what nobody could use again.
func (m *Memory) forget(now time.Time) {
	switch age := now.Sub(m.began); {
	case age >= 2*Window:
		m.old.clear()
		m.young.clear()
		m.began = now
	case age >= Window:
		m.old, m.young = m.young, m.old
		m.young.clear()
		m.began = now
	case age < 0: // the clock was set back
		m.began = now
	}
}
