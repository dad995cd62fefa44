package session

import (
	"math/bits"
	"time"
)

// proofs are what a request shows besides the number of its generation.
type proofs struct {
	genuine    bool // the inner tag is right for this row
	transport  Transport
	client     string // empty: not named
	scope      string // asked for; empty: what was granted
	witness    ID     // session named by the access cookie; zero: none
	thumbprint string // of the key that was proved; empty: none
	key        KeyHash
	stale      bool // the proof answers a challenge of an earlier generation
}

// A verdict is what a request gets.
type verdict int

const (
	refuse verdict = iota // login needed
	repeat                // the newest generation's tokens once more
	rotate                // the tokens of a new generation
)

// A decision is the verdict and what it does to the row. change is nil if the
// row stays as it is.
type decision struct {
	verdict verdict
	reason  Reason // of a refusal, an end, or something worth recording; else empty
	late    bool   // the repeat was counted
	change  *Change
}

// rollbackEvery is how often a device that proves its key may come back with
// an old jar.
const rollbackEvery = 24 * time.Hour

// decide is the ratchet's one rule. It is a pure function of the row, the
// presented generation g, what the request proves, the store's clock and the
// policy; every path uses it. The first case that matches decides.
func decide(row *Row, g uint32, p proofs, now time.Time, policy *Policy) decision {
	// In 64 bits, so that the neighbours of a generation always exist.
	presented, newest := int64(g), int64(row.Generation)
	switch {
	// Nothing that fails here touches the row.
	case row.Ended():
		return decision{reason: ReasonEnded}
	case !p.genuine:
		return decision{reason: ReasonForged}
	case !now.Before(row.AbsoluteEnd):
		return decision{reason: ReasonExpired}
	case !now.Before(row.IdleEnd()):
		return decision{reason: ReasonIdle}

	// Genuine, but not shown to be the owner's. A refusal must change
	// nothing, or a thief could log the owner out.
	case p.transport != row.Transport:
		return decision{reason: ReasonTransport}
	case p.client != "" && p.client != row.ClientID:
		return decision{reason: ReasonClient}
	case !within(p.scope, row.Scope):
		return decision{reason: ReasonScope}
	case row.Binding.Kind != Unbound && (p.thumbprint == "" || p.thumbprint != row.Binding.Thumbprint):
		return decision{reason: ReasonUnproved}
	case row.Binding.Kind == Unbound && row.Transport == Cookie && policy.RequireBinding:
		return decision{reason: ReasonUnbound}
	case row.Binding.Kind == DBSC && p.stale:
		return decision{reason: ReasonChallenge}
	case row.needsWitness() && p.witness.IsZero():
		return decision{reason: ReasonNoWitness}
	case row.needsWitness() && p.witness != row.ID:
		return decision{reason: ReasonWitness}

	// The store is behind its own tokens. By one: it lost its last write, and
	// our tags prove that the token was issued. By more: it is not to be
	// trusted with this session.
	case presented > newest+1:
		return row.end(ReasonStoreBehind)
	case presented == newest+1:
		return row.turn(g, KeyHash{}, now, repeat, ReasonStoreBehind)

	// The newest token. A session turns at most once in a turn interval.
	case presented == newest && now.Sub(row.RotatedAt) < policy.TurnInterval:
		return decision{verdict: repeat}
	case presented == newest:
		return row.turn(row.Generation+1, p.key, now, rotate, "")

	// An answer that may have been lost: until the owner has used what the
	// renewal brought, the previous token may come again; from then on only
	// for the race window.
	case presented == newest-1 && (row.ConfirmedAt.IsZero() || now.Sub(row.ConfirmedAt) < policy.RaceWindow):
		return row.repeatLate(p.key, now, policy)
	case presented == newest-2 && !row.PriorUsedAt.IsZero() && now.Sub(row.PriorUsedAt) < policy.RaceWindow:
		return row.repeatLate(p.key, now, policy)

	// The device itself, with cookies from before a crash; and its other tabs,
	// or its retry if the answer was lost.
	case row.Binding.Kind == DBSC && !row.Binding.RolledBackAt.IsZero() && now.Sub(row.Binding.RolledBackAt) < policy.TurnInterval:
		return decision{verdict: repeat, reason: ReasonRolledBack}
	case row.Binding.Kind == DBSC && (row.Binding.RolledBackAt.IsZero() || now.Sub(row.Binding.RolledBackAt) >= rollbackEvery):
		c := row.unchanged()
		c.RolledBackAt = now
		return decision{verdict: repeat, reason: ReasonRolledBack, change: &c}

	// Somebody holds a token that its owner has replaced.
	default:
		return row.end(ReasonReuse)
	}
}

// needsWitness: the proof of a device takes the witness's place.
func (r *Row) needsWitness() bool { return r.Transport == Cookie && r.Binding.Kind != DBSC }

// unchanged is the change that changes nothing, to start from.
func (r *Row) unchanged() Change {
	return Change{
		ID: r.ID, From: r.Generation, Bound: r.Binding.Kind, Generation: r.Generation, RotatedAt: r.RotatedAt,
		PriorUsedAt: r.PriorUsedAt, LateRepeats: r.LateRepeats, KeyHash: r.KeyHash,
		LastSeen: r.LastSeen, RolledBackAt: r.Binding.RolledBackAt,
	}
}

func (r *Row) end(why Reason) decision {
	c := r.unchanged()
	c.End = why
	return decision{verdict: refuse, reason: why, change: &c}
}

// turn moves the row to a generation that is not confirmed. That the token
// turned is at the latest the first use of its generation.
func (r *Row) turn(to uint32, key KeyHash, now time.Time, v verdict, why Reason) decision {
	c := r.unchanged()
	c.Generation, c.RotatedAt, c.KeyHash = to, now, key
	c.PriorUsedAt = r.ConfirmedAt
	if c.PriorUsedAt.IsZero() {
		c.PriorUsedAt = now
	}
	c.LateRepeats = r.LateRepeats << 1
	c.LastSeen = now.Truncate(time.Hour)
	return decision{verdict: v, reason: why, change: &c}
}

// repeatLate gives the newest tokens to a request that comes with an earlier
// one. A server cannot tell "my answer was lost" from "somebody else renewed
// and keeps silent" by one request, so it counts: once for each generation,
// and not if the request shows that it is the same attempt as the one that
// turned.
func (r *Row) repeatLate(key KeyHash, now time.Time, policy *Policy) decision {
	if r.sameAttempt(key, now, policy) {
		return decision{verdict: repeat}
	}
	c := r.unchanged()
	c.LateRepeats |= 1
	if bits.OnesCount8(c.LateRepeats) >= policy.LateRepeats {
		return r.end(ReasonShadow)
	}
	d := decision{verdict: repeat, late: true}
	if c.LateRepeats != r.LateRepeats {
		d.change = &c
	}
	return d
}

// sameAttempt: both requests carry the same Idempotency-Key; or neither
// carries one and the race window since the rotation has not passed.
func (r *Row) sameAttempt(key KeyHash, now time.Time, policy *Policy) bool {
	if key != (KeyHash{}) || r.KeyHash != (KeyHash{}) {
		return key == r.KeyHash
	}
	return now.Sub(r.RotatedAt) < policy.RaceWindow
}
