package account

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrNotFound means that there is no such user.
	ErrNotFound = errors.New("no such user")
	// ErrNameTaken means that another user, enabled or disabled, has the name.
	ErrNameTaken = errors.New("user name is taken")
)

// Store keeps users and tallies of attempts. All methods are safe for concurrent use, by several processes if the store can be
// shared.
//
// Atomicity: each method takes effect at once and whole, or not at all. Of any number of concurrent calls that would give
// two users one name, one succeeds. A method that returns an error other than the sentinels below may have taken effect or not.
//
// Durability: when a method that changes something returns nil, the change survives a crash of the process and of the machine.
//
// Reading: a call sees every change whose method returned before the call began, also through another instance on the
// same data.
//
// Names and ids are compared byte for byte; the caller has normalised names. Hashes come back as they were given.
//
// Time: the store stamps CreatedAt, PasswordChangedAt, InitialUntil and LastSignIn by its own clock, in steps of a millisecond or finer; what the
// caller put there is ignored, except where it is compared. The clock moves on between calls.
//
// Errors: the sentinels are returned, bare or wrapped, exactly where they are named below. Everything else, an ended context included, is
// another error: a store that cannot answer never says that a user does not exist.
type Store interface {
	Users
	SignIns

	// DeleteUser removes the user with that id and all tallies under keys of that account, Known ones too, or returns [ErrNotFound]
	// and removes nothing. The name may be given again.
	DeleteUser(ctx context.Context, id string, account Tag) error
}

// Users are the part of a [Store] that keeps users.
type Users interface {
	// CreateUser adds the user, with ID, Name, Display, Hash and Disabled as given. InitialUntil is so far from now as initial
	// says, zero if that is 0. [ErrNameTaken] if the name is taken; another error if the id is.
	CreateUser(ctx context.Context, user User, initial time.Duration) error

	// UserByName returns the user of that name, or [ErrNotFound].
	UserByName(ctx context.Context, name string) (User, error)

	// UserByID returns the user with that id, or [ErrNotFound].
	UserByID(ctx context.Context, id string) (User, error)

	// SetPassword replaces the hash, and InitialUntil as CreateUser does, and stamps PasswordChangedAt, later than it was, or
	// returns [ErrNotFound].
	SetPassword(ctx context.Context, id string, hash Hash, initial time.Duration) error

	// SetDisabled sets the flag, or returns [ErrNotFound]. It is no error that the flag has the value already.
	SetDisabled(ctx context.Context, id string, disabled bool) error

	// Users returns all users, as of one moment, in ascending order of the bytes of their names.
	Users(ctx context.Context) ([]User, error)
}

// SignIns are the part of a [Store] that knows of attempts to sign in.
type SignIns interface {
	// SignedIn stamps LastSignIn of the user with that id and, unless hash is empty, replaces the hash and nothing else.
	// [ErrNotFound] unless the user is there, enabled, and has the given user's PasswordChangedAt.
	SignedIn(ctx context.Context, user User, hash Hash) error

	// ChangePassword is SetPassword on the conditions of SignedIn, of a password that is no initial one.
	ChangePassword(ctx context.Context, user User, hash Hash) error

	// Tally reads the tallies under the step's keys, applies the step to them at the store's time, stores what its outcome says, and
	// returns that outcome. No other change of these tallies comes in between, in any process. It may apply the step several
	// times; the last one counts. Tallies that have ended need not be kept.
	Tally(ctx context.Context, step Step) (Outcome, error)

	// ForgetAttempts removes Owed and Closed from all tallies under keys of that account, and leaves Known.
	ForgetAttempts(ctx context.Context, account Tag) error

	// ForgetNetworks removes Known from the tallies under keys of that account, but for the keep that are known longest.
	ForgetNetworks(ctx context.Context, account Tag, keep int) error

	// SweepAttempts removes at most limit tallies and returns how many: those that have ended, and of those without Known, if more
	// than keep are left, the surplus, in the order of their ends.
	SweepAttempts(ctx context.Context, keep, limit int) (int, error)
}
