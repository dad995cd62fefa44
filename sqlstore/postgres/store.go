package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pawlauth/pawl/sqlstore"
)

// Options say which database to open.
type Options struct {
	// URL of the database, postgres://user:password@host:port/name, or a string
	// of key=value pairs, as libpq takes it; required. What it leaves out comes
	// from libpq's environment: PGHOST, PGPASSFILE and so on.
	URL string
	// DangerouslyPlain allows a connection beyond this machine that is not
	// encrypted, or whose server is not proved.
	DangerouslyPlain bool
	// Sharded says that the rows are spread by key over machines, and that one
	// statement takes locks within one of them only, as with Citus: each session
	// that is renewed or confirmed has a statement and a transaction of its own.
	// They still travel together.
	Sharded bool
	// Now is the store's clock, for tests; nil: the clock of the database, which
	// all nodes share.
	Now func() time.Time
}

// CallTimeout bounds every call, from asking for a connection to the answer.
const CallTimeout = 5 * time.Second

type pool = pgxpool.Pool

// A Store is one opened database. It is safe for concurrent use.
type Store struct {
	pool    *pgxpool.Pool
	now     func() time.Time // nil: the clock of the database
	sharded bool
	closed  atomic.Bool
	bell    bell // wakes the other nodes
}

var _ sqlstore.Store = (*Store)(nil)

// Open opens a database whose schema is that of this version; see [Migrate].
// Errors match [sqlstore.ErrNewer], [sqlstore.ErrForeign], [sqlstore.ErrIncomplete], or [ErrOlder].
func Open(ctx context.Context, o Options) (*Store, error) { return open(ctx, o, complete) }

// open opens a database that check does not refuse.
func open(ctx context.Context, o Options, check func(context.Context, *Store) error) (*Store, error) {
	config, err := o.config()
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	s := &Store{pool: pool, sharded: o.Sharded, now: o.Now}
	version, err := s.version(ctx)
	switch {
	case err != nil:
	case version > schemaVersion:
		err = fmt.Errorf("schema version %d, this one knows up to %d: %w", version, schemaVersion, sqlstore.ErrNewer)
	case version < schemaVersion:
		err = fmt.Errorf("schema version %d, this one needs %d: %w", version, schemaVersion, ErrOlder)
	default:
		err = check(ctx, s)
	}
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("open database %s: %w", o.Name(), err)
	}
	return s, nil
}

// Close waits for the calls under way and closes the connections.
func (s *Store) Close() error {
	s.closed.Store(true)
	s.bell.close()
	s.pool.Close()
	return nil
}

// clock is the argument of statements for the store's clock: NULL stands for
// that of the database.
func (s *Store) clock() *time.Time {
	if s.now == nil {
		return nil
	}
	now := s.now()
	return &now
}

// sqlNow is the store's clock in a statement whose first argument is
// [Store.clock]. It is read when the first message of the statement reaches the
// database, before it looks at any row. PostgreSQL's statement_timestamp is not:
// it is read again when the statement is run, after the rows were chosen.
const sqlNow = `coalesce($1::timestamptz, transaction_timestamp())`

// A kind says what is done about a call whose connection breaks.
type kind int

const (
	reads  kind = iota // it is done again
	writes             // it is done again only if it never reached the database
)

// maxBroken is how often a call is done again because of its connection. A
// database that was restarted leaves the whole pool with broken ones, of which
// those that were idle are found before they are used.
const maxBroken = 3

// do runs call until it works, or fails in a way that doing it again does not
// mend. call does one round trip, and may be run several times.
func (s *Store) do(ctx context.Context, what string, k kind, call func(context.Context, *pool) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), CallTimeout)
	defer cancel()
	broken := 0
	for try := 0; ; try++ {
		if s.closed.Load() {
			return fmt.Errorf("postgres: %s: %w", what, sqlstore.ErrClosed)
		}
		err := call(ctx, s.pool)
		if err == nil {
			return nil
		}
		if isReadOnly(err) {
			s.pool.Reset() // new ones find the server that takes writes
		}
		if b := isBroken(err); b && (k == reads || isSafe(err)) && broken < maxBroken {
			broken++
		} else if b || !isContention(err) {
			return fmt.Errorf("postgres: %s: %w", what, tidy(err))
		}
		if !pause(ctx, try) {
			return fmt.Errorf("postgres: %s: %w", what, tidy(err))
		}
	}
}

// exec runs one statement and returns how many rows it changed.
func (s *Store) exec(ctx context.Context, what, query string, args ...any) (changed int, err error) {
	err = s.do(ctx, what, writes, func(ctx context.Context, p *pool) error {
		tag, err := p.Exec(ctx, query, args...)
		changed = int(tag.RowsAffected())
		return err
	})
	return changed, err
}

// query runs one statement and hands each row to scan. Before it is run again,
// begin is called.
func (s *Store) query(ctx context.Context, what string, k kind, begin func(), scan func(pgx.Rows) error, query string, args ...any) error {
	return s.do(ctx, what, k, func(ctx context.Context, p *pool) error {
		begin()
		rows, err := p.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := scan(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// collect runs one statement and returns a value for each row.
func collect[T any](ctx context.Context, s *Store, what string, k kind, scan func(pgx.Rows) (T, error), query string, args ...any) (all []T, err error) {
	err = s.query(ctx, what, k, func() { all = all[:0] }, func(rows pgx.Rows) error {
		one, err := scan(rows)
		all = append(all, one)
		return err
	}, query, args...)
	if err != nil {
		return nil, err
	}
	return all, nil
}

// one runs a statement that should change a row, and returns missing if there
// was none to change.
func (s *Store) one(ctx context.Context, missing error, what, query string, args ...any) error {
	changed, err := s.exec(ctx, what, query, args...)
	if err == nil && changed == 0 {
		return missing
	}
	return err
}

// ErrOlder says that the schema must be upgraded first.
var ErrOlder = errors.New(`the schema of the database is older; run "pawl migrate up" with a role that may change it`)
