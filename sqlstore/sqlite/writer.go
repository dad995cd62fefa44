package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"github.com/pawlauth/pawl/sqlstore"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// maxRound is how many writes are committed together, so that other processes
// get their turn.
const maxRound = 128

// The log is cut when it has more bytes than walMost, and again for every
// walStep more while a reader that takes long holds it. Such a reader is
// waited for no longer than walWait: writes wait meanwhile.
const (
	walMost = 40 << 20
	walStep = 16 << 20
	walWait = 50 * time.Millisecond
)

// A writer commits the writes of one store.
type writer struct {
	db    *sql.DB // one connection
	wal   string  // path of the log
	now   func() time.Time
	ended chan struct{} // closed when the goroutine ended

	mu     sync.RWMutex
	closed bool        // guarded by mu
	queue  chan *write // closed with mu held for writing

	using sync.Mutex // held while tx is in use
	tx    *tx        // nil: no connection; the goroutine alone replaces it

	// Of the goroutine alone.
	cutAt  int64 // size of the log at which to cut it
	closer error // of closing the connection
}

// newWriter starts the goroutine; close ends it.
func newWriter(db *sql.DB, path string, now func() time.Time, queue int) *writer {
	w := &writer{
		db: db, wal: path + "-wal", now: now, cutAt: walMost,
		ended: make(chan struct{}), queue: make(chan *write, queue),
	}
	go w.run()
	return w
}

// A write is one call on its way through a round.
type write struct {
	apply func(*tx) error
	state atomic.Int32
	err   error         // set before done is closed
	done  chan struct{} // closed after the commit
}

// The states of a write. Whoever moves it on from waiting has it.
const (
	waiting   = iota
	taken     // by the goroutine
	abandoned // by its caller
)

// do has apply run inside a transaction and returns when that is committed.
// apply returns an error to have its own work undone. It runs in another
// goroutine, and perhaps after do returned because ctx ended: it must own what
// it reads and writes.
func (w *writer) do(ctx context.Context, apply func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c := &write{apply: apply, done: make(chan struct{})}
	if err := w.enqueue(c); err != nil {
		return err
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		if c.state.CompareAndSwap(waiting, abandoned) {
			return ctx.Err()
		}
		return fmt.Errorf("whether it was written is unknown: %w", ctx.Err())
	}
}

func (w *writer) enqueue(c *write) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return sqlstore.ErrClosed
	}
	select {
	case w.queue <- c:
		return nil
	default:
		return sqlstore.ErrBusy
	}
}

// close lets the goroutine finish what is queued, and waits for it.
func (w *writer) close() error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.mu.Unlock()
	<-w.ended
	return errors.Join(w.closer, w.db.Close())
}

// run commits rounds until the queue is closed and empty.
func (w *writer) run() {
	defer close(w.ended)
	var round []*write
	for first := range w.queue {
		round = w.gather(append(round[:0], first))
		if len(round) == 0 {
			continue
		}
		w.using.Lock()
		if err := w.commit(round); err != nil {
			for _, c := range round {
				c.err = err
			}
		}
		w.using.Unlock()
		for _, c := range round {
			close(c.done)
		}
		w.using.Lock()
		w.boundLog()
		w.using.Unlock()
	}
	w.using.Lock()
	defer w.using.Unlock()
	w.disconnect()
}

// between has read run on the writer's connection, outside of transactions,
// and reports whether it did: only while nothing is being written, and only
// if that worked. Its cache of pages is warm, whereas that of a reader is
// empty again after every commit.
func (w *writer) between(read func(*tx) error) bool {
	if !w.using.TryLock() {
		return false
	}
	defer w.using.Unlock()
	return w.tx != nil && read(w.tx) == nil
}

// gather takes whatever else is queued, without waiting, and leaves out what
// its callers have abandoned.
func (w *writer) gather(round []*write) []*write {
	if !round[0].state.CompareAndSwap(waiting, taken) {
		round = round[:0]
	}
	for len(round) < maxRound {
		select {
		case c, open := <-w.queue:
			if !open {
				return round
			}
			if c.state.CompareAndSwap(waiting, taken) {
				round = append(round, c)
			}
		default:
			return round
		}
	}
	return round
}

// commit applies the writes of a round in one transaction. Each gets its own
// error; an error of commit itself is that of all of them: the transaction did
// not begin, was undone, or has an unknown outcome.
func (w *writer) commit(round []*write) error {
	if err := w.begin(); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	for _, c := range round {
		var undone error
		if len(round) == 1 {
			// Nothing else is in the transaction that would have to stay, and a
			// savepoint costs a copy of every page.
			if c.err = c.apply(w.tx); c.err != nil {
				if _, err := w.tx.exec("ROLLBACK"); err != nil {
					w.disconnect()
				}
				return nil
			}
		} else if c.err, undone = w.tx.isolated(c.apply); undone != nil {
			w.disconnect()
			return undone // the failure of one is not that of the others
		}
	}
	if _, err := w.tx.exec("COMMIT"); err != nil {
		w.disconnect()
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// begin starts a transaction as a writer. A connection on which that fails,
// except for a lock, is not to be trusted: it is opened anew.
func (w *writer) begin() (err error) {
	for range 2 {
		if w.tx == nil {
			conn, err := w.db.Conn(context.Background())
			if err != nil {
				return err
			}
			w.tx = &tx{conn: conn, prepared: make(map[string]*sql.Stmt)}
		}
		if _, err = w.tx.exec("BEGIN IMMEDIATE"); err == nil {
			// With the lock held: what waits for a lock is stamped later.
			w.tx.now = w.now()
			return nil
		}
		if isLocked(err) {
			return err
		}
		w.disconnect()
	}
	return err
}

// disconnect closes the connection, not only gives it back, and with it ends
// a transaction that failed: its locks are let go. The next round opens another.
func (w *writer) disconnect() {
	if w.tx == nil {
		return
	}
	w.closer = w.tx.close()
	w.tx = nil
}

// boundLog cuts the log if readers kept checkpoints from starting it anew.
func (w *writer) boundLog() {
	info, err := os.Stat(w.wal)
	if err != nil || w.tx == nil {
		return
	}
	if info.Size() < w.cutAt {
		// Cut, now or by SQLite itself.
		if info.Size() < walMost {
			w.cutAt = walMost
		}
		return
	}
	w.cutAt = info.Size() + walStep
	// A failure leaves the log as it is: it is tried again.
	_, _ = w.tx.exec(fmt.Sprintf("PRAGMA busy_timeout = %d", walWait.Milliseconds()))
	_, _ = w.tx.exec("PRAGMA wal_checkpoint(TRUNCATE)")
	_, _ = w.tx.exec(fmt.Sprintf("PRAGMA busy_timeout = %d", lockWait.Milliseconds()))
}
