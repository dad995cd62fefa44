package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/verify"
)

// What the epoch ended is told from the time of the row; [Store.Sweep] writes
// it down later.
const (
	sqlBeforeEpoch = `EXISTS (SELECT 1 FROM epoch WHERE at >= created_at)`
	sqlLive        = `(ended_at IS NULL AND NOT ` + sqlBeforeEpoch + `)`
	// Once for all rows of a statement; NULL if there was no epoch.
	epochColumns = `(SELECT at FROM epoch), (SELECT reason FROM epoch)`
)

const sqlSetEpoch = `INSERT INTO epoch (one, at, reason) VALUES (1, ?, ?)
	ON CONFLICT (one) DO UPDATE SET at = excluded.at, reason = excluded.reason, swept = excluded.swept WHERE excluded.at > at`

// EndEveryone implements [session.Directory].
func (s *Store) EndEveryone(ctx context.Context, at time.Time, reason session.Reason) (session.Epoch, error) {
	for {
		var epoch session.Epoch
		err := s.write(ctx, "end everyone", func(tx *tx) error {
			until := at
			if at.IsZero() {
				until = session.NextEpoch(tx.now)
			}
			if _, err := tx.exec(sqlSetEpoch, until.UnixMicro(), string(reason)); err != nil {
				return err
			}
			return tx.query(func(rows *sql.Rows) error {
				return rows.Scan(stamp{&epoch.At}, (*string)(&epoch.Reason))
			}, `SELECT at, reason FROM epoch`)
		})
		// Who read the clock before the epoch was to be seen must not have read
		// a later time: it is set again if committing took that long.
		if err != nil || !at.IsZero() || !s.now().After(epoch.At) {
			return epoch, err
		}
	}
}

const (
	sqlOldEpoch = `SELECT at, reason, swept FROM epoch WHERE at < ? AND swept <> ?`
	sqlPage     = `SELECT count(*), max(id) FROM (SELECT id FROM sessions WHERE id > ? ORDER BY id LIMIT ?)`
	sqlWritten  = `UPDATE sessions SET ended_at = ?, end_reason = ?, salt = zeroblob(16)
		WHERE id > ? AND id <= ? AND ended_at IS NULL AND created_at <= ?`
	sqlSwept = `UPDATE epoch SET swept = ?`
)

// lastID is the greatest there can be.
var lastID = session.ID{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}

// writeEpoch goes through the next rows, at most limit, and ends those that an
// epoch of before that time ended. It returns how many it went through. What is
// created later with a time until the epoch stays ended without that.
func (t *tx) writeEpoch(before int64, limit int) (int, error) {
	var epoch session.Epoch
	var swept, last session.ID
	err := t.query(func(rows *sql.Rows) error {
		return rows.Scan(stamp{&epoch.At}, (*string)(&epoch.Reason), fixed{swept[:]})
	}, sqlOldEpoch, before, lastID[:])
	if err != nil || epoch.At.IsZero() {
		return 0, err
	}
	var seen int
	err = t.query(func(rows *sql.Rows) error { return rows.Scan(&seen, fixed{last[:]}) }, sqlPage, swept[:], limit)
	if err != nil {
		return 0, err
	}
	if seen < limit {
		last = lastID
	}
	at := epoch.At.UnixMicro()
	if _, err := t.exec(sqlWritten, at, string(epoch.Reason), swept[:], last[:], at); err != nil {
		return 0, err
	}
	_, err = t.exec(sqlSwept, last[:])
	return seen, err
}

// Those that the epoch ended are not told one by one.
const sqlFeed = `SELECT id, NULL FROM sessions WHERE ended_at >= ? UNION ALL SELECT NULL, at FROM epoch`

// Ended implements [verify.Feed].
func (s *Store) Ended(ctx context.Context, window time.Duration) (verify.Endings, error) {
	endings := verify.Endings{Now: s.now()}
	rows, err := s.reads.QueryContext(ctx, sqlFeed, endings.Now.Add(-window).UnixMicro())
	if err == nil {
		err = each(rows, func(rows *sql.Rows) error {
			var id session.ID
			var epoch time.Time
			err := rows.Scan(fixed{id[:]}, stamp{&epoch})
			if epoch.IsZero() {
				endings.Sessions = append(endings.Sessions, id)
			} else {
				endings.Epoch = epoch
			}
			return err
		})
	}
	if err != nil {
		return verify.Endings{}, fmt.Errorf("sqlite: read the feed: %w", err)
	}
	return endings, nil
}
