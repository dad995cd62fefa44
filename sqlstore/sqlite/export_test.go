package sqlite

import (
	"context"
	"database/sql"
	"io/fs"
)

// SchemaVersion is the newest migration.
const SchemaVersion = schemaVersion

// WriterExec runs a statement on the connection that writes, outside of any
// round, as a disk that fills up or turns read-only would change it. The
// statement must be allowed inside a transaction.
func (s *Store) WriterExec(ctx context.Context, query string) error {
	return s.write(ctx, "test", func(tx *tx) error {
		_, err := tx.exec(query)
		return err
	})
}

// Fail has the writer run a statement and then fail with the error.
func (s *Store) Fail(ctx context.Context, query string, with error) error {
	return s.write(ctx, "test", func(tx *tx) error {
		if _, err := tx.exec(query); err != nil {
			return err
		}
		return with
	})
}

// WriterPragma returns a setting of the connection that writes.
func (s *Store) WriterPragma(ctx context.Context, name string) (value int64, err error) {
	err = s.write(ctx, "test", func(tx *tx) error {
		return tx.query(func(rows *sql.Rows) error { return rows.Scan(&value) }, "PRAGMA "+name)
	})
	return value, err
}

// Hold keeps the writer busy until release is closed, and closes held when it
// is. It returns when the round is committed.
func (s *Store) Hold(ctx context.Context, held chan<- struct{}, release <-chan struct{}) error {
	return s.write(ctx, "test", func(*tx) error {
		close(held)
		<-release
		return nil
	})
}

// Queued returns how many writes wait.
func (s *Store) Queued() int { return len(s.writer.queue) }

// Reader returns the pool of reading connections.
func (s *Store) Reader() *sql.DB { return s.reads }

// UpgradeWith makes an empty database and applies the migrations to it.
func UpgradeWith(ctx context.Context, path string, migrations fs.FS) error {
	db, err := sql.Open("sqlite", dsn(path, writeCache))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	return upgrade(ctx, db, migrations)
}

// DSN returns how a store opens a file.
func DSN(path string) string { return dsn(path, readCache) }

// The bounds of the log.
const (
	WALMost = walMost
	WALStep = walStep
	WALKeep = walKeep
)

// What tests of the statements themselves need.
const (
	SQLEndUser = sqlEndUser
	EndStep    = endStep
)

var Listing = listing
