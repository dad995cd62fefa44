package follow

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

const (
	// keysEvery is the longest time from one reading of the keys to the next.
	// Together with the 5 minutes for which a cache between may keep the set it
	// is [keyring.MinPublication], so a key is known before it signs.
	keysEvery = time.Minute
	// keysPause is the least time from one reading to the next, and from a
	// failure to the next attempt.
	keysPause = 10 * time.Second
	// deniedFor is for how long a header that was looked for in vain does not
	// count.
	deniedFor = time.Minute
	// maxHeaders bounds the headers that are remembered, each as 8 bytes.
	maxHeaders = 4096
)

// keys are the issuer's. One goroutine reads them.
type keys struct {
	url    string
	client *http.Client
	log    teller
	stale  time.Duration
	set    atomic.Pointer[keyring.Set]
	good   atomic.Pointer[time.Time] // when a good set was last read
	reads  atomic.Uint64             // attempts

	seed   maphash.Seed // secret, so that nobody makes two headers collide
	wake   chan struct{}
	mu     sync.Mutex
	asked  map[uint64]bool      // guarded by mu: headers that were not found since the last reading began
	denied map[uint64]time.Time // guarded by mu: headers that a reading did not find, and until when they do not count
}

var _ verify.Keys = (*keys)(nil)

func newKeys(url string, client *http.Client, log teller, stale time.Duration) *keys {
	return &keys{url: url, client: client, log: log, stale: stale, seed: maphash.MakeSeed(), wake: make(chan struct{}, 1),
		asked: make(map[uint64]bool), denied: make(map[uint64]time.Time)}
}

// Set implements [verify.Keys].
func (k *keys) Set() *keyring.Set { return k.set.Load() }

// ErrKeysStale says that the issuer's keys could not be read for longer than
// [Options].KeysStale: whether any was withdrawn meanwhile is not known. It is a
// [verify.ErrStale].
var ErrKeysStale = fmt.Errorf("follow: the issuer's keys were not read for too long; see what hinders it in the log: %w", verify.ErrStale)

// check returns [ErrKeysStale] if the set that is used is too old.
func (k *keys) check(now time.Time) error {
	if good := k.good.Load(); good == nil || now.Sub(*good) > k.stale {
		return ErrKeysStale
	}
	return nil
}

// known is what must be known besides the keys of a token: that its session
// has not ended, and that its key may still be trusted.
type known struct {
	feed *feed
	keys *keys
}

var _ verify.Revocations = known{}

// Check implements [verify.Revocations].
func (k known) Check(session token.ID, issued, now time.Time) error {
	if err := k.feed.Check(session, issued, now); err != nil {
		return err
	}
	return k.keys.check(now)
}

// missed notes that a header was not found. What is asked for only decides
// whether the set is read once more, never how often in a time.
func (k *keys) missed(header string) {
	sum := maphash.String(k.seed, header)
	k.mu.Lock()
	defer k.mu.Unlock()
	if until, denied := k.denied[sum]; denied && time.Now().Before(until) {
		return
	}
	if len(k.asked) < maxHeaders {
		k.asked[sum] = true
	}
	select {
	case k.wake <- struct{}{}:
	default: // a reading is due already
	}
}

// begin returns the headers that the reading which begins now will answer for.
func (k *keys) begin() map[uint64]bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case <-k.wake:
	default:
	}
	asked := k.asked
	k.asked = make(map[uint64]bool)
	return asked
}

// deny makes headers count no more for a while: had they been in the set that
// was just read, nobody would ask again. There being no room only means that
// one may ask again sooner.
func (k *keys) deny(asked map[uint64]bool, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for sum, until := range k.denied {
		if !now.Before(until) {
			delete(k.denied, sum)
		}
	}
	for sum := range asked {
		if len(k.denied) >= maxHeaders {
			return
		}
		k.denied[sum] = now.Add(deniedFor)
	}
}

// read reads the set once. Whatever fails, the old one stays.
func (k *keys) read(ctx context.Context) error {
	asked := k.begin()
	k.reads.Add(1)
	set, err := k.fetch(ctx)
	if err != nil {
		return fmt.Errorf("follow: read keys: %w", err)
	}
	now := time.Now()
	k.set.Store(set)
	k.good.Store(&now)
	k.deny(asked, now)
	return nil
}

func (k *keys) fetch(ctx context.Context) (*keyring.Set, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json")
	request.Header.Set("Cache-Control", "no-cache") // not a set from before the key that is looked for (RFC 9111 §5.2.1.4)
	answer, err := k.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode != http.StatusOK:
		return nil, &statusError{answer.StatusCode}
	case !is(answer, "application/jwk-set+json"): // RFC 7517 §8.5.2
		return nil, errContentType
	}
	text, err := readAll(answer.Body, keyring.MaxSetBytes)
	if err != nil {
		return nil, err
	}
	return keyring.ParseSet(text, k.missed)
}

// first reads the set for the first time, as often as it takes.
func (k *keys) first(ctx context.Context) error {
	var b backoff
	for {
		err := k.read(ctx)
		if ctx.Err() == nil || err == nil {
			k.log.tell(err)
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(b.wait()):
		}
	}
}

// run reads the set again and again, from the first time on.
func (k *keys) run(ctx context.Context) {
	next := jittered(keysEvery)
	for k.rest(ctx, next) {
		err := k.read(ctx)
		if ctx.Err() != nil {
			return
		}
		k.log.tell(err)
		next = jittered(keysEvery)
		if err != nil {
			next = keysPause
		}
	}
}

// rest waits until the next reading is due: when the time is over, or as soon
// as a header was missed, but not before the pause is. It reports false when
// the context ends.
func (k *keys) rest(ctx context.Context, d time.Duration) bool {
	pause, due := time.NewTimer(keysPause), time.NewTimer(d)
	defer pause.Stop()
	defer due.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-pause.C:
	}
	select {
	case <-ctx.Done():
		return false
	case <-due.C:
	case <-k.wake:
	}
	return true
}
