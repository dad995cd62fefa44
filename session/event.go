package session

import "time"

// An EventType says what happened, in the terms of OWASP's logging
// vocabulary where it has one.
type EventType string

// What is recorded. Every type is written to the log and to the store.
const (
	EventSignInOK        EventType = "sign_in_ok"
	EventSignInFailed    EventType = "sign_in_failed"
	EventSignOut         EventType = "sign_out"
	EventStarted         EventType = "session_started"    // tokens were made
	EventRenewed         EventType = "session_renewed"    // a new generation
	EventRepeated        EventType = "session_repeated"   // the newest generation once more
	EventCaughtUp        EventType = "session_caught_up"  // the store had lost a write
	EventRenewalRefused  EventType = "renewal_refused"    // login needed; see the reason
	EventBound           EventType = "session_bound"      // to a key of the device
	EventProofRefused    EventType = "proof_refused"      // a proof of a device is not what it must be
	EventProofSkipped    EventType = "proof_skipped"      // a browser says that it could not renew a bound session
	EventEnded           EventType = "session_ended"      // see the reason
	EventUsedAfterEnd    EventType = "access_after_end"   // an access token of an ended session
	EventAccessDenied    EventType = "access_denied"      // authenticated, but not for this
	EventCrossSite       EventType = "cross_site_blocked" // OWASP: malicious_csrf
	EventDuplicateCookie EventType = "duplicate_cookie"   // a cookie name came twice
	EventRateLimited     EventType = "rate_limited"       // refused for coming too often
	EventOverload        EventType = "overload"           // refused for want of capacity
	EventCodeIssued      EventType = "code_issued"        // a service vouches for a user; see Actor
	EventCodeRefused     EventType = "code_refused"       // a browser presents a code that is no good; with a reason: that is another's
	EventServiceRefused  EventType = "service_refused"    // wrong credentials of a service
	EventUserAdded       EventType = "user_added"
	EventUserDisabled    EventType = "user_disabled"
	EventUserEnabled     EventType = "user_enabled"
	EventUserUnlocked    EventType = "user_unlocked"
	EventUserDeleted     EventType = "user_deleted"
	EventPasswordSet     EventType = "password_set"
	EventServiceAdded    EventType = "service_added" // its name is the reason
	EventServiceRemoved  EventType = "service_removed"
	EventKeyPublished    EventType = "key_published"
	EventKeyActivated    EventType = "key_activated"
	EventKeyRetiring     EventType = "key_retiring"
	EventKeyGone         EventType = "key_gone"
	EventKeyWithdrawn    EventType = "key_withdrawn"
	EventEpoch           EventType = "everyone_ended"  // every session of everybody
	EventFenced          EventType = "fenced"          // every session ended after a restore
	EventContextChanged  EventType = "context_changed" // another browser or system renews the session; a risk signal
	EventExcess          EventType = "excess_sessions" // the oldest session made room for a new login
)

// An Event is something that happened, as a value. It carries no token, no
// password and no session id: the session is named by a keyed hash.
type Event struct {
	Time       time.Time // UTC; stamped by whoever records it if zero
	Type       EventType
	Reason     string // finer than the type; never shown to the client
	UserID     string
	Session    string // keyed hash of the session id
	Generation uint32 // as presented
	ClientID   string
	Actor      string // who did it, if not the user: "operator", a service's name
	Key        string // id of a signing key
	Origin
}

// An Origin is where a request came from.
type Origin struct {
	Address   string // coarse: a network, not a host
	UserAgent string
	RequestID string
}
