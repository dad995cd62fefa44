package session

import (
	"context"
	"errors"
	"time"

	"github.com/pawlauth/pawl/token"
)

// What a store says when it cannot do what was asked. Any other error means
// that the outcome is unknown: the write may have been lost, or may have
// taken effect and only its answer was lost. The engine takes both as
// ordinary.
var (
	// ErrConflict says that the row is not in the generation the change
	// expects, has ended, is gone, or is being changed by another call at this
	// moment. Nothing was written.
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
	// generation From, is bound as Bound says, and has not ended; otherwise that
	// change fails with [ErrConflict] and the others go on. It waits for no other change of a
	// row: one that is under way is a conflict too. The result has one error for each
	// change, in order. No two changes name one session. An end also adds the
	// session to the feed of ended ones, at once with it.
	Replace(ctx context.Context, changes []Change) []error

	// Bind sets the kind and the thumbprint of a row's binding, if the row is
	// unbound, in that generation, and has not ended; otherwise it fails with
	// [ErrConflict]. Nothing else ever changes them.
	Bind(ctx context.Context, id ID, generation uint32, to Binding) error

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
	// added to the feed of ended ones, each session all at once. Those of a user
	// may end in steps. It returns the sessions that this call ended, also with
	// an error. Ending none is no error.
	End(ctx context.Context, which Selection, reason Reason) ([]Ended, error)

	// EndEveryone sets the epoch, in one small write: from when it returns,
	// every session that was created until then has ended, as [Epoch.Apply]
	// says, in whatever the store returns and for whatever it is asked to
	// change; and no [Ratchet.Load] that does not know of it has a clock later
	// than it. So it lies up to [EpochMargin] ahead of the store's clock, and
	// who logs in before that logs in once more. The feed tells of it.
	//
	// A time that is not zero becomes the epoch itself, for a store that has
	// lost it. The epoch never moves back. It returns the epoch that is set.
	EndEveryone(ctx context.Context, at time.Time, reason Reason) (Epoch, error)

	// List returns rows in the order of their ids, and the store's clock.
	List(ctx context.Context, query Query) ([]Row, time.Time, error)

	// Sweep does a step of what is due, and returns how many rows it took: less
	// than limit means that nothing is left to do. It removes rows that are past
	// their absolute end, but for those that ended less than feedKeep ago: the
	// feed of ended sessions reaches back that far. An epoch that is older than
	// that it writes into the rows.
	Sweep(ctx context.Context, limit int, feedKeep time.Duration) (int, error)
}

// A Selection names sessions: exactly one of Session and User is set.
type Selection struct {
	Session ID
	User    string
	Except  ID // one that stays; zero: none
}

// Valid reports whether exactly one way of naming sessions is used.
func (s Selection) Valid() bool { return s.Session.IsZero() != (s.User == "") }

// An Epoch is the end of every session that was created until then.
type Epoch struct {
	At     time.Time // zero: there was none
	Reason Reason
}

// NextEpoch is the epoch that ends everything of a time: the last moment of a
// second, since access tokens tell in whole seconds when they were issued, and
// far enough ahead for the write to become visible before.
func NextEpoch(now time.Time) time.Time {
	return now.Add(EpochMargin - time.Second).Truncate(time.Second).Add(time.Second - time.Microsecond)
}

// EpochMargin is how far ahead of the store's clock an epoch may be set: the
// time within which the write becomes visible, or is done again.
const EpochMargin = 3 * time.Second

// Ended reports whether the epoch ended a session that was created at that
// time.
func (e Epoch) Ended(created time.Time) bool { return !e.At.IsZero() && !created.After(e.At) }

// Apply returns the row as the epoch leaves it: ended, unless it had ended
// before or was created later.
func (e Epoch) Apply(r Row) Row {
	if e.Ended(r.CreatedAt) && !r.Ended() {
		return e.end(r)
	}
	return r
}

func (e Epoch) end(r Row) Row {
	r.EndedAt, r.EndReason, r.Salt = e.At, e.Reason, token.Salt{}
	return r
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
