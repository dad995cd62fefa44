package sqlstore

import (
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Why a database is not opened. Nothing in it was changed.
var (
	// ErrNewer says that a newer version of Pawl made or upgraded the database.
	ErrNewer = errors.New("the database belongs to a newer version of Pawl; run that version, or restore a backup from before the upgrade")
	// ErrForeign says that the file is something else.
	ErrForeign = errors.New("not a database of Pawl; name the right file")
	// ErrDamaged says that the file was a database once.
	ErrDamaged = errors.New("the database is damaged; restore a backup, then fence it")
)

// Why a call is not served.
var (
	// ErrBusy says that more writes are waiting than the queue holds. Nothing
	// was written.
	ErrBusy = errors.New("too many writes are waiting; try again")
	// ErrClosed says that the store was closed. Nothing was written.
	ErrClosed = errors.New("the store is closed")
)

// code returns SQLite's extended result code; 0 if the error has none.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// isLocked reports whether another connection holds a lock that is needed.
func isLocked(err error) bool { return code(err)&0xff == sqlite3.SQLITE_BUSY }

// isTaken reports whether a value is there already that may be there once.
func isTaken(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_CONSTRAINT_UNIQUE || c == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}

// unreadable says of a file that cannot be read as a database what it is.
func unreadable(err error) error {
	switch code(err) & 0xff {
	case sqlite3.SQLITE_NOTADB:
		return errors.Join(ErrForeign, err)
	case sqlite3.SQLITE_CORRUPT:
		return errors.Join(ErrDamaged, err)
	}
	return err
}
