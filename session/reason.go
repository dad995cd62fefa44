package session

import (
	"errors"
	"fmt"
)

// A Reason says why a session ended or a renewal was refused. It is for logs,
// events and the operator; the client learns only that a login is needed.
type Reason string

// Why a session ended. The row keeps it.
const (
	ReasonReuse       Reason = "reuse"        // a token of an earlier generation came back
	ReasonShadow      Reason = "shadow"       // too many late repeats: somebody else renews
	ReasonStoreBehind Reason = "store_behind" // a token newer than the row can explain
	ReasonSignOut     Reason = "sign_out"
	ReasonSignIn      Reason = "sign_in"   // replaced by a new login on the same device
	ReasonEndedByUser Reason = "user"      // from the list of devices
	ReasonPassword    Reason = "password"  // the password was changed
	ReasonDisabled    Reason = "disabled"  // the user was disabled
	ReasonOperator    Reason = "operator"  // by command or service call
	ReasonFenced      Reason = "fenced"    // after a restore
	ReasonRevoked     Reason = "revoked"   // RFC 7009
	ReasonExcess      Reason = "excess"    // the user has as many sessions as allowed
	ReasonAbandoned   Reason = "abandoned" // the login that made it failed after that
	ReasonEveryone    Reason = "everyone"  // with all sessions of everybody
	ReasonForgotten   Reason = "forgotten" // it had ended; the store lost that, and was told again
)

// Why a renewal was refused, or what was remarkable about one that was not.
const (
	ReasonNotOurs    Reason = "not_a_token"      // form or outer tag
	ReasonUnknown    Reason = "unknown_session"  // no row
	ReasonForged     Reason = "inner_tag"        // not made for this row
	ReasonEnded      Reason = "ended"            // ended before
	ReasonExpired    Reason = "expired"          // past the absolute end
	ReasonIdle       Reason = "idle"             // not renewed for too long
	ReasonTransport  Reason = "wrong_transport"  // presented another way than it was issued
	ReasonClient     Reason = "wrong_client"     // presented by another client
	ReasonNoWitness  Reason = "witness_missing"  // the refresh cookie came alone
	ReasonWitness    Reason = "witness_mismatch" // the access cookie is of another session
	ReasonUnproved   Reason = "binding_unproved" // the key was not proved
	ReasonUnbound    Reason = "binding_missing"  // the policy requires a key, and none was ever given
	ReasonChallenge  Reason = "challenge_used"   // a good proof, of a challenge that was used before
	ReasonScope      Reason = "scope_exceeded"   // asked for more than was granted
	ReasonRolledBack Reason = "rolled_back"      // the device came back with an old jar
)

// ErrRefused matches every [Refusal].
var ErrRefused = errors.New("session: login required")

// A Refusal says that a renewal is not granted. Whether the session ended is
// told by Ended: most refusals change nothing, or a thief could log the owner
// out.
type Refusal struct {
	Reason Reason
	Ended  bool // this very request ended the session
}

// Error implements error.
func (r *Refusal) Error() string { return fmt.Sprintf("session: renewal refused: %s", r.Reason) }

// Is makes every refusal match [ErrRefused].
// A session that is only refused for want of a key is [ErrBindingRequired] too.
func (r *Refusal) Is(target error) bool {
	return target == ErrRefused || target == ErrBindingRequired && r.Reason == ReasonUnbound
}

// ErrUnavailable says that the store did not answer, or not in time. The
// caller may try again: a renewal that was stored without an answer is
// repeated.
var ErrUnavailable = errors.New("session: the store is not available; try again")

// ErrBusy says that more renewals are waiting than the engine queues.
var ErrBusy = errors.New("session: too many renewals are waiting; try again")
