package postgres

import (
	"context"
	"database/sql"
	"embed"
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
const schemaVersion = 1

// versions is the table of the migrations that were applied.
const versions = "pawl.goose_db_version"

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
		FROM information_schema.tables WHERE table_schema = 'pawl'`, &tables, &ours); err != nil {
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
		return 0, schemaVersion, fmt.Errorf("open database %s: %w", o.name(), tidy(err))
	}
	defer conn.Close(ctx)
	have, err = versionOf(func(query string, to ...any) error { return conn.QueryRow(ctx, query).Scan(to...) })
	if err != nil {
		return have, schemaVersion, fmt.Errorf("read the schema of %s: %w", o.name(), tidy(err))
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
		return from, from, fmt.Errorf("upgrade the schema of %s: %w", o.name(), err)
	}
	return from, schemaVersion, nil
}

// migrate applies what is missing in one transaction.
func migrate(ctx context.Context, o Options, migrations fs.FS) (from int64, err error) {
	config, err := o.config()
	if err != nil {
		return 0, err
	}
	for _, name := range []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} {
		config.ConnConfig.RuntimeParams[name] = "0" // as long as it takes
	}
	config.ConnConfig.RuntimeParams["search_path"] = "pawl"
	db := stdlib.OpenDB(*config.ConnConfig)
	defer db.Close()
	db.SetMaxOpenConns(1) // so that goose works inside our transaction
	if _, err := db.ExecContext(ctx, `CREATE SCHEMA IF NOT EXISTS pawl`); err != nil && !isTaken(err) {
		return 0, tidy(err)
	}
	if _, err := db.ExecContext(ctx, "BEGIN"); err != nil {
		return 0, tidy(err)
	}
	defer func() {
		if err != nil {
			// Its own error says no more; closing rolls back too.
			_, _ = db.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
			err = tidy(err)
		}
	}()
	// Whoever comes second waits here, and then finds nothing to do.
	if _, err := db.ExecContext(ctx, `SELECT 1 FROM pg_namespace WHERE nspname = 'pawl' FOR UPDATE`); err != nil {
		return 0, err
	}
	return from, applyAll(ctx, db, migrations, &from)
}

// applyAll needs the lock.
func applyAll(ctx context.Context, db *sql.DB, migrations fs.FS, from *int64) (err error) {
	*from, err = versionOf(func(query string, to ...any) error { return db.QueryRowContext(ctx, query).Scan(to...) })
	if err != nil {
		return err
	}
	if *from > schemaVersion {
		return sqlstore.ErrNewer
	}
	// "Isolated DDL" keeps goose from beginning a transaction of its own.
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations, goose.WithTableName(versions),
		goose.WithIsolateDDL(true), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "COMMIT")
	return err
}
