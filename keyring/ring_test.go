package keyring_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
)

const (
	day       = 24 * time.Hour
	rotation  = 30 * day
	published = 24 * time.Hour
	tokenLife = 7 * time.Minute
	// retired is how long a key retires: a minute more than a token lives.
	retired = tokenLife + time.Minute
)

func options() keyring.Options {
	return keyring.Options{Algorithm: keyring.EdDSA, Rotation: rotation, Publication: published, TokenLife: tokenLife}
}

// A clock is the store's; only the test moves it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newMaster(t testing.TB) *keyring.Master {
	t.Helper()
	m, err := keyring.ParseMaster(keyring.NewMasterText())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func open(t testing.TB, s keyring.Store, m *keyring.Master, o keyring.Options) *keyring.Ring {
	t.Helper()
	r, err := keyring.Open(t.Context(), s, m, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustSync(t testing.TB, r *keyring.Ring) []keyring.Change {
	t.Helper()
	changes, err := r.Sync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

func stored(t testing.TB, s keyring.Store) []keyring.Record {
	t.Helper()
	records, _, err := s.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// in returns the one record in a state.
func in(t testing.TB, s keyring.Store, state keyring.State) keyring.Record {
	t.Helper()
	var found []keyring.Record
	for _, r := range stored(t, s) {
		if r.State == state {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d keys are %s, want 1", len(found), state)
	}
	return found[0]
}

// states counts the stored keys by state, in the order of their life.
func states(t testing.TB, s keyring.Store) string {
	t.Helper()
	n := make(map[keyring.State]int)
	for _, r := range stored(t, s) {
		n[r.State]++
	}
	return fmt.Sprintf("next %d active %d retiring %d gone %d withdrawn %d",
		n[keyring.Next], n[keyring.Active], n[keyring.Retiring], n[keyring.Gone], n[keyring.Withdrawn])
}

// A signed is a message with the header of the key that signed it.
type signed struct {
	header             string
	message, signature []byte
}

func sign(t testing.TB, r *keyring.Ring) signed {
	t.Helper()
	s := r.Signer()
	message := []byte("a message")
	signature, err := s.Sign(message)
	if err != nil {
		t.Fatal(err)
	}
	return signed{s.Header(), message, signature}
}

func (s signed) verifies(r *keyring.Ring) bool {
	k := r.Set().Lookup(s.header)
	return k != nil && k.Verify(s.message, s.signature)
}

func TestFirstStartMakesOneActiveKey(t *testing.T) {
	c, m := newClock(), newMaster(t)
	s := keyringtest.NewStore(c.Now)
	r := open(t, s, m, options())
	a := in(t, s, keyring.Active)
	if got := states(t, s); got != "next 0 active 1 retiring 0 gone 0 withdrawn 0" {
		t.Error(got)
	}
	if r.Signer().Header() != a.Header || r.Set().Len() != 1 || r.Set().Lookup(a.Header).ID != a.ID {
		t.Errorf("the ring does not use the stored key %s", a.ID)
	}
	if !sign(t, r).verifies(r) {
		t.Error("what the ring signs does not verify")
	}
	again := open(t, s, m, options())
	if len(stored(t, s)) != 1 || !sign(t, again).verifies(r) || !sign(t, r).verifies(again) {
		t.Error("the second start does not use the key of the first")
	}
	if changes := mustSync(t, again); len(changes) != 0 {
		t.Errorf("nothing was due, yet %d changes", len(changes))
	}
}

// The life of keys over three rotations, to the second: published a day
// before it signs, signs for 30 days, verifies until no token of it can live.
//
// Rows: 185, 195
func TestRotationPublishesSignsRetires(t *testing.T) {
	c := newClock()
	s := keyringtest.NewStore(c.Now)
	r := open(t, s, newMaster(t), options())
	for range 3 {
		first := in(t, s, keyring.Active)
		c.advance(rotation - published - time.Second)
		if changes := mustSync(t, r); len(changes) != 0 {
			t.Fatalf("a second early: %d changes", len(changes))
		}
		c.advance(time.Second)
		if changes := mustSync(t, r); len(changes) != 1 || changes[0].From != "" || changes[0].To.State != keyring.Next {
			t.Fatalf("publication: %d changes", len(changes))
		}
		next := in(t, s, keyring.Next)
		if r.Set().Lookup(next.Header) == nil || r.Signer().Header() != first.Header || !next.DueAt.Equal(c.Now().Add(published)) {
			t.Fatal("the next key is not published, or signs already")
		}
		c.advance(published - time.Second)
		if changes := mustSync(t, r); len(changes) != 0 {
			t.Fatalf("a second before it is due: %d changes", len(changes))
		}
		last := sign(t, r)
		c.advance(time.Second)
		if changes := mustSync(t, r); len(changes) != 2 {
			t.Fatalf("activation: %d changes", len(changes))
		}
		retiring := in(t, s, keyring.Retiring)
		if r.Signer().Header() != next.Header || retiring.ID != first.ID || len(retiring.Sealed) != 0 {
			t.Fatal("the next key does not sign, or the old private key was kept")
		}
		c.advance(retired - time.Second)
		mustSync(t, r)
		if !last.verifies(r) {
			t.Fatal("the last token of the old key is refused while it may live")
		}
		c.advance(time.Second)
		mustSync(t, r)
		if last.verifies(r) || in(t, s, keyring.Active).ID != next.ID || r.Set().Len() != 1 {
			t.Fatal("the old key is not gone")
		}
		c.advance(-retired) // so that the next rotation is counted from the activation
	}
	if got := states(t, s); got != "next 0 active 1 retiring 0 gone 3 withdrawn 0" {
		t.Error(got)
	}
}

// A process that slept through everything that was due catches up, and still
// publishes before it uses.
func TestSyncAfterLongSleep(t *testing.T) {
	c, m := newClock(), newMaster(t)
	s := keyringtest.NewStore(c.Now)
	open(t, s, m, options())
	c.advance(400 * day)
	r := open(t, s, m, options())
	if got := states(t, s); got != "next 1 active 1 retiring 0 gone 0 withdrawn 0" {
		t.Error(got)
	}
	c.advance(400 * day)
	mustSync(t, r)
	if got := states(t, s); got != "next 0 active 1 retiring 1 gone 0 withdrawn 0" {
		t.Error(got)
	}
}

// Rows: 185
func TestAlgorithmChangesByRotation(t *testing.T) {
	c, m := newClock(), newMaster(t)
	s := keyringtest.NewStore(c.Now)
	old := sign(t, open(t, s, m, options()))
	o := options()
	o.Algorithm = keyring.ES256
	r := open(t, s, m, o)
	next, err := r.Rotate(t.Context())
	if err != nil || next.Algorithm != keyring.ES256 || next.State != keyring.Next {
		t.Fatalf("%+v, %v", next.State, err)
	}
	if again, err := r.Rotate(t.Context()); err != nil || again.ID != next.ID {
		t.Errorf("a second rotation at the same time publishes %s, %v", again.ID, err)
	}
	if r.Set().Len() != 2 || r.Signer().Header() == next.Header {
		t.Error("the key is not published, or signs already")
	}
	c.advance(published)
	mustSync(t, r)
	if fresh := sign(t, r); fresh.header != next.Header || !fresh.verifies(r) || !old.verifies(r) {
		t.Error("after the change, tokens of either algorithm must verify")
	}
}

// Many processes start at once, or rotate at once, on one store: one active
// key, one next key, and each verifies what the others sign.
func TestRingsRaceOnOneStore(t *testing.T) {
	const n = 6
	c, m := newClock(), newMaster(t)
	s := keyringtest.NewStore(c.Now)
	rings := make([]*keyring.Ring, n)
	all := func(do func(i int)) {
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { do(i) })
		}
		wg.Wait()
	}
	all(func(i int) {
		var err error
		if rings[i], err = keyring.Open(t.Context(), s, m, options()); err != nil {
			t.Error(err)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	for _, step := range []struct {
		after time.Duration
		want  string
	}{
		{0, "next 0 active 1 retiring 0 gone 0 withdrawn 0"},
		{rotation - published, "next 1 active 1 retiring 0 gone 0 withdrawn 0"},
		{published, "next 0 active 1 retiring 1 gone 0 withdrawn 0"},
		{retired, "next 0 active 1 retiring 0 gone 1 withdrawn 0"},
	} {
		c.advance(step.after)
		all(func(i int) {
			if _, err := rings[i].Sync(t.Context()); err != nil {
				t.Error(err)
			}
		})
		if got := states(t, s); got != step.want {
			t.Fatalf("%s, want %s", got, step.want)
		}
		for i := range n {
			for j := range n {
				if !sign(t, rings[i]).verifies(rings[j]) {
					t.Fatalf("%s: ring %d refuses what ring %d signs", step.want, j, i)
				}
			}
		}
	}
}

// Keys rotate while tokens are signed and verified by processes that learn of
// it at different moments. No verification fails within a token's life.
//
// Rows: 185
func TestRotationUnderLoadFailsNoVerification(t *testing.T) {
	const rounds, step = 400, 18 * time.Second
	c, m := newClock(), newMaster(t)
	s := keyringtest.NewStore(c.Now)
	o := options()
	o.Rotation, o.Publication, o.TokenLife = 24*time.Minute, 6*time.Minute, 9*time.Minute
	rings := make([]*keyring.Ring, 3)
	for i := range rings {
		rings[i] = open(t, s, m, o)
	}
	type dated struct {
		signed
		at time.Time
	}
	issued := make(chan dated, 4)
	stop := make(chan struct{})
	var signers, verifiers sync.WaitGroup
	for i := range 2 {
		signers.Go(func() {
			for {
				// The moment first: what is signed later lives longer, not shorter.
				at := c.Now()
				signer := rings[i].Signer()
				signature, err := signer.Sign([]byte("m"))
				if err != nil {
					t.Error(err)
					return
				}
				select {
				case <-stop:
					return
				case issued <- dated{signed{signer.Header(), []byte("m"), signature}, at}:
				}
			}
		})
	}
	var verified atomic.Int64
	used := make(map[string]bool) // by the verifier, until it has ended
	verifiers.Go(func() {
		for d := range issued {
			for _, r := range rings {
				// The clock is read after the verdict: a token that is dead by
				// now may have been dead then.
				if d.verifies(r) {
					verified.Add(1)
					used[d.header] = true
				} else if age := c.Now().Sub(d.at); age < o.TokenLife {
					t.Errorf("refused %v after it was signed", age)
				}
			}
		}
	})
	for round := range rounds {
		c.advance(step)
		// Each ring syncs in its own rhythm; the third only now and then.
		for i, r := range rings {
			if round%(1+i*4) == 0 {
				mustSync(t, r)
			}
		}
		for before := verified.Load(); verified.Load() < before+6 && !t.Failed(); {
			runtime.Gosched()
		}
	}
	close(stop)
	signers.Wait()
	close(issued)
	verifiers.Wait()
	t.Logf("%d verifications of tokens of %d keys", verified.Load(), len(used))
	if len(used) < 4 {
		t.Errorf("only %d keys were used; the load proves nothing", len(used))
	}
}

// The margin after a token's life is for a process that learns late that its
// key retires: what it signs in between verifies to its end.
//
// Rows: 185
func TestTokenOfProcessThatLearnsLate(t *testing.T) {
	c, m := newClock(), newMaster(t)
	s := keyringtest.NewStore(c.Now)
	early, late := open(t, s, m, options()), open(t, s, m, options())
	c.advance(rotation - published)
	mustSync(t, early)
	mustSync(t, late)
	c.advance(published)
	mustSync(t, early)
	c.advance(30 * time.Second)
	token := sign(t, late)
	c.advance(tokenLife)
	mustSync(t, early)
	if !token.verifies(early) {
		t.Error("refused within its life")
	}
}
