package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/pawlauth/pawl/account"
)

const (
	sqlTally = `SELECT owed_until, closed_until, known_until FROM attempts WHERE account = ? AND network = ?`
	sqlCount = `INSERT INTO attempts (account, network, owed_until, closed_until, known_until, ends_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (account, network) DO UPDATE SET owed_until = excluded.owed_until, closed_until = excluded.closed_until,
		known_until = excluded.known_until, ends_at = excluded.ends_at`
	sqlEnded     = `DELETE FROM attempts WHERE account = ? AND network = ?`
	sqlForgive   = `UPDATE attempts SET owed_until = NULL, closed_until = NULL, ends_at = known_until WHERE account = ? AND known_until IS NOT NULL`
	sqlForgotten = `DELETE FROM attempts WHERE account = ? AND known_until IS NULL`
	sqlUnknown   = `UPDATE attempts SET known_until = NULL, ends_at = max(coalesce(owed_until, 0), coalesce(closed_until, 0))
		WHERE account = ? AND known_until IS NOT NULL AND network NOT IN
		(SELECT network FROM attempts WHERE account = ? AND known_until IS NOT NULL ORDER BY known_until DESC LIMIT ?)`
	sqlSweepEnded = `DELETE FROM attempts WHERE (account, network) IN
		(SELECT account, network FROM attempts WHERE ends_at <= ? ORDER BY ends_at LIMIT ?)`
	sqlSweepSpare = `DELETE FROM attempts WHERE (account, network) IN
		(SELECT account, network FROM attempts WHERE known_until IS NULL ORDER BY ends_at LIMIT ?)`
	sqlSpare = `SELECT count(*) FROM attempts WHERE known_until IS NULL`
)

// Tally implements [account.SignIns]. An attempt that is refused costs reads
// alone: whoever sends a flood of them keeps no other write waiting.
func (s *Store) Tally(ctx context.Context, step account.Step) (account.Outcome, error) {
	seen, err := tallies(step, func(scan func(*sql.Rows) error, key ...any) error {
		rows, err := s.reads.QueryContext(ctx, sqlTally, key...)
		if err != nil {
			return err
		}
		return each(rows, scan)
	})
	if err != nil {
		return account.Outcome{}, fmt.Errorf("sqlite: read attempts: %w", err)
	}
	if outcome := step.Apply(s.now(), seen); outcome.Next == nil {
		return outcome, nil
	}
	var outcome account.Outcome
	err = s.write(ctx, "count attempt", func(tx *tx) error {
		have, err := tallies(step, func(scan func(*sql.Rows) error, key ...any) error { return tx.query(scan, sqlTally, key...) })
		if err != nil {
			return err
		}
		outcome = step.Apply(tx.now, have)
		for i, t := range outcome.Next {
			if err := tx.tally(step.Keys[i], t); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return account.Outcome{}, err
	}
	return outcome, nil
}

// tallies reads those under the keys of a step, in their order.
func tallies(step account.Step, query func(scan func(*sql.Rows) error, key ...any) error) ([]account.Tally, error) {
	have := make([]account.Tally, len(step.Keys))
	for i, key := range step.Keys {
		t := &have[i]
		err := query(func(rows *sql.Rows) error {
			return rows.Scan(stamp{&t.Owed}, stamp{&t.Closed}, stamp{&t.Known})
		}, key.Account[:], key.Network[:])
		if err != nil {
			return nil, err
		}
	}
	return have, nil
}

// tally stores what is kept under a key.
func (t *tx) tally(key account.TallyKey, to account.Tally) error {
	if !to.Ends().After(t.now) {
		_, err := t.exec(sqlEnded, key.Account[:], key.Network[:])
		return err
	}
	_, err := t.exec(sqlCount, key.Account[:], key.Network[:], micros(to.Owed), micros(to.Closed), micros(to.Known), to.Ends().UnixMicro())
	return err
}

// ForgetAttempts implements [account.SignIns].
func (s *Store) ForgetAttempts(ctx context.Context, of account.Tag) error {
	return s.write(ctx, "forget attempts", func(tx *tx) error {
		_, forgive := tx.exec(sqlForgive, of[:])
		_, forget := tx.exec(sqlForgotten, of[:])
		return errors.Join(forgive, forget)
	})
}

// ForgetNetworks implements [account.SignIns].
func (s *Store) ForgetNetworks(ctx context.Context, of account.Tag, keep int) error {
	return s.write(ctx, "forget networks", func(tx *tx) error {
		_, err := tx.exec(sqlUnknown, of[:], of[:], keep)
		return err
	})
}

// SweepAttempts implements [account.SignIns].
func (s *Store) SweepAttempts(ctx context.Context, keep, limit int) (int, error) {
	ended, err := s.removeAttempts(ctx, limit, sqlSweepEnded, s.now().UnixMicro())
	if err != nil || ended >= limit {
		return ended, err
	}
	// Counting reads all of an index; that is for when nothing else is to do.
	var spare int
	if err := s.count(ctx, &spare, sqlSpare); err != nil {
		return ended, fmt.Errorf("sqlite: count attempts: %w", err)
	}
	if spare <= keep {
		return ended, nil
	}
	surplus, err := s.removeAttempts(ctx, min(spare-keep, limit-ended), sqlSweepSpare)
	return ended + surplus, err
}

// removeAttempts runs a statement whose last argument is a limit.
func (s *Store) removeAttempts(ctx context.Context, limit int, query string, args ...any) (int, error) {
	var removed int64
	err := s.write(ctx, "sweep attempts", func(tx *tx) (err error) {
		removed, err = tx.exec(query, append(args, max(0, limit))...)
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(removed), nil
}
