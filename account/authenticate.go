package account

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// Authenticate returns the enabled user with that name and password, and stamps the login. Everything that is not so is
// [ErrCredentials], after the same work; see [Reason]. [ErrInitialPassword] means that the password is right and good only for
// [Accounts.ReplaceInitial]. Other errors match [ErrThrottled], [ErrBusy] or [ErrUnavailable] and say nothing about the user. A
// password that is empty or longer than [MaxPasswordBytes] is nobody's and is refused without hashing.
//
// from is the address of the client itself, not of a proxy. Attempts are counted in the store before anything is hashed, for names
// that do not exist as for those that do, and soon held up: on one account from one network, on one account from all networks that
// are strange to it, and from one network on all accounts. A network is known to an account once a login from there succeeded, and a
// while after; what others do to the account elsewhere does not hold it up. Logins that succeed are held up where they are too many.
//
// The caller that starts a session calls [Accounts.Recheck] with the user afterwards.
func (a *Accounts) Authenticate(ctx context.Context, name string, password Password, from netip.Addr) (User, error) {
	// Before the store is asked: without a hash, the time would be that of the look-up alone.
	if password.checkSize() != nil {
		return User{}, refuse(ReasonPasswordSize)
	}
	var user User
	err := a.try(ctx, a.attempt(name, from), func(taken Outcome) error {
		candidate, reason, err := a.candidate(ctx, name, taken.now)
		if err == nil {
			user, err = a.prove(ctx, taken, candidate, reason, password, a.signedIn)
		}
		return err
	})
	if err != nil {
		return User{}, err
	}
	return user, nil
}

// ChangePassword gives the user another password if current is the present one, and returns the user as it is then. The caller ends
// the user's other sessions. It is counted and held up as a login from that address. Errors match those of
// [Accounts.Authenticate], with [ErrCredentials] if current is wrong, or [ErrPassword] or [ErrNotFound]; after [ErrUnavailable]
// the password may have changed.
func (a *Accounts) ChangePassword(ctx context.Context, id string, current, next Password, from netip.Addr) (User, error) {
	user, err := a.ByID(ctx, id)
	if err != nil {
		return User{}, err
	}
	if err := a.rules.judge(user.Name, next); err != nil {
		return User{}, err
	}
	if user.initial() && next.equal(current) {
		return User{}, &PasswordError{Rule: PasswordInitial}
	}
	if current.checkSize() != nil {
		return User{}, refuse(ReasonPasswordSize)
	}
	proved := false
	changed, failure := User{}, error(nil)
	err = a.try(ctx, a.attempt(user.Name, from), func(taken Outcome) error {
		user, reason := a.usable(user, taken.now)
		_, err := a.prove(ctx, taken, user, reason, current, func(ctx context.Context, user User, _ Password) (User, error) {
			proved = true
			changed, failure = a.change(ctx, user, next)
			return changed, nil // the current one is right, whatever is wrong with the next one
		})
		return err
	})
	if !proved {
		return User{}, err
	}
	return changed, failure
}

// prove verifies the password of a candidate and, if it is right, has then do what was asked for. All that fails is a refusal or
// says nothing about the user.
func (a *Accounts) prove(ctx context.Context, taken Outcome, user User, reason string, password Password,
	then func(context.Context, User, Password) (User, error)) (User, error) {
	matches, err := a.hasher.Verify(ctx, user.Hash, password)
	switch {
	case err != nil:
		return User{}, err
	case reason != "":
		return User{}, refuse(reason)
	case !matches:
		return User{}, refuse(ReasonWrongPassword)
	case taken.crowded && !taken.hopeful:
		return User{}, refuse(ReasonThrottledNetwork)
	}
	return then(ctx, user, password)
}

// signedIn stamps the login of a user whose password was right, and replaces a hash that is cheaper to guess than new ones are.
func (a *Accounts) signedIn(ctx context.Context, user User, password Password) (User, error) {
	if user.initial() {
		return User{}, ErrInitialPassword
	}
	var better Hash
	if params, err := user.Hash.Params(); err == nil && !params.atLeast(a.hasher.params) {
		better, _ = a.hasher.Hash(ctx, password) // if there is no time for that now, then at the next login
	}
	// Hashing and waiting for it took time in which the user may have been disabled.
	if err := a.unchanged(ctx, user, a.store.SignedIn(ctx, user, better)); err != nil {
		return User{}, err
	}
	if better != "" {
		user.Hash = better
	}
	return user, nil
}

// change replaces a password that was right by the next one.
func (a *Accounts) change(ctx context.Context, user User, next Password) (User, error) {
	hash, err := a.newHash(ctx, next)
	if err != nil {
		return User{}, err
	}
	if err := a.unchanged(ctx, user, a.store.ChangePassword(ctx, user, hash)); err != nil {
		return User{}, err
	}
	changed, err := a.ByID(ctx, user.ID)
	if err == nil && changed.Hash != hash {
		return User{}, refuse(ReasonPasswordChanged) // once more: who was proved here is not who has that one
	}
	return changed, err
}

// unchanged makes the store's refusal to act for a user who is not as verified into the reason for that.
func (a *Accounts) unchanged(ctx context.Context, user User, err error) error {
	if !errors.Is(err, ErrNotFound) {
		return storeError(err)
	}
	if err := a.Recheck(ctx, user); err != nil {
		return err
	}
	return refuse(ReasonDisabled) // and enabled again since
}

// candidate returns the user whose password is to be verified, with the decoy for a hash and the reason for the refusal
// where it is decided already. now is the store's.
func (a *Accounts) candidate(ctx context.Context, name string, now time.Time) (User, string, error) {
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
	user, reason := a.usable(user, now)
	return user, reason, nil
}

// usable returns the user with a hash that can be verified, and the reason for the refusal if it is decided already.
func (a *Accounts) usable(user User, now time.Time) (User, string) {
	if _, err := user.Hash.Params(); err != nil {
		return User{Hash: a.decoy}, ReasonUnusableHash
	}
	if user.Disabled {
		return user, ReasonDisabled
	}
	if user.expired(now) {
		return user, ReasonInitialExpired
	}
	return user, ""
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
	case !now.PasswordChangedAt.Equal(user.PasswordChangedAt): // the hash alone changes when it is made anew
		return refuse(ReasonPasswordChanged)
	}
	return nil
}
