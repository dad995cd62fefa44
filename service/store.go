package service

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrNotFound says that there is no such service, or no such code: it never
	// was, was taken, or has expired.
	ErrNotFound = errors.New("service: not found")
	// ErrNameTaken says that another service has the name.
	ErrNameTaken = errors.New("service: the name is taken; remove that service first")
)

// A Store keeps services and codes. All methods are safe for concurrent use by
// many processes.
//
// Atomicity: each method takes effect at once and whole, or not at all. A
// method that returns an error other than the two above, where they are named,
// may have taken effect or not. Neither is returned for a store that cannot
// answer, or for a context that has ended.
//
// Durability and reading: when a method returns nil, the change survives a
// crash, and every later call, by any process, sees it. Durability may be left
// out for codes: one that is lost is a sign-in done again, and one that comes
// back would have to be taken within its last seconds.
//
// Time: the store stamps CreatedAt by its own clock, in microseconds or finer;
// what the caller put there is ignored. All other times, hashes and texts come
// back as they were given, times to the microsecond, a nil list as an empty one
// or nil. Names are compared byte for byte.
type Store interface {
	Directory
	Codes
}

// A Directory is the part of a [Store] that keeps services.
type Directory interface {
	// AddService adds the service, or returns [ErrNameTaken] and changes
	// nothing. Of any number of concurrent calls with one name, one succeeds.
	// It returns the service as stored.
	AddService(ctx context.Context, record Record) (Service, error)

	// Service returns the service of that name, or [ErrNotFound].
	Service(ctx context.Context, name string) (Record, error)

	// Services returns all services, in ascending order of the bytes of their
	// names.
	Services(ctx context.Context) ([]Service, error)

	// RemoveService removes the service of that name, or returns [ErrNotFound].
	// The name may be given again.
	RemoveService(ctx context.Context, name string) error
}

// Codes are the part of a [Store] that keeps codes.
type Codes interface {
	// PutCode adds a code that expires so long from now; one whose life is 0
	// or less has expired. A hash that is there already is an error.
	PutCode(ctx context.Context, code Code, life time.Duration) error

	// Code returns the code with that hash and leaves it, or returns
	// [ErrNotFound]. One that has expired by the store's clock is not found,
	// swept or not.
	Code(ctx context.Context, hash Hash) (Code, error)

	// TakeCode removes the code with that hash and returns it, in one
	// statement, or returns [ErrNotFound] as Code does. Of any number of
	// concurrent calls, by any processes, one gets it.
	TakeCode(ctx context.Context, hash Hash) (Code, error)

	// DropCodes removes all codes for that user. A [Codes.TakeCode] of one of
	// them either had returned it before DropCodes returns, or finds nothing.
	DropCodes(ctx context.Context, userID string) error

	// SweepCodes removes codes that have expired, at most limit, and returns
	// how many.
	SweepCodes(ctx context.Context, limit int) (int, error)
}

// A Hash is a SHA-256 of 32 random bytes, or of their text: it tells nothing
// about them.
type Hash [32]byte

// A Service is a program that may call Pawl.
type Service struct {
	Name      string    // as [CheckName] wants it
	Scopes    []Scope   // what it may do: at least one, each once, in order
	CreatedAt time.Time // by the store's clock
}

// A Record is a service as it is stored.
type Record struct {
	Service
	Secret Hash // of the secret's text
}

// A Code is what a browser redeems for a session, as it is stored.
type Code struct {
	Hash    Hash // of the code
	Binding Hash // see [BindingOf]
	Login
	CreatedAt time.Time // by the store's clock
}

// A Login is what the session of a code is made from.
type Login struct {
	UserID     string
	ClientID   string
	Audience   string
	Scope      string
	Methods    []string // what the user did to log in (RFC 8176)
	Remembered bool     // cookies outlive the browser
	Service    string   // the name of the one that authenticated the user
	// PasswordChangedAt is that of the user when the code was made: another
	// password since then means another login. Zero: the user is none of Pawl's.
	PasswordChangedAt time.Time
}
