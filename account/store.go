package account

import (
	"context"
	"errors"
)

var (
	// ErrNotFound means that there is no such user.
	ErrNotFound = errors.New("no such user")
	// ErrNameTaken means that another user, enabled or disabled, has the name.
	ErrNameTaken = errors.New("user name is taken")
)

// Store keeps users. All methods are safe for concurrent use, by several processes if the store can be shared.
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
// Time: the store stamps CreatedAt and PasswordChangedAt by its own clock, in steps of a millisecond or finer; what the caller
// put there is ignored. The clock moves on between calls.
//
// Errors: the sentinels are returned, bare or wrapped, exactly where they are named below. Everything else, an ended context included, is
// another error: a store that cannot answer never says that a user does not exist.
type Store interface {
	// CreateUser adds the user, with ID, Name, Display, Hash and Disabled as given. [ErrNameTaken] if the name is taken;
	// another error if the id is.
	CreateUser(ctx context.Context, user User) error

	// UserByName returns the user of that name, or [ErrNotFound].
	UserByName(ctx context.Context, name string) (User, error)

	// UserByID returns the user with that id, or [ErrNotFound].
	UserByID(ctx context.Context, id string) (User, error)

	// SetPassword replaces the hash and stamps PasswordChangedAt, or returns [ErrNotFound].
	SetPassword(ctx context.Context, id string, hash Hash) error

	// SetDisabled sets the flag, or returns [ErrNotFound]. It is no error that the flag has the value already.
	SetDisabled(ctx context.Context, id string, disabled bool) error

	// Users returns all users, as of one moment, in ascending order of the bytes of their names.
	Users(ctx context.Context) ([]User, error)
}
