package devapp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/session"
)

// A tape does not grow without bound, whoever talks.
func TestTapeIsBounded(t *testing.T) {
	var tape Tape
	for i := range 3 * maxReels {
		for range 2 * maxEvents {
			tape.Observe(session.Event{Type: session.EventRenewed, Session: fmt.Sprint(i)})
		}
		tape.keep(fmt.Sprint(i), "token", 1)
	}
	if len(tape.reels) != maxReels || len(tape.order) != maxReels {
		t.Errorf("%d sessions, %d in order", len(tape.reels), len(tape.order))
	}
	if got := tape.since(fmt.Sprint(3*maxReels-1), 0); len(got) != maxEvents {
		t.Errorf("%d events of a session", len(got))
	}
	if _, generation := tape.previous("0"); generation != 0 {
		t.Error("the first session is still remembered")
	}
}

// What is printed of a tape has no token in it.
func TestTapePrintsNoToken(t *testing.T) {
	var tape Tape
	tape.keep("a", "pawl_rt_secret", 1)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, tape.reels["a"]); strings.Contains(text, "secret") {
			t.Errorf("%s prints %s", format, text)
		}
	}
	if token, generation := tape.previous("a"); token != "pawl_rt_secret" || generation != 1 {
		t.Errorf("previous: %q %d", token, generation)
	}
}

// Each generation is on its own tooth, the newest under the pawl.
func TestWheelShowsTheNewestAtTheTop(t *testing.T) {
	for _, g := range []uint32{0, 1, 4, 11, 12, 13, 1000} {
		w := wheel{g}
		numbers, newest := 0, 0
		for slot, tooth := range w.Teeth() {
			if tooth.Number != "" {
				numbers++
			}
			if tooth.Newest {
				newest++
				if slot != int(g%teeth) || tooth.Number != fmt.Sprint(g) {
					t.Errorf("generation %d is on tooth %d as %q", g, slot, tooth.Number)
				}
			}
		}
		if want := min(int(g), shown); numbers != want || newest != min(want, 1) {
			t.Errorf("generation %d: %d numbers, %d newest", g, numbers, newest)
		}
	}
}
