package keyringtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/token"
)

// Run checks a store against the contract of [keyring.Store]. open returns an
// empty store each time it is called. Times are stored to the millisecond at
// least.
func Run(t *testing.T, open func(t *testing.T) keyring.Store) {
	for _, tt := range []struct {
		name string
		test func(t *testing.T, s keyring.Store)
	}{
		{"EmptyAtFirst", emptyAtFirst},
		{"KeepsEveryField", keepsEveryField},
		{"SharesNoMemory", sharesNoMemory},
		{"MovesOnlyFromTheExpectedState", movesOnlyFromTheExpectedState},
		{"OneNextOneActive", oneNextOneActive},
		{"LeavesBeforeItEnters", leavesBeforeItEnters},
		{"AllOrNothing", allOrNothing},
		{"OneOfManyInsertsWins", oneOfManyInsertsWins},
		{"OneOfManyMovesWins", oneOfManyMovesWins},
		{"NoTornReads", noTornReads},
		{"ClockGoesOn", clockGoesOn},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, open(t)) })
	}
}

// record is a record whose every field is its own; the store looks into none
// but the id and the state.
func record(id string, state keyring.State, now time.Time) keyring.Record {
	now = now.Truncate(time.Millisecond)
	return keyring.Record{
		ID: "key-" + id, Algorithm: keyring.EdDSA, Header: "header-" + id,
		Public: []byte("public \x00\xff " + id), Master: token.KeyID{1, 0, 0xff, id[0]}, Sealed: []byte("sealed \x00\xff " + id),
		State: state, CreatedAt: now.Add(-time.Hour), DueAt: now.Add(time.Hour), ChangedAt: now,
	}
}

func moved(r keyring.Record, to keyring.State) keyring.Change {
	from := r.State
	r.State, r.ChangedAt, r.DueAt = to, r.ChangedAt.Add(time.Minute), time.Time{}
	if to != keyring.Next && to != keyring.Active {
		r.Sealed = nil
	}
	return keyring.Change{From: from, To: r}
}

func keys(t *testing.T, s keyring.Store) (map[string]keyring.Record, time.Time) {
	t.Helper()
	records, now, err := s.Keys(t.Context())
	if err != nil {
		t.Fatalf("Keys: %v", err)
	}
	byID := make(map[string]keyring.Record, len(records))
	for _, r := range records {
		if _, twice := byID[r.ID]; twice {
			t.Fatalf("key %s is there twice", r.ID)
		}
		byID[r.ID] = r
	}
	return byID, now
}

func change(t *testing.T, s keyring.Store, changes ...keyring.Change) {
	t.Helper()
	if err := s.ChangeKeys(t.Context(), changes); err != nil {
		t.Fatalf("ChangeKeys: %v", err)
	}
}

// same fails the test unless the store holds exactly these records.
func same(t *testing.T, s keyring.Store, want ...keyring.Record) {
	t.Helper()
	got, _ := keys(t, s)
	if len(got) != len(want) {
		t.Errorf("%d keys, want %d", len(got), len(want))
	}
	for _, w := range want {
		g, ok := got[w.ID]
		if !ok {
			t.Errorf("key %s is missing", w.ID)
			continue
		}
		if g.Algorithm != w.Algorithm || g.Header != w.Header || !bytes.Equal(g.Public, w.Public) ||
			g.Master != w.Master || !bytes.Equal(g.Sealed, w.Sealed) || g.State != w.State ||
			!g.CreatedAt.Equal(w.CreatedAt) || !g.DueAt.Equal(w.DueAt) || !g.ChangedAt.Equal(w.ChangedAt) {
			t.Errorf("key %s is\n%+v, want\n%+v", w.ID, g, w)
		}
		if w.DueAt.IsZero() && !g.DueAt.IsZero() {
			t.Errorf("key %s: the zero time came back as %v", w.ID, g.DueAt)
		}
	}
}

func emptyAtFirst(t *testing.T, s keyring.Store) {
	same(t, s)
	change(t, s) // no change is no fault
	same(t, s)
}

func keepsEveryField(t *testing.T, s keyring.Store) {
	_, now := keys(t, s)
	a, n := record("a", keyring.Active, now), record("n", keyring.Next, now)
	r, g, w := record("r", keyring.Retiring, now), record("g", keyring.Gone, now), record("w", keyring.Withdrawn, now)
	n.Algorithm, r.Algorithm = keyring.ES256, keyring.RS256
	a.DueAt, g.DueAt = time.Time{}, time.Time{}
	r.Sealed, g.Sealed, w.Sealed = nil, nil, nil
	for _, rec := range []keyring.Record{a, n, r, g, w} {
		change(t, s, keyring.Change{To: rec})
	}
	same(t, s, a, n, r, g, w)
	out := moved(a, keyring.Withdrawn)
	change(t, s, out)
	same(t, s, out.To, n, r, g, w)
}

func sharesNoMemory(t *testing.T, s keyring.Store) {
	_, now := keys(t, s)
	given := record("a", keyring.Active, now)
	change(t, s, keyring.Change{To: given})
	clear(given.Public)
	clear(given.Sealed)
	got, _ := keys(t, s)
	clear(got[given.ID].Public)
	clear(got[given.ID].Sealed)
	same(t, s, record("a", keyring.Active, now))
}

func conflict(t *testing.T, s keyring.Store, what string, changes ...keyring.Change) {
	t.Helper()
	if err := s.ChangeKeys(t.Context(), changes); !errors.Is(err, keyring.ErrConflict) {
		t.Errorf("%s: %v, want ErrConflict", what, err)
	}
}

func movesOnlyFromTheExpectedState(t *testing.T, s keyring.Store) {
	_, now := keys(t, s)
	a := record("a", keyring.Active, now)
	change(t, s, keyring.Change{To: a})
	conflict(t, s, "new, but there already", keyring.Change{To: a})
	conflict(t, s, "new, but there in another state", keyring.Change{To: record("a", keyring.Next, now)})
	conflict(t, s, "unknown", moved(record("x", keyring.Active, now), keyring.Withdrawn))
	for _, from := range []keyring.State{keyring.Next, keyring.Retiring, keyring.Gone, keyring.Withdrawn} {
		conflict(t, s, "in another state than "+string(from), moved(record("a", from, now), keyring.Gone))
	}
	same(t, s, a)
	out := moved(a, keyring.Withdrawn)
	change(t, s, out)
	conflict(t, s, "the same once more", out)
	same(t, s, out.To)
}

func oneNextOneActive(t *testing.T, s keyring.Store) {
	_, now := keys(t, s)
	a, n := record("a", keyring.Active, now), record("n", keyring.Next, now)
	r1, r2 := record("r", keyring.Retiring, now), record("q", keyring.Retiring, now)
	change(t, s, keyring.Change{To: a}, keyring.Change{To: n}, keyring.Change{To: r1}, keyring.Change{To: r2})
	conflict(t, s, "second active", keyring.Change{To: record("b", keyring.Active, now)})
	conflict(t, s, "second next", keyring.Change{To: record("m", keyring.Next, now)})
	conflict(t, s, "second active by a move", moved(n, keyring.Active))
	conflict(t, s, "second active by a move of a retiring key", moved(r1, keyring.Active))
	same(t, s, a, n, r1, r2)
}

func leavesBeforeItEnters(t *testing.T, s keyring.Store) {
	_, now := keys(t, s)
	a, n := record("a", keyring.Active, now), record("n", keyring.Next, now)
	change(t, s, keyring.Change{To: a}, keyring.Change{To: n})
	retire, activate := moved(a, keyring.Retiring), moved(n, keyring.Active)
	change(t, s, retire, activate)
	same(t, s, retire.To, activate.To)
	fresh := keyring.Change{To: record("f", keyring.Active, now)}
	withdraw := moved(activate.To, keyring.Withdrawn)
	change(t, s, withdraw, fresh)
	same(t, s, retire.To, withdraw.To, fresh.To)
}

func allOrNothing(t *testing.T, s keyring.Store) {
	_, now := keys(t, s)
	a, n := record("a", keyring.Active, now), record("n", keyring.Next, now)
	change(t, s, keyring.Change{To: a}, keyring.Change{To: n})
	bad := []keyring.Change{
		{To: record("b", keyring.Active, now)},
		{To: record("n", keyring.Next, now)},
		moved(record("x", keyring.Retiring, now), keyring.Gone),
	}
	for i, b := range bad {
		conflict(t, s, fmt.Sprint("good before bad ", i), keyring.Change{To: record("g", keyring.Gone, now)}, moved(n, keyring.Withdrawn), b)
		conflict(t, s, fmt.Sprint("bad before good ", i), b, moved(n, keyring.Withdrawn), keyring.Change{To: record("g", keyring.Gone, now)})
		same(t, s, a, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	withdraw := moved(n, keyring.Withdrawn)
	if err := s.ChangeKeys(ctx, []keyring.Change{withdraw, {To: record("m", keyring.Next, now)}}); err == nil {
		same(t, s, a, withdraw.To, record("m", keyring.Next, now))
	} else {
		same(t, s, a, n)
	}
}

const contenders = 8

// contend lets several goroutines try, and returns how many succeeded; the
// others must have met a conflict.
func contend(t *testing.T, try func(i int) error) int {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, contenders)
	for i := range contenders {
		wg.Go(func() { errs[i] = try(i) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, keyring.ErrConflict):
			t.Errorf("%v, want ErrConflict", err)
		}
	}
	return won
}

func oneOfManyInsertsWins(t *testing.T, s keyring.Store) {
	_, now := keys(t, s)
	for _, state := range []keyring.State{keyring.Active, keyring.Next} {
		if won := contend(t, func(i int) error {
			return s.ChangeKeys(t.Context(), []keyring.Change{{To: record(fmt.Sprint(i, state), state, now)}})
		}); won != 1 {
			t.Errorf("%d keys became %s, want 1", won, state)
		}
	}
	if got, _ := keys(t, s); len(got) != 2 {
		t.Errorf("%d keys, want 2", len(got))
	}
}

func oneOfManyMovesWins(t *testing.T, s keyring.Store) {
	_, now := keys(t, s)
	a, n := record("a", keyring.Active, now), record("n", keyring.Next, now)
	change(t, s, keyring.Change{To: a}, keyring.Change{To: n})
	if won := contend(t, func(int) error {
		return s.ChangeKeys(t.Context(), []keyring.Change{moved(a, keyring.Retiring), moved(n, keyring.Active)})
	}); won != 1 {
		t.Errorf("%d moves succeeded, want 1", won)
	}
	same(t, s, moved(a, keyring.Retiring).To, moved(n, keyring.Active).To)
}

// noTornReads: whoever reads during a rotation sees one active key, always.
func noTornReads(t *testing.T, s keyring.Store) {
	_, now := keys(t, s)
	active := record("a", keyring.Active, now)
	change(t, s, keyring.Change{To: active})
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				records, _, err := s.Keys(t.Context())
				if err != nil || count(records, keyring.Active) != 1 || count(records, keyring.Next) > 1 {
					t.Errorf("%d active and %d next keys, %v", count(records, keyring.Active), count(records, keyring.Next), err)
					return
				}
			}
		})
	}
	for i := range 25 {
		next := record(fmt.Sprint(i), keyring.Next, now)
		change(t, s, keyring.Change{To: next})
		activate := moved(next, keyring.Active)
		change(t, s, moved(active, keyring.Gone), activate)
		active = activate.To
	}
	close(done)
	wg.Wait()
}

func clockGoesOn(t *testing.T, s keyring.Store) {
	_, last := keys(t, s)
	if last.IsZero() {
		t.Error("the clock reads nothing")
	}
	for range 20 {
		_, now := keys(t, s)
		if now.Before(last) {
			t.Errorf("the clock went back from %v to %v", last, now)
		}
		last = now
	}
}
