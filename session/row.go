package session

import (
	"time"

	"github.com/pawlauth/pawl/token"
)

// An ID names a session.
type ID = token.ID

// A Transport is how a session's tokens travel. It is fixed when the session
// starts: a cookie session never yields a token in a body.
type Transport string

// The transports.
const (
	Cookie Transport = "cookie"
	Bearer Transport = "bearer"
)

// A BindingKind says what a client must prove at renewal besides holding the
// token.
type BindingKind string

// The kinds of binding. DPoP (RFC 9449) proves a key; DBSC (W3C Device Bound
// Session Credentials) proves a device.
const (
	Unbound BindingKind = ""
	DPoP    BindingKind = "dpop"
	DBSC    BindingKind = "dbsc"
)

// A Binding is the key that a session is bound to.
type Binding struct {
	Kind         BindingKind
	Thumbprint   string    // SHA-256 of the public JWK (RFC 7638), base64url
	RolledBackAt time.Time // when the device last came back with an old jar; zero: never
}

// A KeyHash stands for the Idempotency-Key of a request. Zero: it had none.
type KeyHash [16]byte

// A Row is one session: one login on one device. Times are the store's.
type Row struct {
	ID       ID
	Salt     token.Salt  // erased when the session ends
	Key      token.KeyID // of the master key, for life
	UserID   string
	ClientID string
	Audience string
	Scope    string // space-separated

	Generation  uint32    // of the newest refresh token, from 1
	RotatedAt   time.Time // when Generation began
	ConfirmedAt time.Time // first use of Generation; zero: not confirmed. Only [Ratchet.Confirm] sets it
	PriorUsedAt time.Time // first use of Generation-1; zero in the first generation
	LateRepeats uint8     // bit i: Generation-i was given again to what may have been another attempt
	KeyHash     KeyHash   // of the request that began Generation

	CreatedAt   time.Time
	AuthTime    time.Time // of the login
	Methods     []string  // how the user logged in (RFC 8176), never more than was done
	AbsoluteEnd time.Time // never moves
	IdleLimit   time.Duration
	Transport   Transport
	Remembered  bool // cookies outlive the browser
	Binding     Binding
	UserAgent   string
	Address     string    // coarse: a network, not a host
	LastSeen    time.Time // by the hour

	EndedAt   time.Time // zero: not ended
	EndReason Reason    // why it ended
}

// Ended reports whether the session was ended. Expiry is not an end: it needs
// no write and is told from the times.
func (r *Row) Ended() bool { return !r.EndedAt.IsZero() }

// IdleEnd is when the session expires unless it is renewed before.
func (r *Row) IdleEnd() time.Time {
	return earlier(r.RotatedAt.Add(r.IdleLimit), r.AbsoluteEnd)
}

// Live reports whether the session can still be renewed at the given time.
func (r *Row) Live(now time.Time) bool {
	return !r.Ended() && now.Before(r.IdleEnd())
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// A Change is what one decision does to a row, as a compare-and-swap: it
// applies only to a row that is in generation From, is bound as Bound says, and
// has not ended. A binding changes what a renewal must prove: one that was
// decided before it is decided anew.
type Change struct {
	ID    ID
	From  uint32
	Bound BindingKind

	Generation   uint32
	RotatedAt    time.Time
	PriorUsedAt  time.Time
	LateRepeats  uint8
	KeyHash      KeyHash
	LastSeen     time.Time
	RolledBackAt time.Time

	End Reason // not empty: the session ends
}

// Apply returns the row after the change, as every store must compute it.
//
//   - A new generation is not confirmed, and every field of the change is
//     written. The row's late-repeat bits move along and are kept: one that
//     came in between is not lost.
//   - Within one generation only the late-repeat bits are added: a confirmation
//     that came in between stays.
//   - RolledBackAt only moves forward.
//   - An end is stamped with the store's clock and erases the salt; nothing
//     else of the row changes.
func (r Row) Apply(c Change, now time.Time) Row {
	switch {
	case c.End != "":
		r.EndedAt, r.EndReason, r.Salt = now, c.End, token.Salt{}
	case c.Generation != r.Generation:
		c.LateRepeats |= r.LateRepeats << (c.Generation - r.Generation)
		r.Generation, r.RotatedAt, r.ConfirmedAt = c.Generation, c.RotatedAt, time.Time{}
		r.PriorUsedAt, r.LateRepeats, r.KeyHash = c.PriorUsedAt, c.LateRepeats, c.KeyHash
		r.LastSeen = c.LastSeen
	default:
		r.LateRepeats |= c.LateRepeats
	}
	if c.End == "" && c.RolledBackAt.After(r.Binding.RolledBackAt) {
		r.Binding.RolledBackAt = c.RolledBackAt
	}
	return r
}

// A Use is one access token seen in use.
type Use struct {
	Session    ID
	Generation uint32
	IssuedAt   time.Time // "iat" of the token: whole seconds, rounded down
}

// Settled reports whether a use of this token confirms its generation: it is
// at least settle old, so that a browser that got it has it on disk.
func (u Use) Settled(now time.Time, settle time.Duration) bool {
	if settle <= 0 {
		return true
	}
	// "iat" was rounded down by up to a second.
	return now.Sub(u.IssuedAt) >= settle+time.Second
}
