package sqlstore

import "errors"

// Why a database is not opened. Nothing in it was changed.
var (
	// ErrNewer says that a newer version of Pawl made or upgraded the database.
	ErrNewer = errors.New("the database belongs to a newer version of Pawl; run that version, or restore a backup from before the upgrade")
	// ErrForeign says that the database is something else.
	ErrForeign = errors.New("not a database of Pawl; name the right one")
	// ErrDamaged says that it was a database of Pawl once.
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
