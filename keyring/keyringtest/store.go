package keyringtest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pawlauth/pawl/keyring"
)

// A Store keeps signing keys in memory. It is safe for concurrent use.
type Store struct {
	clock func() time.Time

	mu      sync.Mutex
	records []keyring.Record // guarded by mu
}

var _ keyring.Store = (*Store)(nil)

// NewStore returns an empty store whose clock is the given function, which
// must be safe for concurrent use.
func NewStore(clock func() time.Time, records ...keyring.Record) *Store {
	s := &Store{clock: clock}
	for _, r := range records {
		s.records = append(s.records, clone(r))
	}
	return s
}

// Keys implements [keyring.Store].
func (s *Store) Keys(ctx context.Context) ([]keyring.Record, time.Time, error) {
	if err := ctx.Err(); err != nil {
		return nil, time.Time{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]keyring.Record, len(s.records))
	for i, r := range s.records {
		out[i] = clone(r)
	}
	return out, s.clock(), nil
}

// ChangeKeys implements [keyring.Store]: the changes are made to a copy, which
// takes the place of the records only when all of them fit.
func (s *Store) ChangeKeys(ctx context.Context, changes []keyring.Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	records := slices.Clone(s.records)
	for _, c := range changes {
		i := slices.IndexFunc(records, func(r keyring.Record) bool { return r.ID == c.To.ID })
		switch {
		case c.From == "" && i < 0:
			records = append(records, clone(c.To))
		case c.From != "" && i >= 0 && records[i].State == c.From:
			records[i] = clone(c.To)
		default:
			return fmt.Errorf("key %s: %w", c.To.ID, keyring.ErrConflict)
		}
		for _, single := range []keyring.State{keyring.Next, keyring.Active} {
			if count(records, single) > 1 {
				return fmt.Errorf("second %s key %s: %w", single, c.To.ID, keyring.ErrConflict)
			}
		}
	}
	s.records = records
	return nil
}

func count(records []keyring.Record, state keyring.State) int {
	n := 0
	for _, r := range records {
		if r.State == state {
			n++
		}
	}
	return n
}

// clone shares no memory with what it was made from.
func clone(r keyring.Record) keyring.Record {
	r.Public, r.Sealed = bytes.Clone(r.Public), bytes.Clone(r.Sealed)
	return r
}
