package session

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pawlauth/pawl/token"
)

// Rows: 117, 133, 134, 135.
func TestRowExpiresAtTheEarlierLimit(t *testing.T) {
	row := sample()
	row.RotatedAt, row.IdleLimit, row.AbsoluteEnd = noon, time.Hour, noon.Add(2*time.Hour)
	if end := row.IdleEnd(); !end.Equal(noon.Add(time.Hour)) {
		t.Errorf("IdleEnd is %v, want an hour after the last renewal", end)
	}
	if !row.Live(noon.Add(time.Hour-tick)) || row.Live(noon.Add(time.Hour)) {
		t.Error("the idle limit does not end the session when it is reached")
	}
	// Activity moves the idle end, never beyond the absolute one.
	row.RotatedAt = noon.Add(90 * time.Minute)
	if end := row.IdleEnd(); !end.Equal(row.AbsoluteEnd) {
		t.Errorf("IdleEnd is %v, want the absolute end", end)
	}
	row.EndedAt = noon
	if row.Live(noon) {
		t.Error("an ended session lives")
	}
}

func TestApplyTurns(t *testing.T) {
	row := sample()
	c := Change{ID: row.ID, From: 5, Generation: 6, RotatedAt: noon, PriorUsedAt: noon.Add(-time.Minute), LateRepeats: 0b1010,
		KeyHash: otherKey, LastSeen: noon.Truncate(time.Hour), RolledBackAt: noon}
	want := row
	want.Generation, want.RotatedAt, want.ConfirmedAt, want.PriorUsedAt = 6, noon, time.Time{}, noon.Add(-time.Minute)
	want.LateRepeats, want.KeyHash, want.LastSeen, want.Binding.RolledBackAt = 0b1010, otherKey, c.LastSeen, noon
	if diff := cmp.Diff(want, row.Apply(c, noon)); diff != "" {
		t.Error(diff)
	}
}

func TestApplyWithinAGenerationAddsOnly(t *testing.T) {
	row := sample()
	c := Change{ID: row.ID, From: 5, Generation: 5, LateRepeats: 0b1, RolledBackAt: noon, KeyHash: otherKey, RotatedAt: noon}
	want := row
	want.LateRepeats, want.Binding.RolledBackAt = row.LateRepeats|1, noon
	if diff := cmp.Diff(want, row.Apply(c, noon)); diff != "" {
		t.Error(diff)
	}
}

func TestApplyEndsAndErasesTheSalt(t *testing.T) {
	row := sample()
	c := Change{ID: row.ID, From: 5, Generation: 9, LateRepeats: 0xFF, End: ReasonReuse, RolledBackAt: noon, RotatedAt: noon}
	want := row
	want.EndedAt, want.EndReason, want.Salt = noon, ReasonReuse, token.Salt{}
	if diff := cmp.Diff(want, row.Apply(c, noon)); diff != "" {
		t.Error(diff)
	}
}

func TestUseSettlesASecondAfterSettle(t *testing.T) {
	u := Use{IssuedAt: noon.Truncate(time.Second)}
	for _, test := range []struct {
		age    time.Duration
		settle time.Duration
		want   bool
	}{
		{76*time.Second - tick, 75 * time.Second, false},
		{76 * time.Second, 75 * time.Second, true},
		{-time.Hour, 75 * time.Second, false},
		{-time.Hour, 0, true},
	} {
		if got := u.Settled(u.IssuedAt.Add(test.age), test.settle); got != test.want {
			t.Errorf("settled at the age of %v by %v: %t, want %t", test.age, test.settle, got, test.want)
		}
	}
}

func TestSelectionNamesExactlyOneThing(t *testing.T) {
	for _, test := range []struct {
		which Selection
		want  bool
	}{
		{Selection{}, false},
		{Selection{Except: ID{1}}, false},
		{Selection{Session: ID{1}}, true},
		{Selection{User: "u"}, true},
		{Selection{Session: ID{1}, User: "u"}, false},
		{Selection{Session: ID{1}, Except: ID{2}}, true},
	} {
		if got := test.which.Valid(); got != test.want {
			t.Errorf("%+v valid: %t, want %t", test.which, got, test.want)
		}
	}
}

// Rows: 121.
func TestScopeNeverWidens(t *testing.T) {
	for _, test := range []struct {
		asked, granted string
		want           bool
	}{
		{"", "", true}, {"", "a b", true}, {"a", "a b", true}, {"b a", "a b", true}, {"a b", "a b", true}, {"a a", "a", true},
		{"c", "a b", false}, {"a c", "a b", false}, {"a", "", false}, {"A", "a", false}, {"a", "ab", false}, {"ab", "a b", false},
	} {
		if got := within(test.asked, test.granted); got != test.want {
			t.Errorf("%q of %q: %t, want %t", test.asked, test.granted, got, test.want)
		}
	}
}

// What stands for a key tells neither the key nor which sessions share it.
func TestHashKeyIsBoundToTheSession(t *testing.T) {
	if HashKey(ID{1}, "") != (KeyHash{}) {
		t.Error("no key has a hash")
	}
	one, again := HashKey(ID{1}, "k"), HashKey(ID{1}, "k")
	if one != again || one == HashKey(ID{2}, "k") || one == HashKey(ID{1}, "l") {
		t.Error("the hash is not a function of session and key")
	}
}
