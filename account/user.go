package account

import (
	"crypto/rand"
	"time"
)

// User is one account as the store holds it.
type User struct {
	// ID is [IDPrefix] and at least 128 random bits in letters and digits; it never changes and is never given again.
	ID string
	// Name is unique and as [NormalizeName] returns it.
	Name string
	// Display is the name as it was typed when the account was made.
	Display string
	// Hash is that of the current password.
	Hash Hash
	// Disabled users cannot log in; their data stays.
	Disabled bool
	// CreatedAt and PasswordChangedAt are by the store's clock. Making an account sets both.
	CreatedAt, PasswordChangedAt time.Time
	// InitialUntil is by the store's clock: until then, the password is good for choosing another one, and afterwards for nothing.
	// Zero: the user has chosen it, and may sign in with it.
	InitialUntil time.Time
	// LastSignIn is by the store's clock; zero: never. What [Accounts.Authenticate] returns tells of the one before.
	LastSignIn time.Time
}

// IDPrefix is what the ids of users begin with: an id with it that is not found is that of no user, and never of one whom somebody
// else knows.
const IDPrefix = "u_"

// newUserID returns a random id, so that ids tell neither how many users there are nor who came before whom.
func newUserID() string { return IDPrefix + rand.Text() }
