package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/pawlauth/pawl/account"
)

const userColumns = `id, name, display, hash, disabled, created_at, password_changed_at, initial_until, last_sign_in_at`

func scanUser(rows interface{ Scan(...any) error }) (u account.User, err error) {
	return u, rows.Scan(&u.ID, &u.Name, &u.Display, (*string)(&u.Hash), flag{&u.Disabled},
		stamp{&u.CreatedAt}, stamp{&u.PasswordChangedAt}, stamp{&u.InitialUntil}, stamp{&u.LastSignIn})
}

var errUserID = errors.New("a user with that id exists already")

// CreateUser implements [account.Store].
func (s *Store) CreateUser(ctx context.Context, u account.User, initial time.Duration) error {
	return s.write(ctx, "create user", func(tx *tx) error {
		now := tx.now.UnixMicro()
		err := tx.one(account.ErrNameTaken, `INSERT INTO users (`+userColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)
			ON CONFLICT (name) DO NOTHING`, u.ID, u.Name, u.Display, string(u.Hash), u.Disabled, now, now, tx.until(initial))
		if isTaken(err) {
			return errUserID
		}
		return err
	})
}

// UserByName implements [account.Store].
func (s *Store) UserByName(ctx context.Context, name string) (account.User, error) {
	return s.user(ctx, `SELECT `+userColumns+` FROM users WHERE name = ?`, name)
}

// UserByID implements [account.Store].
func (s *Store) UserByID(ctx context.Context, id string) (account.User, error) {
	return s.user(ctx, `SELECT `+userColumns+` FROM users WHERE id = ?`, id)
}

func (s *Store) user(ctx context.Context, query, key string) (account.User, error) {
	u, err := scanUser(s.reads.QueryRowContext(ctx, query, key))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return account.User{}, account.ErrNotFound
	case err != nil:
		return account.User{}, fmt.Errorf("sqlite: load user: %w", err)
	}
	return u, nil
}

const (
	sqlNewPassword = `UPDATE users SET hash = ?, initial_until = ?, password_changed_at = max(?, password_changed_at + 1) WHERE id = ?`
	sqlSignedIn    = `UPDATE users SET last_sign_in_at = ?, hash = coalesce(?, hash) WHERE id = ?`
	unchanged      = ` AND disabled = 0 AND password_changed_at = ?`
)

// until is when an initial password ends that is set now: NULL if it is none.
func (t *tx) until(initial time.Duration) any {
	if initial == 0 {
		return nil
	}
	return t.now.Add(initial).UnixMicro()
}

// SetPassword implements [account.Store].
func (s *Store) SetPassword(ctx context.Context, id string, hash account.Hash, initial time.Duration) error {
	return s.write(ctx, "set password", func(tx *tx) error {
		return tx.one(account.ErrNotFound, sqlNewPassword, string(hash), tx.until(initial), tx.now.UnixMicro(), id)
	})
}

// ChangePassword implements [account.Store].
func (s *Store) ChangePassword(ctx context.Context, u account.User, hash account.Hash) error {
	return s.write(ctx, "change password", func(tx *tx) error {
		return tx.one(account.ErrNotFound, sqlNewPassword+unchanged, string(hash), nil, tx.now.UnixMicro(), u.ID, u.PasswordChangedAt.UnixMicro())
	})
}

// SignedIn implements [account.Store].
func (s *Store) SignedIn(ctx context.Context, u account.User, hash account.Hash) error {
	return s.write(ctx, "stamp sign-in", func(tx *tx) error {
		return tx.one(account.ErrNotFound, sqlSignedIn+unchanged, tx.now.UnixMicro(), orNull(string(hash)), u.ID, u.PasswordChangedAt.UnixMicro())
	})
}

// SetDisabled implements [account.Store].
func (s *Store) SetDisabled(ctx context.Context, id string, disabled bool) error {
	return s.write(ctx, "set disabled", func(tx *tx) error {
		return tx.one(account.ErrNotFound, `UPDATE users SET disabled = ? WHERE id = ?`, disabled, id)
	})
}

// DeleteUser implements [account.Store].
func (s *Store) DeleteUser(ctx context.Context, id string, of account.Tag) error {
	return s.write(ctx, "delete user", func(tx *tx) error {
		if err := tx.one(account.ErrNotFound, `DELETE FROM users WHERE id = ?`, id); err != nil {
			return err
		}
		_, err := tx.exec(`DELETE FROM attempts WHERE account = ?`, of[:])
		return err
	})
}

// Users implements [account.Store].
func (s *Store) Users(ctx context.Context) ([]account.User, error) {
	rows, err := s.reads.QueryContext(ctx, `SELECT `+userColumns+` FROM users ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("sqlite: list users: %w", err)
	}
	var users []account.User
	err = each(rows, func(rows *sql.Rows) error {
		u, err := scanUser(rows)
		users = append(users, u)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: list users: %w", err)
	}
	return users, nil
}
