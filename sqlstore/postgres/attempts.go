package postgres

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pawlauth/pawl/account"
)

const sqlTallies = `SELECT ` + sqlNow + `, a.account IS NOT NULL, owed_until, closed_until, known_until
	FROM unnest($2::bytea[], $3::bytea[]) WITH ORDINALITY AS k (account, network, place)
	LEFT JOIN pawl.attempts a USING (account, network) ORDER BY place`

// Those that are there are locked, on the condition that they are what the step
// was applied to; only if all are is anything written. One that was not there
// and is by now makes the statement fail. One that somebody else counts under at
// this moment is not waited for: whoever waits keeps a connection from those who
// renew.
const sqlCount = `WITH v AS (SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::boolean[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[],
			$7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[])
		AS v (account, network, there, was_owed, was_closed, was_known, owed, closed, known, ends)),
	locked AS (SELECT account, network FROM pawl.attempts a JOIN v USING (account, network)
		WHERE there AND (owed_until, closed_until, known_until) IS NOT DISTINCT FROM (was_owed, was_closed, was_known)
		ORDER BY account, network FOR UPDATE OF a SKIP LOCKED),
	same AS (SELECT (SELECT count(*) FROM locked) = (SELECT count(*) FROM v WHERE there) AS all_same),
	made AS (INSERT INTO pawl.attempts (account, network, owed_until, closed_until, known_until, ends_at)
		SELECT account, network, owed, closed, known, ends FROM v
		WHERE NOT there AND ends IS NOT NULL AND (SELECT all_same FROM same) ORDER BY account, network RETURNING 1),
	counted AS (UPDATE pawl.attempts a SET owed_until = owed, closed_until = closed, known_until = known, ends_at = ends
		FROM v WHERE a.account = v.account AND a.network = v.network AND there AND ends IS NOT NULL
		AND (SELECT all_same FROM same) AND (SELECT count(*) >= 0 FROM made)),
	over AS (DELETE FROM pawl.attempts a USING v WHERE a.account = v.account AND a.network = v.network AND there AND ends IS NULL
		AND (SELECT all_same FROM same) AND (SELECT count(*) >= 0 FROM made))
	SELECT 1 FROM same WHERE all_same`

// A found is what is under one key. Not there and there with nothing in it
// are two things to the statement that writes.
type found struct {
	there bool
	account.Tally
}

// Tally implements [account.SignIns]. An attempt that is refused costs a read
// alone. What is written is a compare-and-swap on what was read: all keys of
// the step or none; whoever comes second reads again.
func (s *Store) Tally(ctx context.Context, step account.Step) (account.Outcome, error) {
	for try := 0; ; try++ {
		have, now, err := s.tallies(ctx, step.Keys)
		if err != nil {
			return account.Outcome{}, err
		}
		outcome := step.Apply(now, talliesOf(have))
		if outcome.Next == nil {
			return outcome, nil
		}
		counted, err := s.exec(ctx, "count attempt", sqlCount, swapArgs(step.Keys, have, outcome.Next, now)...)
		switch {
		case err == nil && counted > 0:
			return outcome, nil
		case err != nil && !isTaken(err):
			return account.Outcome{}, err
		case !pause(ctx, try):
			return account.Outcome{}, ctx.Err()
		}
	}
}

// tallies reads those under the keys, in their order, and the clock.
func (s *Store) tallies(ctx context.Context, keys []account.TallyKey) (have []found, now time.Time, err error) {
	accounts, networks := make([][]byte, len(keys)), make([][]byte, len(keys))
	for i := range keys {
		accounts[i], networks[i] = keys[i].Account[:], keys[i].Network[:]
	}
	have, err = collect(ctx, s, "read attempts", reads, func(rows pgx.Rows) (f found, err error) {
		r := record{columns: rows.RawValues()}
		now, f.there = r.time(), r.truth()
		f.Owed, f.Closed, f.Known = r.time(), r.time(), r.time()
		return f, r.err
	}, sqlTallies, binaryResults, s.clock(), accounts, networks)
	return have, now, err
}

func talliesOf(have []found) []account.Tally {
	list := make([]account.Tally, len(have))
	for i := range have {
		list[i] = have[i].Tally
	}
	return list
}

// swapArgs are the arguments of the compare-and-swap, in the order of the keys
// in the database. Of a key that a step has twice the last tally counts. A
// tally that has ended has no end: it is not kept.
func swapArgs(keys []account.TallyKey, was []found, to []account.Tally, now time.Time) []any {
	last := make(map[account.TallyKey]int, len(keys))
	for i, key := range keys {
		last[key] = i
	}
	var accounts, networks [][]byte
	var there []bool
	var times [7][]*time.Time
	for _, key := range slices.SortedFunc(maps.Keys(last), inOrder) {
		i := last[key]
		accounts, networks, there = append(accounts, key.Account[:]), append(networks, key.Network[:]), append(there, was[i].there)
		ends := to[i].Ends()
		if !ends.After(now) {
			ends = time.Time{}
		}
		for k, t := range [...]time.Time{was[i].Owed, was[i].Closed, was[i].Known, to[i].Owed, to[i].Closed, to[i].Known, ends} {
			times[k] = append(times[k], orNever(t))
		}
	}
	args := []any{accounts, networks, there}
	for _, list := range times {
		args = append(args, list)
	}
	return args
}

func inOrder(a, b account.TallyKey) int {
	return cmp.Or(bytes.Compare(a.Account[:], b.Account[:]), bytes.Compare(a.Network[:], b.Network[:]))
}

const (
	// In one statement over all rows of the account: what becomes known at the
	// same time is forgiven too, and what says nothing any more is swept later.
	sqlForgive = `UPDATE pawl.attempts SET owed_until = NULL, closed_until = NULL, ends_at = coalesce(known_until, '-infinity') WHERE account = $1`
	sqlUnknown = `UPDATE pawl.attempts SET known_until = NULL, ends_at = coalesce(greatest(owed_until, closed_until), '-infinity')
		WHERE account = $1 AND known_until IS NOT NULL AND network NOT IN
		(SELECT network FROM pawl.attempts WHERE account = $1 AND known_until IS NOT NULL ORDER BY known_until DESC, network LIMIT $2)`
	// Which ones, in the order of the keys; then those, unless they have another
	// end by now. In one statement the planner would not know that they are few.
	sqlEnded  = `SELECT account, network, ends_at FROM (SELECT * FROM pawl.attempts WHERE ends_at <= ` + sqlNow + ` ORDER BY ends_at LIMIT $2) AS first ORDER BY 1, 2`
	sqlSpare  = `SELECT account, network, ends_at FROM (SELECT * FROM pawl.attempts WHERE known_until IS NULL ORDER BY ends_at LIMIT $1) AS first ORDER BY 1, 2`
	sqlRemove = `DELETE FROM pawl.attempts AS a USING unnest($1::bytea[], $2::bytea[], $3::timestamptz[]) AS k (account, network, ends_at)
		WHERE a.account = k.account AND a.network = k.network AND a.ends_at = k.ends_at`
	// Never more than are to be kept and one step: no count of them all.
	sqlSpares = `SELECT count(*) FROM (SELECT 1 FROM pawl.attempts WHERE known_until IS NULL LIMIT $1) AS spare`
)

// ForgetAttempts implements [account.SignIns].
func (s *Store) ForgetAttempts(ctx context.Context, of account.Tag) error {
	_, err := s.exec(ctx, "forget attempts", sqlForgive, of[:])
	return err
}

// ForgetNetworks implements [account.SignIns].
func (s *Store) ForgetNetworks(ctx context.Context, of account.Tag, keep int) error {
	_, err := s.exec(ctx, "forget networks", sqlUnknown, of[:], max(0, keep))
	return err
}

// SweepAttempts implements [account.SignIns].
func (s *Store) SweepAttempts(ctx context.Context, keep, limit int) (int, error) {
	keep, limit = max(0, keep), max(0, limit)
	ended, err := s.removeAttempts(ctx, sqlEnded, s.clock(), limit)
	if err != nil || ended >= limit {
		return ended, err
	}
	spare, err := s.number(ctx, "count attempts", sqlSpares, keep+limit-ended)
	if err != nil || spare <= keep {
		return ended, err
	}
	surplus, err := s.removeAttempts(ctx, sqlSpare, spare-keep)
	return ended + surplus, err
}

// removeAttempts removes those that a query finds.
func (s *Store) removeAttempts(ctx context.Context, query string, args ...any) (int, error) {
	var accounts, networks [][]byte
	var ends []pgtype.Timestamptz // it may be -infinity
	err := s.query(ctx, "find attempts to sweep", reads, func() { accounts, networks, ends = nil, nil, nil }, func(rows pgx.Rows) error {
		var of, from []byte
		var at pgtype.Timestamptz
		err := rows.Scan(&of, &from, &at)
		accounts, networks, ends = append(accounts, of), append(networks, from), append(ends, at)
		return err
	}, query, args...)
	if err != nil || len(accounts) == 0 {
		return 0, err
	}
	return s.exec(ctx, "sweep attempts", sqlRemove, accounts, networks, ends)
}

// number runs a statement that returns one number.
func (s *Store) number(ctx context.Context, what, query string, args ...any) (n int, err error) {
	err = s.do(ctx, what, reads, func(ctx context.Context, p *pool) error { return p.QueryRow(ctx, query, args...).Scan(&n) })
	return n, err
}
