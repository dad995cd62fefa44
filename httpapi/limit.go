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

// How many times a minute, and at once, wrong credentials of a service are
// looked at.
const (
	failedCalls     = 10
	limitedServices = 1 << 12 // counted at once
)

// A failureLimit counts wrong credentials by the name that they claim and the
// network that they come from, so that one service with an outdated secret
// keeps nobody else out. Nobody guesses a secret: it is about the work.
type failureLimit struct {
	calls *otter.Cache[caller, *rate.Limiter]
}

type caller struct{ name, network string }

func newFailureLimit() (*failureLimit, error) {
	calls, err := otter.New(&otter.Options[caller, *rate.Limiter]{
		MaximumSize: limitedServices, ExpiryCalculator: otter.ExpiryAccessing[caller, *rate.Limiter](limitedFor),
	})
	return &failureLimit{calls}, err
}

// closed reports whether the caller has failed too often.
func (l *failureLimit) closed(c caller, now time.Time) bool {
	limit, ok := l.calls.GetIfPresent(c)
	return ok && limit.TokensAt(now) < 1
}

// failed counts a failure.
func (l *failureLimit) failed(c caller, now time.Time) {
	limit, ok := l.calls.GetIfPresent(c)
	if !ok {
		limit, _ = l.calls.SetIfAbsent(c, rate.NewLimiter(failedCalls/60.0, failedCalls))
	}
	limit.AllowN(now, 1)
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
