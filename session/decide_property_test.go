package session

import (
	"math/bits"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/token"
)

// drawPolicy: the presets, the defaults with other numbers, and strict.
func drawPolicy(t *rapid.T) Policy {
	p, err := Preset(rapid.SampledFrom(Presets).Draw(t, "preset"))
	if err != nil {
		t.Fatal(err)
	}
	p.LateRepeats = rapid.IntRange(1, 8).Draw(t, "late repeats that end")
	if rapid.Bool().Draw(t, "strict") {
		return p.MakeStrict()
	}
	p.RaceWindow = time.Duration(rapid.IntRange(0, 75).Draw(t, "race window")) * time.Second
	return p
}

// drawAgo is a time before noon, near a boundary more often than not.
func drawAgo(t *rapid.T, label string) time.Time {
	near := rapid.SampledFrom([]time.Duration{0, 10 * time.Second, 75 * time.Second, time.Hour, day, 14 * day}).Draw(t, label)
	return noon.Add(-near + time.Duration(rapid.IntRange(-2, 2).Draw(t, label+" off by"))*time.Second)
}

func drawRow(t *rapid.T) Row {
	r := sample()
	r.Generation = rapid.OneOf(rapid.Uint32Range(1, 6), rapid.Uint32Range(1, 1<<31)).Draw(t, "generation")
	r.RotatedAt, r.PriorUsedAt = drawAgo(t, "rotated"), drawAgo(t, "prior used")
	r.ConfirmedAt = rapid.SampledFrom([]time.Time{{}, drawAgo(t, "confirmed")}).Draw(t, "confirmed at all")
	r.LateRepeats = rapid.Uint8().Draw(t, "late bits")
	r.KeyHash = rapid.SampledFrom([]KeyHash{{}, someKey, otherKey}).Draw(t, "row key")
	r.Transport = rapid.SampledFrom([]Transport{Cookie, Bearer}).Draw(t, "row transport")
	switch r.Binding.Kind = rapid.SampledFrom([]BindingKind{Unbound, DPoP, DBSC}).Draw(t, "binding"); r.Binding.Kind {
	case DBSC:
		r.Binding.RolledBackAt = rapid.SampledFrom([]time.Time{{}, drawAgo(t, "rolled back")}).Draw(t, "rolled back at all")
		fallthrough
	case DPoP:
		r.Binding.Thumbprint = "device"
	}
	if rapid.IntRange(0, 9).Draw(t, "ended") == 0 {
		r.EndedAt, r.EndReason, r.Salt = noon, ReasonSignOut, token.Salt{}
	}
	if rapid.IntRange(0, 9).Draw(t, "expired") == 0 {
		r.AbsoluteEnd = noon
	}
	return r
}

// drawProofs shows what is right, but for one in ten of each thing.
func drawProofs(t *rapid.T, r *Row) proofs {
	wrong := func(label string) bool { return rapid.IntRange(0, 9).Draw(t, label) == 0 }
	p := proofs{genuine: !wrong("forged"), transport: r.Transport, witness: r.ID, thumbprint: r.Binding.Thumbprint}
	if wrong("transport") {
		p.transport = "other"
	}
	if wrong("witness") {
		p.witness = rapid.SampledFrom([]ID{{}, {2}}).Draw(t, "other witness")
	}
	if wrong("thumbprint") {
		p.thumbprint = rapid.SampledFrom([]string{"", "other"}).Draw(t, "other thumbprint")
	}
	p.stale = r.Binding.Kind == DBSC && wrong("challenge")
	p.scope = rapid.SampledFrom([]string{"", "read", "write read", "read admin"}).Draw(t, "scope")
	p.client = rapid.SampledFrom([]string{"", "web", "web", "app"}).Draw(t, "client")
	p.key = rapid.SampledFrom([]KeyHash{{}, someKey, otherKey}).Draw(t, "key")
	return p
}

func drawPresented(t *rapid.T, r *Row) uint32 {
	near := rapid.IntRange(-4, 3).Draw(t, "presented")
	return uint32(max(1, int64(r.Generation)+int64(near)))
}

// A question is everything that decide is a function of.
type question struct {
	row    Row
	g      uint32
	p      proofs
	policy Policy
}

// TestDecideKeepsItsPromises holds for every row, request and policy.
//
// Rows: 112, 116, 135, A40, A44.
func TestDecideKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := question{policy: drawPolicy(t), row: drawRow(t)}
		q.g, q.p = drawPresented(t, &q.row), drawProofs(t, &q.row)
		before := q.row
		d := decide(&q.row, q.g, q.p, noon, &q.policy)
		if diff := cmp.Diff(before, q.row); diff != "" {
			t.Fatalf("decide changed the row itself:\n%s", diff)
		}
		if again := decide(&q.row, q.g, q.p, noon, &q.policy); !cmp.Equal(d, again, cmp.AllowUnexported(decision{})) {
			t.Fatalf("decided otherwise the second time: %+v, %+v", d, again)
		}
		checkVerdict(t, &q, d)
		if d.change != nil {
			checkChange(t, &q, d)
		}
	})
}

// ending are the reasons for which decide ends a session.
var ending = []Reason{ReasonReuse, ReasonShadow, ReasonStoreBehind}

func checkVerdict(t *rapid.T, q *question, d decision) {
	r := &q.row
	if d.verdict == refuse && d.reason == "" {
		t.Fatal("refused without a reason")
	}
	if d.verdict == refuse && (d.change != nil) != slices.Contains(ending, d.reason) {
		t.Fatalf("refused for %q with change %+v: only an end changes the row", d.reason, d.change)
	}
	if d.verdict == rotate && (d.change == nil || q.g != r.Generation) {
		t.Fatalf("turned for generation %d of %d", q.g, r.Generation)
	}
	unshown := !q.p.genuine || q.p.transport != r.Transport || (q.p.client != "" && q.p.client != "web") ||
		(r.Binding.Kind != Unbound && q.p.thumbprint != "device") || (r.needsWitness() && q.p.witness != r.ID) ||
		q.p.stale || (q.policy.RequireBinding && r.Transport == Cookie && r.Binding.Kind == Unbound)
	if (unshown || !r.Live(noon)) && (d.verdict != refuse || d.change != nil) {
		t.Fatalf("%+v for somebody who showed nothing, or a session that is over", d)
	}
	if d.late && d.verdict != repeat {
		t.Fatalf("counted as a late repeat: %+v", d)
	}
}

func checkChange(t *rapid.T, q *question, d decision) {
	r, c := &q.row, d.change
	if c.ID != r.ID || c.From != r.Generation {
		t.Fatalf("the change is of session %v from %d; the row is %v in %d", c.ID, c.From, r.ID, r.Generation)
	}
	after := r.Apply(*c, noon)
	if after.Generation != r.Generation && after.Generation != r.Generation+1 {
		t.Fatalf("generation %d became %d", r.Generation, after.Generation)
	}
	switch {
	case c.End == ReasonStoreBehind && q.g <= r.Generation+1, c.End == ReasonReuse && q.g >= r.Generation,
		c.End == ReasonShadow && q.g >= r.Generation, c.End != "" && !slices.Contains(ending, c.End):
		t.Fatalf("generation %d of %d ends the session by %q", q.g, r.Generation, c.End)
	}
	if c.End == "" && after.Generation == r.Generation && after.LateRepeats&^1 != r.LateRepeats&^1 {
		t.Fatalf("late repeats %08b became %08b within a generation", r.LateRepeats, after.LateRepeats)
	}
	if after.Generation != r.Generation {
		if after.LateRepeats != r.LateRepeats<<1 || !after.ConfirmedAt.IsZero() || after.PriorUsedAt.IsZero() || !after.RotatedAt.Equal(noon) {
			t.Fatalf("turned into %+v", after)
		}
	}
	if d.late && (after.LateRepeats&1 == 0 || bits.OnesCount8(after.LateRepeats) >= q.policy.LateRepeats) {
		t.Fatalf("late repeats %08b, where %d end the session", after.LateRepeats, q.policy.LateRepeats)
	}
	// Whatever happens, only the ratchet's own fields move.
	fixed := after
	fixed.Generation, fixed.RotatedAt, fixed.ConfirmedAt, fixed.PriorUsedAt = r.Generation, r.RotatedAt, r.ConfirmedAt, r.PriorUsedAt
	fixed.LateRepeats, fixed.KeyHash, fixed.LastSeen, fixed.Binding.RolledBackAt = r.LateRepeats, r.KeyHash, r.LastSeen, r.Binding.RolledBackAt
	if c.End != "" {
		fixed.EndedAt, fixed.EndReason, fixed.Salt = r.EndedAt, r.EndReason, r.Salt
	}
	if diff := cmp.Diff(*r, fixed); diff != "" {
		t.Fatalf("more than the ratchet moved:\n%s", diff)
	}
}

// TestDecideRepeatsARetry: whoever is given tokens and asks again at once, as
// the same attempt, is given the same generation, and it is not counted. This
// holds for every turn, however it came about.
//
// Rows: 115.
func TestDecideRepeatsARetry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row, policy := drawRow(t), drawPolicy(t)
		g, p := drawPresented(t, &row), drawProofs(t, &row)
		first := decide(&row, g, p, noon, &policy)
		if first.verdict != rotate {
			return
		}
		turned := row.Apply(*first.change, noon)
		pause := time.Duration(rapid.Int64Range(0, int64(10*day)).Draw(t, "pause"))
		if p.key == (KeyHash{}) {
			// Without a key only the race window tells a retry.
			pause %= max(policy.RaceWindow, 1)
			if policy.RaceWindow == 0 {
				return
			}
		}
		if !turned.Live(noon.Add(pause)) {
			return
		}
		again := decide(&turned, g, p, noon.Add(pause), &policy)
		if again.verdict != repeat || again.change != nil || again.late {
			t.Fatalf("a retry after %v got %+v", pause, again)
		}
	})
}

// TestDecideKeepsRowsSound walks from a login through any requests,
// confirmations and pauses, and finds every row on the way sound, its absolute
// end where it was, and its end final.
//
// Rows: 116, 135, A40.
func TestDecideKeepsRowsSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy, now := drawPolicy(t), noon
		row := sample()
		row.Generation, row.RotatedAt, row.ConfirmedAt, row.PriorUsedAt, row.LateRepeats = 1, noon, time.Time{}, time.Time{}, 0
		row.CreatedAt, row.AuthTime, row.LastSeen = noon, noon, noon.Truncate(time.Hour)
		row.AbsoluteEnd, row.IdleLimit = noon.Add(policy.AbsoluteLimit), policy.IdleLimit
		row.Binding = rapid.SampledFrom([]Binding{{}, {Kind: DPoP, Thumbprint: "device"}, {Kind: DBSC, Thumbprint: "device"}}).Draw(t, "binding")
		absoluteEnd, newest := row.AbsoluteEnd, row.Generation
		t.Repeat(map[string]func(*rapid.T){
			"request": func(t *rapid.T) {
				was := row
				d := decide(&row, drawPresented(t, &row), drawProofs(t, &row), now, &policy)
				if d.change != nil {
					row = row.Apply(*d.change, now)
				}
				if was.Ended() && (d.verdict != refuse || !cmp.Equal(was, row)) {
					t.Fatalf("%+v for an ended session", d)
				}
			},
			"confirm": func(*rapid.T) {
				if row.ConfirmedAt.IsZero() && !row.Ended() {
					row.ConfirmedAt = now
				}
			},
			"pause": func(t *rapid.T) {
				now = now.Add(rapid.SampledFrom([]time.Duration{time.Second, 11 * time.Second, 76 * time.Second, time.Hour, 2 * day}).Draw(t, "pause"))
			},
			"": func(t *rapid.T) {
				if err := CheckRow(row, now); err != nil {
					t.Fatalf("not sound: %v\n%+v", err, row)
				}
				if !row.AbsoluteEnd.Equal(absoluteEnd) || row.Generation < newest {
					t.Fatalf("absolute end %v, generation %d; were %v and %d", row.AbsoluteEnd, row.Generation, absoluteEnd, newest)
				}
				newest = row.Generation
			},
		})
	})
}
