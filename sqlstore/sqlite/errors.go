package sqlite

import (
	"errors"

	"github.com/pawlauth/pawl/sqlstore"
	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// code returns SQLite's extended result code; 0 if the error has none.
func code(err error) int {
	if e, ok := errors.AsType[*driver.Error](err); ok {
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
		return errors.Join(sqlstore.ErrForeign, err)
	case sqlite3.SQLITE_CORRUPT:
		return errors.Join(sqlstore.ErrDamaged, err)
	}
	return err
}
