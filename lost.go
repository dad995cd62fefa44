package pawl

import (
	"context"
	"sync"

	"github.com/pawlauth/pawl/verify"
)

// lostStep is how many lost ends are written together.
const lostStep = 512

// lostEnds are those that this node knows of and the store has lost, as a
// standby that was promoted may have. They are written until that works: the
// connections that a failover broke fail writes when reads have gone over to
// others. It is safe for concurrent use.
type lostEnds struct {
	mu   sync.Mutex
	ends verify.Endings // guarded by mu
}

// replace takes in what a read of the whole feed found missing. What it did not
// find missing is written.
func (l *lostEnds) replace(ends verify.Endings) {
	if len(ends.Sessions) == 0 && ends.Epoch.IsZero() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = ends
}

// step returns some of them.
func (l *lostEnds) step() verify.Endings {
	l.mu.Lock()
	defer l.mu.Unlock()
	return verify.Endings{Sessions: l.ends.Sessions[:min(lostStep, len(l.ends.Sessions))], Epoch: l.ends.Epoch}
}

// written forgets a step, unless it was replaced meanwhile.
func (l *lostEnds) written(step verify.Endings) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(step.Sessions)
	if n > 0 && len(l.ends.Sessions) >= n && &l.ends.Sessions[0] == &step.Sessions[0] {
		l.ends.Sessions = l.ends.Sessions[n:]
	}
	if l.ends.Epoch.Equal(step.Epoch) {
		l.ends.Epoch = verify.Endings{}.Epoch
	}
}

// endAgain writes lost ends, a step at a time. It has a task of its own: the
// feed is read meanwhile.
func (p *Pawl) endAgain(ctx context.Context) error {
	for {
		step := p.lost.step()
		if len(step.Sessions) == 0 && step.Epoch.IsZero() {
			return nil
		}
		if err := p.engine.EndAgain(ctx, step.Sessions, step.Epoch); err != nil {
			return err
		}
		p.lost.written(step)
	}
}
