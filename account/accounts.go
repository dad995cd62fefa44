package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
)

// ErrUnavailable means that the store could not answer. It wraps the store's error, which is for the log.
var ErrUnavailable = errors.New("user store is unavailable; try again later")

// Accounts answers who somebody is. It is safe for concurrent use; its parts are fixed when it is made.
type Accounts struct {
	store  Store
	hasher *Hasher
	// decoy is the hash of a password that nobody knows. It is verified where there is no hash of a user's.
	decoy Hash
}

// New returns Accounts over store. It makes one hash.
func New(store Store, hasher *Hasher) (*Accounts, error) {
	if store == nil || hasher == nil {
		return nil, errors.New("accounts need a store and a hasher; give both")
	}
	decoy, err := hasher.Hash(context.Background(), NewPassword(rand.Text()))
	if err != nil {
		return nil, fmt.Errorf("hash for unknown users: %w", err)
	}
	return &Accounts{store: store, hasher: hasher, decoy: decoy}, nil
}

// Add makes an enabled user and returns it as stored. Errors match [ErrName], [ErrPassword], [ErrNameTaken], [ErrBusy] or
// [ErrUnavailable]; after the last, the user may exist.
func (a *Accounts) Add(ctx context.Context, name string, password Password) (User, error) {
	normal, err := NormalizeName(name)
	if err != nil {
		return User{}, err
	}
	hash, err := a.newHash(ctx, password)
	if err != nil {
		return User{}, err
	}
	id := newUserID()
	if err := a.store.CreateUser(ctx, User{ID: id, Name: normal, Display: name, Hash: hash}); err != nil {
		return User{}, storeError(err)
	}
	return a.ByID(ctx, id) // the store stamped the times
}

// Authenticate returns the enabled user with that name and password. Everything that is not so is [ErrCredentials], after
// the same work; see [Reason]. Other errors match [ErrBusy] or [ErrUnavailable] and say nothing about the user. A password
// that is empty or longer than [MaxPasswordBytes] is nobody's and is refused without hashing.
//
// The caller that starts a session calls [Accounts.Recheck] with the user afterwards.
func (a *Accounts) Authenticate(ctx context.Context, name string, password Password) (User, error) {
	// Before the store is asked: without a hash, the time would be that of the look-up alone.
	if password.checkSize() != nil {
		return User{}, refuse(ReasonPasswordSize)
	}
	user, reason, err := a.candidate(ctx, name)
	if err != nil {
		return User{}, err
	}
	matches, err := a.hasher.Verify(ctx, user.Hash, password)
	switch {
	case err != nil:
		return User{}, err
	case reason != "":
		return User{}, refuse(reason)
	case !matches:
		return User{}, refuse(ReasonWrongPassword)
	}
	// Hashing and waiting for it took time in which the user may have been disabled.
	if err := a.Recheck(ctx, user); err != nil {
		return User{}, err
	}
	return user, nil
}

// candidate returns the user whose password is to be verified, with the decoy for a hash and the reason for the refusal
// where it is decided already.
func (a *Accounts) candidate(ctx context.Context, name string) (User, string, error) {
	normal, err := NormalizeName(name)
	if err != nil {
		return User{Hash: a.decoy}, ReasonMalformedName, nil
	}
	user, err := a.store.UserByName(ctx, normal)
	if errors.Is(err, ErrNotFound) {
		return User{Hash: a.decoy}, ReasonUnknownUser, nil
	}
	if err != nil {
		return User{}, "", storeError(err)
	}
	if _, err := user.Hash.Params(); err != nil {
		return User{Hash: a.decoy}, ReasonUnusableHash, nil
	}
	if user.Disabled {
		return user, ReasonDisabled, nil
	}
	return user, "", nil
}

// Recheck returns nil if user, as Authenticate returned it, is still enabled and still has the same password. Otherwise
// the error matches [ErrCredentials], or [ErrUnavailable] if that cannot be told.
func (a *Accounts) Recheck(ctx context.Context, user User) error {
	now, err := a.store.UserByID(ctx, user.ID)
	switch {
	case errors.Is(err, ErrNotFound):
		return refuse(ReasonUnknownUser)
	case err != nil:
		return storeError(err)
	case now.Disabled:
		return refuse(ReasonDisabled)
	case !now.Hash.equal(user.Hash):
		return refuse(ReasonPasswordChanged)
	}
	return nil
}

// SetPassword gives the user a new password. The caller ends the user's sessions. Errors match [ErrPassword],
// [ErrNotFound], [ErrBusy] or [ErrUnavailable]; after the last, the password may have changed.
func (a *Accounts) SetPassword(ctx context.Context, id string, password Password) error {
	hash, err := a.newHash(ctx, password)
	if err != nil {
		return err
	}
	return storeError(a.store.SetPassword(ctx, id, hash))
}

// Disable keeps the user from logging in. It only sets the flag: the caller ends the user's sessions afterwards. Errors match
// [ErrNotFound] or [ErrUnavailable].
func (a *Accounts) Disable(ctx context.Context, id string) error {
	return storeError(a.store.SetDisabled(ctx, id, true))
}

// Enable lets the user log in again. Errors match [ErrNotFound] or [ErrUnavailable].
func (a *Accounts) Enable(ctx context.Context, id string) error {
	return storeError(a.store.SetDisabled(ctx, id, false))
}

// ByID returns the user with that id. Errors match [ErrNotFound] or [ErrUnavailable].
func (a *Accounts) ByID(ctx context.Context, id string) (User, error) {
	user, err := a.store.UserByID(ctx, id)
	return user, storeError(err)
}

// ByName returns the user of that name, in any spelling that normalises to it. Errors match [ErrName], [ErrNotFound] or
// [ErrUnavailable]. It is for operators: its answer tells whether a user exists.
func (a *Accounts) ByName(ctx context.Context, name string) (User, error) {
	normal, err := NormalizeName(name)
	if err != nil {
		return User{}, err
	}
	user, err := a.store.UserByName(ctx, normal)
	return user, storeError(err)
}

// List returns all users in ascending order of their names. An error matches [ErrUnavailable].
func (a *Accounts) List(ctx context.Context) ([]User, error) {
	users, err := a.store.Users(ctx)
	return users, storeError(err)
}

// newHash is the one way to a hash of a password that is being set.
func (a *Accounts) newHash(ctx context.Context, password Password) (Hash, error) {
	if err := password.checkNew(); err != nil {
		return "", err
	}
	return a.hasher.Hash(ctx, password)
}

// storeError lets the store's answers pass and makes everything else ErrUnavailable.
func storeError(err error) error {
	if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrNameTaken) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
