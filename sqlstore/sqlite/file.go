package sqlite

import (
	"errors"
	"fmt"
	"github.com/pawlauth/pawl/sqlstore"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// ownerOnly is the mode of the database and of the files beside it, which
// SQLite makes with the mode of the database.
const ownerOnly = 0o600

// making serialises the making of files in this process. Closing any
// descriptor of a file gives up all locks that the process holds on it (POSIX
// fcntl), those of another store too; so no store opens the file while
// another one is making it, and a file that is there is not opened here.
var making sync.Mutex

// prepareFile returns the absolute path of a file that is there and that only
// its owner can read.
func prepareFile(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(path)
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("directory %s does not exist; make it, with mode 0700: %w", dir, fs.ErrNotExist)
	case err != nil:
		return "", err
	case !info.IsDir():
		return "", fmt.Errorf("%s is not a directory: %w", dir, fs.ErrInvalid)
	}
	making.Lock()
	defer making.Unlock()
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, ownerOnly)
	if err == nil {
		return path, file.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		switch {
		case name != path && errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return "", err
		case !info.Mode().IsRegular():
			return "", fmt.Errorf("%s is no ordinary file: %w", name, sqlstore.ErrForeign)
		case info.Mode().Perm()&^ownerOnly != 0:
			if err := os.Chmod(name, ownerOnly); err != nil {
				return "", fmt.Errorf("keep others from reading the database: %w", err)
			}
		}
	}
	return path, nil
}

const (
	// lockWait is how long a connection waits for one of another process. It
	// is well below the overlap with which the feed is read.
	lockWait = 5 * time.Second
	// checkpointAt is after how many pages of the log SQLite takes it into the
	// database: rarely enough that pages which change often are written once
	// for many changes.
	checkpointAt = 4000
	// walKeep is what the log is cut to, in bytes, when it starts anew: more
	// than it has when nothing holds up checkpoints.
	walKeep = 20 << 20
	// The page caches of a connection, in KiB. A reader's is empty again after
	// every commit; the writer's stays.
	readCache  = 8 << 10
	writeCache = 64 << 10
)

// existing keeps SQLite from making the file: if it was removed since it was
// prepared, that is an error, not an empty database.
const existing = "&mode=rw"

// dsn returns how a connection opens the file.
func dsn(path string, cache int, pragmas ...string) string {
	query := make(url.Values)
	for _, pragma := range append([]string{
		fmt.Sprintf("busy_timeout(%d)", lockWait.Milliseconds()),
		fmt.Sprintf("cache_size(-%d)", cache),
		"foreign_keys(on)",
		fmt.Sprintf("journal_size_limit(%d)", walKeep),
		"secure_delete(on)", // what was erased is gone from the file
		"synchronous(full)",
		"trusted_schema(off)",
		fmt.Sprintf("wal_autocheckpoint(%d)", checkpointAt),
	}, pragmas...) {
		query.Add("_pragma", pragma)
	}
	// A URI, so that every character of the path is only that.
	escaped := (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()
	return "file:" + strings.TrimPrefix(escaped, "//") + "?" + query.Encode()
}
