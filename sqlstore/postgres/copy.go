package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
)

// A Sink is a database into which another store is copied. It is for one copy
// at a time.
type Sink struct {
	store *Store
	run   [16]byte // the mark of this copy
}

var _ sqlstore.Sink = (*Sink)(nil)

// OpenSink opens a database to copy another store into; see [sqlstore.Copy].
// Its schema must be that of this version. Errors are those of [Open], but for
// [sqlstore.ErrIncomplete].
func OpenSink(ctx context.Context, o Options) (*Sink, error) {
	store, err := open(ctx, o, func(context.Context, *Store) error { return nil })
	if err != nil {
		return nil, err
	}
	k := &Sink{store: store}
	rand.Read(k.run[:])
	return k, nil
}

// Close closes the connections.
func (k *Sink) Close() error { return k.store.Close() }

// complete returns [sqlstore.ErrIncomplete] if a copy into the database did not
// get to its end.
func complete(ctx context.Context, s *Store) error {
	n, err := s.number(ctx, "look for an unfinished copy", `SELECT count(*) FROM pawl.copying`)
	if err == nil && n > 0 {
		return sqlstore.ErrIncomplete
	}
	return err
}

const (
	sqlBegin = `INSERT INTO pawl.copying (id, run) SELECT 1, $1 WHERE EXISTS (SELECT 1 FROM pawl.copying) OR NOT (
		EXISTS (SELECT 1 FROM pawl.sessions) OR EXISTS (SELECT 1 FROM pawl.users) OR EXISTS (SELECT 1 FROM pawl.keys)
		OR EXISTS (SELECT 1 FROM pawl.attempts) OR EXISTS (SELECT 1 FROM pawl.services) OR EXISTS (SELECT 1 FROM pawl.events)
		OR EXISTS (SELECT 1 FROM pawl.epoch WHERE at > '-infinity') OR EXISTS (SELECT 1 FROM pawl.counter WHERE value > 0))
		ON CONFLICT (id) DO UPDATE SET run = excluded.run`
	sqlFinish = `DELETE FROM pawl.copying WHERE run = $1`
	// Whoever holds this keeps the mark as it is.
	sqlMarked = `SELECT 1 FROM pawl.copying WHERE run = $1 FOR SHARE`
)

// Begin implements [sqlstore.Sink].
func (k *Sink) Begin(ctx context.Context) error {
	return k.store.one(ctx, sqlstore.ErrOccupied, "begin a copy", sqlBegin, k.run)
}

// Finish implements [sqlstore.Sink].
func (k *Sink) Finish(ctx context.Context) error {
	// Plans are made from what the tables hold; in time the database finds out
	// by itself, and not every role may tell it to.
	_ = k.unhurried(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `ANALYZE pawl.sessions, pawl.user_sessions, pawl.users, pawl.attempts, pawl.events`)
		return err
	})
	return k.store.one(ctx, sqlstore.ErrOvertaken, "finish a copy", sqlFinish, k.run)
}

// unhurried runs what takes longer the more there is in the database.
func (k *Sink) unhurried(ctx context.Context, call func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, k.store.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0`); err != nil {
			return err
		}
		return call(tx)
	})
}

// A rawTable is how a table is copied: its columns, their types, and what its
// records are in the order of.
type rawTable struct{ name, columns, types, order string }

const sessionTypes = `uuid bytea bytea text text text text bigint timestamptz timestamptz timestamptz smallint bytea timestamptz timestamptz
	text timestamptz bigint text boolean text text timestamptz text text timestamptz timestamptz text`

var rawTables = map[sqlstore.Table]rawTable{
	sqlstore.KeyTable:     {"keys", keyColumns, `text text text bytea bytea bytea text timestamptz timestamptz timestamptz`, `id`},
	sqlstore.UserTable:    {"users", userColumns, `text text text text boolean timestamptz timestamptz timestamptz timestamptz`, `id`},
	sqlstore.AttemptTable: {"attempts", attemptColumns, `bytea bytea timestamptz timestamptz timestamptz timestamptz`, `account, network`},
	sqlstore.ServiceTable: {"services", serviceColumns, `text bytea text timestamptz`, `name`},
	sqlstore.EventTable:   {"events", `cursor, ` + eventColumns, `bigint timestamptz text text text text bigint text text text text text text`, `cursor`},
	sqlstore.SessionTable: {"sessions", sessionColumns, sessionTypes, `id`},
}

const attemptColumns = `account, network, owed_until, closed_until, known_until, ends_at`

// lines are not copied, but made with their sessions.
var lines = rawTable{"user_sessions", `user_id, session, over_at, ended`, `text uuid timestamptz boolean`, ``}

// insert returns the statement that stores rows, given as one array for each
// column.
func (r rawTable) insert() string {
	var arrays []string
	for i, kind := range strings.Fields(r.types) {
		arrays = append(arrays, fmt.Sprintf("$%d::%s[]", i+1, kind))
	}
	return `INSERT INTO pawl.` + r.name + ` (` + r.columns + `) SELECT * FROM unnest(` + strings.Join(arrays, ", ") + `) ON CONFLICT DO NOTHING`
}

// columnsOf turns rows into columns.
func columnsOf(rows [][]any) []any {
	columns := make([]any, len(rows[0]))
	for i := range columns {
		column := make([]any, len(rows))
		for k := range rows {
			column[k] = rows[k][i]
		}
		columns[i] = column
	}
	return columns
}

// A stored is rows for one table.
type stored struct {
	to   rawTable
	rows [][]any
}

// Write implements [sqlstore.Sink].
func (k *Sink) Write(ctx context.Context, r sqlstore.Records) error {
	inserts, err := insertsOf(&r)
	if err != nil {
		return fmt.Errorf("postgres: copy: %w", err)
	}
	// It may be done twice, like what only reads.
	return k.store.do(ctx, "copy", reads, func(ctx context.Context, p *pool) error {
		return pgx.BeginFunc(ctx, p, func(tx pgx.Tx) error {
			marked, err := tx.Exec(ctx, sqlMarked, k.run)
			if err == nil && marked.RowsAffected() == 0 {
				return sqlstore.ErrOvertaken
			}
			for _, epoch := range r.Epochs {
				_, failed := tx.Exec(ctx, sqlEndEveryone, epoch.At, string(epoch.Reason))
				err = errors.Join(err, failed)
			}
			for _, last := range r.Counters {
				_, failed := tx.Exec(ctx, `UPDATE pawl.counter SET value = greatest(value, $1) WHERE name = 'events'`, last)
				err = errors.Join(err, failed)
			}
			for _, i := range inserts {
				if err != nil {
					break
				}
				_, err = tx.Exec(ctx, i.to.insert(), columnsOf(i.rows)...)
			}
			return err
		})
	})
}

// insertsOf returns the rows that the records are. The line that leads to a
// session comes before it.
func insertsOf(r *sqlstore.Records) (inserts []stored, err error) {
	add := func(to rawTable, rows [][]any) {
		if len(rows) > 0 {
			inserts = append(inserts, stored{to, rows})
		}
	}
	add(rawTables[sqlstore.KeyTable], rowsOf(r.Keys, func(k keyring.Record) []any { return keyArgs(&k) }))
	add(rawTables[sqlstore.UserTable], rowsOf(r.Users, func(u account.User) []any {
		return []any{u.ID, u.Name, u.Display, string(u.Hash), u.Disabled, u.CreatedAt, u.PasswordChangedAt, orNever(u.InitialUntil), orNever(u.LastSignIn)}
	}))
	add(rawTables[sqlstore.AttemptTable], rowsOf(r.Attempts, attemptArgs))
	add(rawTables[sqlstore.ServiceTable], rowsOf(r.Services, func(s service.Record) []any {
		scopes, failed := scopesArg(s.Scopes)
		err = errors.Join(err, failed)
		return []any{s.Name, s.Secret[:], scopes, s.CreatedAt}
	}))
	add(rawTables[sqlstore.EventTable], rowsOf(r.Events, func(e sqlstore.StoredEvent) []any {
		return []any{e.Cursor, e.Time, string(e.Type), orNull(e.Reason), orNull(e.UserID), orNull(e.Event.Session), int64(e.Generation),
			orNull(e.ClientID), orNull(e.Actor), orNull(e.Key), orNull(e.Address), orNull(e.UserAgent), orNull(e.RequestID)}
	}))
	add(lines, rowsOf(r.Sessions, func(s session.Row) []any { return []any{s.UserID, [16]byte(s.ID), s.AbsoluteEnd, s.Ended()} }))
	add(rawTables[sqlstore.SessionTable], rowsOf(r.Sessions, func(s session.Row) []any {
		args, failed := rowArgs(&s)
		err = errors.Join(err, failed)
		return args
	}))
	return inserts, err
}

func rowsOf[T any](records []T, args func(T) []any) [][]any {
	rows := make([][]any, len(records))
	for i := range records {
		rows[i] = args(records[i])
	}
	return rows
}

// attemptArgs: what has no time has ended long ago.
func attemptArgs(a sqlstore.Attempt) []any {
	ends := any(pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true})
	if !a.Ends().IsZero() {
		ends = a.Ends()
	}
	return []any{a.Account[:], a.Network[:], orNever(a.Owed), orNever(a.Closed), orNever(a.Known), ends}
}
