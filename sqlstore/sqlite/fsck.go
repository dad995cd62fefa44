package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
)

// Fsck implements [sqlstore.Upkeep]. It checks the file too, and with it the
// index that is the feed of ended sessions.
func (s *Store) Fsck(ctx context.Context) (sqlstore.Report, error) {
	var r sqlstore.Report
	var errs []error
	for _, check := range []func(context.Context, *sqlstore.Report) error{
		s.checkFile, s.checkSessions, s.checkKeys, s.checkUsers, s.checkEvents,
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
	return errors.Join(err, s.count(ctx, &r.Ended, `SELECT count(*) FROM sessions WHERE NOT `+sqlLive))
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
