package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/pawlauth/pawl/keyring"
)

const keyColumns = `id, algorithm, header, public, master, sealed, state, created_at, due_at, changed_at`

// Keys implements [keyring.Store].
func (s *Store) Keys(ctx context.Context) ([]keyring.Record, time.Time, error) {
	now := s.now()
	rows, err := s.reads.QueryContext(ctx, `SELECT `+keyColumns+` FROM keys ORDER BY created_at, id`)
	if err != nil {
		return nil, now, fmt.Errorf("sqlite: load keys: %w", err)
	}
	var keys []keyring.Record
	err = each(rows, func(rows *sql.Rows) error {
		var k keyring.Record
		err := rows.Scan(&k.ID, &k.Algorithm, &k.Header, &k.Public, fixed{k.Master[:]}, &k.Sealed, &k.State,
			stamp{&k.CreatedAt}, stamp{&k.DueAt}, stamp{&k.ChangedAt})
		keys = append(keys, k)
		return err
	})
	if err != nil {
		return nil, now, fmt.Errorf("sqlite: load keys: %w", err)
	}
	return keys, now, nil
}

const (
	sqlNewKey = `INSERT INTO keys (` + keyColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	sqlSetKey = `UPDATE keys SET algorithm = ?, header = ?, public = ?, master = ?, sealed = ?, state = ?,
		created_at = ?, due_at = ?, changed_at = ? WHERE id = ? AND state = ?`
)

// ChangeKeys implements [keyring.Store]. The order of the changes does not
// matter: states are left before they are entered.
func (s *Store) ChangeKeys(ctx context.Context, changes []keyring.Change) error {
	changes = slices.Clone(changes)
	slices.SortStableFunc(changes, func(a, b keyring.Change) int { return cmp.Compare(entry(a.To.State), entry(b.To.State)) })
	return s.write(ctx, "change keys", func(tx *tx) error {
		for i := range changes {
			err := changeKey(tx, &changes[i])
			if isTaken(err) {
				return keyring.ErrConflict
			}
			if err != nil {
				return err
			}
		}
		return nil
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

func changeKey(tx *tx, c *keyring.Change) error {
	k := &c.To
	var sealed any
	if len(k.Sealed) > 0 {
		sealed = k.Sealed
	}
	values := []any{string(k.Algorithm), k.Header, k.Public, k.Master[:], sealed, string(k.State),
		k.CreatedAt.UnixMicro(), micros(k.DueAt), k.ChangedAt.UnixMicro()}
	if c.From == "" {
		_, err := tx.exec(sqlNewKey, append([]any{k.ID}, values...)...)
		return err
	}
	return tx.one(keyring.ErrConflict, sqlSetKey, append(values, k.ID, string(c.From))...)
}
