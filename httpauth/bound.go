package httpauth

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/pawlauth/pawl/dbsc"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

// ErrUnbound matches every [UnboundError].
var ErrUnbound = errors.New("httpauth: the session is not bound to a key of the device")

// bindTime is how long after a login its browser may still be binding the
// session. It begins at once; a navigation may come first.
const bindTime = 20 * time.Second

// An UnboundError says that a session would have to be bound to a key of its
// device for what is asked.
type UnboundError struct {
	// Soon says that it may be in a moment, since the user has just logged in.
	Soon bool
}

// Error implements error.
func (e *UnboundError) Error() string { return fmt.Sprintf("%v; just begun: %t", ErrUnbound, e.Soon) }

// Is makes the error match its sentinel.
func (e *UnboundError) Is(target error) bool { return target == ErrUnbound }

// CheckBound returns an [UnboundError] unless the principal's session is bound
// to a key. A refusal is recorded, but not while the browser may still be about
// it.
func (g *Guard) CheckBound(r *http.Request, p *verify.Principal) error {
	switch {
	case p.Device != "" || p.Thumbprint != "":
		return nil
	case g.Now().Sub(p.AuthTime) < bindTime:
		return &UnboundError{Soon: true}
	}
	return g.deny(r, p, "binding_required", &UnboundError{})
}

// CheckBoundIf is [Guard.CheckBound] if every session must be bound. An error
// that there was before stays.
func (g *Guard) CheckBoundIf(r *http.Request, p *verify.Principal, err error) error {
	if err != nil || !g.RequireBound {
		return err
	}
	return g.CheckBound(r, p)
}

// recordSkipped records what a browser says of a session that it should have
// renewed before this request. Anybody can say so, but only with an access token
// of that session, expired and genuine, is it listened to; and nothing follows
// from it.
func (g *Guard) recordSkipped(r *http.Request, raw string, why error) {
	lines := r.Header[dbsc.SkippedHeader]
	if len(lines) == 0 || !errors.Is(why, verify.ErrExpired) {
		return
	}
	if id, err := token.WitnessOf(raw); err == nil {
		g.Record(session.Event{Type: session.EventProofSkipped, Reason: dbsc.SkippedReason(lines[0]),
			Session: g.Pseudonym(id), Origin: g.Proxies.Origin(r)})
	}
}
