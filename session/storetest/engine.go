package storetest

import (
	"crypto/ed25519"
	"crypto/rand"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// A Clock stands still until it is moved. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time // guarded by mu
}

// NewClock returns a clock that shows a time with a fraction of a second, as
// fine as every store must keep it.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, time.March, 1, 12, 34, 56, 123456000, time.UTC)}
}

// Now returns what the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock and returns what it shows then.
func (c *Clock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

// A Journal keeps events in memory. It is safe for concurrent use.
type Journal struct {
	mu     sync.Mutex
	events []session.Event // guarded by mu
}

// Record takes in one event.
func (j *Journal) Record(e session.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

// Take returns the events since the last call, and forgets them.
func (j *Journal) Take() []session.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	events := j.events
	j.events = nil
	return events
}

// Count returns how many events of a type there are.
func (j *Journal) Count(kind session.EventType) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, e := range j.events {
		if e.Type == kind {
			n++
		}
	}
	return n
}

// signer signs with Ed25519 under the one header that its key writes.
type signer struct {
	key    ed25519.PrivateKey
	header string
}

func (s signer) Header() string                      { return s.header }
func (s signer) Sign(message []byte) ([]byte, error) { return ed25519.Sign(s.key, message), nil }

// All engines of one test binary share their keys, as the nodes of one
// installation do.
var (
	masterKey = func() (k token.RefreshKey) {
		rand.Read(k.ID[:])
		rand.Read(k.Outer[:])
		rand.Read(k.Inner[:])
		return k
	}()
	codec     = token.NewRefreshCodec(masterKey)
	signerKey = func() signer {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}
		return signer{key, string(token.AppendBase64URL(nil, []byte(`{"alg":"EdDSA","typ":"at+jwt","kid":"test"}`)))}
	}()
)

// NewEngine returns an engine over the store, with the default policy and real
// codecs. Engines of one test binary honour each other's tokens. edit, if not
// nil, changes the options before the engine is made.
func NewEngine(t testing.TB, store session.Store, edit func(*session.Options)) *session.Engine {
	t.Helper()
	policy, err := session.Preset("default")
	if err != nil {
		t.Fatal(err)
	}
	options := session.Options{
		Store: store, Policy: policy, Issuer: "https://issuer.example", Codec: codec, Key: masterKey.ID,
		Signer: func() token.Signer { return signerKey }, Pseudonym: func(session.ID) string { return "pseudonym" },
		Record: func(session.Event) {}, Timeout: 30 * time.Second, MaxQueue: 1 << 12,
	}
	if edit != nil {
		edit(&options)
	}
	engine, err := session.New(options)
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

// sortIDs puts ids in the order in which stores list them.
func sortIDs(ids []session.ID) []session.ID {
	slices.SortFunc(ids, session.ID.Compare)
	return ids
}

// distinct returns ids in order, each once.
func distinct(ids []session.ID) []session.ID {
	return slices.Compact(sortIDs(ids))
}
