package sqlite

import (
	"context"
	"database/sql"
	"fmt"
)

// Version returns the version of a file's schema, and the one that [Open]
// upgrades it to. It changes nothing.
func Version(ctx context.Context, path string) (have, newest int64, err error) {
	db, err := sql.Open("sqlite", dsn(path, readCache, "query_only(on)")+existing)
	if err != nil {
		return 0, schemaVersion, err
	}
	defer db.Close()
	if have, err = versionOf(ctx, db); err != nil {
		return have, schemaVersion, fmt.Errorf("database %s: %w", path, unreadable(err))
	}
	return have, schemaVersion, nil
}
