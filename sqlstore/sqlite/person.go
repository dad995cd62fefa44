package sqlite

import (
	"context"
	"database/sql"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
)

// EventsOf implements [sqlstore.Events]. There is no index of users: all events
// after the cursor are read.
func (s *Store) EventsOf(ctx context.Context, userID string, after int64, limit int) ([]sqlstore.StoredEvent, error) {
	return s.events(ctx, `user_id = ? AND cursor > ?`, limit, userID, after)
}

const (
	sqlRemoveOver = `DELETE FROM sessions WHERE rowid IN (SELECT rowid FROM sessions WHERE user_id = ? AND absolute_end <= ? AND NOT ` + sqlLive + ` LIMIT ?)`
	// Each row gets a name of its own in place of the user's: not even rows of
	// one user can be told to belong together.
	sqlErase = `UPDATE sessions SET user_id = 'erased_' || lower(hex(randomblob(16))), user_agent = '', address = '',
		scope = '', key_hash = NULL, binding = '', thumbprint = '', rolled_back_at = NULL
		WHERE rowid IN (SELECT rowid FROM sessions WHERE user_id = ? AND NOT ` + sqlLive + ` LIMIT ?)`
)

// EraseSessions implements [sqlstore.Upkeep].
func (s *Store) EraseSessions(ctx context.Context, userID string) (erased, removed int, err error) {
	for {
		var rows, over int64 // the write may outlive this call
		err := s.write(ctx, "erase sessions", func(tx *tx) (err error) {
			if over, err = tx.exec(sqlRemoveOver, userID, tx.now.UnixMicro(), endStep); err != nil || over == endStep {
				return err
			}
			rows, err = tx.exec(sqlErase, userID, endStep)
			return err
		})
		if err != nil {
			return 0, 0, err
		}
		erased, removed = erased+int(rows), removed+int(over)
		if over < endStep && rows < endStep {
			return erased, removed, nil
		}
	}
}

const (
	// eraseStep is how many events are looked at in one transaction, so that
	// other writes get their turn.
	eraseStep = 5000

	sqlStepEnd     = `SELECT max(cursor) FROM (SELECT cursor FROM events WHERE cursor > ? ORDER BY cursor LIMIT ?)`
	sqlEraseEvents = `UPDATE events SET user_id = NULL, address = NULL, user_agent = NULL, request_id = NULL
		WHERE cursor > ? AND cursor <= ? AND user_id = ? AND type <> ?`
)

// EraseEvents implements [sqlstore.Events].
func (s *Store) EraseEvents(ctx context.Context, userID string) (int, error) {
	var erased int64
	for from := int64(0); ; {
		var end sql.NullInt64
		var n int64
		after := from // the write may outlive this call
		err := s.write(ctx, "erase events", func(tx *tx) error {
			err := tx.query(func(rows *sql.Rows) error { return rows.Scan(&end) }, sqlStepEnd, after, eraseStep)
			if err != nil || !end.Valid {
				return err
			}
			n, err = tx.exec(sqlEraseEvents, after, end.Int64, userID, string(session.EventUserDeleted))
			return err
		})
		if err != nil {
			return 0, err
		}
		if !end.Valid {
			return int(erased), nil
		}
		erased, from = erased+n, end.Int64
	}
}
