package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
)

// Fsck implements [sqlstore.Upkeep]. It reads in pages: none of its statements
// takes longer for there being more in the database.
func (s *Store) Fsck(ctx context.Context) (sqlstore.Report, error) {
	var r sqlstore.Report
	var errs []error
	for _, check := range []func(context.Context, *sqlstore.Report) error{
		s.checkSchema, s.checkSessions, s.checkKeys, s.checkUsers, s.checkEvents,
	} {
		errs = append(errs, check(ctx, &r))
	}
	if err := errors.Join(errs...); err != nil {
		return r, fmt.Errorf("postgres: check: %w", err)
	}
	return r, nil
}

// What the statements rest on: constraints that hold for every row and indexes
// that have every row, each of which an operator can leave half made.
const sqlUnsound = `SELECT 'constraint ' || conname FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
		WHERE nspname = 'pawl' AND NOT convalidated
	UNION ALL SELECT 'index ' || relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE nspname = 'pawl' AND NOT (indisvalid AND indisready)`

// expected are the constraints and indexes whose loss nothing else would show.
var expected = []string{"users_pkey", "users_name", "keys_pkey", "keys_one_next", "keys_one_active", "sessions_pkey", "sessions_ended",
	"user_sessions_pkey", "user_sessions_live", "attempts_pkey", "events_pkey", "services_pkey", "codes_pkey"}

const sqlMissing = `SELECT name FROM unnest($1::text[]) AS e (name) WHERE NOT EXISTS
	(SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = 'pawl' AND relname = name AND relkind = 'i')`

func (s *Store) checkSchema(ctx context.Context, r *sqlstore.Report) error {
	scan := func(rows pgx.Rows) (name string, err error) { return name, rows.Scan(&name) }
	unsound, err := collect(ctx, s, "check the schema", reads, scan, sqlUnsound)
	if err != nil {
		return err
	}
	for _, name := range unsound {
		r.Fault("schema: %s is not valid", name)
	}
	missing, err := collect(ctx, s, "check the schema", reads, scan, sqlMissing, expected)
	for _, name := range missing {
		r.Fault("schema: index %s is missing", name)
	}
	return err
}

// A census looks at the pages that [session.Fsck] reads.
type census struct {
	*Store
	r *sqlstore.Report
}

// A session that lives must be found by its user.
const sqlNoLine = `SELECT id FROM pawl.sessions WHERE id = ANY ($1) AND ` + sqlLive + `
	AND NOT EXISTS (SELECT 1 FROM pawl.user_sessions AS l WHERE l.user_id = sessions.user_id AND session = id AND NOT ended)`

// List implements [session.Directory].
func (c census) List(ctx context.Context, q session.Query) ([]session.Row, time.Time, error) {
	rows, now, err := c.Store.List(ctx, q)
	if err != nil {
		return nil, now, err
	}
	var live [][16]byte
	for i := range rows {
		if rows[i].Ended() {
			c.r.Ended++
		} else {
			live = append(live, rows[i].ID)
		}
	}
	lost, err := collect(ctx, c.Store, "find sessions of no user", reads, func(rows pgx.Rows) (session.ID, error) { return scanID(rows) }, sqlNoLine, live)
	for _, id := range lost {
		c.r.Fault("session %v: its user's sessions do not have it", id)
	}
	return rows, now, err
}

func (s *Store) checkSessions(ctx context.Context, r *sqlstore.Report) (err error) {
	r.Sessions, err = session.Fsck(ctx, census{s, r}, func(row session.Row, fault error) { r.Fault("session %v: %w", row.ID, fault) })
	return err
}

// checkKeys: that there is one key at most of those states does not rest on
// the indexes that keep it so.
func (s *Store) checkKeys(ctx context.Context, r *sqlstore.Report) error {
	keys, _, err := s.Keys(ctx)
	if err != nil {
		return err
	}
	count := make(map[string]int)
	for i := range keys {
		k := &keys[i]
		r.CheckKey(k.ID, string(k.State), len(k.Sealed))
		count[string(k.State)]++
	}
	for _, state := range []string{"next", "active"} {
		if n := count[state]; n > 1 {
			r.Fault("keys: %d are %s, at most one may be", n, state)
		}
	}
	return nil
}

// How many users are read at once, and how many events are counted. The limits
// are part of the statements, so that the planner knows that these are few.
const (
	userPage  = 1000
	eventPage = 100000
)

var sqlUserPage = fmt.Sprintf(`SELECT `+userColumns+` FROM pawl.users WHERE name > $1 ORDER BY name LIMIT %d`, userPage)

func (s *Store) checkUsers(ctx context.Context, r *sqlstore.Report) error {
	for after := ""; ; {
		page, err := collect(ctx, s, "check users", reads, scanUser, sqlUserPage, binaryResults, after)
		if err != nil {
			return err
		}
		var part sqlstore.Report
		part.CheckUsers(page)
		r.Users += part.Users
		for _, fault := range part.Faults {
			r.Fault("%w", fault)
		}
		if len(page) < userPage {
			return nil
		}
		after = page[len(page)-1].Name
	}
}

var (
	sqlCountEvents = fmt.Sprintf(`SELECT count(*), coalesce(max(cursor), 0) FROM (SELECT cursor FROM pawl.events WHERE cursor > $1
		ORDER BY cursor LIMIT %d) AS page`, eventPage)
	sqlAhead = fmt.Sprintf(`SELECT count(*) FROM (SELECT 1 FROM pawl.events
		WHERE cursor > coalesce((SELECT value FROM pawl.counter WHERE name = 'events'), 0) LIMIT %d) AS page`, eventPage)
)

// checkEvents: the counter has reached every cursor that was given.
func (s *Store) checkEvents(ctx context.Context, r *sqlstore.Report) error {
	ahead, err := s.number(ctx, "check events", sqlAhead)
	if err != nil {
		return err
	}
	if ahead > 0 {
		r.Fault("events: %d or more have cursors that the counter has not reached", ahead)
	}
	for n, after := eventPage, int64(0); n == eventPage; r.Events += n {
		err := s.do(ctx, "count events", reads, func(ctx context.Context, p *pool) error {
			return p.QueryRow(ctx, sqlCountEvents, after).Scan(&n, &after)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
