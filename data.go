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
	"github.com/pawlauth/pawl/sqlstore/sqlite"
)

// databaseFile is the name of the database within the data directory.
const databaseFile = "pawl.db"

// Data is an opened data directory: the database and the master key. Several
// processes may have one directory open, so commands work beside a running
// server.
type Data struct {
	Store  sqlstore.Store
	Master *keyring.Master
}

// ErrNoData says that a directory holds no data of Pawl.
var ErrNoData = errors.New("no Pawl data here; start the server once, or name the right directory")

var errNoDirectory = errors.New("the data directory is not named")

// OpenData opens a data directory. masterKey is the path of the master key
// file; empty means master.key in the directory. With create, a missing
// directory, database or master key is made; without it, a missing one is
// [ErrNoData]. A master key is never made for data that already has keys: it
// would not open them.
func OpenData(ctx context.Context, dir, masterKey string, create bool) (*Data, error) {
	if dir == "" {
		return nil, errNoDirectory
	}
	if masterKey == "" {
		masterKey = filepath.Join(dir, masterFile)
	}
	path := filepath.Join(dir, databaseFile)
	if create {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("create data directory: %w", err)
		}
	} else if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoData)
	}
	// Who can replace files can replace keys.
	if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("%s has mode %v: %w", dir, info.Mode(), ErrOpenDirectory)
	}
	store, err := sqlite.Open(ctx, sqlite.Options{Path: path, Now: time.Now})
	if err != nil {
		return nil, err
	}
	master, err := masterFor(ctx, store, masterKey)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &Data{Store: store, Master: master}, nil
}

// ErrOpenDirectory says that others may write into the data directory.
var ErrOpenDirectory = errors.New("others may write there; chmod it to 0700")

// masterFor reads the master key, and makes one only for data without keys. A
// master key that does not belong to the data is refused before anything is
// done with it.
func masterFor(ctx context.Context, store keyring.Store, path string) (*keyring.Master, error) {
	// The keys are read before the file is looked for: another process that
	// starts first makes the file, then the keys.
	records, _, err := store.Keys(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if len(records) > 0 {
			return nil, fmt.Errorf("%s is missing: %w", path, keyring.ErrWrongMaster)
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

// Close closes the database.
func (d *Data) Close() error { return d.Store.Close() }
