package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
	"github.com/pawlauth/pawl/token"
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
	const rounds, step = 400, 100 * time.Millisecond
	c, m := newClock(), newMaster(t)
	s := keyringtest.NewStore(c.Now)
	o := options()
	o.Rotation, o.Publication, o.TokenLife = 8*time.Second, 2*time.Second, 3*time.Second
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

// Rows: 186, 93, A61
func TestWithdrawRefusesAtOnce(t *testing.T) {
	for _, state := range []keyring.State{keyring.Active, keyring.Next, keyring.Retiring} {
		t.Run(string(state), func(t *testing.T) {
			c, m := newClock(), newMaster(t)
			s := keyringtest.NewStore(c.Now)
			r, other := open(t, s, m, options()), open(t, s, m, options())
			oldest := sign(t, r)
			if _, err := r.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if state == keyring.Retiring {
				c.advance(published)
				mustSync(t, r)
			}
			mustSync(t, other)
			victim := in(t, s, state)
			if r.Set().Lookup(victim.Header) == nil || other.Set().Lookup(victim.Header) == nil {
				t.Fatal("the key does not verify before it is withdrawn")
			}
			if err := r.Withdraw(t.Context(), victim.ID); err != nil {
				t.Fatal(err)
			}
			if r.Set().Lookup(victim.Header) != nil {
				t.Error("still verifies in the ring that withdrew it")
			}
			mustSync(t, other)
			if other.Set().Lookup(victim.Header) != nil {
				t.Error("still verifies in the other ring after its sync")
			}
			if state != keyring.Next && oldest.verifies(other) {
				t.Error("a token of the withdrawn key verifies")
			}
			w := in(t, s, keyring.Withdrawn)
			if w.ID != victim.ID || len(w.Sealed) != 0 {
				t.Error("another key was withdrawn, or the private key was kept")
			}
			active := in(t, s, keyring.Active)
			if r.Signer().Header() != active.Header || other.Signer().Header() != active.Header || !sign(t, r).verifies(other) {
				t.Error("the rings do not sign with the active key")
			}
			if err := r.Withdraw(t.Context(), victim.ID); !errors.Is(err, keyring.ErrNoKey) {
				t.Errorf("withdrawn twice: %v", err)
			}
			// What is withdrawn does not come back.
			c.advance(2 * rotation)
			mustSync(t, r)
			if r.Set().Lookup(victim.Header) != nil {
				t.Error("the withdrawn key came back")
			}
		})
	}
}

// Rows: 186
func TestWithdrawActiveWithoutNextMakesANewKey(t *testing.T) {
	c := newClock()
	s := keyringtest.NewStore(c.Now)
	r := open(t, s, newMaster(t), options())
	old := sign(t, r)
	if err := r.Withdraw(t.Context(), in(t, s, keyring.Active).ID); err != nil {
		t.Fatal(err)
	}
	if old.verifies(r) || !sign(t, r).verifies(r) {
		t.Error("the old key verifies, or the new one does not")
	}
	if got := states(t, s); got != "next 0 active 1 retiring 0 gone 0 withdrawn 1" {
		t.Error(got)
	}
}

func TestWithdrawUnknown(t *testing.T) {
	c := newClock()
	s := keyringtest.NewStore(c.Now)
	r := open(t, s, newMaster(t), options())
	before := stored(t, s)
	for _, id := range []string{"", "nope", in(t, s, keyring.Active).Header} {
		if err := r.Withdraw(t.Context(), id); !errors.Is(err, keyring.ErrNoKey) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if len(stored(t, s)) != len(before) || in(t, s, keyring.Active).ID != before[0].ID {
		t.Error("something was changed")
	}
}

// A faulty store fails or reports a conflict when it is told to.
type faulty struct {
	keyring.Store
	keys, change func() error // called first; an error is the answer
}

func (f *faulty) Keys(ctx context.Context) ([]keyring.Record, time.Time, error) {
	if f.keys != nil {
		if err := f.keys(); err != nil {
			return nil, time.Time{}, err
		}
	}
	return f.Store.Keys(ctx)
}

func (f *faulty) ChangeKeys(ctx context.Context, changes []keyring.Change) error {
	if f.change != nil {
		if err := f.change(); err != nil {
			return err
		}
	}
	return f.Store.ChangeKeys(ctx, changes)
}

var errDown = errors.New("store is down")

// Rows: 94
func TestStoreFailureKeepsTheView(t *testing.T) {
	c := newClock()
	s := &faulty{Store: keyringtest.NewStore(c.Now)}
	r := open(t, s, newMaster(t), options())
	before := sign(t, r)
	c.advance(rotation)
	for name, break_ := range map[string]func(){
		"reading":  func() { s.keys, s.change = func() error { return errDown }, nil },
		"changing": func() { s.keys, s.change = nil, func() error { return errDown } },
	} {
		break_()
		if _, err := r.Sync(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := r.Rotate(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("%s: rotate: %v", name, err)
		}
		if err := r.Withdraw(t.Context(), r.Set().Lookup(before.header).ID); !errors.Is(err, errDown) {
			t.Errorf("%s: withdraw: %v", name, err)
		}
		if !before.verifies(r) || !sign(t, r).verifies(r) {
			t.Errorf("%s: the view is gone", name)
		}
		if _, err := keyring.Open(t.Context(), s, newMaster(t), options()); err == nil {
			t.Errorf("%s: a ring opens", name)
		}
	}
}

// Rows: 186
func TestWithdrawWinsOverAConflict(t *testing.T) {
	c := newClock()
	s := &faulty{Store: keyringtest.NewStore(c.Now)}
	m := newMaster(t)
	r, other := open(t, s, m, options()), open(t, s.Store, m, options())
	old := sign(t, r)
	tries := 0
	s.change = func() error {
		// Another process publishes a key between the read and the change,
		// and this change meets a conflict of its own making.
		if tries++; tries == 1 {
			if _, err := other.Rotate(t.Context()); err != nil {
				return err
			}
			return keyring.ErrConflict
		}
		return nil
	}
	if err := r.Withdraw(t.Context(), in(t, s, keyring.Active).ID); err != nil {
		t.Fatal(err)
	}
	if tries < 2 || old.verifies(r) {
		t.Errorf("%d tries; the key still verifies: %t", tries, old.verifies(r))
	}
	s.change = func() error { return keyring.ErrConflict }
	if err := r.Withdraw(t.Context(), in(t, s, keyring.Active).ID); !errors.Is(err, keyring.ErrConflict) {
		t.Errorf("without end: %v", err)
	}
	c.advance(2 * rotation)
	if _, err := r.Sync(t.Context()); !errors.Is(err, keyring.ErrConflict) {
		t.Errorf("a sync without end: %v", err)
	}
}

// Rows: 89, 192
func TestOptionsReportEveryFault(t *testing.T) {
	s := keyringtest.NewStore(newClock().Now)
	faults := func(o keyring.Options) int {
		_, err := keyring.Open(t.Context(), s, newMaster(t), o)
		if err == nil {
			return 0
		}
		many, ok := errors.AsType[interface {
			error
			Unwrap() []error
		}](err)
		if !ok {
			return 1
		}
		return len(many.Unwrap())
	}
	if n := faults(keyring.Options{}); n != 3 { // 0 of rotation is twice 0 of publication
		t.Errorf("the zero value has %d faults, want 3", n)
	}
	if n := faults(keyring.Options{Algorithm: "none", Rotation: time.Second, Publication: time.Millisecond * 999, TokenLife: -1}); n != 4 {
		t.Errorf("%d faults, want 4", n)
	}
	if len(stored(t, s)) != 0 {
		t.Error("a refused configuration made a key")
	}
	for _, alg := range []keyring.Algorithm{"", "none", "HS256", "eddsa", "es256", "ES384", "PS256", "RS256", "Ed25519"} {
		o := options()
		o.Algorithm = alg
		if _, err := keyring.Open(t.Context(), s, newMaster(t), o); !errors.Is(err, keyring.ErrAlgorithm) {
			t.Errorf("%q: %v", alg, err)
		}
	}
	for _, alg := range []keyring.Algorithm{keyring.EdDSA, keyring.ES256} {
		o := options()
		o.Algorithm = alg
		open(t, keyringtest.NewStore(newClock().Now), newMaster(t), o)
	}
}

// Rows: 240
func TestRingViewIsImmutable(t *testing.T) {
	c := newClock()
	s := keyringtest.NewStore(c.Now)
	r := open(t, s, newMaster(t), options())
	set, document := r.Set(), slices.Clone(r.Set().Document())
	if _, err := r.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if set.Len() != 1 || !slices.Equal(set.Document(), document) || r.Set() == set {
		t.Error("a set that was handed out has changed")
	}
	var _ token.Signer = r.Signer()
}
