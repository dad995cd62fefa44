package postgres

import "context"

// linesPage is how many of a user's sessions are looked at in one statement.
const linesPage = 2000

const (
	sqlLines     = `SELECT session FROM pawl.user_sessions WHERE user_id = $1 AND session > $2`
	sqlLiveLines = sqlLines + ` AND NOT ended`
	sqlEndedOf   = `SELECT id FROM pawl.sessions WHERE id = ANY ($1) AND NOT (` + sqlLive + `)`
	sqlMark      = `UPDATE pawl.user_sessions SET ended = true WHERE user_id = $1 AND session = ANY ($2) AND NOT ended`
)

// A walk goes through the sessions that a user has, or had, in the order of
// their ids, a page at a time: however many there are, each statement is short.
type walk struct {
	user  string
	after [16]byte
	ended bool // also those that are known to have ended
}

// pages calls do with the ids of each page, which it may change, until it says
// that it is enough.
func (s *Store) pages(ctx context.Context, w walk, do func(ids [][16]byte) (enough bool, err error)) error {
	if !storable(w.user) {
		return ctx.Err()
	}
	query := sqlLiveLines
	if w.ended {
		query = sqlLines
	}
	query += ` ORDER BY session` + atMost(linesPage)
	for {
		ids, err := collect(ctx, s, "find a user's sessions", reads, scanUUID, query, w.user, w.after)
		if err != nil || len(ids) == 0 {
			return err
		}
		w.after = ids[len(ids)-1]
		if enough, err := do(ids); err != nil || enough || len(ids) < linesPage {
			return err
		}
	}
}

// mark notes which of a user's sessions have ended, so that no walk comes by
// them again. A session that is not there may still be stored: it is not
// marked. An end is committed before its mark is made, and so is never lost
// without it. That this fails does no harm: it is done again by who comes next.
func (s *Store) mark(ctx context.Context, userID string, ids [][16]byte) {
	if len(ids) == 0 {
		return
	}
	ended, err := collect(ctx, s, "find ended sessions of a user", reads, scanUUID, sqlEndedOf, ids)
	if err == nil && len(ended) > 0 {
		_, _ = s.exec(ctx, "mark ended sessions of a user", sqlMark, userID, ended)
	}
}
