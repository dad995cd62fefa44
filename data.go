package pawl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/sqlstore"
	"github.com/pawlauth/pawl/sqlstore/postgres"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
)

// databaseFile is the name of the database within the data directory.
const databaseFile = "pawl.db"

// Data is the database and the master key, opened. Several processes may have
// the same data open, so commands work beside a running server.
type Data struct {
	Store  sqlstore.Store
	Master *keyring.Master
}

// ErrNoData says that there is no data of Pawl.
var ErrNoData = errors.New("no Pawl data here; start the server once, or name the right directory")

var errNoDirectory = errors.New("the data directory is not named")

// A Place says where data is.
type Place struct {
	// Directory holds the database and the master key; with a Store, at most
	// the master key.
	Directory string
	// MasterKeyFile is the path of the master key; empty: master.key in
	// Directory.
	MasterKeyFile string
	// Store is the URL of a PostgreSQL that many nodes share,
	// postgres://user:password@host/name; empty: a file in Directory. What it
	// leaves out comes from libpq's environment, PGPASSFILE for instance.
	Store string
	// StoreSharded says that the Store spreads rows over machines and takes locks
	// in one statement only within one of them, as Citus does: each session then
	// has statements of its own.
	StoreSharded bool
	// DangerouslyPlainStore allows a connection to a Store beyond this machine
	// that is not encrypted, or whose server is not proved.
	DangerouslyPlainStore bool
}

// validate returns every fault of the place at once.
func (p Place) validate() error {
	var faults []error
	if p.Directory == "" && (p.Store == "" || p.MasterKeyFile == "") {
		faults = append(faults, errNoDirectory)
	}
	if p.Store != "" {
		faults = append(faults, p.postgres().Validate())
	}
	return errors.Join(faults...)
}

func (p Place) postgres() postgres.Options {
	return postgres.Options{URL: p.Store, Sharded: p.StoreSharded, DangerouslyPlain: p.DangerouslyPlainStore}
}

// masterKey is the path of the master key file.
func (p Place) masterKey() string {
	if p.MasterKeyFile != "" {
		return p.MasterKeyFile
	}
	return filepath.Join(p.Directory, masterFile)
}

// OpenData opens data. With create, a missing directory, database, schema or
// master key is made, and an older schema upgraded; without it, a missing one
// is [ErrNoData]. A master key is never made for data that already has keys: it
// would not open them.
func OpenData(ctx context.Context, place Place, create bool) (*Data, error) {
	if err := place.validate(); err != nil {
		return nil, err
	}
	// Who can replace files can replace keys.
	if info, err := os.Stat(place.Directory); err == nil && info.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("%s has mode %v: %w", place.Directory, info.Mode(), ErrOpenDirectory)
	}
	store, err := place.open(ctx, create)
	if err != nil {
		return nil, err
	}
	master, err := place.master(ctx, store, create)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &Data{Store: store, Master: master}, nil
}

// open opens the database.
func (p Place) open(ctx context.Context, create bool) (sqlstore.Store, error) {
	if p.Store != "" {
		return p.openShared(ctx, create)
	}
	path, err := p.file()
	if err != nil {
		if !create {
			return nil, err
		}
		if err := p.makeDirectory(); err != nil {
			return nil, err
		}
	}
	return sqlite.Open(ctx, sqlite.Options{Path: path, Now: time.Now})
}

// file returns the path of the database, and [ErrNoData] if there is none yet.
func (p Place) file() (string, error) {
	path := filepath.Join(p.Directory, databaseFile)
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return path, fmt.Errorf("%s: %w", p.Directory, ErrNoData)
	}
	return path, nil
}

// openShared opens a PostgreSQL. Its schema is upgraded if the role may do
// that; if not, somebody who may has to run "pawl migrate up".
func (p Place) openShared(ctx context.Context, create bool) (sqlstore.Store, error) {
	store, err := postgres.Open(ctx, p.postgres())
	if create && errors.Is(err, postgres.ErrOlder) {
		if _, _, migrate := postgres.Migrate(ctx, p.postgres()); migrate != nil {
			return nil, errors.Join(err, migrate)
		}
		store, err = postgres.Open(ctx, p.postgres())
	}
	if err != nil {
		return nil, err
	}
	return store, nil
}

// ErrOpenDirectory says that others may write into the data directory.
var ErrOpenDirectory = errors.New("others may write there; chmod it to 0700")

// master reads the master key, and with create makes one, but only for data
// without keys. A master key that does not belong to the data is refused before
// anything is done with it.
func (p Place) master(ctx context.Context, store keyring.Store, create bool) (*keyring.Master, error) {
	// The keys are read before the file is looked for: another process that
	// starts first makes the file, then the keys.
	records, _, err := store.Keys(ctx)
	if err != nil {
		return nil, err
	}
	path := p.masterKey()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		switch {
		case len(records) > 0:
			return nil, fmt.Errorf("%s is missing: %w", path, keyring.ErrWrongMaster)
		case !create:
			return nil, fmt.Errorf("%s is missing: %w", path, ErrNoData)
		}
		if p.MasterKeyFile == "" {
			if err := p.makeDirectory(); err != nil {
				return nil, err
			}
		}
		if err := makeMaster(path); err != nil {
			return nil, err
		}
	}
	master, err := readMaster(path)
	if err != nil {
		return nil, err
	}
	return master, master.Opens(records)
}

// makeDirectory makes the data directory if it is not there.
func (p Place) makeDirectory() error {
	if err := os.MkdirAll(p.Directory, 0o700); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	return nil
}

// Close closes the database.
func (d *Data) Close() error { return d.Store.Close() }
