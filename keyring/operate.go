package keyring

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrNoKey says that there is no such key.
var ErrNoKey = errors.New("no key of that id verifies tokens; see the list of keys")

// maxRounds is how often an operator's change is tried while somebody else is
// quicker: a rotation at the same moment must not save a stolen key.
const maxRounds = 8

// Rotate publishes a next key of the active one's algorithm, which signs after
// the publication time, and returns it. If a next key is published already,
// that one is returned. In a store without keys the new one signs at once.
func Rotate(ctx context.Context, store Store, master *Master, publication time.Duration) (Record, error) {
	if publication < MinPublication {
		return Record{}, errPublication(publication)
	}
	var made Record
	err := change(ctx, store, master, func(records []Record, now time.Time) ([]Change, error) {
		if next := in(Next, records); next != nil {
			made = *next
			return nil, nil
		}
		alg, state, due := EdDSA, Active, time.Time{}
		if active := in(Active, records); active != nil {
			alg, state, due = active.Algorithm, Next, now.Add(publication)
		}
		var err error
		made, err = newRecord(master, alg, state, now, due)
		return []Change{{To: made}}, err
	})
	return made, err
}

// Withdraw ends a key at once: what it signed is refused by every process
// after its next [Ring.Sync]. If it was the active one, another takes its
// place in the same transaction, without publication: better an unknown key
// for a moment than a stolen one. A key that is damaged can be withdrawn too.
func Withdraw(ctx context.Context, store Store, master *Master, id string) error {
	return change(ctx, store, master, func(records []Record, now time.Time) ([]Change, error) {
		for _, record := range records {
			if record.ID != id || !record.verifies() {
				continue
			}
			changes := []Change{move(record, Withdrawn, now, time.Time{})}
			if record.State == Active {
				next, err := successor(master, in(Next, records), record.Algorithm, now)
				return append(changes, next), err
			}
			return changes, nil
		}
		return nil, fmt.Errorf("key %q: %w", id, ErrNoKey)
	})
}

// change applies what decide says of the stored keys, and asks it again while
// somebody else changes them. A master key that is not the one they were
// sealed under is refused before anything is made with it.
func change(ctx context.Context, store Store, master *Master, decide func([]Record, time.Time) ([]Change, error)) error {
	for range maxRounds {
		records, now, err := store.Keys(ctx)
		if err != nil {
			return fmt.Errorf("keyring: load keys: %w", err)
		}
		if err := master.Opens(records); err != nil {
			return err
		}
		changes, err := decide(records, now)
		if err != nil || len(changes) == 0 {
			return err
		}
		if err = store.ChangeKeys(ctx, changes); !errors.Is(err, ErrConflict) {
			if err != nil {
				return fmt.Errorf("keyring: change keys: %w", err)
			}
			return nil
		}
	}
	return ErrConflict
}

// successor makes some key active now: the published one, or a new one.
func successor(master *Master, next *Record, alg Algorithm, now time.Time) (Change, error) {
	if next != nil {
		return move(*next, Active, now, time.Time{}), nil
	}
	fresh, err := newRecord(master, alg, Active, now, time.Time{})
	return Change{To: fresh}, err
}

// verifies reports whether tokens that the key signed are good.
func (r *Record) verifies() bool { return r.State != Gone && r.State != Withdrawn }

func in(state State, records []Record) *Record {
	for i := range records {
		if records[i].State == state {
			return &records[i]
		}
	}
	return nil
}

// move changes the state of a record; from Retiring on it has no private key.
func move(r Record, to State, now, due time.Time) Change {
	from := r.State
	r.State, r.ChangedAt, r.DueAt = to, now, due
	if to != Next && to != Active {
		r.Sealed = nil
	}
	return Change{From: from, To: r}
}
