package session

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pawlauth/pawl/token"
)

// The moment at which every case of the table is decided, and two ages that
// no boundary is near.
var noon = time.Date(2026, time.March, 1, 12, 0, 0, 123456000, time.UTC)

const (
	tick = time.Nanosecond
	day  = 24 * time.Hour
)

var (
	someKey  = KeyHash{1}
	otherKey = KeyHash{2}
)

func preset(t testing.TB, name string) Policy {
	t.Helper()
	p, err := Preset(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sample is a cookie session in generation 5, turned an hour ago with a key,
// used by its owner since.
func sample() Row {
	return Row{
		ID: ID{1}, Salt: token.Salt{1}, UserID: "u_alice", ClientID: "web", Scope: "read write",
		Generation: 5, RotatedAt: noon.Add(-time.Hour), ConfirmedAt: noon.Add(-50 * time.Minute),
		PriorUsedAt: noon.Add(-2 * time.Hour), LateRepeats: 0b0100, KeyHash: someKey,
		CreatedAt: noon.Add(-2 * day), AuthTime: noon.Add(-2 * day), AbsoluteEnd: noon.Add(88 * day), IdleLimit: 14 * day,
		Transport: Cookie, LastSeen: noon.Add(-time.Hour).Truncate(time.Hour),
	}
}

// honest is what the owner's browser shows.
func honest() proofs {
	return proofs{genuine: true, transport: Cookie, witness: ID{1}}
}

// A decideCase is one line of the design's table, or one side of a boundary.
type decideCase struct {
	name    string
	row     func(*Row)
	present int64 // relative to the row's generation
	proofs  func(*proofs)
	policy  func(*Policy)

	verdict verdict
	reason  Reason
	late    bool
	change  func(*Change) // edits the change that changes nothing; nil: no change at all
}

func unconfirmed(r *Row)              { r.ConfirmedAt = time.Time{} }
func keyless(r *Row)                  { r.KeyHash, r.ConfirmedAt = KeyHash{}, time.Time{} }
func withKey(k KeyHash) func(*proofs) { return func(p *proofs) { p.key = k } }

func confirmedAgo(d time.Duration) func(*Row) {
	return func(r *Row) { r.ConfirmedAt = noon.Add(-d) }
}

func turnedAgo(d time.Duration) func(*Row) {
	return func(r *Row) { r.RotatedAt, r.ConfirmedAt = noon.Add(-d), time.Time{} }
}

func keylessTurnedAgo(d time.Duration) func(*Row) {
	return func(r *Row) { r.RotatedAt, r.ConfirmedAt, r.KeyHash = noon.Add(-d), time.Time{}, KeyHash{} }
}

func priorUsedAgo(d time.Duration) func(*Row) {
	return func(r *Row) { r.PriorUsedAt = noon.Add(-d) }
}

func device(rolledBackAgo time.Duration) func(*Row) {
	return func(r *Row) {
		r.Binding = Binding{Kind: DBSC, Thumbprint: "device"}
		if rolledBackAgo != 0 {
			r.Binding.RolledBackAt = noon.Add(-rolledBackAgo)
		}
	}
}

func proved(p *proofs)   { p.thumbprint, p.witness = "device", ID{} }
func strictly(p *Policy) { *p = p.MakeStrict() }
func keyed(p *Policy)    { p.RequireBinding = true }

// turnsTo is the change of a row that turns.
func turnsTo(key KeyHash, priorUsed time.Time) func(*Change) {
	return func(c *Change) {
		c.Generation, c.RotatedAt, c.KeyHash, c.PriorUsedAt = 6, noon, key, priorUsed
		c.LateRepeats, c.LastSeen = 0b1000, noon.Truncate(time.Hour)
	}
}

func ends(why Reason) func(*Change) { return func(c *Change) { c.End = why } }
func counts(c *Change)              { c.LateRepeats |= 1 }
func returns(c *Change)             { c.RolledBackAt = noon }

// loginNeeded: nothing that fails here touches the row.
//
// Rows: 116, 117, 133, 134, A40, A44.
var loginNeeded = []decideCase{
	{name: "ended", row: func(r *Row) { r.EndedAt, r.EndReason, r.Salt = noon, ReasonSignOut, token.Salt{} }, reason: ReasonEnded},
	{name: "ended, and the tag cannot be right", row: func(r *Row) { r.EndedAt, r.Salt = noon, token.Salt{} },
		proofs: func(p *proofs) { p.genuine = false }, reason: ReasonEnded},
	{name: "inner tag wrong", proofs: func(p *proofs) { p.genuine = false }, reason: ReasonForged},
	{name: "inner tag wrong, old generation", present: -4, proofs: func(p *proofs) { p.genuine = false }, reason: ReasonForged},
	{name: "inner tag wrong, generation to come", present: 9, proofs: func(p *proofs) { p.genuine = false }, reason: ReasonForged},
	{name: "past the absolute end", row: func(r *Row) { r.AbsoluteEnd = noon.Add(-tick) }, reason: ReasonExpired},
	{name: "at the absolute end", row: func(r *Row) { r.AbsoluteEnd = noon }, reason: ReasonExpired},
	{name: "just before the absolute end", row: func(r *Row) { r.AbsoluteEnd = noon.Add(tick) },
		verdict: rotate, change: turnsTo(KeyHash{}, noon.Add(-50*time.Minute))},
	{name: "old token past the absolute end", present: -1, row: func(r *Row) { r.AbsoluteEnd = noon }, reason: ReasonExpired},
	{name: "idle too long", row: turnedAgo(14 * day), reason: ReasonIdle},
	{name: "not quite idle too long", row: turnedAgo(14*day - tick), verdict: rotate, change: turnsTo(KeyHash{}, noon)},
	{name: "old token, idle too long", present: -4, row: turnedAgo(14 * day), reason: ReasonIdle},
	{name: "token to come, idle too long", present: 4, row: turnedAgo(14 * day), reason: ReasonIdle},
}

// notShown: genuine, but not shown to be the owner's. A thief who is refused
// must not be able to log the owner out.
//
// Rows: 109, 121, 122, A42.
var notShown = []decideCase{
	{name: "other transport", proofs: func(p *proofs) { p.transport = Bearer }, reason: ReasonTransport},
	{name: "other transport, reuse", present: -4, proofs: func(p *proofs) { p.transport = Bearer }, reason: ReasonTransport},
	{name: "other client", proofs: func(p *proofs) { p.client = "app" }, reason: ReasonClient},
	{name: "client named", proofs: func(p *proofs) { p.client = "web" }, verdict: rotate, change: turnsTo(KeyHash{}, noon.Add(-50*time.Minute))},
	{name: "other client, reuse", present: -4, proofs: func(p *proofs) { p.client = "app" }, reason: ReasonClient},
	{name: "wider scope", proofs: func(p *proofs) { p.scope = "read admin" }, reason: ReasonScope},
	{name: "narrower scope", proofs: func(p *proofs) { p.scope = "write" }, verdict: rotate, change: turnsTo(KeyHash{}, noon.Add(-50*time.Minute))},
	{name: "wider scope, reuse", present: -4, proofs: func(p *proofs) { p.scope = "admin" }, reason: ReasonScope},
	{name: "no witness", proofs: func(p *proofs) { p.witness = ID{} }, reason: ReasonNoWitness},
	{name: "no witness, reuse", present: -4, proofs: func(p *proofs) { p.witness = ID{} }, reason: ReasonNoWitness},
	{name: "witness of another session", proofs: func(p *proofs) { p.witness = ID{2} }, reason: ReasonWitness},
	{name: "witness of another session, reuse", present: -4, proofs: func(p *proofs) { p.witness = ID{2} }, reason: ReasonWitness},
	{name: "witness of another session, to come", present: 7, proofs: func(p *proofs) { p.witness = ID{2} }, reason: ReasonWitness},
	{name: "bearer needs no witness", row: func(r *Row) { r.Transport = Bearer },
		proofs: func(p *proofs) { p.transport, p.witness = Bearer, ID{} }, verdict: rotate, change: turnsTo(KeyHash{}, noon.Add(-50*time.Minute))},
	{name: "bearer session by cookie", row: func(r *Row) { r.Transport = Bearer }, reason: ReasonTransport},
	{name: "device not proved", row: device(0), reason: ReasonUnproved},
	{name: "another device proved", row: device(0), proofs: func(p *proofs) { p.thumbprint = "other" }, reason: ReasonUnproved},
	{name: "device not proved, reuse", present: -4, row: device(0), reason: ReasonUnproved},
	{name: "bound to no key at all", row: func(r *Row) { r.Binding.Kind = DPoP }, reason: ReasonUnproved},
	{name: "the proof of a device is witness enough", row: device(0), proofs: proved,
		verdict: rotate, change: turnsTo(KeyHash{}, noon.Add(-50*time.Minute))},
	{name: "a witness does not matter beside the proof of a device", row: device(0),
		proofs: func(p *proofs) { p.thumbprint, p.witness = "device", ID{2} }, verdict: rotate, change: turnsTo(KeyHash{}, noon.Add(-50*time.Minute))},
	{name: "a challenge that was used", row: device(0), proofs: func(p *proofs) { proved(p); p.stale = true }, reason: ReasonChallenge},
	{name: "a challenge that was used, old jar", present: -4, row: device(0), proofs: func(p *proofs) { proved(p); p.stale = true }, reason: ReasonChallenge},
	{name: "a challenge that was used, jar to come", present: 4, row: device(0), proofs: func(p *proofs) { proved(p); p.stale = true }, reason: ReasonChallenge},
	{name: "a challenge that was used, by another device", row: device(0),
		proofs: func(p *proofs) { p.thumbprint, p.stale = "other", true }, reason: ReasonUnproved},
	{name: "unbound, where a key is required", policy: keyed, reason: ReasonUnbound},
	{name: "unbound, where a key is required, reuse", present: -4, policy: keyed, reason: ReasonUnbound},
	{name: "unbound, where a key is required, to come", present: 4, policy: keyed, reason: ReasonUnbound},
	{name: "bound, where a key is required", row: device(0), proofs: proved, policy: keyed,
		verdict: rotate, change: turnsTo(KeyHash{}, noon.Add(-50*time.Minute))},
	{name: "a cookie session bound by DPoP needs its witness", row: func(r *Row) { r.Binding = Binding{Kind: DPoP, Thumbprint: "k"} },
		proofs: func(p *proofs) { p.thumbprint, p.witness = "k", ID{} }, reason: ReasonNoWitness},
	{name: "a key that nobody asked for", proofs: func(p *proofs) { p.thumbprint = "k" },
		verdict: rotate, change: turnsTo(KeyHash{}, noon.Add(-50*time.Minute))},
}

// behind: the store lost what its own tokens prove.
//
// Rows: A45.
var behind = []decideCase{
	{name: "two ahead", present: 2, verdict: refuse, reason: ReasonStoreBehind, change: ends(ReasonStoreBehind)},
	{name: "far ahead", present: 1000, verdict: refuse, reason: ReasonStoreBehind, change: ends(ReasonStoreBehind)},
	{name: "one ahead", present: 1, proofs: withKey(someKey), verdict: repeat, reason: ReasonStoreBehind,
		change: turnsTo(KeyHash{}, noon.Add(-50*time.Minute))},
	{name: "one ahead, unconfirmed", present: 1, row: unconfirmed, verdict: repeat, reason: ReasonStoreBehind, change: turnsTo(KeyHash{}, noon)},
	{name: "one ahead, just turned", present: 1, row: turnedAgo(0), verdict: repeat, reason: ReasonStoreBehind, change: turnsTo(KeyHash{}, noon)},
	{name: "ahead of the last number there is", present: 1, row: func(r *Row) { r.Generation = math.MaxUint32 - 1 }, verdict: repeat,
		reason: ReasonStoreBehind, change: func(c *Change) {
			turnsTo(KeyHash{}, noon.Add(-50*time.Minute))(c)
			c.Generation = math.MaxUint32
		}},
}

// Rows: 111.
var newest = []decideCase{
	{name: "just turned", row: turnedAgo(0), verdict: repeat},
	{name: "within the turn interval", row: turnedAgo(75*time.Second - tick), verdict: repeat},
	{name: "within the turn interval, with another key", row: turnedAgo(75*time.Second - tick), proofs: withKey(otherKey), verdict: repeat},
	{name: "turned by a clock ahead of ours", row: turnedAgo(-time.Minute), verdict: repeat},
	{name: "at the turn interval", row: turnedAgo(75 * time.Second), proofs: withKey(otherKey), verdict: rotate, change: turnsTo(otherKey, noon)},
	{name: "first use is that of the confirmation", row: confirmedAgo(3 * time.Minute), proofs: withKey(otherKey),
		verdict: rotate, change: turnsTo(otherKey, noon.Add(-3*time.Minute))},
	{name: "bound by DBSC keeps its return", row: device(time.Hour), proofs: proved,
		verdict: rotate, change: turnsTo(KeyHash{}, noon.Add(-50*time.Minute))},
}

// lost: an answer that may have been lost.
//
// Rows: 115, A38.
var lost = []decideCase{
	{name: "previous, unconfirmed, same key", present: -1, row: unconfirmed, proofs: withKey(someKey), verdict: repeat},
	{name: "previous, unconfirmed for days, same key", present: -1, row: turnedAgo(13 * day), proofs: withKey(someKey), verdict: repeat},
	{name: "previous, unconfirmed, other key", present: -1, row: unconfirmed, proofs: withKey(otherKey), verdict: repeat, late: true, change: counts},
	{name: "previous, unconfirmed, key lost", present: -1, row: turnedAgo(0), verdict: repeat, late: true, change: counts},
	{name: "previous, unconfirmed, key new", present: -1, row: keyless, proofs: withKey(someKey), verdict: repeat, late: true, change: counts},
	{name: "previous, no keys, within the race window", present: -1, row: keylessTurnedAgo(10*time.Second - tick), verdict: repeat},
	{name: "previous, no keys, at the race window", present: -1, row: keylessTurnedAgo(10 * time.Second), verdict: repeat, late: true, change: counts},
	{name: "previous, no keys, 8 h later", present: -1, row: keylessTurnedAgo(8 * time.Hour), verdict: repeat, late: true, change: counts},
	{name: "previous, counted before", present: -1, row: func(r *Row) { keyless(r); r.LateRepeats |= 1 }, verdict: repeat, late: true},
	{name: "previous, confirmed within the race window", present: -1, row: confirmedAgo(10*time.Second - tick), proofs: withKey(someKey), verdict: repeat},
	{name: "previous, confirmed by a clock ahead of ours", present: -1, row: confirmedAgo(-time.Second), proofs: withKey(someKey), verdict: repeat},
	{name: "previous, confirmed at the race window", present: -1, row: confirmedAgo(10 * time.Second), proofs: withKey(someKey),
		reason: ReasonReuse, change: ends(ReasonReuse)},
	{name: "the fourth of eight", present: -1, row: func(r *Row) { keyless(r); r.LateRepeats = 0b1100_0010 },
		reason: ReasonShadow, change: ends(ReasonShadow)},
	{name: "the fourth of eight, same attempt", present: -1, row: func(r *Row) { unconfirmed(r); r.LateRepeats = 0b1100_0010 },
		proofs: withKey(someKey), verdict: repeat},
	{name: "three and one counted before", present: -1, row: func(r *Row) { keyless(r); r.LateRepeats = 0b1000_0011 }, verdict: repeat, late: true},
	{name: "the second, where two are too many", present: -1, row: func(r *Row) { keyless(r); r.LateRepeats = 0b10 },
		policy: func(p *Policy) { p.LateRepeats = 2 }, reason: ReasonShadow, change: ends(ReasonShadow)},
	{name: "two behind, predecessor used within the race window", present: -2, row: priorUsedAgo(10*time.Second - tick), proofs: withKey(someKey), verdict: repeat},
	{name: "two behind, another attempt", present: -2, row: priorUsedAgo(10*time.Second - tick), verdict: repeat, late: true, change: counts},
	{name: "two behind, predecessor used at the race window", present: -2, row: priorUsedAgo(10 * time.Second), proofs: withKey(someKey),
		reason: ReasonReuse, change: ends(ReasonReuse)},
	{name: "two behind, nothing known of the predecessor", present: -2, row: func(r *Row) { r.PriorUsedAt = time.Time{} },
		reason: ReasonReuse, change: ends(ReasonReuse)},
	{name: "three behind, all within the race window", present: -3, row: func(r *Row) { priorUsedAgo(0)(r); confirmedAgo(0)(r) },
		proofs: withKey(someKey), reason: ReasonReuse, change: ends(ReasonReuse)},
}

// old: a token of an earlier generation.
//
// Rows: 112, A37.
var old = []decideCase{
	{name: "reuse", present: -1, reason: ReasonReuse, change: ends(ReasonReuse)},
	{name: "reuse of the first", present: -4, reason: ReasonReuse, change: ends(ReasonReuse)},
	{name: "reuse, unconfirmed but two behind", present: -2, row: unconfirmed, reason: ReasonReuse, change: ends(ReasonReuse)},
	{name: "bearer reuse", present: -1, row: func(r *Row) { r.Transport = Bearer },
		proofs: func(p *proofs) { p.transport, p.witness = Bearer, ID{} }, reason: ReasonReuse, change: ends(ReasonReuse)},
	{name: "DPoP proved, reuse", present: -1, row: func(r *Row) { r.Binding = Binding{Kind: DPoP, Thumbprint: "k"} },
		proofs: func(p *proofs) { p.thumbprint = "k" }, reason: ReasonReuse, change: ends(ReasonReuse)},
	{name: "device returns with an old jar", present: -3, row: device(0), proofs: proved, verdict: repeat, reason: ReasonRolledBack, change: returns},
	{name: "device returns a day later", present: -1, row: device(day), proofs: proved, verdict: repeat, reason: ReasonRolledBack, change: returns},
	{name: "device returns twice in a day", present: -1, row: device(day - tick), proofs: proved, reason: ReasonReuse, change: ends(ReasonReuse)},
	{name: "device whose answer was lost needs no return", present: -1, row: func(r *Row) { device(time.Hour)(r); unconfirmed(r) },
		proofs: func(p *proofs) { proved(p); p.key = someKey }, verdict: repeat},
}

// Strict gives up every tolerance of time.
var strict = []decideCase{
	{name: "strict: newest turns at once", row: turnedAgo(0), policy: strictly, verdict: rotate, change: turnsTo(KeyHash{}, noon)},
	{name: "strict: previous, just confirmed", present: -1, row: confirmedAgo(0), proofs: withKey(someKey), policy: strictly,
		reason: ReasonReuse, change: ends(ReasonReuse)},
	{name: "strict: previous, unconfirmed, same key", present: -1, row: turnedAgo(0), proofs: withKey(someKey), policy: strictly, verdict: repeat},
	{name: "strict: previous, unconfirmed, no keys", present: -1, row: keylessTurnedAgo(0), policy: strictly, verdict: repeat, late: true, change: counts},
	{name: "strict: two behind", present: -2, row: priorUsedAgo(0), policy: strictly, reason: ReasonReuse, change: ends(ReasonReuse)},
}

// TestDecideFollowsTheTable has a case for every line of the design's table
// and both sides of every boundary in it.
func TestDecideFollowsTheTable(t *testing.T) {
	for group, cases := range map[string][]decideCase{
		"login needed": loginNeeded, "not shown": notShown, "store behind": behind,
		"newest": newest, "lost answer": lost, "old": old, "strict": strict,
	} {
		for _, test := range cases {
			t.Run(group+"/"+test.name, test.run)
		}
	}
}

func (test decideCase) run(t *testing.T) {
	row, p, policy := sample(), honest(), preset(t, "default")
	if test.row != nil {
		test.row(&row)
	}
	if test.proofs != nil {
		test.proofs(&p)
	}
	if test.policy != nil {
		test.policy(&policy)
	}
	want := decision{verdict: test.verdict, reason: test.reason, late: test.late}
	if test.change != nil {
		c := row.unchanged()
		test.change(&c)
		want.change = &c
	}
	before := row
	got := decide(&row, uint32(int64(row.Generation)+test.present), p, noon, &policy)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(decision{})); diff != "" {
		t.Errorf("decision differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, row); diff != "" {
		t.Errorf("decide changed the row itself:\n%s", diff)
	}
}
