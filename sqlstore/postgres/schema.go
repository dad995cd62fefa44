package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/pawlauth/pawl/sqlstore"
)

//go:embed migrations/*.sql
var embedded embed.FS

// schemaVersion is the newest migration, which every statement is written for.
const schemaVersion = 3

// versions is the table of the migrations that were applied.
const versions = "pawl.goose_db_version"

// migrating is the table whose one row is locked by whoever migrates.
const migrating = "pawl.migrating"

// version returns the version of the schema; 0 if there is none yet.
func (s *Store) version(ctx context.Context) (version int64, err error) {
	err = s.do(ctx, "read the version of the schema", reads, func(ctx context.Context, p *pool) error {
		version, err = versionOf(func(query string, to ...any) error { return p.QueryRow(ctx, query).Scan(to...) })
		return err
	})
	return version, err
}

// versionOf reads the version. A schema pawl that has no versions is somebody
// else's.
func versionOf(row func(query string, to ...any) error) (version int64, err error) {
	var tables int
	var ours bool
	if err := row(`SELECT count(*), count(*) FILTER (WHERE table_name = 'goose_db_version') > 0
		FROM information_schema.tables WHERE table_schema = 'pawl' AND table_name <> 'migrating'`, &tables, &ours); err != nil {
		return 0, err
	}
	switch {
	case tables == 0:
		return 0, nil
	case !ours:
		return 0, sqlstore.ErrForeign
	}
	return version, row(`SELECT coalesce(max(version_id), 0) FROM `+versions, &version)
}

// Version returns the version of a database's schema, 0 if there is none yet,
// and the one that [Migrate] upgrades it to. It changes nothing.
func Version(ctx context.Context, o Options) (have, newest int64, err error) {
	config, err := o.config()
	if err != nil {
		return 0, schemaVersion, fmt.Errorf("postgres: %w", err)
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return 0, schemaVersion, fmt.Errorf("open database %s: %w", o.Name(), tidy(err))
	}
	defer conn.Close(ctx)
	have, err = versionOf(func(query string, to ...any) error { return conn.QueryRow(ctx, query).Scan(to...) })
	if err != nil {
		return have, schemaVersion, fmt.Errorf("read the schema of %s: %w", o.Name(), tidy(err))
	}
	return have, schemaVersion, nil
}

// Migrate brings the schema to this version and returns from which one. It may
// be run by several at once: one does it, the others wait and find it done. It
// needs a role that may create the schema pawl and its tables; the role that
// serves needs only to use them.
func Migrate(ctx context.Context, o Options) (from, to int64, err error) {
	sub, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return 0, 0, err
	}
	if from, err = migrate(ctx, o, sub); err != nil {
		return from, from, fmt.Errorf("upgrade the schema of %s: %w", o.Name(), err)
	}
	return from, schemaVersion, nil
}

// migrate applies what is missing, each migration in a transaction of its own,
// while it holds the lock of those who migrate.
func migrate(ctx context.Context, o Options, migrations fs.FS) (from int64, err error) {
	config, err := o.config()
	if err != nil {
		return 0, err
	}
	for _, name := range []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} {
		config.ConnConfig.RuntimeParams[name] = "0" // as long as it takes
	}
	db := stdlib.OpenDB(*config.ConnConfig)
	defer db.Close()
	if _, err := version(ctx, db); err != nil {
		return 0, err // what must not be changed is not changed
	}
	var encoding string
	if err := db.QueryRowContext(ctx, `SHOW server_encoding`).Scan(&encoding); err != nil {
		return 0, tidy(err)
	}
	if encoding != "UTF8" {
		return 0, fmt.Errorf("its encoding is %s; create one with ENCODING 'UTF8'", encoding)
	}
	lock, err := lockMigrations(ctx, db)
	if err != nil {
		return 0, tidy(err)
	}
	// It holds nothing but the lock.
	defer func() { err = errors.Join(err, lock.Rollback()) }()
	// Whoever had the lock before may have done it all.
	if from, err = version(ctx, db); err != nil || from == schemaVersion {
		return from, err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations, goose.WithTableName(versions),
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return from, err
	}
	if _, err := provider.Up(ctx); err != nil {
		return from, tidy(err)
	}
	return from, nil
}

// lockMigrations waits for everybody else who migrates. The lock is a row, as
// every engine has them; it is given up with the transaction.
func lockMigrations(ctx context.Context, db *sql.DB) (*sql.Tx, error) {
	for _, statement := range []string{
		`CREATE SCHEMA IF NOT EXISTS pawl`,
		`CREATE TABLE IF NOT EXISTS ` + migrating + ` (id smallint PRIMARY KEY)`,
		`INSERT INTO ` + migrating + ` VALUES (1) ON CONFLICT DO NOTHING`,
	} {
		// Of several that create a thing at once, all but one may be told that it
		// is taken, in spite of "if not exists".
		if _, err := db.ExecContext(ctx, statement); err != nil && !isTaken(err) {
			return nil, err
		}
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, `SELECT id FROM `+migrating+` FOR UPDATE`); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}

// version returns the version of the schema, and [sqlstore.ErrNewer] if this
// version of Pawl does not know it.
func version(ctx context.Context, db *sql.DB) (int64, error) {
	have, err := versionOf(func(query string, to ...any) error { return db.QueryRowContext(ctx, query).Scan(to...) })
	if err != nil {
		return 0, tidy(err)
	}
	if have > schemaVersion {
		return have, fmt.Errorf("schema version %d, this one knows up to %d: %w", have, schemaVersion, sqlstore.ErrNewer)
	}
	return have, nil
}
