package session

import (
	"errors"
	"fmt"
	"time"
)

// What a client on a bad day may take, the assumptions that the properties of
// the ratchet rest on: a request reaches its decision, and an answer its
// client, within these times or not at all; and Chromium writes its cookies
// to disk after at most 30 s.
const (
	RequestTime = 15 * time.Second
	AnswerTime  = 15 * time.Second
	FlushTime   = 30 * time.Second
)

// shortest is how old a token or a generation must be before every honest
// client that was given it has it on disk: settle and turn interval exceed it.
const shortest = FlushTime + AnswerTime + RequestTime

// MaxAccessTTL bounds the life of an access token without an option that says
// it is dangerous.
const MaxAccessTTL = 15 * time.Minute

// A Policy is how long things live and how the ratchet judges. Start from
// [Preset]; the zero value is refused.
type Policy struct {
	Name string // of the preset it started from

	AccessTTL     time.Duration // life of an access token
	IdleLimit     time.Duration // from the last renewal
	AbsoluteLimit time.Duration // from the login; renewal never moves it

	// TurnInterval: a session turns at most once in it.
	TurnInterval time.Duration
	// Settle is how old an access token must be before its use confirms that
	// the client has stored the renewal that brought it.
	Settle time.Duration
	// RaceWindow is for how long after the first use of a generation the
	// previous token is still answered.
	RaceWindow time.Duration
	// LateRepeats is how many late repeats in eight generations end the
	// session: 1 to 8.
	LateRepeats int
	// Strict allows TurnInterval, Settle and RaceWindow to be 0: an old token is
	// reuse from the first use of the new ones on, and a browser that crashes
	// within seconds of a renewal is logged out.
	Strict bool

	// RequireBinding refuses sessions that are not bound to a key: a bearer
	// session from the start, and one in cookies, which a browser binds only
	// when it has them, at its first renewal.
	RequireBinding bool
	// DangerouslyLongAccess allows AccessTTL beyond MaxAccessTTL. For so long
	// a stolen access token works where revocations are not followed.
	DangerouslyLongAccess bool
}

// Presets names the presets, after the authenticator assurance levels of NIST
// SP 800-63B-4 (§2.1.3, §2.2.3, §2.3.3).
var Presets = []string{"default", "aal1", "aal2", "aal3"}

// Preset returns a policy by name.
func Preset(name string) (Policy, error) {
	const day = 24 * time.Hour
	p := Policy{
		Name: name, AccessTTL: 5 * time.Minute,
		TurnInterval: 75 * time.Second, Settle: 75 * time.Second, RaceWindow: 10 * time.Second,
		LateRepeats: 4,
	}
	switch name {
	case "default":
		p.IdleLimit, p.AbsoluteLimit = 14*day, 90*day
	case "aal1":
		p.IdleLimit, p.AbsoluteLimit = 30*day, 30*day
	case "aal2":
		p.IdleLimit, p.AbsoluteLimit, p.LateRepeats = time.Hour, day, 2
	case "aal3":
		p.IdleLimit, p.AbsoluteLimit, p.LateRepeats = 15*time.Minute, 12*time.Hour, 2
		p.RequireBinding = true
	default:
		return Policy{}, fmt.Errorf("policy %q is unknown; use one of %q", name, Presets)
	}
	return p, nil
}

// Validate returns every fault of the policy at once.
func (p Policy) Validate() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(p.AccessTTL < time.Second, "access life of %v is too short; give at least 1s", p.AccessTTL)
	fault(p.AccessTTL > MaxAccessTTL && !p.DangerouslyLongAccess,
		"access life of %v is over %v; shorten it (only a program can ask for more, by DangerouslyLongAccess)", p.AccessTTL, MaxAccessTTL)
	fault(p.IdleLimit <= 0, "idle limit is missing")
	fault(p.AbsoluteLimit <= 0, "absolute limit is missing")
	fault(p.IdleLimit > p.AbsoluteLimit, "idle limit of %v exceeds the absolute limit of %v", p.IdleLimit, p.AbsoluteLimit)
	fault(p.AbsoluteLimit > 400*24*time.Hour, "absolute limit of %v is over 400 days, which no browser keeps a cookie for", p.AbsoluteLimit)
	fault(p.IdleLimit > 0 && p.IdleLimit < p.AccessTTL, "idle limit of %v is below the access life of %v", p.IdleLimit, p.AccessTTL)
	fault(p.LateRepeats < 1 || p.LateRepeats > 8, "late repeats of %d is outside 1 to 8", p.LateRepeats)
	// Requirements of NIST SP 800-63B-4 that are a SHALL, not a SHOULD.
	fault(p.Name == "aal3" && p.AbsoluteLimit > 12*time.Hour, "absolute limit of %v is over the 12h that AAL3 requires", p.AbsoluteLimit)
	fault(p.Name == "aal3" && !p.RequireBinding, "AAL3 requires sessions bound to a key")
	if p.Strict {
		fault(p.TurnInterval != 0 || p.Settle != 0 || p.RaceWindow != 0,
			"strict means turn interval, settle and race window of 0; they are %v, %v and %v", p.TurnInterval, p.Settle, p.RaceWindow)
	} else {
		fault(p.TurnInterval <= shortest, "turn interval of %v must exceed %v (or use strict)", p.TurnInterval, shortest)
		fault(p.Settle <= shortest, "settle of %v must exceed %v (or use strict)", p.Settle, shortest)
		fault(p.RaceWindow < 0 || p.RaceWindow > p.TurnInterval, "race window of %v must be between 0 and the turn interval of %v", p.RaceWindow, p.TurnInterval)
		fault(p.Settle+time.Second >= p.shortestLife(), "settle of %v is too long for an access life of %v; a token must be usable when it is that old", p.Settle, p.AccessTTL)
		fault(p.RefreshIn() >= p.shortestLife(), "turn interval of %v is too long for an access life of %v; a client could not renew before it expires", p.TurnInterval, p.AccessTTL)
		fault(p.AccessTTL <= p.TurnInterval+30*time.Second, "access life of %v must exceed the turn interval of %v by more than 30s", p.AccessTTL, p.TurnInterval)
	}
	return errors.Join(faults...)
}

// MakeStrict returns the policy with no tolerance: see Strict.
func (p Policy) MakeStrict() Policy {
	p.Strict, p.TurnInterval, p.Settle, p.RaceWindow = true, 0, 0, 0
	return p
}

// jitter is by how much issued lives vary, downward, so that a fleet that
// started together does not renew together: one part in so many.
const jitter = 20

// shortestLife is the shortest that an access token is issued for.
func (p Policy) shortestLife() time.Duration { return p.AccessTTL - p.AccessTTL/jitter }

// RefreshIn is how old a client's newest access token should be before it
// renews: 60 % of the access life, and never so early that the session cannot
// turn yet.
func (p Policy) RefreshIn() time.Duration {
	return max(p.TurnInterval+AnswerTime, p.AccessTTL*6/10)
}
