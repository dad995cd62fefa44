package httpapi

import (
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

// How many wrong credentials of services a minute, and at once, one network is
// told about and has recorded.
const (
	failedCalls     = 10
	limitedNetworks = 1 << 12 // counted at once
)

// A failureLimit counts wrong credentials of services by the network that they
// come from. It is never in the way of right ones, or whoever can reach us
// would keep a service out: nobody guesses 32 random bytes, and to look costs
// next to nothing.
type failureLimit struct {
	networks *otter.Cache[string, *rate.Limiter]
}

func newFailureLimit() (*failureLimit, error) {
	networks, err := otter.New(&otter.Options[string, *rate.Limiter]{
		MaximumSize: limitedNetworks, ExpiryCalculator: otter.ExpiryAccessing[string, *rate.Limiter](limitedFor),
	})
	return &failureLimit{networks}, err
}

// tooMany counts a failure and reports whether it is one too many.
func (l *failureLimit) tooMany(network string, now time.Time) bool {
	limit, ok := l.networks.GetIfPresent(network)
	if !ok {
		limit, _ = l.networks.SetIfAbsent(network, rate.NewLimiter(failedCalls/60.0, failedCalls))
	}
	return !limit.AllowN(now, 1)
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
}

func newRenewalLimit(perMinute int) (*renewalLimit, error) {
	sessions, err := otter.New(&otter.Options[claim, *rate.Limiter]{
		MaximumSize: limitedSessions, ExpiryCalculator: otter.ExpiryAccessing[claim, *rate.Limiter](limitedFor),
	})
	return &renewalLimit{perMinute: perMinute, sessions: sessions}, err
}

// limitRenewal returns [errTooMany] if the session of a refresh token renews
// too often. A minute's worth may come at once.
func (a *API) limitRenewal(r *http.Request, raw string, witness session.ID, transport session.Transport) error {
	t, err := a.Engine.Codec.Open(raw)
	if err != nil {
		return nil // refused after this one MAC, without a query
	}
	named := claim{t.Session, witness, transport}
	limit, ok := a.renewals.sessions.GetIfPresent(named)
	if !ok {
		perMinute := a.renewals.perMinute
		limit, _ = a.renewals.sessions.SetIfAbsent(named, rate.NewLimiter(rate.Limit(float64(perMinute)/60), perMinute))
	}
	if limit.AllowN(a.Guard.Now(), 1) {
		return nil
	}
	a.Engine.Record(session.Event{Type: session.EventRateLimited, Reason: "renewal",
		Session: a.Engine.Pseudonym(t.Session), Origin: a.Guard.Proxies.Origin(r)})
	return errTooMany
}
