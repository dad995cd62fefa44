package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/pawlauth/pawl/session"
)

var errSelection = errors.New("sqlite: a selection names one session, one user, or everyone")

const (
	sqlEndThose = `UPDATE sessions SET ended_at = ?, end_reason = ?, salt = zeroblob(16) WHERE ended_at IS NULL`
	returning   = ` AND id <> ? RETURNING id, user_id`
)

// End implements [session.Directory].
func (s *Store) End(ctx context.Context, which session.Selection, reason session.Reason) ([]session.Ended, error) {
	if !which.Valid() {
		return nil, errSelection
	}
	query, named := sqlEndThose+returning, []any(nil)
	switch {
	case which.User != "":
		query, named = sqlEndThose+` AND user_id = ?`+returning, []any{which.User}
	case !which.Everyone:
		query, named = sqlEndThose+` AND id = ?`+returning, []any{which.Session[:]}
	}
	var ended []session.Ended
	err := s.write(ctx, "end sessions", func(tx *tx) error {
		args := append([]any{tx.now.UnixMicro(), string(reason)}, named...)
		return tx.query(func(rows *sql.Rows) error {
			var e session.Ended
			err := rows.Scan(fixed{e.Session[:]}, &e.UserID)
			ended = append(ended, e)
			return err
		}, query, append(args, which.Except[:])...)
	})
	if err != nil {
		return nil, err
	}
	return ended, nil
}

// Fence ends every session that has not ended, for [session.ReasonFenced], and
// returns how many those were. After that no refresh token that was issued
// before is good: its salt is gone. It is for a database that was restored from a
// backup, in which sessions live that had ended since.
func (s *Store) Fence(ctx context.Context) (int, error) {
	var fenced int64
	err := s.write(ctx, "fence", func(tx *tx) (err error) {
		fenced, err = tx.exec(sqlEndThose, tx.now.UnixMicro(), string(session.ReasonFenced))
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(fenced), nil
}

// List implements [session.Directory].
func (s *Store) List(ctx context.Context, q session.Query) ([]session.Row, time.Time, error) {
	query, args := `SELECT `+sessionColumns+` FROM sessions WHERE id > ?`, []any{q.After[:]}
	if q.User != "" {
		query, args = query+` AND user_id = ?`, append(args, q.User)
	}
	if !q.WithEnded {
		query += ` AND ended_at IS NULL`
	}
	now := s.now()
	// A negative limit would be none.
	rows, err := s.reads.QueryContext(ctx, query+` ORDER BY id LIMIT ?`, append(args, max(0, q.Limit))...)
	if err != nil {
		return nil, now, fmt.Errorf("sqlite: list sessions: %w", err)
	}
	listed, err := scanAll(rows, 0)
	if err != nil {
		return nil, now, fmt.Errorf("sqlite: list sessions: %w", err)
	}
	return listed, now, nil
}

const (
	sqlSweep = `DELETE FROM sessions WHERE rowid IN
		(SELECT rowid FROM sessions WHERE absolute_end <= ? ORDER BY absolute_end LIMIT ?)`
	sqlForget = `DELETE FROM ended WHERE at < ?`
	sqlKept   = `UPDATE meta SET value = max(value, ?) WHERE name = 'feed_kept_from'`
)

// Sweep implements [session.Directory].
func (s *Store) Sweep(ctx context.Context, limit int, feedKeep time.Duration) (int, error) {
	var swept int64
	err := s.write(ctx, "sweep", func(tx *tx) (err error) {
		if swept, err = tx.exec(sqlSweep, tx.now.UnixMicro(), max(0, limit)); err != nil {
			return err
		}
		from := tx.now.Add(-feedKeep).UnixMicro()
		if _, err = tx.exec(sqlForget, from); err != nil {
			return err
		}
		_, err = tx.exec(sqlKept, from)
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(swept), nil
}

// EndedSince implements the feed that package verify follows.
func (s *Store) EndedSince(ctx context.Context, window time.Duration) ([]session.ID, error) {
	rows, err := s.reads.QueryContext(ctx, `SELECT session FROM ended WHERE at >= ?`, s.now().Add(-window).UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("sqlite: read the feed: %w", err)
	}
	var ids []session.ID
	err = each(rows, func(rows *sql.Rows) error {
		var id session.ID
		err := rows.Scan(fixed{id[:]})
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: read the feed: %w", err)
	}
	return ids, nil
}
