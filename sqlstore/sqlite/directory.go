package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/pawlauth/pawl/session"
)

var errSelection = errors.New("sqlite: a selection names one session or one user")

const (
	sqlEndThose   = `UPDATE sessions SET ended_at = ?, end_reason = ?, salt = zeroblob(16) WHERE ` + sqlLive
	sqlEndSession = sqlEndThose + ` AND id = ? AND id <> ? RETURNING id, user_id`
	sqlEndUser    = sqlEndThose + ` AND id IN (SELECT id FROM sessions WHERE ` + sqlLive + ` AND user_id = ? AND id <> ? ORDER BY id LIMIT ?) RETURNING id, user_id`
)

// endStep is how many sessions of a user end, or are erased, in one
// transaction, so that other writes get their turn.
const endStep = 2000

// End implements [session.Directory]. Those of a user end a step at a time.
func (s *Store) End(ctx context.Context, which session.Selection, reason session.Reason) ([]session.Ended, error) {
	if !which.Valid() {
		return nil, errSelection
	}
	if which.User == "" {
		return s.end(ctx, sqlEndSession, reason, which.Session[:], which.Except[:])
	}
	for all := []session.Ended(nil); ; {
		step, err := s.end(ctx, sqlEndUser, reason, which.User, which.Except[:], endStep)
		if all = append(all, step...); err != nil || len(step) < endStep {
			return all, err
		}
	}
}

func (s *Store) end(ctx context.Context, query string, reason session.Reason, named ...any) ([]session.Ended, error) {
	var ended []session.Ended
	err := s.write(ctx, "end sessions", func(tx *tx) error {
		return tx.query(func(rows *sql.Rows) error {
			var e session.Ended
			err := rows.Scan(fixed{e.Session[:]}, &e.UserID)
			ended = append(ended, e)
			return err
		}, query, append([]any{tx.now.UnixMicro(), string(reason)}, named...)...)
	})
	if err != nil {
		return nil, err
	}
	return ended, nil
}

// listing returns the statement of a query, and its arguments but for the limit.
func listing(q session.Query) (string, []any) {
	query, args := `SELECT `+rowColumns+` FROM sessions WHERE id > ?`, []any{q.After[:]}
	if q.User != "" {
		query, args = query+` AND user_id = ?`, append(args, q.User)
	}
	if !q.WithEnded {
		query += ` AND ` + sqlLive
	}
	return query + ` ORDER BY id LIMIT ?`, args
}

// List implements [session.Directory].
func (s *Store) List(ctx context.Context, q session.Query) ([]session.Row, time.Time, error) {
	query, args := listing(q)
	now := s.now()
	// A negative limit would be none.
	rows, err := s.reads.QueryContext(ctx, query, append(args, max(0, q.Limit))...)
	if err != nil {
		return nil, now, fmt.Errorf("sqlite: list sessions: %w", err)
	}
	listed, err := scanAll(rows, 0)
	if err != nil {
		return nil, now, fmt.Errorf("sqlite: list sessions: %w", err)
	}
	return listed, now, nil
}

// What ended within the time of the feed stays, though it is past its end.
const sqlSweep = `DELETE FROM sessions WHERE rowid IN (SELECT rowid FROM sessions WHERE absolute_end <= ?1
	AND coalesce(ended_at, (SELECT at FROM epoch WHERE at >= created_at), ?2 - 1) < ?2 ORDER BY absolute_end LIMIT ?3)`

// Sweep implements [session.Directory]. What it returns also counts the rows
// that it went through to write an epoch into them.
func (s *Store) Sweep(ctx context.Context, limit int, feedKeep time.Duration) (int, error) {
	taken, limit := 0, max(0, limit)
	err := s.write(ctx, "sweep", func(tx *tx) error {
		from := tx.now.Add(-feedKeep).UnixMicro()
		removed, err := tx.exec(sqlSweep, tx.now.UnixMicro(), from, limit)
		if taken = int(removed); err != nil || taken >= limit {
			return err
		}
		written, err := tx.writeEpoch(from, limit-taken)
		taken += written
		return err
	})
	if err != nil {
		return 0, err
	}
	return taken, nil
}
