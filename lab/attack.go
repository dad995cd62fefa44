package lab

import "fmt"

// A Verdict is what an attack came to.
type Verdict int

// The verdicts, from the best for the owner to the worst.
const (
	// NotApplicable: there is nothing to attack in that way. The reason is told.
	NotApplicable Verdict = iota + 1
	// Refused: the thief got nothing that works.
	Refused
	// Detected: what the thief got worked, until the session was ended for it.
	Detected
	// InPlace: the thief acted as the owner, or made the owner act as somebody
	// else, but only through the owner's browser.
	InPlace
	// Elsewhere: the thief acted as the owner from his own machine.
	Elsewhere
)

// String is how the tables call it.
func (v Verdict) String() string {
	switch v {
	case NotApplicable:
		return "not applicable"
	case Refused:
		return "refused"
	case Detected:
		return "detected"
	case InPlace:
		return "used in place"
	case Elsewhere:
		return "stolen"
	}
	return fmt.Sprintf("Verdict(%d)", int(v))
}

// An Outcome is a verdict and why it is that.
type Outcome struct {
	Verdict Verdict
	// Steps is after how many renewals, of the owner and the thief together, the
	// theft was detected; 0 with any other verdict.
	Steps int
	// Why is one sentence: what let the thief, what stopped him, or why there
	// was nothing to do.
	Why string
}

// String is what stands in a cell of a table.
func (o Outcome) String() string {
	if o.Verdict == Detected {
		return fmt.Sprintf("detected (%d)", o.Steps)
	}
	return o.Verdict.String()
}

func refused(why string) Outcome       { return Outcome{Verdict: Refused, Why: why} }
func notApplicable(why string) Outcome { return Outcome{Verdict: NotApplicable, Why: why} }
func inPlace(why string) Outcome       { return Outcome{Verdict: InPlace, Why: why} }
func elsewhere(why string) Outcome     { return Outcome{Verdict: Elsewhere, Why: why} }
func detected(steps int, why string) Outcome {
	return Outcome{Verdict: Detected, Steps: steps, Why: why}
}

// An Attack is one thing that thieves do.
type Attack struct {
	// Name is for the command line, in small letters with hyphens.
	Name string
	// Title is the head of its row.
	Title string
	// About says in a sentence or two what the thief has, and does.
	About string
	// Browser says that it needs the victim's browser.
	Browser bool

	// run does it. What goes wrong with the laboratory itself, rather than with
	// the attack, ends it by [stage.fail].
	run func(*stage) Outcome
}

// Attacks returns all attacks, in the order of the table.
func Attacks() []Attack {
	var all []Attack
	for _, family := range [][]Attack{scriptAttacks, crossSiteAttacks, siblingAttacks, forgeAttacks, theftAttacks, leakAttacks} {
		all = append(all, family...)
	}
	return all
}
