// Package account owns the users: their names, whether they are disabled, and the hashes of their passwords. It decides
// whether a name and a password belong to an enabled user.
//
// # What it refuses
//
// An unknown name, a malformed name, a wrong password, a disabled user and a stored hash that cannot be read all get
// the same error, [ErrCredentials], after the same work: one Argon2id with the current parameters, against a hash of
// nobody's password where there is none of the user's (OWASP ASVS 5.0 §6.3.8). [Reason] tells them apart for the log.
// A store that cannot answer is [ErrUnavailable], never a wrong password; a full machine is [ErrBusy].
//
// Parameters below OWASP's floor are refused when a [Hasher] is made, and stored hashes whose parameters could exhaust
// the machine when they are read. How many passwords are hashed at once, and how many callers wait for their turn, is
// bounded: hashing costs memory on purpose, and a stranger may ask for it.
//
// # Disabling, and logins under way
//
// [Accounts.Disable] and [Accounts.SetPassword] change the user only; their caller then ends the user's sessions. A login
// that passed before the change may store its session after that. So a caller that starts a session for an
// authenticated user calls [Accounts.Recheck] once the session is stored, and ends the session unless it returns nil: either
// the sweep sees the session, or the recheck sees the change.
//
// # Who calls it
//
// The sign-in and account routes, the server that wires them, and the command line. Stores implement [Store] and prove it with
// the suite in package accounttest. This package knows neither HTTP nor SQL, and reads no clock: times are the store's.
package account
