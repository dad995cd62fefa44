package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pawlauth/pawl/service"
)

var _ service.Store = (*Store)(nil)

const serviceColumns = `name, secret, scopes, created_at`

func scanService(rows interface{ Scan(...any) error }) (r service.Record, err error) {
	var scopes string
	err = rows.Scan(&r.Name, fixed{r.Secret[:]}, &scopes, stamp{&r.CreatedAt})
	for scope := range strings.Lines(scopes) {
		r.Scopes = append(r.Scopes, service.Scope(strings.TrimSuffix(scope, "\n")))
	}
	return r, err
}

// linesOf writes texts one a line, if they can be read back.
func linesOf(texts []string, otherwise error) (string, error) {
	for _, text := range texts {
		if text == "" || strings.Contains(text, "\n") {
			return "", otherwise
		}
	}
	return strings.Join(texts, "\n"), nil
}

// AddService implements [service.Store].
func (s *Store) AddService(ctx context.Context, r service.Record) (service.Service, error) {
	list := make([]string, len(r.Scopes))
	for i, scope := range r.Scopes {
		list[i] = string(scope)
	}
	scopes, err := linesOf(list, service.ErrScope)
	if err != nil {
		return service.Service{}, fmt.Errorf("sqlite: add service: %w", err)
	}
	stored := r.Service
	err = s.write(ctx, "add service", func(tx *tx) error {
		stored.CreatedAt = tx.now
		return tx.one(service.ErrNameTaken, `INSERT INTO services (`+serviceColumns+`) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO NOTHING`,
			r.Name, r.Secret[:], scopes, tx.now.UnixMicro())
	})
	if err != nil {
		return service.Service{}, err
	}
	return stored, nil
}

// Service implements [service.Store].
func (s *Store) Service(ctx context.Context, name string) (service.Record, error) {
	r, err := scanService(s.reads.QueryRowContext(ctx, `SELECT `+serviceColumns+` FROM services WHERE name = ?`, name))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return service.Record{}, service.ErrNotFound
	case err != nil:
		return service.Record{}, fmt.Errorf("sqlite: load service: %w", err)
	}
	return r, nil
}

// Services implements [service.Store].
func (s *Store) Services(ctx context.Context) ([]service.Service, error) {
	rows, err := s.reads.QueryContext(ctx, `SELECT `+serviceColumns+` FROM services ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("sqlite: list services: %w", err)
	}
	var all []service.Service
	err = each(rows, func(rows *sql.Rows) error {
		r, err := scanService(rows)
		all = append(all, r.Service)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: list services: %w", err)
	}
	return all, nil
}

// RemoveService implements [service.Store].
func (s *Store) RemoveService(ctx context.Context, name string) error {
	return s.write(ctx, "remove service", func(tx *tx) error {
		return tx.one(service.ErrNotFound, `DELETE FROM services WHERE name = ?`, name)
	})
}

const codeColumns = `hash, binding, user_id, client_id, audience, scope, methods, remembered, service, password_changed_at, created_at`

func scanCode(rows interface{ Scan(...any) error }) (c service.Code, err error) {
	var methods string
	err = rows.Scan(fixed{c.Hash[:]}, fixed{c.Binding[:]}, &c.UserID, &c.ClientID, &c.Audience, &c.Scope, &methods, flag{&c.Remembered},
		&c.Service, stamp{&c.PasswordChangedAt}, stamp{&c.CreatedAt})
	if methods != "" {
		c.Methods = strings.Split(methods, "\n")
	}
	return c, err
}

// PutCode implements [service.Store].
func (s *Store) PutCode(ctx context.Context, c service.Code, life time.Duration) error {
	methods, err := linesOf(c.Methods, errMethod)
	if err != nil {
		return fmt.Errorf("sqlite: put code: %w", err)
	}
	return s.write(ctx, "put code", func(tx *tx) error {
		_, err := tx.exec(`INSERT INTO codes (`+codeColumns+`, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			c.Hash[:], c.Binding[:], c.UserID, c.ClientID, c.Audience, c.Scope, methods, c.Remembered, c.Service,
			micros(c.PasswordChangedAt), tx.now.UnixMicro(), tx.now.Add(life).UnixMicro())
		return err
	})
}

// Code implements [service.Store].
func (s *Store) Code(ctx context.Context, hash service.Hash) (service.Code, error) {
	c, err := scanCode(s.reads.QueryRowContext(ctx, `SELECT `+codeColumns+` FROM codes WHERE hash = ? AND expires_at > ?`, hash[:], s.now().UnixMicro()))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return service.Code{}, service.ErrNotFound
	case err != nil:
		return service.Code{}, fmt.Errorf("sqlite: load code: %w", err)
	}
	return c, nil
}

// TakeCode implements [service.Store].
func (s *Store) TakeCode(ctx context.Context, hash service.Hash) (service.Code, error) {
	var taken service.Code
	err := s.write(ctx, "take code", func(tx *tx) error {
		found := false
		err := tx.query(func(rows *sql.Rows) (err error) {
			found = true
			taken, err = scanCode(rows)
			return err
		}, `DELETE FROM codes WHERE hash = ? AND expires_at > ? RETURNING `+codeColumns, hash[:], tx.now.UnixMicro())
		if err == nil && !found {
			return service.ErrNotFound
		}
		return err
	})
	if err != nil {
		return service.Code{}, err
	}
	return taken, nil
}

// DropCodes implements [service.Store].
func (s *Store) DropCodes(ctx context.Context, userID string) error {
	return s.write(ctx, "drop codes", func(tx *tx) error {
		_, err := tx.exec(`DELETE FROM codes WHERE user_id = ?`, userID)
		return err
	})
}

// SweepCodes implements [service.Store].
func (s *Store) SweepCodes(ctx context.Context, limit int) (int, error) {
	var swept int64
	err := s.write(ctx, "sweep codes", func(tx *tx) (err error) {
		swept, err = tx.exec(`DELETE FROM codes WHERE hash IN (SELECT hash FROM codes WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,
			tx.now.UnixMicro(), max(0, limit))
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(swept), nil
}
