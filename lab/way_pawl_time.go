package lab

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// A past is what makes it later for a Pawl, whose clock nobody can set: all
// that it has written down, and all that it has signed, becomes older.
type past struct {
	db     *sql.DB
	data   *pawl.Data
	signer token.Signer
}

// past opens the data of the Pawl a second time, as its operator's commands do.
func (b *pawlBank) openPast(ctx context.Context) (*past, error) {
	data, err := pawl.OpenData(ctx, pawl.Place{Directory: b.directory}, false)
	if err != nil {
		return nil, err
	}
	ring, err := keyring.Open(ctx, data.Store, data.Master, keyring.Options{
		Algorithm: keyring.EdDSA, Rotation: 30 * 24 * time.Hour, Publication: time.Hour, TokenLife: time.Hour})
	if err != nil {
		return nil, errors.Join(err, data.Close())
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.directory, "pawl.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, errors.Join(err, data.Close())
	}
	return &past{db, data, ring.Signer()}, nil
}

// Close closes the data again.
func (p *past) Close() error { return errors.Join(p.db.Close(), p.data.Close()) }

// older makes every session older.
const older = `UPDATE sessions SET rotated_at = rotated_at - ?1, confirmed_at = confirmed_at - ?1, prior_used_at = prior_used_at - ?1,
	created_at = created_at - ?1, auth_time = auth_time - ?1, absolute_end = absolute_end - ?1, rolled_back_at = rolled_back_at - ?1, last_seen = last_seen - ?1`

// later implements [dated].
func (b *pawlBank) later(by time.Duration, holders ...*device) error {
	if _, err := b.past.db.ExecContext(b.stage.ctx, older, by.Microseconds()); err != nil {
		return fmt.Errorf("make sessions older: %w", err)
	}
	for _, d := range holders {
		claims, err := d.pawlClaims()
		if err != nil {
			return err
		}
		seconds := int64(by / time.Second)
		claims.IssuedAt, claims.Expires, claims.AuthTime = claims.IssuedAt-seconds, claims.Expires-seconds, claims.AuthTime-seconds
		signed, err := token.EncodeAccess(claims, b.past.signer)
		if err != nil {
			return fmt.Errorf("make a token older: %w", err)
		}
		if d.access != "" {
			d.access = signed.Reveal()
		} else {
			d.jar[httpauth.AccessCookie] = biscuit{signed.Reveal(), "/"}
		}
	}
	return nil
}

// pawlClaims are those of the access token that the device holds.
func (d *device) pawlClaims() (token.Claims, error) {
	raw := d.access
	if raw == "" {
		raw = d.jar[httpauth.AccessCookie].value
	}
	parts, err := token.SplitAccess(raw)
	if err != nil {
		return token.Claims{}, fmt.Errorf("the device's token: %w", err)
	}
	return token.DecodeClaims(parts.Payload)
}

// noticed implements [dated]: uses are written down a moment later.
func (b *pawlBank) noticed(d *device) error {
	claims, err := d.pawlClaims()
	if err != nil {
		return err
	}
	policy, err := session.Preset("default")
	if err != nil {
		return err
	}
	use := session.Use{IssuedAt: time.Unix(claims.IssuedAt, 0)}
	if !use.Settled(time.Now(), policy.Settle) {
		return nil // not a use that counts
	}
	ctx, cancel := context.WithTimeout(b.stage.ctx, longest)
	defer cancel()
	for {
		var done bool
		row := b.past.db.QueryRowContext(ctx, "SELECT confirmed_at IS NOT NULL OR ended_at IS NOT NULL OR generation > ? FROM sessions WHERE id = ?", claims.Generation, claims.Session[:])
		if err := row.Scan(&done); err != nil || done {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("a use was not noticed: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// copied implements [stored]: every value of every table, as it is and in the
// spellings that tokens have.
func (b *pawlBank) copied() ([]string, error) {
	tables, err := b.past.column("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
	if err != nil {
		return nil, err
	}
	var all []string
	for _, table := range tables {
		values, err := b.past.column(`SELECT * FROM "` + table + `"`)
		if err != nil {
			return nil, err
		}
		all = append(all, values...)
	}
	return all, nil
}

// column returns all values of all columns.
func (p *past) column(query string) ([]string, error) {
	rows, err := p.db.Query(query)
	if err != nil {
		return nil, fmt.Errorf("read the copy: %w", err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, fmt.Errorf("read the copy: %w", err)
	}
	var all []string
	for rows.Next() {
		values, places := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range values {
			places[i] = &values[i]
		}
		if err := rows.Scan(places...); err != nil {
			return nil, fmt.Errorf("read the copy: %w", err)
		}
		for _, v := range values {
			if v.String != "" {
				all = append(all, v.String)
			}
		}
	}
	return all, rows.Err()
}
