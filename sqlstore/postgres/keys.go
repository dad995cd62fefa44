package postgres

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl/keyring"
)

const keyColumns = `id, algorithm, header, public, master, sealed, state, created_at, due_at, changed_at`

// key reads the columns of a signing key.
func (r *record) key() (k keyring.Record) {
	k.ID, k.Algorithm, k.Header, k.Public = r.text(), keyring.Algorithm(r.text()), r.text(), bytes.Clone(r.some(0))
	r.bytes(k.Master[:])
	k.Sealed, k.State = bytes.Clone(r.next(0)), keyring.State(r.text())
	k.CreatedAt, k.DueAt, k.ChangedAt = r.time(), r.time(), r.time()
	return k
}

func keyArgs(k *keyring.Record) []any {
	return []any{k.ID, string(k.Algorithm), k.Header, k.Public, k.Master[:], orErased(k.Sealed), string(k.State),
		k.CreatedAt, orNever(k.DueAt), k.ChangedAt}
}

// Keys implements [keyring.Store].
func (s *Store) Keys(ctx context.Context) (keys []keyring.Record, now time.Time, err error) {
	// With one row at least, which has the clock.
	err = s.query(ctx, "load keys", reads, func() { keys = nil }, func(rows pgx.Rows) error {
		r := record{columns: rows.RawValues()}
		if now = r.time(); r.truth() {
			keys = append(keys, r.key())
		}
		return r.err
	}, `SELECT `+sqlNow+`, id IS NOT NULL, `+keyColumns+` FROM (SELECT 1) AS one LEFT JOIN pawl.keys ON true ORDER BY created_at, id`, binaryResults, s.clock())
	return keys, now, err
}

const (
	sqlNewKey = `INSERT INTO pawl.keys (` + keyColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	sqlSetKey = `UPDATE pawl.keys SET algorithm = $2, header = $3, public = $4, master = $5, sealed = $6, state = $7,
		created_at = $8, due_at = $9, changed_at = $10 WHERE id = $1 AND state = $11`
)

// ChangeKeys implements [keyring.Store]. The order of the changes does not
// matter: states are left before they are entered.
func (s *Store) ChangeKeys(ctx context.Context, changes []keyring.Change) error {
	changes = slices.Clone(changes)
	slices.SortStableFunc(changes, func(a, b keyring.Change) int { return cmp.Compare(entry(a.To.State), entry(b.To.State)) })
	return s.do(ctx, "change keys", writes, func(ctx context.Context, p *pool) error {
		return pgx.BeginFunc(ctx, p, func(tx pgx.Tx) error {
			for i := range changes {
				if err := changeKey(ctx, tx, &changes[i]); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// entry orders states by when one may be entered: what takes the place of the
// active key leaves the next one's.
func entry(state keyring.State) int {
	switch state {
	case keyring.Active:
		return 1
	case keyring.Next:
		return 2
	default:
		return 0
	}
}

func changeKey(ctx context.Context, tx pgx.Tx, c *keyring.Change) error {
	query, args := sqlNewKey, keyArgs(&c.To)
	if c.From != "" {
		query, args = sqlSetKey, append(args, string(c.From))
	}
	tag, err := tx.Exec(ctx, query, args...)
	if isTaken(err) || err == nil && tag.RowsAffected() == 0 {
		return keyring.ErrConflict
	}
	return err
}
