package main

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/pawlauth/pawl/session"
)

// floorBatch is how many rows the floor commits together.
const floorBatch = 64

// A floor is the work that no renewal can do without, done by a bare loop: one
// Ed25519 signature and three MACs each, and an UPDATE of one row in a
// transaction that commits 64 of them durably.
type floor struct {
	db       *sql.DB
	update   *sql.Stmt
	begin    *sql.Stmt
	commit   *sql.Stmt
	sessions []session.ID
	turns    []int64 // the generation of each
	next     int
	key      ed25519.PrivateKey
	message  [400]byte
	secret   [32]byte
	head     [24]byte
	sink     byte // keeps the compiler from leaving work out
}

// newFloor works on the database of a herd that is closed: same rows, same
// schema, same driver, same durability.
func newFloor(ctx context.Context, h *herd) (_ *floor, err error) {
	f := &floor{sessions: h.sessions, turns: make([]int64, len(h.sessions))}
	rand.Read(f.message[:])
	rand.Read(f.secret[:])
	for i := range f.turns {
		f.turns[i] = 1
	}
	if _, f.key, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return nil, err
	}
	f.db, err = sql.Open("sqlite", "file:"+h.file()+
		"?_pragma=busy_timeout(5000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=cache_size(-32768)")
	if err != nil {
		return nil, err
	}
	f.db.SetMaxOpenConns(1)
	prepare := func(query string) *sql.Stmt {
		if err != nil {
			return nil
		}
		var s *sql.Stmt
		s, err = f.db.PrepareContext(ctx, query)
		return s
	}
	f.begin, f.commit = prepare("BEGIN IMMEDIATE"), prepare("COMMIT")
	f.update = prepare(`UPDATE sessions SET generation = ?, rotated_at = ?, confirmed_at = NULL, prior_used_at = ?,
		late_repeats = ?, key_hash = ?, last_seen = ? WHERE id = ? AND generation = ? AND ended_at IS NULL`)
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *floor) close() error { return f.db.Close() }

// floors are one bare loop for each processor, each with its own database:
// processors share caches and more, so that work costs less while the others
// are idle, which they are not during renewals.
type floors []*floor

func newFloors(ctx context.Context, p *plan) (all floors, err error) {
	for n := range runtime.GOMAXPROCS(0) {
		h, err := newHerd(ctx, p.path(fmt.Sprintf("floor%d", n)), p.small, session.Bearer)
		if err != nil {
			return nil, errors.Join(err, all.close())
		}
		if err := h.close(); err != nil {
			return nil, errors.Join(err, all.close())
		}
		f, err := newFloor(ctx, h)
		if err != nil {
			return nil, errors.Join(err, all.close())
		}
		all = append(all, f)
	}
	return all, nil
}

func (all floors) close() error {
	var errs []error
	for _, f := range all {
		errs = append(errs, f.close())
	}
	return errors.Join(errs...)
}

func (all floors) run(d time.Duration) (sample, error) {
	counts, errs := make([]int, len(all)), make([]error, len(all))
	cpu, start := spent(), time.Now()
	var wg sync.WaitGroup
	for n, f := range all {
		wg.Go(func() { counts[n], errs[n] = f.run(d) })
	}
	wg.Wait()
	out := sample{wall: time.Since(start), cpu: spent() - cpu}
	for _, n := range counts {
		out.ops += n
	}
	return out, errors.Join(errs...)
}

// run does batches for the given time and returns how many rows they had.
func (f *floor) run(d time.Duration) (rows int, err error) {
	for start := time.Now(); time.Since(start) < d; rows += floorBatch {
		for range floorBatch {
			f.compute()
		}
		if err := f.write(); err != nil {
			return rows, err
		}
	}
	return rows, nil
}

func (f *floor) compute() {
	f.sink ^= ed25519.Sign(f.key, f.message[:])[0]
	var sum [sha256.Size]byte
	for range 3 {
		mac := hmac.New(sha256.New, f.secret[:])
		mac.Write(f.head[:])
		f.sink ^= mac.Sum(sum[:0])[0]
	}
}

func (f *floor) write() error {
	if _, err := f.begin.Exec(); err != nil {
		return err
	}
	now := time.Now()
	for range floorBatch {
		i := f.next
		f.next = (f.next + 1) % len(f.sessions)
		result, err := f.update.Exec(f.turns[i]+1, now.UnixMicro(), now.UnixMicro(), 0, nil, now.UnixMicro(), f.sessions[i][:], f.turns[i])
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			return errors.Join(err, errors.New("the floor's update found no row"))
		}
		f.turns[i]++
	}
	_, err := f.commit.Exec()
	return err
}
