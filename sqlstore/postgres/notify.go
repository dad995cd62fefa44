package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// channel is where a node says that a session ended. What it says is only that
// there is something to read in the feed.
const channel = "pawl_ended"

// tell wakes the other nodes, soon: nobody waits for it. It is only a courtesy:
// they read the feed anyway, a few times a second, and an engine may have no
// such thing.
func (s *Store) tell(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	s.bell.ring(func() {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, _ = s.pool.Exec(ctx, `SELECT pg_notify($1, '')`, channel)
	})
}

// A bell rings once at a time. Whoever wants it to ring meanwhile is served by
// one more time, which begins later: however many end sessions at once, few
// connections are taken from those who renew.
type bell struct {
	mu      sync.Mutex
	ringing bool           // guarded by mu
	again   bool           // guarded by mu: it is wanted once more
	closed  bool           // guarded by mu
	under   sync.WaitGroup // what rings
}

func (b *bell) ring(once func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return
	case b.ringing:
		b.again = true
		return
	}
	b.ringing = true
	b.under.Go(func() {
		for more := true; more; {
			once()
			b.mu.Lock()
			more = b.again
			b.ringing, b.again = more, false
			b.mu.Unlock()
		}
	})
}

// close waits until it has rung as often as was wanted. It rings no more.
func (b *bell) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.under.Wait()
}

// Wake calls wake whenever a node has ended a session, until the context ends
// or the connection breaks, which is the error. It has a connection of its own.
// An engine that has no LISTEN, or a pooler that lends connections for one
// transaction, makes it an error or silence: the feed is to be polled anyway.
func (s *Store) Wake(ctx context.Context, wake func()) error {
	config := s.pool.Config().ConnConfig
	config.RuntimeParams["statement_timeout"] = "0"
	connect, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(connect, config)
	if err != nil {
		return fmt.Errorf("postgres: listen: %w", tidy(err))
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	if _, err := conn.Exec(connect, "LISTEN "+channel); err != nil {
		return fmt.Errorf("postgres: listen: %w", tidy(err))
	}
	wake() // what ended before the channel was open
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return fmt.Errorf("postgres: listen: %w", tidy(err))
		}
		wake()
	}
}
