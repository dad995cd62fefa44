package postgres

import (
	"context"

	"github.com/pawlauth/pawl/session"
)

const (
	sqlOfUser     = ` WHERE id = ANY ($2) AND user_id = $3 AND NOT (` + sqlLive + `)`
	sqlRemoveOver = `DELETE FROM pawl.sessions` + sqlOfUser + ` AND absolute_end <= ` + sqlNow
	// Each row gets a name of its own in place of the user's: not even rows of
	// one user can be told to belong together.
	sqlErase = `UPDATE pawl.sessions SET user_id = $1 || replace(gen_random_uuid()::text, '-', ''), user_agent = '', address = '',
		scope = '', key_hash = NULL, binding = '', thumbprint = '', rolled_back_at = NULL` + sqlOfUser
	// A line without a session may be that of one which is being stored, unless
	// it would be over by now. Such a line goes when the session's time is over.
	sqlEraseLines = `DELETE FROM pawl.user_sessions AS l WHERE session = ANY ($2) AND user_id = $3
		AND NOT EXISTS (SELECT 1 FROM pawl.sessions AS s WHERE s.id = l.session AND s.user_id = $3)
		AND (over_at <= ` + sqlNow + ` OR EXISTS (SELECT 1 FROM pawl.sessions AS s WHERE s.id = l.session))`
)

// EraseSessions implements [sqlstore.Upkeep]. What leads from the user to a
// session goes last: whoever is interrupted can go on.
func (s *Store) EraseSessions(ctx context.Context, userID string) (erased, removed int, err error) {
	err = s.pages(ctx, walk{user: userID, ended: true}, func(ids [][16]byte) (bool, error) {
		over, err := s.exec(ctx, "remove sessions that are over", sqlRemoveOver, s.clock(), ids, userID)
		if err != nil {
			return false, err
		}
		removed += over
		ended, err := s.exec(ctx, "erase sessions", sqlErase, "erased_", ids, userID)
		if err != nil {
			return false, err
		}
		erased += ended
		_, err = s.exec(ctx, "erase sessions of a user", sqlEraseLines, s.clock(), ids, userID)
		return false, err
	})
	if err != nil {
		return 0, 0, err
	}
	return erased, removed, nil
}

// eraseStep is how many events are erased in one statement.
const eraseStep = 5000

const sqlEraseEvents = `UPDATE pawl.events SET user_id = NULL, address = NULL, user_agent = NULL, request_id = NULL WHERE cursor = ANY
	(ARRAY(SELECT cursor FROM pawl.events WHERE user_id = $1 AND type <> $2 ORDER BY cursor LIMIT $3))`

// EraseEvents implements [sqlstore.Events]. It takes a step at a time, so that
// a user of whom there is much is erased too.
func (s *Store) EraseEvents(ctx context.Context, userID string) (int, error) {
	if !storable(userID) {
		return 0, ctx.Err()
	}
	for total := 0; ; {
		n, err := s.exec(ctx, "erase events", sqlEraseEvents, userID, string(session.EventUserDeleted), eraseStep)
		if err != nil {
			return 0, err
		}
		if total += n; n < eraseStep {
			return total, nil
		}
	}
}
