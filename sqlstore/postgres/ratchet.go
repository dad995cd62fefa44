package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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

// The three ways in which [session.Row.Apply] changes a row, on the condition
// that it is bound as before and has not ended; and the first use of a generation. With arguments for
// constants, a CASE keeps what it does not choose from being computed, and
// overflowing, only if its condition excludes it on both sides.
var (
	turning = newSwap(`id uuid, was int8, bound text, rolled_back_at timestamptz, generation int8, rotated_at timestamptz, prior_used_at timestamptz,
			late_repeats int2, key_hash bytea, last_seen timestamptz`, sqlBoundSo,
		`generation = v.generation, rotated_at = v.rotated_at, confirmed_at = NULL,
			prior_used_at = v.prior_used_at, key_hash = v.key_hash, last_seen = v.last_seen,
			late_repeats = v.late_repeats | CASE WHEN v.generation - v.was BETWEEN 0 AND 7 THEN ((s.late_repeats::int << (v.generation - v.was)::int) & 255)::smallint ELSE 0::smallint END,
			`+sqlRolledBack)
	noting = newSwap(`id uuid, was int8, bound text, rolled_back_at timestamptz, late_repeats int2`, sqlBoundSo,
		`late_repeats = s.late_repeats | v.late_repeats, `+sqlRolledBack)
	ending = newSwap(`id uuid, was int8, bound text, reason text`, sqlBoundSo,
		`ended_at = `+sqlNow+`, end_reason = v.reason, salt = `+noSalt)
	confirming = newSwap(`id uuid, was int8`, sqlUnused, `confirmed_at = `+sqlNow)
)

const (
	// It only moves forward; greatest passes over NULL, which is never.
	sqlRolledBack = `rolled_back_at = greatest(s.rolled_back_at, v.rolled_back_at)`
	sqlBoundSo    = `s.binding = v.bound AND ` + sqlLive
	noSalt        = `'\x00000000000000000000000000000000'`

	sqlUnused   = `confirmed_at IS NULL AND ` + sqlLive
	sqlUnusedOf = `SELECT id, generation FROM pawl.sessions WHERE id = ANY ($1) AND ` + sqlUnused
)

// swaps are the changes of a call by kind, as arrays of their fields.
type swaps struct {
	turns struct {
		ids         [][16]byte
		was, to     []int64
		bound       []string
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
		bound       []string
		rolledBack  []*time.Time
		lateRepeats []int16
	}
	ends struct {
		ids     [][16]byte
		was     []int64
		bound   []string
		reasons []string
	}
}

func newSwaps(changes []session.Change) *swaps {
	s := &swaps{}
	for i := range changes {
		switch c := &changes[i]; {
		case c.End != "":
			e := &s.ends
			e.ids, e.was, e.bound = append(e.ids, c.ID), append(e.was, int64(c.From)), append(e.bound, string(c.Bound))
			e.reasons = append(e.reasons, string(c.End))
		case c.Generation != c.From:
			t := &s.turns
			t.ids, t.was, t.to = append(t.ids, c.ID), append(t.was, int64(c.From)), append(t.to, int64(c.Generation))
			t.bound = append(t.bound, string(c.Bound))
			t.rolledBack, t.rotated = append(t.rolledBack, orNever(c.RolledBackAt)), append(t.rotated, c.RotatedAt)
			t.priorUsed, t.lateRepeats = append(t.priorUsed, orNever(c.PriorUsedAt)), append(t.lateRepeats, int16(c.LateRepeats))
			t.keyHashes, t.lastSeen = append(t.keyHashes, hashArg(c.KeyHash)), append(t.lastSeen, c.LastSeen)
		default:
			n := &s.notes
			n.ids, n.was, n.bound = append(n.ids, c.ID), append(n.was, int64(c.From)), append(n.bound, string(c.Bound))
			n.rolledBack, n.lateRepeats = append(n.rolledBack, orNever(c.RolledBackAt)), append(n.lateRepeats, int16(c.LateRepeats))
		}
	}
	return s
}

// kinds returns the changes, kind by kind.
func (s *swaps) kinds() (all []changes) {
	if t := &s.turns; len(t.ids) > 0 {
		all = append(all, changes{turning, t.ids, []any{t.ids, t.was, t.bound, t.rolledBack, t.to, t.rotated, t.priorUsed, t.lateRepeats, t.keyHashes, t.lastSeen}})
	}
	if n := &s.notes; len(n.ids) > 0 {
		all = append(all, changes{noting, n.ids, []any{n.ids, n.was, n.bound, n.rolledBack, n.lateRepeats}})
	}
	if e := &s.ends; len(e.ids) > 0 {
		all = append(all, changes{ending, e.ids, []any{e.ids, e.was, e.bound, e.reasons}})
	}
	return all
}

// Replace implements [session.Ratchet]. If the rows are on one machine, they
// are changed in one transaction: if an error other than a conflict occurs,
// every change fails with it.
func (s *Store) Replace(ctx context.Context, changes []session.Change) []error {
	errs := make([]error, len(changes))
	outcome := s.swap(ctx, "replace sessions", newSwaps(changes).kinds()...)
	ended := false
	for i := range changes {
		errs[i] = outcome[changes[i].ID]
		ended = ended || errs[i] == nil && changes[i].End != ""
	}
	if ended {
		s.tell(ctx)
	}
	return errs
}

// maxHeld is how long [Store.Confirm] waits for rows that are held. Renewals
// hold them for much less; the uses of all other rows wait too.
const maxHeld = 500 * time.Millisecond

// ErrHeld says that somebody else held a row for too long. Other rows were
// written.
var ErrHeld = errors.New("postgres: a row is held by another transaction; try again")

// Confirm implements [session.Ratchet]. It judges by the clock before it
// stamps. What somebody else has locked is tried again for a moment, until it
// is confirmed or there is nothing to confirm; then the error is [ErrHeld], and
// all others are confirmed.
func (s *Store) Confirm(ctx context.Context, uses []session.Use, settle time.Duration) (time.Time, error) {
	now, err := s.time(ctx)
	if err != nil {
		return now, err
	}
	left := slices.DeleteFunc(slices.Clone(uses), func(u session.Use) bool { return !u.Settled(now, settle) })
	waiting, cancel := context.WithTimeout(ctx, maxHeld)
	defer cancel()
	for try := 0; len(left) > 0; try++ {
		if try > 0 && !pause(waiting, try) {
			return now, cmp.Or(ctx.Err(), ErrHeld)
		}
		if left, err = s.confirm(ctx, left); err != nil {
			return now, err
		}
	}
	return now, nil
}

// confirm returns those uses that should be confirmed and could not be.
func (s *Store) confirm(ctx context.Context, uses []session.Use) ([]session.Use, error) {
	ids, generations := make([][16]byte, len(uses)), make([]int64, len(uses))
	for i, u := range uses {
		ids[i], generations[i] = u.Session, int64(u.Generation)
	}
	done := true
	for _, err := range s.swap(ctx, "confirm sessions", changes{confirming, ids, []any{ids, generations}}) {
		if err != nil && !errors.Is(err, session.ErrConflict) {
			return nil, err
		}
		done = done && err == nil
	}
	if done {
		return nil, nil
	}
	unused := make(map[session.ID]uint32)
	err := s.query(ctx, "find what to confirm", reads, func() { clear(unused) }, func(rows pgx.Rows) error {
		var id [16]byte
		var generation int64
		err := rows.Scan(&id, &generation)
		unused[id] = uint32(generation)
		return err
	}, sqlUnusedOf, ids)
	return slices.DeleteFunc(uses, func(u session.Use) bool {
		generation, is := unused[u.Session]
		return !is || generation != u.Generation
	}), err
}
