package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl/service"
)

var _ service.Store = (*Store)(nil)

const serviceColumns = `name, secret, scopes, created_at`

// service reads the columns of a service.
func (r *record) service() (s service.Record) {
	s.Name = r.text()
	r.bytes(s.Secret[:])
	for scope := range strings.Lines(r.text()) {
		s.Scopes = append(s.Scopes, service.Scope(strings.TrimSuffix(scope, "\n")))
	}
	s.CreatedAt = r.time()
	return s
}

func scanService(rows pgx.Rows) (service.Record, error) {
	r := record{columns: rows.RawValues()}
	s := r.service()
	return s, r.err
}

// scopesArg are scopes as the database keeps them, one a line.
func scopesArg(scopes []service.Scope) (string, error) {
	lines := make([]string, len(scopes))
	for i, scope := range scopes {
		lines[i] = string(scope)
	}
	return linesOf(lines, service.ErrScope)
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
	scopes, err := scopesArg(r.Scopes)
	if err != nil {
		return service.Service{}, fmt.Errorf("postgres: add service: %w", err)
	}
	stored, err := collect(ctx, s, "add service", writes, scanService, `INSERT INTO pawl.services (`+serviceColumns+`)
		VALUES ($2, $3, $4, `+sqlNow+`) ON CONFLICT (name) DO NOTHING RETURNING `+serviceColumns, binaryResults, s.clock(), r.Name, r.Secret[:], scopes)
	if err == nil && len(stored) == 0 {
		err = service.ErrNameTaken
	}
	if err != nil {
		return service.Service{}, err
	}
	return stored[0].Service, nil
}

// Service implements [service.Store].
func (s *Store) Service(ctx context.Context, name string) (service.Record, error) {
	if !storable(name) {
		return service.Record{}, service.ErrNotFound
	}
	found, err := collect(ctx, s, "load service", reads, scanService, `SELECT `+serviceColumns+` FROM pawl.services WHERE name = $1`, binaryResults, name)
	if err == nil && len(found) == 0 {
		err = service.ErrNotFound
	}
	if err != nil {
		return service.Record{}, err
	}
	return found[0], nil
}

// Services implements [service.Store].
func (s *Store) Services(ctx context.Context) ([]service.Service, error) {
	return collect(ctx, s, "list services", reads, func(rows pgx.Rows) (service.Service, error) {
		r, err := scanService(rows)
		return r.Service, err
	}, `SELECT `+serviceColumns+` FROM pawl.services ORDER BY name`, binaryResults)
}

// RemoveService implements [service.Store].
func (s *Store) RemoveService(ctx context.Context, name string) error {
	return s.one(ctx, service.ErrNotFound, "remove service", `DELETE FROM pawl.services WHERE name = $1`, name)
}

const (
	codeColumns = `hash, binding, user_id, client_id, audience, scope, methods, remembered, service, password_changed_at, created_at`
	sqlPutCode  = `INSERT INTO pawl.codes (` + codeColumns + `, expires_at)
		VALUES ($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, ` + sqlNow + `, ` + sqlNow + ` + $2::interval)`
	sqlGoodCode  = ` WHERE hash = $2 AND expires_at > ` + sqlNow
	sqlCode      = `SELECT ` + codeColumns + ` FROM pawl.codes` + sqlGoodCode
	sqlTakeCode  = `DELETE FROM pawl.codes` + sqlGoodCode + ` RETURNING ` + codeColumns
	sqlOldCodes  = `SELECT hash FROM pawl.codes WHERE expires_at <= ` + sqlNow + ` ORDER BY expires_at`
	sqlSweepCode = `DELETE FROM pawl.codes WHERE hash = ANY ($1)`
)

// PutCode implements [service.Store].
func (s *Store) PutCode(ctx context.Context, c service.Code, life time.Duration) error {
	methods, err := linesOf(c.Methods, errMethod)
	if err != nil {
		return fmt.Errorf("postgres: put code: %w", err)
	}
	_, err = s.exec(ctx, "put code", sqlPutCode, s.clock(), life, c.Hash[:], c.Binding[:], c.UserID, c.ClientID, c.Audience, c.Scope,
		methods, c.Remembered, c.Service, orNever(c.PasswordChangedAt))
	return err
}

// Code implements [service.Store].
func (s *Store) Code(ctx context.Context, hash service.Hash) (service.Code, error) {
	return s.code(ctx, "load code", reads, sqlCode, hash)
}

// TakeCode implements [service.Store].
func (s *Store) TakeCode(ctx context.Context, hash service.Hash) (service.Code, error) {
	return s.code(ctx, "take code", writes, sqlTakeCode, hash)
}

// code runs a statement that returns a code or none.
func (s *Store) code(ctx context.Context, what string, k kind, query string, hash service.Hash) (service.Code, error) {
	found, err := collect(ctx, s, what, k, func(rows pgx.Rows) (c service.Code, err error) {
		r := record{columns: rows.RawValues()}
		r.bytes(c.Hash[:])
		r.bytes(c.Binding[:])
		c.UserID, c.ClientID, c.Audience, c.Scope = r.text(), r.text(), r.text(), r.text()
		if methods := r.text(); methods != "" {
			c.Methods = strings.Split(methods, "\n")
		}
		c.Remembered, c.Service, c.PasswordChangedAt, c.CreatedAt = r.truth(), r.text(), r.time(), r.time()
		return c, r.err
	}, query, binaryResults, s.clock(), hash[:])
	if err == nil && len(found) == 0 {
		err = service.ErrNotFound
	}
	if err != nil {
		return service.Code{}, err
	}
	return found[0], nil
}

// DropCodes implements [service.Store].
func (s *Store) DropCodes(ctx context.Context, userID string) error {
	if !storable(userID) {
		return ctx.Err()
	}
	_, err := s.exec(ctx, "drop codes", `DELETE FROM pawl.codes WHERE user_id = $1`, userID)
	return err
}

// SweepCodes implements [service.Store].
func (s *Store) SweepCodes(ctx context.Context, limit int) (int, error) {
	old, err := collect(ctx, s, "find codes to sweep", reads, func(rows pgx.Rows) (hash []byte, err error) {
		return hash, rows.Scan(&hash)
	}, sqlOldCodes+atMost(limit), s.clock())
	if err != nil || len(old) == 0 {
		return 0, err
	}
	return s.exec(ctx, "sweep codes", sqlSweepCode, old)
}
