package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
)

// Fsck checks the file and every invariant of what it holds: of rows, as
// package session says; of the feed of ended sessions; of signing keys, users
// and events. It changes nothing and may run beside a server. An error means
// that something could not be checked.
func (s *Store) Fsck(ctx context.Context) (sqlstore.Report, error) {
	var r sqlstore.Report
	var errs []error
	for _, check := range []func(context.Context, *sqlstore.Report) error{
		s.checkFile, s.checkSessions, s.checkFeed, s.checkKeys, s.checkUsers, s.checkEvents,
	} {
		errs = append(errs, check(ctx, &r))
	}
	if err := errors.Join(errs...); err != nil {
		return r, fmt.Errorf("sqlite: check: %w", err)
	}
	return r, nil
}

// maxPages is how many faults of the file are told.
const maxPages = 200

// checkFile has SQLite check pages, indexes, and the schema's constraints.
func (s *Store) checkFile(ctx context.Context, r *sqlstore.Report) error {
	return s.checkRows(ctx, func(rows *sql.Rows) error {
		var found string
		err := rows.Scan(&found)
		if found != "ok" {
			r.Fault("file: %s", found)
		}
		return err
	}, fmt.Sprintf("PRAGMA integrity_check(%d)", maxPages))
}

func (s *Store) checkSessions(ctx context.Context, r *sqlstore.Report) (err error) {
	r.Sessions, err = session.Fsck(ctx, s, func(row session.Row, fault error) { r.Fault("session %v: %w", row.ID, fault) })
	return errors.Join(err, s.count(ctx, &r.Ended, `SELECT count(*) FROM sessions WHERE ended_at IS NOT NULL`))
}

// checkFeed: since the feed was last shortened, every ended session is in it,
// and whatever is in it ended then.
func (s *Store) checkFeed(ctx context.Context, r *sqlstore.Report) error {
	missing := s.checkRows(ctx, func(rows *sql.Rows) error {
		var id session.ID
		err := rows.Scan(fixed{id[:]})
		r.Fault("session %v: ended, but not in the feed", id)
		return err
	}, `SELECT id FROM sessions WHERE ended_at >= (SELECT value FROM meta WHERE name = 'feed_kept_from')
		AND NOT EXISTS (SELECT 1 FROM ended WHERE at = ended_at AND session = id)`)
	wrong := s.checkRows(ctx, func(rows *sql.Rows) error {
		var id session.ID
		err := rows.Scan(fixed{id[:]})
		r.Fault("session %v: in the feed, but not ended then", id)
		return err
	}, `SELECT session FROM ended JOIN sessions ON id = session WHERE ended_at IS NOT at`)
	return errors.Join(missing, wrong)
}

// checkKeys: that there is one key at most of those states does not rest on
// the index that keeps it so.
func (s *Store) checkKeys(ctx context.Context, r *sqlstore.Report) error {
	for _, state := range []string{"next", "active"} {
		var n int
		if err := s.count(ctx, &n, `SELECT count(*) FROM keys NOT INDEXED WHERE state = ?`, state); err != nil {
			return err
		}
		if n > 1 {
			r.Fault("keys: %d are %s, at most one may be", n, state)
		}
	}
	return s.checkRows(ctx, func(rows *sql.Rows) error {
		var id, state string
		var size int
		err := rows.Scan(&id, &state, &size)
		r.CheckKey(id, state, size)
		return err
	}, `SELECT id, state, coalesce(length(sealed), 0) FROM keys`)
}

func (s *Store) checkUsers(ctx context.Context, r *sqlstore.Report) error {
	users, err := s.Users(ctx)
	if err != nil {
		return err
	}
	r.CheckUsers(users)
	return nil
}

// checkEvents: the next cursor is greater than all that were given.
func (s *Store) checkEvents(ctx context.Context, r *sqlstore.Report) error {
	var ahead int
	err := s.count(ctx, &ahead, `SELECT count(*) FROM events
		WHERE cursor > coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)`)
	if ahead > 0 {
		r.Fault("events: %d have cursors that will be given again", ahead)
	}
	return errors.Join(err, s.count(ctx, &r.Events, `SELECT count(*) FROM events`))
}

func (s *Store) count(ctx context.Context, n *int, query string, args ...any) error {
	return s.reads.QueryRowContext(ctx, query, args...).Scan(n)
}

func (s *Store) checkRows(ctx context.Context, scan func(*sql.Rows) error, query string) error {
	rows, err := s.reads.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	return each(rows, scan)
}
