package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/pawlauth/pawl/sqlstore"
)

// A Source is a database that nobody else uses, to be copied.
type Source struct{ store *Store }

var _ sqlstore.Source = (*Source)(nil)

// OpenSource opens the database for this process alone until it is closed: it
// fails with [sqlstore.ErrInUse] if any other has it open, even one that does
// nothing, and whoever opens it meanwhile waits for a while and fails. The lock
// is SQLite's own, and is given up however this process ends. Other errors are
// those of [Open].
func OpenSource(ctx context.Context, o Options) (*Source, error) {
	// What an older version made is upgraded, as ever.
	first, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := first.Close(); err != nil {
		return nil, err
	}
	path, err := prepareFile(o.Path)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn(path, readCache)+existing)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // which has the lock
	db.SetMaxIdleConns(1)
	s := &Store{now: func() time.Time { return time.UnixMicro(o.Now().UnixMicro()).UTC() }, reads: db}
	// Every connection to a database with a log holds a lock for as long as it is
	// open, so that only one that is alone can do away with the log. Whoever
	// opens the database next has one again.
	var mode string
	err = db.QueryRowContext(ctx, "PRAGMA journal_mode = DELETE").Scan(&mode)
	if err == nil && mode != "delete" {
		err = sqlstore.ErrInUse
	}
	if err == nil {
		_, err = db.ExecContext(ctx, "BEGIN EXCLUSIVE") // until the connection is closed
	}
	if err != nil {
		if isLocked(err) {
			err = sqlstore.ErrInUse
		}
		return nil, errors.Join(fmt.Errorf("open database %s alone: %w", o.Path, err), db.Close())
	}
	return &Source{s}, nil
}

// Size implements [sqlstore.Source].
func (s *Source) Size(ctx context.Context, table sqlstore.Table) (int, error) {
	return s.store.Size(ctx, table)
}

// Page implements [sqlstore.Source].
func (s *Source) Page(ctx context.Context, table sqlstore.Table, after sqlstore.Place, limit int) (sqlstore.Records, error) {
	return s.store.Page(ctx, table, after, limit)
}

// Close gives the database back to others.
func (s *Source) Close() error { return s.store.reads.Close() }
