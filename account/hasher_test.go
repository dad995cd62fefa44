package account_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlauth/pawl/account"
)

func mustHasher(t testing.TB, params account.Params, slots int, wait time.Duration) *account.Hasher {
	t.Helper()
	hasher, err := account.NewHasher(params, slots, wait)
	if err != nil {
		t.Fatal(err)
	}
	return hasher
}

func weakHasher(t testing.TB) *account.Hasher {
	t.Helper()
	return mustHasher(t, account.DangerouslyWeakParamsForTests(), 2, 10*time.Second)
}

func decode(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

var password = account.NewPassword("correct horse")

// Rows: 161, A80
func TestHasherHashesABoundedNumberAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots, callers = 3, 40
		hasher := mustHasher(t, account.DefaultParams(), slots, time.Second)
		var mu sync.Mutex
		var now, most, done int // guarded by mu
		hasher.FakeDerive(func() {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(10 * time.Millisecond) // in the bubble's time
			mu.Lock()
			now--
			done++
			mu.Unlock()
		})
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				if _, err := hasher.Hash(t.Context(), password); err != nil {
					t.Errorf("Hash: %v", err)
				}
			})
		}
		wg.Wait()
		if most != slots || done != callers {
			t.Errorf("%d hashes, %d at once; want %d and %d", done, most, callers, slots)
		}
		if n := hasher.Inside(); n != 0 {
			t.Errorf("%d places were not given back", n)
		}
	})
}

// blocked returns a hasher whose only slot is taken until the returned function is called.
func blocked(t *testing.T, wait time.Duration) (*account.Hasher, func()) {
	hasher := mustHasher(t, account.DefaultParams(), 1, wait)
	gate := make(chan struct{})
	hasher.FakeDerive(func() { <-gate })
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := hasher.Hash(t.Context(), password); err != nil {
			t.Errorf("the first caller: %v", err)
		}
	})
	synctest.Wait()
	return hasher, func() { close(gate); wg.Wait() }
}

// requireBusy checks the refusal and how long it took.
func requireBusy(t *testing.T, err error, retryAfter, took, want time.Duration) {
	t.Helper()
	busy, ok := errors.AsType[*account.BusyError](err)
	if !ok || !errors.Is(err, account.ErrBusy) || busy.RetryAfter != retryAfter {
		t.Errorf("got %#v, want a BusyError with %v", err, retryAfter)
	}
	if took != want {
		t.Errorf("refused after %v, want %v", took, want)
	}
}

// Rows: 161, A80
func TestHasherGivesUpAfterTheWait(t *testing.T) {
	for wait, retryAfter := range map[time.Duration]time.Duration{250 * time.Millisecond: time.Second, 5 * time.Second: 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			hasher, release := blocked(t, wait)
			start := time.Now()
			_, err := hasher.Verify(t.Context(), good, password)
			requireBusy(t, err, retryAfter, time.Since(start), wait)
			if n := hasher.Inside(); n != 1 {
				t.Errorf("%d places taken, want 1", n)
			}
			release()
			if _, err := hasher.Verify(t.Context(), good, password); err != nil {
				t.Errorf("with a free slot: %v", err)
			}
		})
	}
}

// Rows: 161, A80
func TestHasherBoundsItsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hasher, release := blocked(t, time.Second)
		var wg sync.WaitGroup
		for range account.WaitersPerSlot {
			wg.Go(func() {
				if _, err := hasher.Hash(t.Context(), password); err != nil {
					t.Errorf("a caller in the queue: %v", err)
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		_, err := hasher.Hash(t.Context(), password)
		requireBusy(t, err, time.Second, time.Since(start), 0)
		release()
		wg.Wait()
		if n := hasher.Inside(); n != 0 {
			t.Errorf("%d places were not given back", n)
		}
	})
}

// Rows: 161
func TestHasherStopsWaitingWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hasher, release := blocked(t, time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := hasher.Hash(ctx, password)
		requireBusy(t, err, time.Minute, time.Since(start), time.Second)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the cause too", err)
		}
		if n := hasher.Inside(); n != 1 {
			t.Errorf("%d places taken, want 1", n)
		}
		release()
	})
}

func TestHasherDoesNothingForAnEndedContext(t *testing.T) {
	hasher := weakHasher(t)
	hashes := 0
	hasher.OnDerive(func(account.Params) { hashes++ })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := hasher.Hash(ctx, password); !errors.Is(err, account.ErrBusy) || !errors.Is(err, context.Canceled) || hashes != 0 {
		t.Errorf("got %v after %d hashes", err, hashes)
	}
}

func TestHasherGivesTheSlotBackAfterAPanic(t *testing.T) {
	hasher := weakHasher(t)
	hasher.FakeDerive(func() { panic("out of luck") })
	for range 3 {
		func() {
			defer func() { recover() }()
			hasher.Hash(t.Context(), password)
			t.Error("no panic")
		}()
	}
	if n := hasher.Inside(); n != 0 {
		t.Errorf("%d places were not given back", n)
	}
}

// Rows: 162, A80
func TestHasherLimitsThePasswordBeforeHashing(t *testing.T) {
	hasher := weakHasher(t)
	hashes := 0
	hasher.OnDerive(func(account.Params) { hashes++ })
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{"x", true},
		{"\x00", true},
		{strings.Repeat("x", 64), true},
		{strings.Repeat("x", 1024), true},
		{strings.Repeat("日", 341), true},
		{"", false},
		{strings.Repeat("x", 1025), false},
		{strings.Repeat("x", 1<<20), false},
	} {
		hashes = 0
		hash, err := hasher.Hash(t.Context(), account.NewPassword(c.text))
		if c.ok {
			ok, verr := hasher.Verify(t.Context(), hash, account.NewPassword(c.text))
			if err != nil || verr != nil || !ok || hashes != 2 {
				t.Errorf("%d bytes: %v, %v, %v after %d hashes", len(c.text), err, ok, verr, hashes)
			}
			continue
		}
		_, verr := hasher.Verify(t.Context(), good, account.NewPassword(c.text))
		if !errors.Is(err, account.ErrPassword) || !errors.Is(verr, account.ErrPassword) || hashes != 0 {
			t.Errorf("%d bytes: %v and %v after %d hashes", len(c.text), err, verr, hashes)
		}
	}
	if _, err := hasher.Hash(t.Context(), account.Password{}); !errors.Is(err, account.ErrPassword) {
		t.Errorf("the zero password: %v", err)
	}
}

// Nothing is lost: no truncation (bcrypt stops at 72 bytes and at NUL), no case folding.
//
// Rows: 162
func TestHasherDistinguishesEveryByte(t *testing.T) {
	hasher := weakHasher(t)
	long := strings.Repeat("x", 1023)
	for _, c := range [][2]string{
		{"nul\x00one", "nul\x00two"},
		{"nul", "nul\x00"},
		{long + "a", long + "b"},
		{long, long + "x"},
		{strings.Repeat("x", 72) + "a", strings.Repeat("x", 72) + "b"},
		{"Password", "password"},
		{"password", "password "},
		{"\xff", "\ufffd"},
	} {
		hash, err := hasher.Hash(t.Context(), account.NewPassword(c[0]))
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := hasher.Verify(t.Context(), hash, account.NewPassword(c[1])); err != nil || ok {
			t.Errorf("%.20q counts as %.20q: %v, %v", c[1], c[0], ok, err)
		}
	}
}

// Rows: 159
func TestHasherFailsClosedOnUnusableHashes(t *testing.T) {
	hasher := weakHasher(t)
	hasher.OnDerive(func(p account.Params) { t.Errorf("hashed with %+v", p) })
	for what, text := range badHashes {
		if ok, err := hasher.Verify(t.Context(), account.Hash(text), password); ok || !errors.Is(err, account.ErrHash) {
			t.Errorf("%s: got %v, %v; want false and ErrHash", what, ok, err)
		}
	}
}

// Rows: 190
func TestHasherSaltsEveryHash(t *testing.T) {
	hasher := weakHasher(t)
	seen := map[string]bool{}
	for range 100 {
		hash, err := hasher.Hash(t.Context(), password)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(string(hash), "$")
		if seen[parts[4]] || seen[parts[5]] {
			t.Fatal("a salt or a tag came twice")
		}
		seen[parts[4]], seen[parts[5]] = true, true
	}
}

func BenchmarkHashDefault(b *testing.B) {
	hasher := mustHasher(b, account.DefaultParams(), 1, time.Second)
	for b.Loop() {
		if _, err := hasher.Hash(b.Context(), password); err != nil {
			b.Fatal(err)
		}
	}
}

// The dearest hash that a stored row can ask for.
func BenchmarkVerifyDearest(b *testing.B) {
	hasher := mustHasher(b, account.DefaultParams(), 1, time.Second)
	dearest := account.Compose(account.Params{Memory: 262144, Time: 10, Parallelism: 1}, make([]byte, 16), make([]byte, 32))
	for b.Loop() {
		if _, err := hasher.Verify(b.Context(), dearest, password); err != nil {
			b.Fatal(err)
		}
	}
}
