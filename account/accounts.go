package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// ErrUnavailable means that the store could not answer. It wraps the store's error, which is for the log.
var ErrUnavailable = errors.New("user store is unavailable; try again later")

// Options are what [Accounts] are made of. Store, Hasher and Key are required.
type Options struct {
	_ struct{} // only fields by name

	Store  Store
	Hasher *Hasher
	// Key is secret, and the same in all processes on the same data. Names and networks are stored only as hashes under
	// it, where attempts are counted; under another key they all start anew.
	Key   [32]byte
	Rules Rules
}

// Accounts answers who somebody is. It is safe for concurrent use; its parts are fixed when it is made.
type Accounts struct {
	store  Store
	hasher *Hasher
	rules  Rules
	key    func() []byte // fmt prints what a field holds, but nothing of a function
	// decoy is the hash of a password that nobody knows. It is verified where there is no hash of a user's.
	decoy Hash
	aside chan struct{} // held by the attempt that is judged aside
}

// New returns Accounts, or every fault of the options at once. It makes one hash.
func New(o Options) (*Accounts, error) {
	faults := []error{o.Rules.Validate()}
	if o.Store == nil || o.Hasher == nil || o.Key == [32]byte{} {
		faults = append(faults, errors.New("accounts need a store, a hasher and a key; give all three"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	decoy, err := o.Hasher.Hash(context.Background(), NewPassword(rand.Text()))
	if err != nil {
		return nil, fmt.Errorf("hash for unknown users: %w", err)
	}
	return &Accounts{store: o.Store, hasher: o.Hasher, rules: o.Rules, key: func() []byte { return o.Key[:] }, decoy: decoy,
		aside: make(chan struct{}, 1)}, nil
}

// Rules returns the rules for passwords, so that a page can tell them before one is typed.
func (a *Accounts) Rules() Rules { return a.rules }

// Add makes an enabled user and returns it as stored. A name whose letters are of several scripts, of which some look alike, is
// refused. Errors match [ErrName], [ErrPassword], [ErrNameTaken], [ErrBusy] or [ErrUnavailable]; after the last, the user
// may exist.
func (a *Accounts) Add(ctx context.Context, name string, password Password) (User, error) {
	normal, err := a.checkNew(name, password)
	if err != nil {
		return User{}, err
	}
	return a.add(ctx, normal, name, password)
}

// SignUp is [Accounts.Add] for whoever asks, from the address it came from, which is known to the account then: an error may match
// [ErrThrottled] too. What breaks a rule is not counted. Its answer tells whether a name is taken, which is why it is counted.
func (a *Accounts) SignUp(ctx context.Context, name string, password Password, from netip.Addr) (User, error) {
	normal, err := a.checkNew(name, password)
	if err != nil {
		return User{}, err
	}
	at := a.places(tagSignUp, from)
	taken, err := a.begin(ctx, at.Take())
	if err != nil {
		return User{}, err
	}
	user, err := a.add(ctx, normal, name, password)
	switch {
	case errors.Is(err, ErrBusy):
		_ = a.finish(ctx, at, taken, err) // nothing was looked up
	case err == nil:
		_ = a.introduce(ctx, a.attempt(normal, from)) // the account is made all the same
	}
	return user, err
}

// checkNew returns the normalised name of a user who may be added.
func (a *Accounts) checkNew(name string, password Password) (string, error) {
	normal, err := newName(name)
	if err != nil {
		return "", err
	}
	return normal, a.rules.judge(normal, password)
}

func (a *Accounts) add(ctx context.Context, name, display string, password Password) (User, error) {
	hash, err := a.newHash(ctx, password)
	if err != nil {
		return User{}, err
	}
	return a.create(ctx, name, display, hash, 0)
}

// create adds a user whose password is an initial one for so long; 0: it is none.
func (a *Accounts) create(ctx context.Context, name, display string, hash Hash, initial time.Duration) (User, error) {
	id := newUserID()
	if err := a.store.CreateUser(ctx, User{ID: id, Name: name, Display: display, Hash: hash}, initial); err != nil {
		return User{}, storeError(err)
	}
	return a.ByID(ctx, id) // the store stamped the times
}

// SetPassword gives the user a new password, without asking for the current one: it is for programs to whom the user has told it;
// an operator who does not know the user's choice uses [Accounts.SetInitial]. The caller ends the user's
// sessions. Errors match [ErrPassword], [ErrNotFound], [ErrBusy] or [ErrUnavailable]; after the last, the password may
// have changed.
func (a *Accounts) SetPassword(ctx context.Context, id string, password Password) error {
	user, err := a.ByID(ctx, id)
	if err != nil {
		return err
	}
	if err := a.rules.judge(user.Name, password); err != nil {
		return err
	}
	hash, err := a.newHash(ctx, password)
	if err != nil {
		return err
	}
	return storeError(a.store.SetPassword(ctx, id, hash, 0))
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

// Delete removes the user and what is counted under the user's name; its name is free then, its id is never given again. The caller
// disables the user and ends the user's sessions before. Errors match [ErrNotFound] or [ErrUnavailable]; after the last, the user may
// be gone.
func (a *Accounts) Delete(ctx context.Context, id string) error {
	user, err := a.ByID(ctx, id)
	if err != nil {
		return err
	}
	return storeError(a.store.DeleteUser(ctx, id, a.tag(tagAccount, user.Name)))
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

// newHash is the one way to a hash of a password that is being set. The caller has judged it by the other rules.
func (a *Accounts) newHash(ctx context.Context, password Password) (Hash, error) {
	if err := a.rules.stolen(ctx, password); err != nil {
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
