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
)

// databaseFile is the name of the database within the data directory.
const databaseFile = "pawl.db"

// Data is an opened data directory: the database and the master key. Several
// processes may have one directory open, so commands work beside a running
// server.
type Data struct {
	Store  *sqlstore.Store
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
	} else if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoData)
	}
	store, err := sqlstore.Open(ctx, sqlstore.Options{Path: path, Now: time.Now})
	if err != nil {
		return nil, err
	}
	master, err := masterFor(ctx, store, masterKey)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &Data{Store: store, Master: master}, nil
}

// masterFor reads the master key, and makes one only for data without keys.
func masterFor(ctx context.Context, store keyring.Store, path string) (*keyring.Master, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		records, _, err := store.Keys(ctx)
		if err != nil {
			return nil, err
		}
		if len(records) > 0 {
			return nil, fmt.Errorf("%s is missing: %w", path, keyring.ErrWrongMaster)
		}
		if err := makeMaster(path); err != nil {
			return nil, err
		}
	}
	return readMaster(path)
}

// Close closes the database.
func (d *Data) Close() error { return d.Store.Close() }
