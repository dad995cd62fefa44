package httpapi

import (
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"

	"github.com/pawlauth/pawl/session"
)

// DefaultRenewalRate is how many renewals of one session a minute are served
// if nothing else is said. An honest client renews every few minutes; many
// tabs that wake together come once each.
const DefaultRenewalRate = 120

// limitedSessions bounds how many sessions are counted at once, and
// limitedFor how long one that is silent is remembered.
const (
	limitedSessions = 1 << 16
	limitedFor      = 2 * time.Minute
)

// How many failures of one kind a second, and at once, are looked into for one
// network.
const (
	failureRate     = 1
	failuresAtOnce  = 10
	limitedNetworks = 1 << 12 // counted at once
)

// A failureLimit bounds how often one network is looked into that presents
// secrets of 32 random bytes and fails. That is not for fear of a guess, but so
// that who invents some causes no query and no event each. Those that are under
// way at the same time are not counted yet.
//
// It hits right secrets too, if they come from a network that goes on failing:
// which they are cannot be told without the query. So one a second is looked into,
// and whatever is known to be right already is not asked about.
type failureLimit struct {
	networks *otter.Cache[string, *rate.Limiter]
}

func newFailureLimit() (*failureLimit, error) {
	networks, err := otter.New(&otter.Options[string, *rate.Limiter]{
		MaximumSize: limitedNetworks, ExpiryCalculator: otter.ExpiryAccessing[string, *rate.Limiter](limitedFor),
	})
	return &failureLimit{networks}, err
}

// reached reports whether a network has to wait.
func (l *failureLimit) reached(network string, now time.Time) bool {
	limit, ok := l.networks.GetIfPresent(network)
	return ok && limit.TokensAt(now) < 1
}

// count counts a failure.
func (l *failureLimit) count(network string, now time.Time) {
	limit, ok := l.networks.GetIfPresent(network)
	if !ok {
		limit, _ = l.networks.SetIfAbsent(network, rate.NewLimiter(failureRate, failuresAtOnce))
	}
	limit.AllowN(now, 1)
}

// How many credentials of services are remembered, and for how long after they
// were right.
const (
	provedServices = 1 << 10
	provedFor      = time.Hour
)

// proved are the credentials of services that were right when they were last
// looked up here, so that nobody else in the service's network can keep it out.
// They are looked up every time all the same. Nothing but a right one gets in,
// so strangers cannot push any out.
type proved struct {
	seen *otter.Cache[[sha256.Size]byte, struct{}]
}

func newProved() (proved, error) {
	seen, err := otter.New(&otter.Options[[sha256.Size]byte, struct{}]{
		MaximumSize: provedServices, ExpiryCalculator: otter.ExpiryWriting[[sha256.Size]byte, struct{}](provedFor),
	})
	return proved{seen}, err
}

// proofOf stands for a credential: a name has no colon (RFC 7617 §2).
func proofOf(name, secret string) [sha256.Size]byte {
	return sha256.Sum256([]byte(name + ":" + secret))
}

func (p proved) has(proof [sha256.Size]byte) bool {
	_, ok := p.seen.GetIfPresent(proof)
	return ok
}

// note notes how the look-up of a credential went.
func (p proved) note(proof [sha256.Size]byte, right bool) {
	if right {
		p.seen.Set(proof, struct{}{})
	} else {
		p.seen.Invalidate(proof)
	}
}

// A renewalLimit counts renewals by session: not by address, which servers
// that render for many users share, and which a thief changes. It counts only
// tokens whose outer tag is right, and those that come with another witness
// apart, so that nobody can use up what belongs to the owner of a session
// without holding all that the owner holds.
type renewalLimit struct {
	perMinute int
	sessions  *otter.Cache[claim, *rate.Limiter]
}

// A claim is a session as a request names it: by its refresh token, by its
// witness (zero: none), and by the transport.
type claim struct {
	session, witness session.ID
	transport        session.Transport
	network          string // of who proves nothing; empty: it does not matter
}

func newRenewalLimit(perMinute int) (*renewalLimit, error) {
	sessions, err := otter.New(&otter.Options[claim, *rate.Limiter]{
		MaximumSize: limitedSessions, ExpiryCalculator: otter.ExpiryAccessing[claim, *rate.Limiter](limitedFor),
	})
	return &renewalLimit{perMinute: perMinute, sessions: sessions}, err
}

// allow counts one renewal, and reports whether it may go on.
func (l *renewalLimit) allow(named claim, now time.Time) bool {
	limit, ok := l.sessions.GetIfPresent(named)
	if !ok {
		limit, _ = l.sessions.SetIfAbsent(named, rate.NewLimiter(rate.Limit(float64(l.perMinute)/60), l.perMinute))
	}
	return limit.AllowN(now, 1)
}

// limitRenewal returns [errTooMany] if the session of a refresh token renews
// too often. A minute's worth may come at once.
func (a *API) limitRenewal(r *http.Request, raw string, witness session.ID, transport session.Transport) error {
	t, err := a.Engine.Codec.Open(raw)
	if err != nil {
		return nil // refused after this one MAC, without a query
	}
	named := claim{session: t.Session, witness: witness, transport: transport}
	if a.renewals.allow(named, a.Guard.Now()) {
		return nil
	}
	a.Engine.Record(session.Event{Type: session.EventRateLimited, Reason: "renewal",
		Session: a.Engine.Pseudonym(t.Session), Origin: a.Guard.Proxies.Origin(r)})
	return errTooMany
}
