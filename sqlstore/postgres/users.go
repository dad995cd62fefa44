package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl/account"
)

const userColumns = `id, name, display, hash, disabled, created_at, password_changed_at, initial_until, last_sign_in_at`

// user reads the columns of a user.
func (r *record) user() (u account.User) {
	u.ID, u.Name, u.Display, u.Hash, u.Disabled = r.text(), r.text(), r.text(), account.Hash(r.text()), r.truth()
	u.CreatedAt, u.PasswordChangedAt, u.InitialUntil, u.LastSignIn = r.time(), r.time(), r.time(), r.time()
	return u
}

func scanUser(rows pgx.Rows) (account.User, error) {
	r := record{columns: rows.RawValues()}
	u := r.user()
	return u, r.err
}

var errUserID = errors.New("postgres: create user: a user with that id exists already")

const sqlNewUser = `INSERT INTO pawl.users (` + userColumns + `)
	VALUES ($2, $3, $4, $5, $6, ` + sqlNow + `, ` + sqlNow + `, ` + sqlNow + ` + $7::interval, NULL) ON CONFLICT (name) DO NOTHING`

// CreateUser implements [account.Store].
func (s *Store) CreateUser(ctx context.Context, u account.User, initial time.Duration) error {
	err := s.one(ctx, account.ErrNameTaken, "create user", sqlNewUser,
		s.clock(), u.ID, u.Name, u.Display, string(u.Hash), u.Disabled, orNone(initial))
	if isTaken(err) {
		return errUserID
	}
	return err
}

// orNone is for how long a password is an initial one; NULL if it is none, and
// so is the sum of a time and NULL.
func orNone(d time.Duration) *time.Duration {
	if d == 0 {
		return nil
	}
	return &d
}

// UserByName implements [account.Store].
func (s *Store) UserByName(ctx context.Context, name string) (account.User, error) {
	return s.user(ctx, `SELECT `+userColumns+` FROM pawl.users WHERE name = $1`, name)
}

// UserByID implements [account.Store].
func (s *Store) UserByID(ctx context.Context, id string) (account.User, error) {
	return s.user(ctx, `SELECT `+userColumns+` FROM pawl.users WHERE id = $1`, id)
}

func (s *Store) user(ctx context.Context, query, key string) (account.User, error) {
	if !storable(key) {
		return account.User{}, account.ErrNotFound
	}
	users, err := collect(ctx, s, "load user", reads, scanUser, query, binaryResults, key)
	switch {
	case err != nil:
		return account.User{}, err
	case len(users) == 0:
		return account.User{}, account.ErrNotFound
	}
	return users[0], nil
}

const (
	sqlNewPassword = `UPDATE pawl.users SET hash = $3, initial_until = ` + sqlNow + ` + $4::interval,
		password_changed_at = greatest(` + sqlNow + `, password_changed_at + interval '1 microsecond') WHERE id = $2`
	sqlSignedIn = `UPDATE pawl.users SET last_sign_in_at = ` + sqlNow + `, hash = coalesce($3, hash)
		WHERE id = $2 AND NOT disabled AND password_changed_at = $4`
)

// SetPassword implements [account.Store].
func (s *Store) SetPassword(ctx context.Context, id string, hash account.Hash, initial time.Duration) error {
	return s.one(ctx, account.ErrNotFound, "set password", sqlNewPassword, s.clock(), id, string(hash), orNone(initial))
}

// ChangePassword implements [account.Store].
func (s *Store) ChangePassword(ctx context.Context, u account.User, hash account.Hash) error {
	return s.one(ctx, account.ErrNotFound, "change password", sqlNewPassword+` AND NOT disabled AND password_changed_at = $5`,
		s.clock(), u.ID, string(hash), nil, u.PasswordChangedAt)
}

// SignedIn implements [account.Store].
func (s *Store) SignedIn(ctx context.Context, u account.User, hash account.Hash) error {
	return s.one(ctx, account.ErrNotFound, "stamp sign-in", sqlSignedIn, s.clock(), u.ID, orNull(string(hash)), u.PasswordChangedAt)
}

// SetDisabled implements [account.Store].
func (s *Store) SetDisabled(ctx context.Context, id string, disabled bool) error {
	return s.one(ctx, account.ErrNotFound, "set disabled", `UPDATE pawl.users SET disabled = $2 WHERE id = $1`, id, disabled)
}

const sqlDeleteUser = `WITH gone AS (DELETE FROM pawl.users WHERE id = $1 RETURNING id),
	forgotten AS (DELETE FROM pawl.attempts WHERE account = $2 AND EXISTS (SELECT 1 FROM gone)) SELECT id FROM gone`

// DeleteUser implements [account.Store].
func (s *Store) DeleteUser(ctx context.Context, id string, of account.Tag) error {
	return s.one(ctx, account.ErrNotFound, "delete user", sqlDeleteUser, id, of[:])
}

// Users implements [account.Store].
func (s *Store) Users(ctx context.Context) ([]account.User, error) {
	return collect(ctx, s, "list users", reads, scanUser, `SELECT `+userColumns+` FROM pawl.users ORDER BY name`, binaryResults)
}
