package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
)

var _ sqlstore.Source = (*Store)(nil)

// sizes say how many records a table has.
var sizes = map[sqlstore.Table]string{
	sqlstore.EpochTable:   `SELECT count(*) FROM epoch`,
	sqlstore.KeyTable:     `SELECT count(*) FROM keys`,
	sqlstore.UserTable:    `SELECT count(*) FROM users`,
	sqlstore.AttemptTable: `SELECT count(*) FROM attempts`,
	sqlstore.EventTable:   `SELECT count(*) FROM events`,
	sqlstore.CounterTable: `SELECT 1`,
	sqlstore.SessionTable: `SELECT count(*) FROM sessions`,
}

// Size implements [sqlstore.Source].
func (s *Store) Size(ctx context.Context, table sqlstore.Table) (n int, err error) {
	if table == sqlstore.ServiceTable {
		all, err := s.serviceRecords(ctx)
		return len(all), err
	}
	if err := s.count(ctx, &n, sizes[table]); err != nil {
		return 0, fmt.Errorf("sqlite: count %s: %w", table, err)
	}
	return n, nil
}

const (
	sqlEpochPage   = `SELECT at, reason FROM epoch LIMIT ?`
	sqlKeyPage     = `SELECT ` + keyColumns + ` FROM keys WHERE id > ? ORDER BY id LIMIT ?`
	sqlUserPage    = `SELECT ` + userColumns + ` FROM users WHERE id > ? ORDER BY id LIMIT ?`
	sqlAttemptPage = `SELECT account, network, owed_until, closed_until, known_until FROM attempts
		WHERE (account, network) > (?, ?) ORDER BY account, network LIMIT ?`
	sqlCounterPage = `SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) LIMIT ?`
	sqlSessionPage = `SELECT ` + sessionColumns + `, NULL, NULL FROM sessions WHERE id > ? ORDER BY id LIMIT ?`
)

// Page implements [sqlstore.Source].
func (s *Store) Page(ctx context.Context, table sqlstore.Table, after sqlstore.Place, limit int) (r sqlstore.Records, err error) {
	switch table {
	case sqlstore.EpochTable:
		r.Epochs, err = page(ctx, s, func(rows *sql.Rows) (e session.Epoch, err error) {
			return e, rows.Scan(stamp{&e.At}, (*string)(&e.Reason))
		}, sqlEpochPage, limit)
	case sqlstore.KeyTable:
		r.Keys, err = page(ctx, s, scanKey, sqlKeyPage, after.Text, limit)
	case sqlstore.UserTable:
		r.Users, err = page(ctx, s, func(rows *sql.Rows) (account.User, error) { return scanUser(rows) }, sqlUserPage, after.Text, limit)
	case sqlstore.AttemptTable:
		r.Attempts, err = page(ctx, s, func(rows *sql.Rows) (a sqlstore.Attempt, err error) {
			return a, rows.Scan(fixed{a.Account[:]}, fixed{a.Network[:]}, stamp{&a.Owed}, stamp{&a.Closed}, stamp{&a.Known})
		}, sqlAttemptPage, after.Attempt.Account[:], after.Attempt.Network[:], limit)
	case sqlstore.ServiceTable:
		// There are few.
		all, failed := s.serviceRecords(ctx)
		for _, record := range all {
			if record.Name > after.Text && len(r.Services) < limit {
				r.Services = append(r.Services, record)
			}
		}
		err = failed
	case sqlstore.EventTable:
		r.Events, err = s.Events(ctx, after.Cursor, limit)
	case sqlstore.CounterTable:
		r.Counters, err = page(ctx, s, func(rows *sql.Rows) (n int64, err error) { return n, rows.Scan(&n) }, sqlCounterPage, limit)
	case sqlstore.SessionTable:
		r.Sessions, err = page(ctx, s, newRowScanner().scan, sqlSessionPage, after.Session[:], limit)
	}
	if err != nil {
		return sqlstore.Records{}, fmt.Errorf("sqlite: read %s: %w", table, err)
	}
	return r, nil
}

// page reads the records that a statement gives; nil if there are none.
func page[T any](ctx context.Context, s *Store, scan func(*sql.Rows) (T, error), query string, args ...any) (all []T, err error) {
	rows, err := s.reads.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(rows *sql.Rows) error {
		one, err := scan(rows)
		all = append(all, one)
		return err
	})
	return all, err
}

func scanKey(rows *sql.Rows) (k keyring.Record, err error) {
	return k, rows.Scan(&k.ID, &k.Algorithm, &k.Header, &k.Public, fixed{k.Master[:]}, &k.Sealed, &k.State,
		stamp{&k.CreatedAt}, stamp{&k.DueAt}, stamp{&k.ChangedAt})
}

// serviceRecords returns all services, in the order of their names.
func (s *Store) serviceRecords(ctx context.Context) ([]service.Record, error) {
	all, err := s.Services(ctx)
	if err != nil {
		return nil, err
	}
	var records []service.Record
	for i := range all {
		record, err := s.Service(ctx, all[i].Name)
		if err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	return records, nil
}
