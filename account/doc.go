// Package account owns the users: their names, whether they are disabled, the hashes of their passwords, and how often somebody
// may try. It decides whether a name and a password belong to an enabled user, and which passwords may be set.
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
// # What it holds up
//
// Every attempt is counted in the store before anything is hashed, and taken back if it was right or was not looked at: a
// restart forgets nothing, several servers count together, and attempts that come at once are counted one by one. There are
// four counts: of one account from one network, of one account from all networks that it does not know, of one network on all
// accounts, and of the /48 around an IPv6 network. Each lets pass some failures and then closes, for longer each time, and
// forgives one failure after the other: [ErrThrottled] with the time to wait, never a lock that stays. What one network or site adds
// to the failures on an account is bounded far below what closes it: that takes several attackers. Names that do not exist
// are counted as those that do.
//
// A login that succeeded, or the sign-up, makes its network known to the account for 100 days. From there, failures of strangers on
// the account count for nothing. Where a network has used up its limit, a few attempts at each account that knows it are judged
// all the same: the right password gets in, and every other answer is that of the limit, after the same work, so that it tells
// nothing. So an attacker cannot keep an owner out who comes from where he has been before; of the others, who wait among the
// strangers, an operator can let one in by [Accounts.Unlock]. What this costs: whoever shares an address with an owner can see,
// while several strangers attack the account, that it exists and that the owner has been there; and whoever comes first from a
// network that is held up waits, with the right password too.
//
// Logins that succeed are counted as well, by account: each leaves a session, and a network that is known. An account knows 32 of them.
//
// Without the address of the client there is one network only, and one attacker holds up everybody: a server behind a proxy
// must know the proxy.
//
// # What may be set
//
// [Rules] apply to every password that is set, and only then: length, a list of common ones, the names of user and site, and a
// set of stolen ones if there is one. [PasswordError] and [NameError] say which rule was broken.
//
// # Initial passwords
//
// A password that an operator hands out is made here, at random ([Accounts.AddInitial], [Accounts.SetInitial]), is good for
// [InitialLife], and then only for choosing another one ([Accounts.ReplaceInitial]): no session begins with it
// ([ErrInitialPassword]), and the operator does not know the one that counts (OWASP ASVS 5.0 §6.4.1, §6.4.6).
//
// # Disabling, and logins under way
//
// [Accounts.Disable] and what sets a password change the user only; their caller then ends the user's sessions. A login
// that passed before the change may store its session after that. So a caller that starts a session for an
// authenticated user calls [Accounts.Recheck] once the session is stored, and ends the session unless it returns nil: either
// the sweep sees the session, or the recheck sees the change.
//
// # Who calls it
//
// The sign-in and account routes, the server that wires them, and the command line. Stores implement [Store] and prove it with
// the suite in package accounttest. This package knows neither HTTP nor SQL, and reads no clock: times are the store's.
package account
