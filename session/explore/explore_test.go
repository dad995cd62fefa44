package explore_test

import (
	"flag"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session/explore"
)

var depth = flag.Int("explore.depth", 0, "see explore.Worlds")

func walk(t *testing.T, w explore.World) explore.Report {
	t.Helper()
	report, err := explore.Explore(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report.String())
	return report
}

// Rows: 111, 112, 114, 115, 116, 117, 118, A37, A39, A40.
func TestPropertiesHold(t *testing.T) {
	for _, w := range explore.Worlds(*depth) {
		t.Run(w.Name, func(t *testing.T) {
			r := walk(t, w)
			if r.Found != nil {
				t.Fatal("a property does not hold")
			}
			if !r.Complete {
				t.Error("states were left out")
			}
			// A walk in which little happens proves little.
			d := r.Decisions
			for what, n := range map[string]int64{"rotated": d.Rotated, "repeated": d.Repeated, "states": int64(r.States) / 1000} {
				if n == 0 {
					t.Errorf("no, or few, %s", what)
				}
			}
			if w.Failovers > 0 && d.CaughtUp == 0 {
				t.Error("never caught up")
			}
			if w.Thief != explore.NoThief && d.Ended == 0 {
				t.Error("no thief is ever found")
			}
			if (w.SignOut || w.Policy.AbsoluteLimit < time.Hour) && d.Refused == 0 {
				t.Error("never refused")
			}
		})
	}
}

// world returns one of the worlds by its name.
func world(t *testing.T, name string) explore.World {
	t.Helper()
	worlds := explore.Worlds(0)
	i := slices.IndexFunc(worlds, func(w explore.World) bool { return w.Name == name })
	if i < 0 {
		t.Fatalf("no world %q", name)
	}
	return worlds[i]
}

// falsify fails unless the property is found not to hold, along a way that
// begins at the login and ends in the claim.
func falsify(t *testing.T, w explore.World, p explore.Property) {
	t.Helper()
	r := walk(t, w)
	switch {
	case r.Found == nil:
		t.Fatal("found no counterexample")
	case r.Found.Property != p:
		t.Fatalf("%s does not hold; want %s", r.Found.Property, p)
	case len(r.Found.Trace) < 3:
		t.Errorf("a trace of %d steps explains nothing", len(r.Found.Trace))
	case r.Complete:
		t.Error("complete, though it stopped at a counterexample")
	}
}

// An explorer that cannot fail proves nothing. Each part of the ratchet is
// there because of what happens without it.

func TestWithoutTurnInterval(t *testing.T) {
	falsify(t, world(t, "an owner who crashes").TakeAway(explore.TurnInterval), explore.NoFalseAlarm)
}

func TestWithoutSettle(t *testing.T) {
	falsify(t, world(t, "an owner who crashes").TakeAway(explore.Settle), explore.NoFalseAlarm)
}

func TestWithoutFirstUse(t *testing.T) {
	falsify(t, world(t, "tabs that do not talk").TakeAway(explore.FirstUse), explore.NoFalseAlarm)
}

func TestWithoutConditionalConfirm(t *testing.T) {
	falsify(t, world(t, "an owner who crashes").TakeAway(explore.ConditionalConfirm), explore.NoFalseAlarm)
}

func TestWithoutLateRepeats(t *testing.T) {
	falsify(t, world(t, "a thief").TakeAway(explore.LateRepeats), explore.Detection)
}

func TestWithoutCompareAndSwap(t *testing.T) {
	falsify(t, world(t, "an owner who crashes").TakeAway(explore.CompareAndSwap), explore.OneLineage)
}

func TestWithoutFixedEnd(t *testing.T) {
	falsify(t, world(t, "sessions that expire").TakeAway(explore.FixedEnd), explore.NoResurrection)
}

// The printed assumptions are not there for convenience: without any of these
// the owner is logged out.
func TestAssumptionsAreNeeded(t *testing.T) {
	for name, drop := range map[string]func(*explore.World){
		"RequestsInTime":     func(w *explore.World) { w.RequestTime += w.Tick },
		"AnswersInTime":      func(w *explore.World) { w.AnswerTime += w.Tick },
		"FlushedInTime":      func(w *explore.World) { w.FlushTime += w.Tick },
		"VerifiersNotAhead":  func(w *explore.World) { w.Ahead += time.Second },
		"OneTimerForOneJar":  func(w *explore.World) { w.OwnTimers = true },
		"SettleOverTheirSum": func(w *explore.World) { w.Without, w.Policy.Settle = explore.Settle, 45*time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			w := world(t, "an owner who crashes")
			w.Answers = 1
			drop(&w)
			falsify(t, w, explore.NoFalseAlarm)
		})
	}
}

func TestTabsThatDoNotTalkNeedTheRaceWindow(t *testing.T) {
	w := world(t, "tabs that do not talk")
	w.Policy.RaceWindow = w.RequestTime
	falsify(t, w, explore.NoFalseAlarm)
}

func TestWalksAreRepeatable(t *testing.T) {
	w := world(t, "sessions that expire")
	if a, b := walk(t, w), walk(t, w); a.String() != b.String() {
		t.Error("two walks of one world differ")
	}
	w = world(t, "an owner who crashes").TakeAway(explore.Settle)
	if a, b := walk(t, w), walk(t, w); a.Found.String() != b.Found.String() {
		t.Error("two counterexamples of one world differ")
	}
}

func TestBoundsAreKept(t *testing.T) {
	w := world(t, "an owner who crashes")
	w.MaxDepth = 10
	if r := walk(t, w); r.Depth != 10 || !r.Complete {
		t.Errorf("depth %d, complete %v; want all states within 10 steps", r.Depth, r.Complete)
	}
	w.MaxDepth, w.MaxStates = 0, 1000
	if r := walk(t, w); r.States < 1000 || r.States > 5000 || r.Complete {
		t.Errorf("%d states, complete %v; want few more than 1000, and not complete", r.States, r.Complete)
	}
}

func TestReportSaysWhatItRestsOn(t *testing.T) {
	for _, w := range explore.Worlds(0) {
		w.MaxDepth = 1
		text := func() string { r := walk(t, w); return r.String() }()
		for _, want := range append(w.Assumptions(), w.Bounds(), w.Name) {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the report lacks %q", w.Name, want)
			}
		}
	}
}

func TestExploreRefusesNonsense(t *testing.T) {
	for name, spoil := range map[string]func(*explore.World){
		"NoTick":           func(w *explore.World) { w.Tick = 0 },
		"SplitSeconds":     func(w *explore.World) { w.Tick = 1500 * time.Millisecond },
		"NotWholeTicks":    func(w *explore.World) { w.RequestTime = 7 * time.Second },
		"NobodyAsks":       func(w *explore.World) { w.Requests = 0 },
		"NobodyIsAnswered": func(w *explore.World) { w.Answers = 0 },
		"NoKeys":           func(w *explore.World) { w.Keys = nil },
		"BadPolicy":        func(w *explore.World) { w.Policy.TurnInterval = 15 * time.Second },
		"KnowingThief":     func(w *explore.World) { w.ThiefKeys = []explore.Key{explore.OneKey} },
	} {
		t.Run(name, func(t *testing.T) {
			w := explore.Normal(name)
			w.Requests, w.Answers = 1, 1
			spoil(&w)
			if _, err := explore.Explore(t.Context(), w); err == nil {
				t.Error("explored")
			}
		})
	}
}
