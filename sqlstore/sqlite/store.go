package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/pawlauth/pawl/sqlstore"
)

var _ sqlstore.Store = (*Store)(nil)

// Options say which database to open.
type Options struct {
	// Path of the file; required. It is made, with mode 0600, if it is not
	// there; its directory must be. Beside it SQLite keeps path-wal and
	// path-shm, which belong to it.
	Path string
	// Now is the store's clock; required. Every process that opens the file
	// uses the same one: the machine's. It is safe for concurrent use.
	Now func() time.Time
	// MaxQueue is how many writes may wait; 0 means 4096.
	MaxQueue int
}

// A Store is one opened database. It is safe for concurrent use.
type Store struct {
	now    func() time.Time
	reads  *sql.DB
	load   *sql.Stmt // on reads
	writer *writer
}

// readers is how many reads go on at once. Each is short: more would only
// contend for the processors.
const readers = 4

// Open opens the database, makes it if it is not there, and upgrades it if an
// older version made it. Whoever opens it at the same time waits for that.
// Errors match [sqlstore.ErrNewer], [sqlstore.ErrForeign], [sqlstore.ErrDamaged], or the file system's.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Path == "" || o.Now == nil || o.MaxQueue < 0 {
		return nil, errors.New("sqlite: path and clock are required, and a queue is not negative")
	}
	if o.MaxQueue == 0 {
		o.MaxQueue = 4096
	}
	s, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", o.Path, err)
	}
	return s, nil
}

func open(ctx context.Context, o Options) (_ *Store, err error) {
	path, err := prepareFile(o.Path)
	if err != nil {
		return nil, err
	}
	s := &Store{now: func() time.Time { return time.UnixMicro(o.Now().UnixMicro()).UTC() }}
	writes, err := upgraded(ctx, path)
	if err != nil {
		return nil, err
	}
	s.writer = newWriter(writes, path, s.now, o.MaxQueue)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.reads, err = sql.Open("sqlite", dsn(path, readCache, "query_only(on)")+existing); err != nil {
		return nil, err
	}
	s.reads.SetMaxOpenConns(readers)
	s.reads.SetMaxIdleConns(readers)
	s.load, err = s.reads.PrepareContext(ctx, sqlLoad)
	return s, err
}

// Close implements [sqlstore.Upkeep].
func (s *Store) Close() error {
	var errs []error
	if s.reads != nil {
		errs = append(errs, s.reads.Close())
	}
	// Last, so that it is the writer that takes the log into the database.
	return errors.Join(append(errs, s.writer.close())...)
}

// write has the writer run apply; see [writer.do].
func (s *Store) write(ctx context.Context, what string, apply func(*tx) error) error {
	if err := s.writer.do(ctx, apply); err != nil {
		return fmt.Errorf("sqlite: %s: %w", what, err)
	}
	return nil
}
