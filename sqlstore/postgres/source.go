package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
)

// Size implements [sqlstore.Source].
func (k *Sink) Size(ctx context.Context, table sqlstore.Table) (n int, err error) {
	query := `SELECT count(*) FROM pawl.counter`
	switch raw, ok := rawTables[table]; {
	case ok:
		query = `SELECT count(*) FROM pawl.` + raw.name
	case table == sqlstore.EpochTable:
		query = `SELECT count(*) FROM pawl.epoch WHERE at > '-infinity'`
	}
	err = k.unhurried(ctx, func(tx pgx.Tx) error { return tx.QueryRow(ctx, query).Scan(&n) })
	if err != nil {
		return 0, fmt.Errorf("postgres: count %s: %w", table, tidy(err))
	}
	return n, nil
}

// Last implements [sqlstore.Sink].
func (k *Sink) Last(ctx context.Context, table sqlstore.Table) (sqlstore.Place, error) {
	raw, ok := rawTables[table]
	if !ok {
		return sqlstore.Place{}, nil
	}
	r, err := k.read(ctx, table, `true`, strings.ReplaceAll(raw.order, `,`, ` DESC,`)+` DESC`, 1)
	return r.End(), err
}

// Page implements [sqlstore.Source].
func (k *Sink) Page(ctx context.Context, table sqlstore.Table, after sqlstore.Place, limit int) (r sqlstore.Records, err error) {
	switch table {
	case sqlstore.EpochTable:
		epoch, err := k.store.epoch(ctx)
		if err == nil && !epoch.At.IsZero() {
			r.Epochs = []session.Epoch{epoch}
		}
		return r, err
	case sqlstore.CounterTable:
		r.Counters, err = collect(ctx, k.store, "read the counter", reads, func(rows pgx.Rows) (n int64, err error) { return n, rows.Scan(&n) },
			`SELECT value FROM pawl.counter WHERE name = 'events'`)
		return r, err
	case sqlstore.AttemptTable:
		return k.read(ctx, table, `(account, network) > ($1, $2)`, `account, network`, limit, after.Attempt.Account[:], after.Attempt.Network[:])
	case sqlstore.EventTable:
		return k.read(ctx, table, `cursor > $1`, `cursor`, limit, after.Cursor)
	case sqlstore.SessionTable:
		return k.read(ctx, table, `id > $1`, `id`, limit, [16]byte(after.Session))
	default:
		order := rawTables[table].order
		return k.read(ctx, table, order+` > $1`, order, limit, after.Text)
	}
}

// read reads records on a condition, in an order, at most limit. That is part of
// the statement, so that the planner knows that they are few.
func (k *Sink) read(ctx context.Context, table sqlstore.Table, condition, order string, limit int, args ...any) (r sqlstore.Records, err error) {
	raw := rawTables[table]
	err = k.store.query(ctx, "read "+raw.name, reads, func() { r = sqlstore.Records{} }, func(rows pgx.Rows) error {
		c := record{columns: rows.RawValues()}
		c.add(&r, table)
		return c.err
	}, `SELECT `+raw.columns+` FROM pawl.`+raw.name+` WHERE `+condition+` ORDER BY `+order+` LIMIT `+strconv.Itoa(limit), append([]any{binaryResults}, args...)...)
	return r, err
}

// add reads the columns of a table and adds the record to those there are.
func (r *record) add(to *sqlstore.Records, table sqlstore.Table) {
	switch table {
	case sqlstore.KeyTable:
		to.Keys = append(to.Keys, r.key())
	case sqlstore.UserTable:
		to.Users = append(to.Users, r.user())
	case sqlstore.AttemptTable:
		var a sqlstore.Attempt
		r.bytes(a.Account[:])
		r.bytes(a.Network[:])
		a.Owed, a.Closed, a.Known = r.time(), r.time(), r.time()
		to.Attempts = append(to.Attempts, a)
	case sqlstore.ServiceTable:
		to.Services = append(to.Services, r.service())
	case sqlstore.EventTable:
		to.Events = append(to.Events, r.event())
	default:
		to.Sessions = append(to.Sessions, r.session())
	}
}
