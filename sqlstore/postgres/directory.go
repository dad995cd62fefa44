package postgres

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/verify"
)

var errSelection = errors.New("postgres: a selection names one session or one user")

const sqlEndThose = `UPDATE pawl.sessions SET ended_at = ` + sqlNow + `, end_reason = $2, salt = ` + noSalt + ` WHERE id = ANY ($3) AND ` + sqlLive + ` RETURNING id, user_id`

// End implements [session.Directory]. Those of a user end a page at a time.
func (s *Store) End(ctx context.Context, which session.Selection, reason session.Reason) (ended []session.Ended, err error) {
	if !which.Valid() {
		return nil, errSelection
	}
	if which.User == "" {
		if which.Session != which.Except {
			ended, err = s.endThose(ctx, [][16]byte{which.Session}, reason)
		}
	} else {
		err = s.pages(ctx, walk{user: which.User}, func(ids [][16]byte) (bool, error) {
			those := slices.DeleteFunc(ids, func(id [16]byte) bool { return id == which.Except })
			some, err := s.endThose(ctx, those, reason)
			if err == nil {
				s.mark(ctx, which.User, those)
			}
			ended = append(ended, some...)
			return false, err
		})
	}
	if len(ended) > 0 {
		s.tell(ctx)
	}
	return ended, err
}

func (s *Store) endThose(ctx context.Context, ids [][16]byte, reason session.Reason) ([]session.Ended, error) {
	return collect(ctx, s, "end sessions", writes, func(rows pgx.Rows) (e session.Ended, err error) {
		return e, rows.Scan((*[16]byte)(&e.Session), &e.UserID)
	}, sqlEndThose, s.clock(), string(reason), ids)
}

const sqlEndEveryone = `UPDATE pawl.epoch SET at = $1, reason = $2, written = '00000000-0000-0000-0000-000000000000' WHERE at < $1`

// maxEpochs is how often an epoch is set anew because it came too late.
const maxEpochs = 20

// EndEveryone implements [session.Directory].
func (s *Store) EndEveryone(ctx context.Context, at time.Time, reason session.Reason) (session.Epoch, error) {
	for range maxEpochs {
		until := at
		if at.IsZero() {
			now, err := s.time(ctx)
			if err != nil {
				return session.Epoch{}, err
			}
			until = session.NextEpoch(now)
		}
		if _, err := s.exec(ctx, "end everyone", sqlEndEveryone, until, string(reason)); err != nil {
			return session.Epoch{}, err
		}
		// From here on every statement sees it. One that did not has a clock
		// that is earlier than this one.
		now, err := s.time(ctx)
		if err != nil {
			return session.Epoch{}, err
		}
		if !at.IsZero() || now.Before(until) {
			s.tell(ctx)
			return s.epoch(ctx)
		}
	}
	return session.Epoch{}, errors.New("postgres: end everyone: the database takes too long to commit")
}

// epoch returns the epoch that is set.
func (s *Store) epoch(ctx context.Context) (e session.Epoch, err error) {
	err = s.query(ctx, "read the epoch", reads, func() {}, func(rows pgx.Rows) error {
		r := record{columns: rows.RawValues()}
		e = session.Epoch{At: r.time(), Reason: session.Reason(r.text())}
		return r.err
	}, `SELECT at, reason FROM pawl.epoch`, binaryResults)
	return e, err
}

// List implements [session.Directory].
func (s *Store) List(ctx context.Context, q session.Query) (rows []session.Row, now time.Time, err error) {
	if q.User == "" {
		rows, now, err = s.list(ctx, q, sqlSession+` WHERE id > $3`, [16]byte(q.After))
	} else {
		rows, now, err = s.listOf(ctx, q)
	}
	if err == nil && now.IsZero() {
		now, err = s.time(ctx)
	}
	return rows, now, err
}

// list runs a statement that begins with [sqlSession], whose condition has
// arguments from $3 on, and adds the rest of what the query asks for.
func (s *Store) list(ctx context.Context, q session.Query, query string, args ...any) ([]session.Row, time.Time, error) {
	if !q.WithEnded {
		query += ` AND ` + sqlLive
	}
	return s.sessions(ctx, "list sessions", 0, query+` ORDER BY id LIMIT $2`, append([]any{s.clock(), max(0, q.Limit)}, args...)...)
}

// listOf lists the sessions of one user, with the clock of the first page.
func (s *Store) listOf(ctx context.Context, q session.Query) (rows []session.Row, now time.Time, err error) {
	limit := q.Limit
	err = s.pages(ctx, walk{user: q.User, after: q.After, ended: q.WithEnded}, func(ids [][16]byte) (bool, error) {
		q.Limit = limit - len(rows)
		some, clock, err := s.list(ctx, q, sqlSession+` WHERE id = ANY ($3) AND user_id = $4`, ids, q.User)
		if err != nil {
			return false, err
		}
		if now.IsZero() {
			now = clock
		}
		rows = append(rows, some...)
		if !q.WithEnded && len(some) < len(ids) {
			listed := make(map[[16]byte]bool, len(some))
			for i := range some {
				listed[some[i].ID] = true
			}
			s.mark(ctx, q.User, slices.DeleteFunc(ids, func(id [16]byte) bool { return listed[id] }))
		}
		return len(rows) >= limit, nil
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	return rows, now, nil
}

const (
	sqlOver = ` FROM pawl.sessions WHERE absolute_end <= ` + sqlNow + ` AND coalesce(ended_at,
		CASE WHEN created_at <= ` + sqlEpoch + ` THEN ` + sqlEpoch + ` END, '-infinity') < ` + sqlNow + ` - $2::interval`
	// One may have been ended since it was found, and is to be told then.
	sqlSweep = `DELETE` + sqlOver + ` AND id = ANY ($3)`
	sqlThere = `SELECT id FROM pawl.sessions WHERE id = ANY ($1)`
	// A line may be there for a session that has not been stored yet, but not
	// for one that is over.
	sqlOldLines   = `SELECT user_id, session FROM pawl.user_sessions WHERE over_at <= ` + sqlNow + ` - $2::interval ORDER BY over_at`
	sqlSweepLines = `DELETE FROM pawl.user_sessions AS l USING unnest($1::text[], $2::uuid[]) AS v (user_id, session)
		WHERE l.user_id = v.user_id AND l.session = v.session`
)

// atMost is the end of a statement that finds what to sweep: a limit that the
// planner knows. What was found is removed by its keys, in a statement of its
// own: that works where rows are spread by key, and no more is locked.
func atMost(limit int) string { return ` LIMIT ` + strconv.Itoa(max(0, limit)) }

func scanUUID(rows pgx.Rows) (id [16]byte, err error) { return id, rows.Scan(&id) }

// Sweep implements [session.Directory].
func (s *Store) Sweep(ctx context.Context, limit int, feedKeep time.Duration) (int, error) {
	over, err := collect(ctx, s, "find sessions to sweep", reads, scanUUID, `SELECT id`+sqlOver+` ORDER BY absolute_end`+atMost(limit), s.clock(), feedKeep)
	if err != nil {
		return 0, err
	}
	removed := 0
	if len(over) > 0 {
		if removed, err = s.exec(ctx, "sweep sessions", sqlSweep, s.clock(), feedKeep, over); err != nil {
			return 0, err
		}
	}
	if err := s.sweepLines(ctx, limit, feedKeep); err != nil {
		return removed, err
	}
	written, err := s.writeEpoch(ctx, limit-removed, feedKeep)
	return removed + written, err
}

// sweepLines removes lines that lead to no session, out of the limit oldest.
// One that leads to a session that must still be told stays until that is
// swept.
func (s *Store) sweepLines(ctx context.Context, limit int, feedKeep time.Duration) error {
	var users []string
	var ids [][16]byte
	err := s.query(ctx, "find sessions of users to sweep", reads, func() { users, ids = nil, nil }, func(rows pgx.Rows) error {
		var user string
		var id [16]byte
		err := rows.Scan(&user, &id)
		users, ids = append(users, user), append(ids, id)
		return err
	}, sqlOldLines+atMost(limit), s.clock(), feedKeep)
	if err != nil || len(ids) == 0 {
		return err
	}
	there, err := collect(ctx, s, "find sessions of users to sweep", reads, scanUUID, sqlThere, ids)
	if err != nil {
		return err
	}
	var gone struct {
		users []string
		ids   [][16]byte
	}
	for i, id := range ids {
		if !slices.Contains(there, id) {
			gone.users, gone.ids = append(gone.users, users[i]), append(gone.ids, id)
		}
	}
	if len(gone.ids) == 0 {
		return nil
	}
	_, err = s.exec(ctx, "sweep sessions of users", sqlSweepLines, gone.users, gone.ids)
	return err
}

const (
	sqlEpochDue  = `SELECT written, at FROM pawl.epoch WHERE written IS NOT NULL AND at < ` + sqlNow + ` - $2::interval`
	sqlEpochStep = `SELECT id FROM pawl.sessions WHERE id > $1 ORDER BY id LIMIT $2`
	sqlEpochRows = `UPDATE pawl.sessions SET ended_at = e.at, end_reason = e.reason, salt = ` + noSalt + `
		FROM pawl.epoch e WHERE sessions.id = ANY ($1) AND ended_at IS NULL AND created_at <= e.at`
	// On the condition that it is still that epoch: the next one begins where
	// this one did.
	sqlEpochTo = `UPDATE pawl.epoch SET written = $2 WHERE written = $1 AND at = $3`
)

// writeEpoch writes the epoch into at most limit rows, in the order of their
// ids, and returns how many it looked at. How far it got is kept with the
// epoch: whoever comes next goes on there.
func (s *Store) writeEpoch(ctx context.Context, limit int, feedKeep time.Duration) (int, error) {
	var at time.Time
	due, err := collect(ctx, s, "find the epoch", reads, func(rows pgx.Rows) (written [16]byte, err error) {
		return written, rows.Scan(&written, &at)
	}, sqlEpochDue, s.clock(), feedKeep)
	if err != nil || len(due) == 0 || limit <= 0 {
		return 0, err
	}
	step, err := collect(ctx, s, "find what the epoch ended", reads, scanUUID, sqlEpochStep, due[0], limit)
	if err != nil {
		return 0, err
	}
	if _, err := s.exec(ctx, "write the epoch", sqlEpochRows, step); err != nil {
		return 0, err
	}
	var to *[16]byte // NULL: all rows have it
	if len(step) == limit {
		to = &step[len(step)-1]
	}
	_, err = s.exec(ctx, "note how far the epoch is written", sqlEpochTo, due[0], to, at)
	return len(step), err
}

// Ended implements [verify.Feed].
func (s *Store) Ended(ctx context.Context, window time.Duration) (verify.Endings, error) {
	var told verify.Endings
	err := s.query(ctx, "read the feed", reads, func() {}, func(rows pgx.Rows) error {
		var ids [][16]byte
		var epoch pgtype.Timestamptz
		var readOnly bool
		if err := rows.Scan(&told.Now, &epoch, &ids, &readOnly); err != nil {
			return err
		}
		if readOnly {
			return errReadOnly
		}
		told.Epoch, told.Sessions = epoch.Time, make([]session.ID, len(ids))
		for i, id := range ids {
			told.Sessions[i] = id
		}
		return nil
	}, sqlFeed, s.clock(), window)
	if err == nil && told.Now.IsZero() {
		err = errNoEpoch
	}
	return told, err
}

// errNoEpoch: without the row it cannot be known what has ended.
var errNoEpoch = errors.New("postgres: read the feed: the row of pawl.epoch is missing; insert it again, with the time of the last epoch or with now")

// A connection may outlive the rank of the server that it leads to: a standby,
// or a primary that was demoted, answers by its own clock that nothing has
// ended. An engine that knows no such setting says NULL.
const sqlFeed = `SELECT ` + sqlNow + `, at, ARRAY(SELECT id FROM pawl.sessions WHERE ended_at >= ` + sqlNow + ` - $2::interval),
	coalesce(current_setting('transaction_read_only', true), 'off') = 'on' FROM pawl.epoch WHERE id = 1`
