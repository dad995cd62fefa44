package pawl

import (
	"context"
	"github.com/pawlauth/pawl/sqlstore/postgres"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
)

// SchemaVersion returns the version of the schema of data, and the one that
// this version of Pawl needs. 0 stands for none yet. It changes nothing.
func SchemaVersion(ctx context.Context, place Place) (have, need int64, err error) {
	if err := place.validate(); err != nil {
		return 0, 0, err
	}
	if place.Store != "" {
		return postgres.Version(ctx, place.postgres())
	}
	path, err := place.file()
	if err != nil {
		return 0, 0, err
	}
	return sqlite.Version(ctx, path)
}

// Migrate brings the schema of data to the version that this version of Pawl
// needs, and makes it if it is not there. Nodes of the version before go on
// serving. Several may be started at once: one does it, the others wait.
func Migrate(ctx context.Context, place Place) (from, to int64, err error) {
	if err := place.validate(); err != nil {
		return 0, 0, err
	}
	if place.Store != "" {
		return postgres.Migrate(ctx, place.postgres())
	}
	from, to, err = SchemaVersion(ctx, place)
	if err != nil {
		return from, to, err
	}
	store, err := place.open(ctx, false)
	if err != nil {
		return from, to, err
	}
	return from, to, store.Close()
}
