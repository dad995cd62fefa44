package pawl

import (
	"context"
	"errors"
	"time"

	"github.com/pawlauth/pawl/sqlstore"
	"github.com/pawlauth/pawl/sqlstore/postgres"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
)

// CopyStore copies everything from the file of a directory that nobody uses
// meanwhile into a PostgreSQL that was never used, whose schema it makes if it
// may. While it runs nobody else can open the file; if somebody has it open, an
// idle server too, it fails with [sqlstore.ErrInUse]. Until it has returned nil, nothing can be served from the PostgreSQL;
// called again, it goes on where it was. The master key stays where it is: all
// that is copied needs the same one. See [sqlstore.Copy].
func CopyStore(ctx context.Context, from, to Place, progress func(table string, done, of int)) (err error) {
	if err := errors.Join(from.validate(), to.validate()); err != nil {
		return err
	}
	if from.Store != "" || to.Store == "" {
		return errors.New("give a data directory to copy from, and the URL of a PostgreSQL to copy to")
	}
	path, err := from.file()
	if err != nil {
		return err
	}
	source, err := sqlite.OpenSource(ctx, sqlite.Options{Path: path, Now: time.Now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	sink, err := postgres.OpenSink(ctx, to.postgres())
	if errors.Is(err, postgres.ErrOlder) {
		if _, _, migrate := postgres.Migrate(ctx, to.postgres()); migrate != nil {
			return errors.Join(err, migrate)
		}
		sink, err = postgres.OpenSink(ctx, to.postgres())
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sink.Close()) }()
	return sqlstore.Copy(ctx, source, sink, progress)
}
