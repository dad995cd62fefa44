package sqlite

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pawlauth/pawl/session"
)

var sqlCreate = `INSERT INTO sessions (` + sessionColumns + `)
	VALUES (` + strings.Repeat("?, ", strings.Count(sessionColumns, ",")) + `?) ON CONFLICT (id) DO NOTHING`

// Create implements [session.Ratchet]. A login method that is empty or has a
// line break is refused.
func (s *Store) Create(ctx context.Context, row session.Row) error {
	args, err := rowArgs(&row)
	if err != nil {
		return fmt.Errorf("sqlite: create session: %w", err)
	}
	return s.write(ctx, "create session", func(tx *tx) error {
		return tx.one(session.ErrExists, sqlCreate, args...)
	})
}

// The ids come as one argument, a list of any length. A statement prepared
// once serves it, and it costs less than an IN list.
const sqlLoad = `SELECT ` + rowColumns + ` FROM sessions
	WHERE id IN (SELECT unhex(value) FROM json_each(?))`

// Load implements [session.Ratchet].
func (s *Store) Load(ctx context.Context, ids []session.ID) ([]session.Row, time.Time, error) {
	now := s.now()
	if len(ids) == 0 {
		return nil, now, ctx.Err()
	}
	list := idList(ids)
	var loaded []session.Row
	if s.writer.between(func(tx *tx) (err error) {
		rows, err := tx.rows(sqlLoad, list)
		if err != nil {
			return err
		}
		loaded, err = scanAll(rows, len(ids))
		return err
	}) {
		return loaded, now, ctx.Err()
	}
	rows, err := s.load.QueryContext(ctx, list)
	if err != nil {
		return nil, now, fmt.Errorf("sqlite: load sessions: %w", err)
	}
	if loaded, err = scanAll(rows, len(ids)); err != nil {
		return nil, now, fmt.Errorf("sqlite: load sessions: %w", err)
	}
	return loaded, now, nil
}

// idList writes ids as a JSON array of their hexadecimal forms.
func idList(ids []session.ID) string {
	list := make([]byte, 0, 1+len(ids)*(2*len(session.ID{})+3))
	for i := range ids {
		separator := byte(',')
		if i == 0 {
			separator = '['
		}
		list = append(list, separator, '"')
		list = hex.AppendEncode(list, ids[i][:])
		list = append(list, '"')
	}
	return string(append(list, ']'))
}

// The three ways in which [session.Row.Apply] changes a row. Each is a
// compare-and-swap on the generation, the binding and on not having ended.
const (
	sqlSwap = ` WHERE id = ? AND generation = ? AND binding = ? AND ` + sqlLive
	// It only moves forward; NULL is never.
	sqlRolledBack = `rolled_back_at = nullif(max(ifnull(rolled_back_at, 0), ifnull(?, 0)), 0)`

	sqlTurn = `UPDATE sessions SET generation = ?, rotated_at = ?, confirmed_at = NULL,
		prior_used_at = ?, late_repeats = ? | ((late_repeats << ?) & 255), key_hash = ?, last_seen = ?, ` + sqlRolledBack + sqlSwap
	sqlNote = `UPDATE sessions SET late_repeats = late_repeats | ?, ` + sqlRolledBack + sqlSwap
	sqlEnd  = `UPDATE sessions SET ended_at = ?, end_reason = ?, salt = zeroblob(16)` + sqlSwap
)

// A swap is a change as a statement.
type swap struct {
	query   string
	stamped bool // the first argument is the time of the transaction
	args    []any
}

func newSwap(c *session.Change) swap {
	switch {
	case c.End != "":
		return swap{query: sqlEnd, stamped: true, args: []any{nil, string(c.End), c.ID[:], c.From, string(c.Bound)}}
	case c.Generation != c.From:
		return swap{query: sqlTurn, args: []any{c.Generation, c.RotatedAt.UnixMicro(), micros(c.PriorUsedAt),
			c.LateRepeats, c.Generation - c.From, hashArg(c.KeyHash), c.LastSeen.UnixMicro(), micros(c.RolledBackAt),
			c.ID[:], c.From, string(c.Bound)}}
	default:
		return swap{query: sqlNote, args: []any{c.LateRepeats, micros(c.RolledBackAt), c.ID[:], c.From, string(c.Bound)}}
	}
}

// Replace implements [session.Ratchet]. If an error other than a conflict
// occurs, every change fails with it.
func (s *Store) Replace(ctx context.Context, changes []session.Change) []error {
	errs := make([]error, len(changes))
	swaps := make([]swap, len(changes))
	for i := range changes {
		c := changes[i] // the statement's arguments point into a copy
		swaps[i] = newSwap(&c)
	}
	conflicts := make([]bool, len(changes))
	err := s.write(ctx, "replace sessions", func(tx *tx) error {
		for i, w := range swaps {
			if w.stamped {
				w.args[0] = tx.now.UnixMicro()
			}
			changed, err := tx.exec(w.query, w.args...)
			if err != nil {
				return err
			}
			conflicts[i] = changed == 0
		}
		return nil
	})
	for i := range errs {
		switch {
		case err != nil:
			errs[i] = err
		case conflicts[i]:
			errs[i] = session.ErrConflict
		}
	}
	return errs
}

const sqlBind = `UPDATE sessions SET binding = ?, thumbprint = ?
	WHERE id = ? AND generation = ? AND binding = '' AND ` + sqlLive

// Bind implements [session.Ratchet].
func (s *Store) Bind(ctx context.Context, id session.ID, generation uint32, to session.Binding) error {
	return s.write(ctx, "bind session", func(tx *tx) error {
		return tx.one(session.ErrConflict, sqlBind, string(to.Kind), to.Thumbprint, id[:], generation)
	})
}

const sqlConfirm = `UPDATE sessions SET confirmed_at = ?
	WHERE id = ? AND generation = ? AND confirmed_at IS NULL AND ` + sqlLive

// confirmStep is how many uses are confirmed in one transaction.
const confirmStep = 256

// Confirm implements [session.Ratchet]. Many uses are confirmed in several
// transactions; the time returned is that of the first, so that no use is
// taken for confirmed that was not.
func (s *Store) Confirm(ctx context.Context, uses []session.Use, settle time.Duration) (time.Time, error) {
	judged := s.now()
	for first := true; len(uses) > 0; first = false {
		step := slices.Clone(uses[:min(len(uses), confirmStep)])
		uses = uses[len(step):]
		var now time.Time
		err := s.write(ctx, "confirm sessions", func(tx *tx) error {
			now = tx.now
			for _, u := range step {
				if !u.Settled(tx.now, settle) {
					continue
				}
				if _, err := tx.exec(sqlConfirm, tx.now.UnixMicro(), u.Session[:], u.Generation); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return judged, err
		}
		if first {
			judged = now
		}
	}
	return judged, nil
}
