package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/pawlauth/pawl/sqlstore"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

//go:embed migrations/*.sql
var embedded embed.FS

// schemaVersion is the newest migration, which every statement is written for.
const schemaVersion = 6

// applicationID marks a database as ours: "Pawl".
const applicationID = 0x5061776c

// upgraded opens the file for writing, with one connection, and brings its
// schema to this version.
func upgraded(ctx context.Context, path string) (_ *sql.DB, err error) {
	db, err := sql.Open("sqlite", dsn(path, writeCache)+existing)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(unreadable(err), db.Close())
		}
	}()
	db.SetMaxOpenConns(1)
	// What must not be changed is not changed: look before the first write.
	version, err := versionOf(ctx, db)
	if err != nil {
		return nil, err
	}
	if err := useLog(ctx, db); err != nil {
		return nil, err
	}
	if version == schemaVersion {
		return db, nil
	}
	sub, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return nil, err
	}
	return db, upgrade(ctx, db, sub)
}

// versionOf returns the schema version of a database; 0 if it is empty.
func versionOf(ctx context.Context, db *sql.DB) (version int64, err error) {
	var id, objects int64
	// In this order: the first migration of another process writes both, and
	// may commit in between.
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&objects); err != nil {
		return 0, err
	}
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return 0, err
	}
	switch {
	case objects == 0:
		return 0, nil
	case id != applicationID:
		return 0, sqlstore.ErrForeign
	}
	if err := db.QueryRowContext(ctx, "SELECT max(version_id) FROM goose_db_version").Scan(&version); err != nil {
		return 0, errors.Join(sqlstore.ErrDamaged, err)
	}
	if version > schemaVersion {
		return version, fmt.Errorf("schema version %d, this one knows up to %d: %w", version, schemaVersion, sqlstore.ErrNewer)
	}
	return version, nil
}

// useLog turns on write-ahead logging, which the file remembers. While another
// process does the same, SQLite may give up without waiting.
func useLog(ctx context.Context, db *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		var mode string
		err := db.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode)
		if err == nil && mode != "wal" {
			return fmt.Errorf("the file system does not allow a write-ahead log (got %q); use a local disk", mode)
		}
		if !isLocked(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// upgrade applies every migration that is missing, in one transaction that is
// begun as a writer: of those who start at the same time one upgrades and the
// others find it done.
func upgrade(ctx context.Context, db *sql.DB, migrations fs.FS) (err error) {
	if _, err := db.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// Its own error says no more; closing rolls back too.
			_, _ = db.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		}
	}()
	if _, err := versionOf(ctx, db); err != nil {
		return err
	}
	// The database has one connection, so goose works inside our transaction;
	// "isolated DDL" keeps it from beginning its own.
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, migrations,
		goose.WithIsolateDDL(true), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("upgrade the schema: %w", err)
	}
	_, err = db.ExecContext(ctx, "COMMIT")
	return err
}
