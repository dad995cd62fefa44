package pawl

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pawlauth/pawl/keyring"
)

// masterFile is the name of the master key within the data directory.
const masterFile = "master.key"

// maxMasterFile bounds what is read of a master key file, in bytes.
const maxMasterFile = 16 << 10

// ErrMasterMode says that others may read or change the master key.
var ErrMasterMode = errors.New("the master key file is open to others; chmod it to 0600")

// readMaster reads a master key file. The mode is that of the file that was
// opened, so that nobody can swap it in between.
func readMaster(path string) (*keyring.Master, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open master key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	// The group may read: that is how orchestrators mount secrets.
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o037 != 0 {
		return nil, fmt.Errorf("%s has mode %v: %w", path, info.Mode(), ErrMasterMode)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxMasterFile))
	if err != nil {
		return nil, fmt.Errorf("read master key: %w", err)
	}
	master, err := keyring.ParseMaster(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return master, nil
}

// makeMaster writes a new master key to path unless somebody else is first,
// in which case theirs stays. The file appears whole or not at all.
func makeMaster(path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".master-*") // mode 0600
	if err != nil {
		return fmt.Errorf("create master key: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(keyring.NewMasterText())
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("write master key: %w", err)
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("place master key: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a new name in a directory durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
