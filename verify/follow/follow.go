package follow

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/verify"
)

// closeTime bounds the last report of uses.
const closeTime = 2 * time.Second

// A Follower keeps the keys and the ended sessions of one issuer. It is safe
// for concurrent use. Close it.
type Follower struct {
	opened   time.Time
	keys     *keys
	feed     *feed
	uses     *uses
	verifier *verify.Verifier
	clients  []*http.Client

	cancel context.CancelFunc
	group  sync.WaitGroup
	close  sync.Once
}

// Open checks the options, waits for the issuer's keys, trying until the
// context ends, and begins to follow. What comes after the keys it does not
// wait for: see [Follower.Ready].
func Open(ctx context.Context, o Options) (*Follower, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	issuer, err := target("issuer", o.Issuer)
	if err != nil {
		return nil, err
	}
	service, err := target("service", o.Service)
	if err != nil {
		return nil, err
	}
	public, private := newClient(o, issuerAddress(issuer, o.AllowPrivate)), newClient(o, serviceAddress(service))
	authorize := o.authorize()
	policy, err := session.Preset("default")
	if err != nil {
		return nil, err
	}
	f := &Follower{opened: time.Now(), clients: []*http.Client{public, private}}
	f.keys = newKeys(o.Issuer+"/.well-known/jwks.json", public, teller{log: o.Log, what: "read keys"}, o.KeysStale)
	f.uses = &uses{url: o.Service + "/v1/uses", client: private, authorize: authorize,
		log: teller{log: o.Log, what: "report uses"}, noted: make(map[session.ID]session.Use)}
	f.setSettle(policy.Settle)
	f.feed = &feed{url: o.Service + "/v1/revocations", client: private, authorize: authorize,
		log: teller{log: o.Log, what: "follow revocations"}, stale: o.Stale, accept: o.DangerouslyAcceptStale, settle: f.setSettle}
	f.verifier, err = verify.New(verify.Config{Issuer: o.Issuer, Audience: o.Audience, Keys: f.keys,
		Revocations: known{f.feed, f.keys}, Leeway: o.Leeway, CacheSize: o.CacheSize})
	if err != nil {
		return nil, err
	}
	if err := f.keys.first(ctx); err != nil {
		f.closeIdle()
		return nil, fmt.Errorf("follow: open: %w", err)
	}
	running, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	f.group.Go(func() { f.keys.run(running) })
	f.group.Go(func() { f.feed.run(running) })
	f.group.Go(func() { f.uses.run(running) })
	return f, nil
}

func (f *Follower) setSettle(d time.Duration) { f.uses.settle.Store(int64(d)) }

// Verifier returns the verifier of the issuer's tokens. Until the follower is
// ready it refuses good tokens with [verify.ErrStale].
func (f *Follower) Verifier() *verify.Verifier { return f.verifier }

// Note takes in the use of an access token that was verified, to be reported
// if it is the first of its generation; httpauth.Options.Note is this. It does
// not block.
func (f *Follower) Note(use session.Use, now time.Time) { f.uses.note(use, now) }

// Ready reports whether tokens can be accepted: everything was told once, and
// feed and keys were heard of within their bounds.
func (f *Follower) Ready() bool {
	now := time.Now()
	if f.keys.check(now) != nil {
		return false
	}
	if f.feed.accept {
		return true
	}
	revoked := f.feed.revoked.Load()
	return revoked != nil && revoked.Ready(now)
}

// Age is how long ago the feed was last heard; until everything was told once,
// how long ago the follower was opened.
func (f *Follower) Age() time.Duration {
	now := time.Now()
	if revoked := f.feed.revoked.Load(); revoked != nil {
		return revoked.Age(now)
	}
	return now.Sub(f.opened)
}

// Stats are figures for an operator; none names a user or a session.
type Stats struct {
	Ready       bool
	Age         time.Duration // of the feed; see [Follower.Age]
	Revoked     int           // ended sessions that are remembered
	Connects    uint64        // attempts to reach the feed, since it was opened
	Keys        int           // keys that verify
	KeysAge     time.Duration // since a good key set was read
	KeyReads    uint64        // attempts to read the key set
	UsesPending int           // not reported yet
	UsesDropped uint64        // refused by the issuer, or for want of room
}

// Stats returns the figures of this moment.
func (f *Follower) Stats() Stats {
	s := Stats{Ready: f.Ready(), Age: f.Age(), Connects: f.feed.connects.Load(),
		Keys: f.keys.Set().Len(), KeysAge: time.Since(*f.keys.good.Load()), KeyReads: f.keys.reads.Load(),
		UsesDropped: f.uses.dropped.Load()}
	if revoked := f.feed.revoked.Load(); revoked != nil {
		s.Revoked = revoked.Len()
	}
	f.uses.mu.RLock()
	defer f.uses.mu.RUnlock()
	s.UsesPending = len(f.uses.pending)
	return s
}

// Close stops following, and reports the last uses, for at most 2 seconds. It
// may be called more than once. After it the verifier grows stale.
func (f *Follower) Close() error {
	var err error
	f.close.Do(func() {
		f.cancel()
		f.group.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		_, err = f.uses.flush(ctx)
		f.closeIdle()
	})
	return err
}

func (f *Follower) closeIdle() {
	for _, client := range f.clients {
		client.CloseIdleConnections()
	}
}
