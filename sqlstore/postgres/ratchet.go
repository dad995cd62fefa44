package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl/session"
)

var (
	// A line of the user's is there before the session is.
	sqlCreateLine = `INSERT INTO pawl.user_sessions (user_id, session, over_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`
	sqlCreate     = `INSERT INTO pawl.sessions (` + sessionColumns + `) VALUES (` + places(strings.Count(sessionColumns, ",")+1) + `)
		ON CONFLICT (id) DO NOTHING`
)

// places returns $1, $2, … $n.
func places(n int) string {
	var list strings.Builder
	for i := range n {
		if i > 0 {
			list.WriteString(", ")
		}
		fmt.Fprintf(&list, "$%d", i+1)
	}
	return list.String()
}

// Create implements [session.Ratchet]. A login method that is empty or has a
// line break is refused.
func (s *Store) Create(ctx context.Context, row session.Row) error {
	args, err := rowArgs(&row)
	if err != nil {
		return fmt.Errorf("postgres: create session: %w", err)
	}
	if _, err := s.exec(ctx, "create session", sqlCreateLine, row.UserID, [16]byte(row.ID), row.AbsoluteEnd); err != nil {
		return err
	}
	return s.one(ctx, session.ErrExists, "create session", sqlCreate, args...)
}

// In what follows $1 is the clock; see [Store.clock].
const (
	sqlEpoch   = `coalesce((SELECT at FROM pawl.epoch), '-infinity')`
	sqlSession = `SELECT ` + sqlNow + `, ` + sqlEpoch + `, coalesce((SELECT reason FROM pawl.epoch), ''), ` + sessionColumns + ` FROM pawl.sessions`
	sqlLoad    = sqlSession + ` WHERE id = ANY ($2)`
	sqlClock   = `SELECT ` + sqlNow
	// sqlLive is the condition on a row that has not ended.
	sqlLive = `ended_at IS NULL AND created_at > ` + sqlEpoch
)

// Load implements [session.Ratchet].
func (s *Store) Load(ctx context.Context, ids []session.ID) ([]session.Row, time.Time, error) {
	if len(ids) > 0 {
		rows, now, err := s.sessions(ctx, "load sessions", len(ids), sqlLoad, s.clock(), uuids(ids))
		if err != nil || len(rows) > 0 {
			return rows, now, err
		}
	}
	now, err := s.time(ctx)
	return nil, now, err
}

// time returns the store's clock.
func (s *Store) time(ctx context.Context) (now time.Time, err error) {
	if s.now != nil {
		return s.now(), ctx.Err()
	}
	err = s.do(ctx, "read the clock", reads, func(ctx context.Context, p *pool) error {
		return p.QueryRow(ctx, sqlClock, nil).Scan(&now)
	})
	return now.UTC(), err
}

// sessions runs a statement that begins with [sqlSession]. The clock is zero
// if there are no rows.
func (s *Store) sessions(ctx context.Context, what string, hint int, query string, args ...any) ([]session.Row, time.Time, error) {
	all, now := make([]session.Row, 0, hint), time.Time{}
	err := s.query(ctx, what, reads, func() { all = all[:0] }, func(rows pgx.Rows) error {
		row, clock, err := scanSession(rows)
		all, now = append(all, row), clock
		return err
	}, query, append([]any{binaryResults}, args...)...)
	if err != nil {
		return nil, now, err
	}
	return all, now, nil
}

// uuids are ids as the database takes them.
func uuids(ids []session.ID) [][16]byte {
	list := make([][16]byte, len(ids))
	for i, id := range ids {
		list[i] = id
	}
	return list
}

// The three ways in which [session.Row.Apply] changes a row. Each is a
// compare-and-swap on the generation and on not having ended, for many rows at
// once. A row that somebody else has locked is left alone.
const (
	sqlMine = `, mine AS (SELECT id FROM pawl.sessions s JOIN v USING (id) WHERE s.generation = was AND ` + sqlLive + `
		ORDER BY id FOR UPDATE OF s SKIP LOCKED)`
	// It only moves forward; greatest passes over NULL, which is never.
	sqlRolledBack = `rolled_back_at = greatest(s.rolled_back_at, v.rolled_back_at)`
	sqlWhere      = ` FROM v JOIN mine USING (id) WHERE s.id = v.id RETURNING s.id`

	sqlTurn = `WITH v AS (SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::bigint[], $5::timestamptz[], $6::timestamptz[],
			$7::smallint[], $8::bytea[], $9::timestamptz[])
			AS v (id, was, rolled_back_at, generation, rotated_at, prior_used_at, late_repeats, key_hash, last_seen))` + sqlMine + `
		UPDATE pawl.sessions s SET generation = v.generation, rotated_at = v.rotated_at, confirmed_at = NULL,
			prior_used_at = v.prior_used_at, key_hash = v.key_hash, last_seen = v.last_seen,
			late_repeats = v.late_repeats | CASE WHEN v.generation - v.was < 8 THEN ((s.late_repeats::int << (v.generation - v.was)::int) & 255)::smallint ELSE 0::smallint END,
			` + sqlRolledBack + sqlWhere
	sqlNote = `WITH v AS (SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::smallint[])
			AS v (id, was, rolled_back_at, late_repeats))` + sqlMine + `
		UPDATE pawl.sessions s SET late_repeats = s.late_repeats | v.late_repeats, ` + sqlRolledBack + sqlWhere
	sqlEnd = `WITH v AS (SELECT * FROM unnest($2::uuid[], $3::bigint[], $4::text[]) AS v (id, was, reason))` + sqlMine + `
		UPDATE pawl.sessions s SET ended_at = ` + sqlNow + `, end_reason = v.reason, salt = ` + noSalt + sqlWhere

	noSalt = `'\x00000000000000000000000000000000'`
)

// swaps are the changes of a call by kind, as arrays of their fields.
type swaps struct {
	turns struct {
		ids         [][16]byte
		was, to     []int64
		rolledBack  []*time.Time
		rotated     []time.Time
		priorUsed   []*time.Time
		lateRepeats []int16
		keyHashes   [][]byte
		lastSeen    []time.Time
	}
	notes struct {
		ids         [][16]byte
		was         []int64
		rolledBack  []*time.Time
		lateRepeats []int16
	}
	ends struct {
		ids     [][16]byte
		was     []int64
		reasons []string
	}
}

func newSwaps(changes []session.Change) *swaps {
	s := &swaps{}
	for i := range changes {
		switch c := &changes[i]; {
		case c.End != "":
			e := &s.ends
			e.ids, e.was, e.reasons = append(e.ids, c.ID), append(e.was, int64(c.From)), append(e.reasons, string(c.End))
		case c.Generation != c.From:
			t := &s.turns
			t.ids, t.was, t.to = append(t.ids, c.ID), append(t.was, int64(c.From)), append(t.to, int64(c.Generation))
			t.rolledBack, t.rotated = append(t.rolledBack, orNever(c.RolledBackAt)), append(t.rotated, c.RotatedAt)
			t.priorUsed, t.lateRepeats = append(t.priorUsed, orNever(c.PriorUsedAt)), append(t.lateRepeats, int16(c.LateRepeats))
			t.keyHashes, t.lastSeen = append(t.keyHashes, hashArg(c.KeyHash)), append(t.lastSeen, c.LastSeen)
		default:
			n := &s.notes
			n.ids, n.was = append(n.ids, c.ID), append(n.was, int64(c.From))
			n.rolledBack, n.lateRepeats = append(n.rolledBack, orNever(c.RolledBackAt)), append(n.lateRepeats, int16(c.LateRepeats))
		}
	}
	return s
}

// batch returns the statements: one for each kind of change there is. They
// travel together.
func (s *swaps) batch(clock *time.Time) *pgx.Batch {
	b := &pgx.Batch{}
	if t := &s.turns; len(t.ids) > 0 {
		b.Queue(sqlTurn, t.ids, t.was, t.rolledBack, t.to, t.rotated, t.priorUsed, t.lateRepeats, t.keyHashes, t.lastSeen)
	}
	if n := &s.notes; len(n.ids) > 0 {
		b.Queue(sqlNote, n.ids, n.was, n.rolledBack, n.lateRepeats)
	}
	if e := &s.ends; len(e.ids) > 0 {
		b.Queue(sqlEnd, clock, e.ids, e.was, e.reasons)
	}
	return b
}

// Replace implements [session.Ratchet]. If an error other than a conflict
// occurs, every change fails with it.
func (s *Store) Replace(ctx context.Context, changes []session.Change) []error {
	errs := make([]error, len(changes))
	swaps := newSwaps(changes)
	done := make(map[session.ID]bool, len(changes))
	err := s.do(ctx, "replace sessions", writes, func(ctx context.Context, p *pool) error {
		clear(done)
		batch := swaps.batch(s.clock())
		results := p.SendBatch(ctx, batch)
		for range batch.Len() {
			rows, err := results.Query()
			if err != nil {
				results.Close()
				return err
			}
			ids, err := pgx.CollectRows(rows, scanID)
			if err != nil {
				results.Close()
				return err
			}
			for _, id := range ids {
				done[id] = true
			}
		}
		return results.Close()
	})
	for i := range errs {
		switch {
		case err != nil:
			errs[i] = err
		case !done[changes[i].ID]:
			errs[i] = session.ErrConflict
		}
	}
	if err == nil && len(swaps.ends.ids) > 0 {
		s.tell(ctx)
	}
	return errs
}

func scanID(row pgx.CollectableRow) (id session.ID, err error) {
	return id, row.Scan((*[16]byte)(&id))
}

const (
	sqlConfirmable = ` FROM pawl.sessions JOIN v USING (id) WHERE generation = was AND confirmed_at IS NULL AND ` + sqlLive
	sqlUses        = `WITH v AS (SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS v (id, was))`
	sqlConfirm     = sqlUses + `, mine AS (SELECT id` + sqlConfirmable + ` ORDER BY id FOR UPDATE OF sessions SKIP LOCKED)
		UPDATE pawl.sessions s SET confirmed_at = coalesce($3::timestamptz, statement_timestamp()) FROM mine WHERE s.id = mine.id`
	sqlUnconfirmed = sqlUses + ` SELECT id` + sqlConfirmable
)

// Confirm implements [session.Ratchet]. It judges by the clock before it
// stamps. What somebody else has locked is tried again until it is confirmed,
// or nothing is left to confirm.
func (s *Store) Confirm(ctx context.Context, uses []session.Use, settle time.Duration) (time.Time, error) {
	now, err := s.time(ctx)
	if err != nil {
		return now, err
	}
	var ids [][16]byte
	var generations []int64
	for _, u := range uses {
		if u.Settled(now, settle) {
			ids, generations = append(ids, u.Session), append(generations, int64(u.Generation))
		}
	}
	for try := 0; len(ids) > 0; try++ {
		changed, err := s.exec(ctx, "confirm sessions", sqlConfirm, ids, generations, s.clock())
		if err != nil {
			return now, err
		}
		if changed == len(ids) {
			return now, nil
		}
		left, err := collect(ctx, s, "find what to confirm", reads, func(rows pgx.Rows) (session.ID, error) { return scanID(rows) },
			sqlUnconfirmed, ids, generations)
		if err != nil || len(left) == 0 {
			return now, err
		}
		if !pause(ctx, try) {
			return now, ctx.Err()
		}
	}
	return now, nil
}
