package pawl

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/serviceapi"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

// Leeway is how far the clocks of two nodes may be apart.
const Leeway = 5 * time.Second

// What is taken for options that are left out.
const (
	DefaultStale      = time.Minute
	DefaultKeepEvents = 90 * 24 * time.Hour
)

// Bounds that no deployment has needed to change.
const (
	storeTimeout   = 5 * time.Second  // for one batch of renewals
	maxQueue       = 4096             // renewals that wait
	hashWait       = 5 * time.Second  // for a place to hash a password
	verifiedTokens = 1 << 16          // remembered by the verifier
	feedOverlap    = 30 * time.Second // re-read by every poll; above storeTimeout
	feedWhole      = 10 * time.Second // between reads of the whole window
)

// A Pawl is a running Pawl. It is safe for concurrent use. Close it.
type Pawl struct {
	options  Options
	clock    clock
	data     *Data
	ring     *keyring.Ring
	engine   *session.Engine
	uses     *session.Confirmations
	recorder *session.Recorder
	revoked  *verify.Revoked
	lost     lostEnds
	verifier *verify.Verifier
	accounts *account.Accounts
	services *service.Services
	web      web
	programs *serviceapi.API
	tasks    *tasks
}

// Open opens the data and starts what keeps it in step: key rotation, the
// feed of ended sessions, confirmations, events and upkeep.
func Open(ctx context.Context, o Options) (*Pawl, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	data, err := OpenData(ctx, o.place(), true)
	if err != nil {
		return nil, err
	}
	p := &Pawl{options: o, data: data}
	if err := p.wire(ctx); err != nil {
		return nil, errors.Join(err, data.Close())
	}
	p.tasks = p.start()
	return p, nil
}

// wire makes the parts, from the ground up.
func (p *Pawl) wire(ctx context.Context) (err error) {
	o, data := p.options, p.data
	if p.ring, err = keyring.Open(ctx, data.Store, data.Master, o.Keys); err != nil {
		return err
	}
	p.recorder = session.NewRecorder(o.Log, &paced{log: data.Store, every: recordEvery}, p.clock.now)
	keep, stale := o.Policy.FeedKeep(Leeway), o.Stale
	if o.DangerouslyAcceptStale {
		stale = math.MaxInt64
	}
	p.revoked, err = verify.NewRevoked(verify.FollowOptions{
		Keep: keep, Overlap: min(feedOverlap, keep), WholeEvery: feedWhole, Stale: stale})
	if err != nil {
		return err
	}
	// Ready only after the whole window was read.
	if err := p.follow(ctx); err != nil {
		return err
	}
	p.engine, err = session.New(session.Options{
		Store: data.Store, Policy: o.Policy, Issuer: o.Origins[0], Codec: token.NewRefreshCodec(data.Master.RefreshKeys()...),
		Key: data.Master.Current(), Signer: func() token.Signer { return p.ring.Signer() },
		Pseudonym: data.Master.Pseudonyms(), Record: p.record,
		Ends: ends{p.revoked}, Timeout: storeTimeout, MaxQueue: maxQueue,
	})
	if err != nil {
		return err
	}
	p.uses = session.NewConfirmations(p.engine)
	p.verifier, err = verify.New(verify.Config{Issuer: o.Origins[0], Audience: o.Audience, Keys: p.ring,
		Revocations: byMachine{p.revoked}, Leeway: Leeway, CacheSize: verifiedTokens})
	if err != nil {
		return err
	}
	hasher, err := account.NewHasher(account.DefaultParams(), runtime.GOMAXPROCS(0), hashWait)
	if err != nil {
		return err
	}
	if p.accounts, err = account.New(account.Options{Store: data.Store, Hasher: hasher, Key: data.Master.AttemptKey(), Rules: o.rules()}); err != nil {
		return err
	}
	p.services = service.New(data.Store)
	if p.web, err = p.wireHTTP(); err != nil {
		return err
	}
	p.programs, err = serviceapi.New(serviceapi.Options{API: p.web.api, Accounts: p.accounts, Events: data.Store, Revoked: p.revoked,
		Keep: keep, Now: time.Now, Note: p.uses.Note, DangerouslyPlainHTTP: o.DangerouslyPlainServices})
	return err
}

// ends are the sessions that this node refuses.
type ends struct{ revoked *verify.Revoked }

// Add implements [session.Ends].
func (e ends) Add(id session.ID) { e.revoked.Add(id, time.Now()) }

// AddEpoch implements [session.Ends].
func (e ends) AddEpoch(epoch time.Time) { e.revoked.AddEpoch(epoch, time.Now()) }

// Has implements [session.Ends].
func (e ends) Has(id session.ID, created time.Time) bool {
	return errors.Is(e.revoked.Check(id, created, time.Now()), verify.ErrRevoked)
}

// byMachine has revocations judge by the machine's own clock how long ago they
// were read, whatever the clock of the store is set to meanwhile. Everything
// else about a token goes by the store's.
type byMachine struct{ revoked *verify.Revoked }

// Check implements [verify.Revocations].
func (b byMachine) Check(id session.ID, issued, _ time.Time) error {
	return b.revoked.Check(id, issued, time.Now())
}

// record counts an event and hands it on to be logged and stored.
func (p *Pawl) record(e session.Event) {
	p.options.Observe(e)
	p.recorder.Record(e)
}

// Handler serves the routes and pages below the prefix and the two documents
// below /.well-known/.
func (p *Pawl) Handler() http.Handler { return p.web.handler }

// ServiceAPI serves the routes below /v1/ for programs that have credentials of
// a service. Serve it on a listener that the public does not reach.
func (p *Pawl) ServiceAPI() http.Handler { return p.programs }

// EndStreams ends the streams of those who follow the ends of sessions, which
// otherwise have no end. Register it with [http.Server.RegisterOnShutdown].
func (p *Pawl) EndStreams() { p.programs.EndStreams() }

// Services are the programs that may call [Pawl.ServiceAPI].
func (p *Pawl) Services() *service.Services { return p.services }

// PrincipalFrom returns who calls, inside a handler behind [Pawl.Protect].
func PrincipalFrom(ctx context.Context) (*verify.Principal, bool) { return verify.FromContext(ctx) }

// Accounts are the users of this Pawl.
func (p *Pawl) Accounts() *account.Accounts { return p.accounts }

// Stats are figures for an operator; none names a user or a session.
type Stats struct {
	Ready         bool          // tokens are accepted
	FeedAge       time.Duration // since the ends of sessions were last read
	Revoked       int           // ended sessions that this node refuses
	Keys          int           // keys that verify
	ClockAhead    time.Duration // of the store's clock, by which this node goes, before the machine's
	EventsDropped uint64        // since the start; see [session.Recorder.Dropped]
}

// Stats returns the figures of this moment.
func (p *Pawl) Stats() Stats {
	now := time.Now()
	return Stats{Ready: p.revoked.Ready(now), FeedAge: p.revoked.Age(now), Revoked: p.revoked.Len(), Keys: p.ring.Set().Len(), ClockAhead: p.clock.ahead(), EventsDropped: p.recorder.Dropped()}
}

// Close stops what [Open] started, writes what is still to be written, and
// closes the data. Stop serving requests before.
func (p *Pawl) Close() error {
	p.tasks.stop(func() {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		if err := p.uses.Flush(ctx); err != nil {
			p.options.Log.Error("the last uses of tokens were not reported", "error", err)
		}
	})
	if err := p.data.Close(); err != nil {
		return fmt.Errorf("close data: %w", err)
	}
	return nil
}
