package sqlstore

import (
	"context"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/verify"
)

// A Store is what Pawl keeps everything in. It is safe for concurrent use.
type Store interface {
	session.Store
	keyring.Store
	account.Store
	service.Store
	verify.Feed
	Events
	Upkeep
}

// A StoredEvent is an event and its place in the order of all. Cursors rise
// strictly, in the order in which events became visible; there may be gaps.
type StoredEvent struct {
	Cursor int64
	session.Event
}

// Events are what happened.
type Events interface {
	session.EventLog

	// Events returns the events that come after a cursor, at most limit, in
	// their order. 0 is before the first one. Who asks for what comes after the
	// last cursor it got misses none.
	Events(ctx context.Context, after int64, limit int) ([]StoredEvent, error)

	// EventsOf returns the events of a user that come after a cursor, at most
	// limit, in their order.
	EventsOf(ctx context.Context, userID string, after int64, limit int) ([]StoredEvent, error)

	// TrimEvents removes those of the first limit events that are older than
	// keep, and returns how many.
	TrimEvents(ctx context.Context, keep time.Duration, limit int) (int, error)

	// EraseEvents makes the events of a user anonymous and returns how many.
	// What happened, when and why stays, and the keyed hash of the session,
	// which after EraseSessions leads to nobody. [session.EventUserDeleted]
	// keeps the id: it says that the deletion was done.
	EraseEvents(ctx context.Context, userID string) (int, error)
}

// Upkeep is for the operator.
type Upkeep interface {
	// EraseSessions takes everything personal out of the ended sessions of a
	// user: the user's id, browser, network, device key, scope. Such a row still
	// refuses the tokens of its session; one that is past its absolute end is
	// removed. It returns how many rows it erased and how many it removed.
	EraseSessions(ctx context.Context, userID string) (erased, removed int, err error)

	// Fsck checks every invariant of what the store holds: of rows, as package
	// session says; of signing keys, users and events. It changes nothing and may run beside a server. An error means
	// that something could not be checked.
	Fsck(ctx context.Context) (Report, error)

	// Close writes what is queued, waits for that, and closes the database.
	// Calls that come later fail.
	Close() error
}
