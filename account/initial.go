package account

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"time"
)

// InitialLife is how long an initial password is good: one that is made for a user, who replaces it (OWASP ASVS 5.0 §6.4.1).
const InitialLife = 7 * 24 * time.Hour

var (
	// ErrInitialPassword means that the password is right and is an initial one: no session begins with it, but
	// [Accounts.ReplaceInitial] takes it.
	ErrInitialPassword = errors.New("password is an initial one; choose another")
	// ErrNotInitial means that the password is right and is the user's own: there is nothing to replace.
	ErrNotInitial = errors.New("password is no initial one; sign in with it")
)

// initial reports whether the user has not chosen the password.
func (u User) initial() bool { return !u.InitialUntil.IsZero() }

// expired reports whether the password is an initial one that is good for nothing any more, at the store's time now. An end farther
// ahead than any was stamped by a clock that has been put back since, and would be one in years.
func (u User) expired(now time.Time) bool {
	return u.initial() && (!u.InitialUntil.After(now) || u.InitialUntil.After(now.Add(InitialLife+clockStep)))
}

// newInitial returns an initial password and its hash. No rule for passwords needs to be asked about 130 random bits.
func (a *Accounts) newInitial(ctx context.Context) (string, Hash, error) {
	text := rand.Text()
	hash, err := a.hasher.Hash(ctx, NewPassword(text))
	return text, hash, err
}

// AddInitial is [Accounts.Add] with a password that nobody chose and nobody else knows, which it returns to be told to the user
// and kept nowhere. Until [InitialLife] has passed it is good for [Accounts.ReplaceInitial], and for nothing else.
func (a *Accounts) AddInitial(ctx context.Context, name string) (User, string, error) {
	normal, err := newName(name)
	if err != nil {
		return User{}, "", err
	}
	text, hash, err := a.newInitial(ctx)
	if err != nil {
		return User{}, "", err
	}
	user, err := a.create(ctx, normal, name, hash, InitialLife)
	if err != nil {
		return User{}, "", err
	}
	return user, text, nil
}

// SetInitial is [Accounts.SetPassword] with a password as [Accounts.AddInitial] makes it. The caller ends the user's sessions. Errors
// match [ErrNotFound], [ErrBusy] or [ErrUnavailable]; after the last, the old password may be gone.
func (a *Accounts) SetInitial(ctx context.Context, id string) (string, error) {
	text, hash, err := a.newInitial(ctx)
	if err != nil {
		return "", err
	}
	if err := a.store.SetPassword(ctx, id, hash, InitialLife); err != nil {
		return "", storeError(err)
	}
	return text, nil
}

// ReplaceInitial gives the user of that name the password next if initial is right and is an initial one, stamps the login, and returns the
// user as it is then: what [Accounts.Authenticate] is for other passwords. It is counted and held up as that. The caller ends
// the user's sessions. Errors match those of Authenticate, or [ErrPassword] for next, or [ErrNotInitial] if initial is right and the
// user's own; after [ErrUnavailable] the password may have changed. What is wrong with next by itself is told whoever asks.
func (a *Accounts) ReplaceInitial(ctx context.Context, name string, initial, next Password, from netip.Addr) (User, error) {
	if initial.checkSize() != nil {
		return User{}, refuse(ReasonPasswordSize)
	}
	normal, err := NormalizeName(name)
	if err != nil {
		normal = name // of nobody, who is answered as anybody
	}
	if err := a.rules.judge(normal, next); err != nil {
		return User{}, err
	}
	if next.equal(initial) {
		return User{}, &PasswordError{Rule: PasswordInitial}
	}
	var user User
	err = a.try(ctx, a.attempt(name, from), func(taken Outcome) error {
		candidate, reason, err := a.candidate(ctx, name, taken.now)
		if err != nil {
			return err
		}
		user, err = a.prove(ctx, taken, candidate, reason, initial, func(ctx context.Context, user User, _ Password) (User, error) {
			if !user.initial() {
				return User{}, ErrNotInitial
			}
			user, err := a.change(ctx, user, next)
			if err != nil {
				return User{}, err
			}
			if err := a.unchanged(ctx, user, a.store.SignedIn(ctx, user, "")); err != nil {
				return User{}, err
			}
			return user, nil
		})
		return err
	})
	if user.ID == "" {
		return User{}, err
	}
	return user, nil // even if it was one login too many: the password has changed
}
