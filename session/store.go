package session

import (
	"context"
	"errors"
	"time"
)

// What a store says when it cannot do what was asked. Any other error means
// that the outcome is unknown: the write may have been lost, or may have
// taken effect and only its answer was lost. The engine takes both as
// ordinary.
var (
	// ErrConflict says that the row is not in the generation the change
	// expects, has ended, or is gone. Nothing was written.
	ErrConflict = errors.New("session: the row has moved on")
	// ErrExists says that a session of that id is there already.
	ErrExists = errors.New("session: id already in use")
)

// A Store keeps sessions. All methods are safe for concurrent use by many
// processes. A method that returns without error has done its work durably,
// and every later call, by any process, sees it. Times written by the store
// are of its own clock, which all processes share; resolution is a
// microsecond or better. A canceled context may leave the outcome of a write
// unknown, never half done.
type Store interface {
	Ratchet
	Directory
}

// A Ratchet is what renewing needs: it names every session by its id.
type Ratchet interface {
	// Create stores a new row as it is. It fails with [ErrExists] if the id
	// is taken.
	Create(ctx context.Context, row Row) error

	// Load returns the rows of those sessions that exist, in any order, each
	// once, and the store's clock, read no later than the rows were. Without
	// ids it returns the clock alone.
	Load(ctx context.Context, ids []ID) ([]Row, time.Time, error)

	// Replace applies each change as [Row.Apply] says, if its row is in
	// generation From and has not ended; otherwise that change fails with
	// [ErrConflict] and the others go on. The result has one error for each
	// change, in order. No two changes name one session. An end also adds the
	// session to the feed of ended ones, in the same transaction.
	Replace(ctx context.Context, changes []Change) []error

	// Confirm stamps ConfirmedAt with the store's clock, for each use whose
	// generation is the row's newest, not confirmed yet, not ended, and
	// [Use.Settled] by the store's clock. All other uses are passed over
	// without error. It returns the clock that it judged by.
	Confirm(ctx context.Context, uses []Use, settle time.Duration) (time.Time, error)
}

// A Directory is what the owner of sessions and the operator need.
type Directory interface {
	// End ends every session that the selection names and that has not ended:
	// the time is stamped, the reason kept, the salt erased and the session
	// added to the feed of ended ones, all in one transaction. It returns the
	// sessions that this call ended. Ending none is no error.
	End(ctx context.Context, which Selection, reason Reason) ([]Ended, error)

	// List returns rows in the order of their ids, and the store's clock.
	List(ctx context.Context, query Query) ([]Row, time.Time, error)

	// Sweep removes at most limit rows that are past their absolute end, and
	// entries of the feed of ended sessions older than feedKeep, and returns
	// how many rows it removed.
	Sweep(ctx context.Context, limit int, feedKeep time.Duration) (int, error)
}

// A Selection names sessions: exactly one of Session, User and Everyone is
// set.
type Selection struct {
	Session  ID
	User     string
	Everyone bool
	Except   ID // one that stays; zero: none
}

// Valid reports whether exactly one way of naming sessions is used.
func (s Selection) Valid() bool {
	n := 0
	for _, set := range []bool{!s.Session.IsZero(), s.User != "", s.Everyone} {
		if set {
			n++
		}
	}
	return n == 1
}

// An Ended is a session that was just ended.
type Ended struct {
	Session ID
	UserID  string
}

// A Query asks for rows.
type Query struct {
	User      string // empty: of all users
	WithEnded bool   // also those that ended
	After     ID     // only ids after this one; zero: from the first
	Limit     int    // at most so many; required, from 1
}
