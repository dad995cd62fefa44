package main

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"path/filepath"
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
	f.db, err = sql.Open("sqlite", "file:"+filepath.Join(h.dir, "pawl.db")+
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

// run does batches for the given time.
func (f *floor) run(d time.Duration) (sample, error) {
	cpu, start := spent(), time.Now()
	var out sample
	for time.Since(start) < d {
		for range floorBatch {
			f.compute()
		}
		if err := f.write(); err != nil {
			return out, err
		}
		out.ops += floorBatch
	}
	out.wall, out.cpu = time.Since(start), spent()-cpu
	return out, nil
}

// sink keeps the compiler from leaving work out.
var sink byte

func (f *floor) compute() {
	sink ^= ed25519.Sign(f.key, f.message[:])[0]
	var sum [sha256.Size]byte
	for range 3 {
		mac := hmac.New(sha256.New, f.secret[:])
		mac.Write(f.head[:])
		sink ^= mac.Sum(sum[:0])[0]
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
