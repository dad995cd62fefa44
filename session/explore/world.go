package explore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pawlauth/pawl/session"
)

// A World says what is explored: the policy, what the parties may do, how
// slow messages may be, and how much may be under way at once. All durations
// are whole ticks, except Settle and Ahead.
type World struct {
	Name   string
	Tick   time.Duration
	Policy session.Policy

	RequestTime time.Duration // from sending to decision or, of a use, to the verifier
	AnswerTime  time.Duration // from decision to the jar
	FlushTime   time.Duration // from the jar to disk
	Ahead       time.Duration // of the store's clock, at most, is the clock of any verifier

	Requests int   // renewals of the owner under way at once
	Answers  int   // answers under way to the owner at once
	Uses     int   // uses of access tokens under way to a verifier at once
	Reports  int   // settled uses under way to the store at once
	Keys     []Key // what the owner's requests may carry, any of them each time

	Crashes   bool // the jar may go back to what was on disk, any number of times
	OwnTimers bool // the two tabs do not talk: each knows the tokens it received itself
	SignOut   bool // the owner may sign out
	Failovers int  // how often the store may lose its last write
	Thief     Thief
	ThiefKeys []Key // what the thief's requests may carry; never OneKey

	Without Part // what is taken away from the engine

	MaxDepth  int // steps from the login; 0: as many as there are
	MaxStates int // gives up beyond; 0: never
}

// A Key says which Idempotency-Key a request carries.
type Key uint8

// The keys.
const (
	NoKey    Key = iota
	OneKey       // one for each token renewed, kept across retries, tabs and crashes
	OtherKey     // another attempt's
	ThiefKey     // the thief's own
)

// A Thief says how a thief comes to his tokens. Whatever he is, he may renew
// with them at any time and as often as he likes, or never: ahead of the
// owner, behind or silent.
type Thief uint8

// The thieves.
const (
	NoThief Thief = iota
	Copier        // copies the jar once
	Watcher       // copies it whenever he likes
)

// A Part of the engine can be taken away, to see what it is good for.
type Part uint8

// The parts.
const (
	Nothing            Part = iota
	TurnInterval            // a session turns as often as it is asked to
	Settle                  // any use confirms
	FirstUse                // the store forgets when G-1 was first used
	ConditionalConfirm      // the store confirms whatever generation the row is in
	LateRepeats             // the store forgets the late-repeat bits
	CompareAndSwap          // the store writes to whatever generation the row is in
	FixedEnd                // the store counts the absolute end from now
)

var partNames = [...]string{"nothing", "the turn interval", "settle", "the memory of G-1's first use",
	"the condition of the confirm", "the late-repeat bits", "compare-and-swap", "the fixed end"}

// String returns what the part is called in prose.
func (p Part) String() string { return partNames[p] }

// Normal is the world of the design's assumptions, with nobody in it yet: the
// numbers of the default policy in ticks of 15 s, except that the race window
// is a whole tick and the access life is the shortest one allowed, so that
// clients renew as early as they may.
func Normal(name string) World {
	p, err := session.Preset("default")
	if err != nil {
		panic("explore: " + err.Error())
	}
	p.RaceWindow = 15 * time.Second
	return World{
		Name: name, Tick: 15 * time.Second, Policy: shortAccess(p),
		RequestTime: session.RequestTime, AnswerTime: session.AnswerTime, FlushTime: session.FlushTime,
		Ahead: p.Settle - session.FlushTime - session.AnswerTime - session.RequestTime - time.Second,
		Keys:  []Key{OneKey}, ThiefKeys: []Key{ThiefKey},
	}
}

// shortAccess gives the policy the shortest access life that it allows.
func shortAccess(p session.Policy) session.Policy {
	p.AccessTTL = p.TurnInterval + 31*time.Second
	return p
}

// TakeAway returns the world with an engine that lacks the part.
func (w World) TakeAway(part Part) World {
	w.Name += ", without " + part.String()
	w.Without = part
	switch part {
	case TurnInterval:
		w.Policy.TurnInterval = 0
		w.Policy = shortAccess(w.Policy)
	case Settle:
		w.Policy.Settle = 0
	}
	return w
}

// check returns every fault of a world at once.
func (w *World) check() error {
	if w.Tick < time.Second || w.Tick%time.Second != 0 {
		return fmt.Errorf("explore: tick of %v is not whole seconds", w.Tick)
	}
	var faults []error
	for _, d := range []time.Duration{w.RequestTime, w.AnswerTime, w.FlushTime, w.Policy.TurnInterval, w.Policy.RaceWindow} {
		if d < 0 || d%w.Tick != 0 {
			faults = append(faults, fmt.Errorf("explore: %v is not whole ticks of %v", d, w.Tick))
		}
	}
	if w.Requests < 1 || w.Answers < 1 || len(w.Keys) == 0 {
		faults = append(faults, errors.New("explore: an owner needs requests, answers and keys"))
	}
	if w.Without == Nothing {
		faults = append(faults, w.Policy.Validate())
	}
	if slices.Contains(w.ThiefKeys, OneKey) {
		faults = append(faults, errors.New("explore: a thief does not know the owner's keys"))
	}
	return errors.Join(faults...)
}

// ticks rounds up.
func (w *World) ticks(d time.Duration) int { return int((d + w.Tick - 1) / w.Tick) }

// expires tells whether sessions come to their end within the walk. Else
// nothing is as old as the limits, and they play no part.
func (w *World) expires() bool { return w.Policy.AbsoluteLimit <= time.Hour }

// refreshIn is the least age in ticks of the newest access token of an honest
// client that renews.
func (w *World) refreshIn() int { return w.ticks(w.Policy.RefreshIn()) }

// Bounds says how much of the world is walked.
func (w *World) Bounds() string {
	p := &w.Policy
	steps := "any number of steps, generations and minutes"
	if w.MaxDepth > 0 {
		steps = fmt.Sprintf("at most %d steps", w.MaxDepth)
	}
	return fmt.Sprintf("tick %v; turn interval %v, settle %v, race window %v, refresh_in %v, %d late repeats of 8; "+
		"under way at once: %d renewals, %d answers, %d uses, %d reports; %s",
		w.Tick, p.TurnInterval, p.Settle, p.RaceWindow, p.RefreshIn(), p.LateRepeats,
		w.Requests, w.Answers, w.Uses, w.Reports, steps)
}

// Assumptions says, one by one, what the properties of this world rest on.
func (w *World) Assumptions() []string {
	a := []string{
		fmt.Sprintf("a request reaches its decision, and a use its verifier, within %v of being sent or not at all", w.RequestTime),
		fmt.Sprintf("an answer arrives within %v of its decision or not at all", w.AnswerTime),
	}
	if w.OwnTimers {
		a = append(a, "tabs do not talk: each renews once the newest access token that it received itself is as old as refresh_in",
			fmt.Sprintf("a request is faster than the race window of %v", w.Policy.RaceWindow))
	} else {
		a = append(a, "a client renews, in whatever tab, once the newest access token in its jar is as old as refresh_in, and not before")
	}
	if w.Crashes {
		a = append(a, fmt.Sprintf("a crash takes the jar back to what it held at some time in the last %v", w.FlushTime))
	} else {
		a = append(a, "the jar never goes back")
	}
	if w.Uses > 0 {
		a = append(a, fmt.Sprintf("no verifier's clock is ahead of the store's by more than %v; behind, any", w.Ahead))
	}
	if len(w.Keys) > 1 || w.Keys[0] != OneKey || w.Failovers > 0 {
		a = append(a, fmt.Sprintf("not %d of eight successive generations are asked for again without the same Idempotency-Key", w.Policy.LateRepeats))
	} else {
		a = append(a, "all attempts to renew one token carry the same Idempotency-Key")
	}
	switch {
	case w.Failovers > 0:
		a = append(a, fmt.Sprintf("the store loses its last write at most %d times", w.Failovers))
	default:
		a = append(a, "the store loses no committed write")
	}
	return a
}

// Properties are those that are claimed of the world.
func (w *World) Properties() []Property {
	if w.Thief == NoThief {
		return []Property{NoFalseAlarm, NoResurrection, OneLineage}
	}
	// Until the thief acts, no false alarm is claimed here too.
	return []Property{NoFalseAlarm, Detection, NoResurrection, OneLineage}
}

// parties names who is there.
func (w *World) parties() string {
	who := []string{"an owner with one jar and two tabs"}
	add := func(there bool, text string) {
		if there {
			who = append(who, text)
		}
	}
	add(w.Crashes, "crashes")
	add(w.Uses > 0, "verifiers")
	add(w.SignOut, "sign-out")
	add(w.Failovers > 0, "failovers")
	add(w.Thief == Copier, "a thief who copies the jar once")
	add(w.Thief == Watcher, "a thief who watches the jar")
	return strings.Join(who, ", ")
}
