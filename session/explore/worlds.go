package explore

import (
	"time"

	"github.com/pawlauth/pawl/session"
)

// Worlds are those in which the properties are checked. Depth 0 takes seconds
// each. Depth 1 gives messages in all worlds the time that they may take, and
// adds one with finer ticks; every further one lets one more message of each
// kind be under way at once. Each takes several times as long as the one
// before.
func Worlds(depth int) []World {
	worlds := []World{
		crashing(), failing(), failingReports(), leaving(), expiring(), keyless(), apart(),
		robbed(), robbedOfKeys(), used(), watched(),
	}
	if depth < 1 {
		return worlds
	}
	worlds = append(worlds, crashingFiner())
	for i := range worlds {
		w := &worlds[i]
		w.MaxDepth, w.RequestTime, w.AnswerTime = 0, session.RequestTime, session.AnswerTime
		w.Requests += depth - 1
		w.Answers += depth - 1
		if w.Reports > 0 {
			w.Uses += depth - 1
			w.Reports += depth - 1
		}
	}
	return worlds
}

// crashing is the design's honest owner.
func crashing() World {
	w := Normal("an owner who crashes")
	w.Requests, w.Answers, w.Uses, w.Reports = 2, 2, 1, 1
	w.Crashes = true
	return w
}

// crashingFiner has the race window of the default policy too.
func crashingFiner() World {
	w := crashing()
	w.Name += ", in finer ticks"
	w.Tick, w.Policy.RaceWindow = 5*time.Second, 10*time.Second
	w.Answers = 1
	return w
}

// failing loses one write, of whatever kind, at any later time.
func failing() World {
	w := Normal("a store that fails over")
	w.Requests, w.Answers = 2, 2
	w.Crashes, w.Failovers = true, 1
	return w
}

func failingReports() World {
	w := Normal("a store that fails over, and verifiers that report")
	w.Requests, w.Answers, w.Uses, w.Reports = 1, 1, 1, 1
	w.Crashes, w.Failovers = true, 1
	return w
}

// leaving ends the session, also in the midst of renewals.
func leaving() World {
	w := Normal("an owner who signs out")
	w.Requests, w.Answers, w.Uses, w.Reports = 2, 1, 1, 1
	w.Crashes, w.SignOut = true, true
	return w
}

// expiring has limits that are reached within a few renewals.
func expiring() World {
	w := Normal("sessions that expire")
	w.Requests, w.Answers = 2, 1
	w.Crashes = true
	w.Policy.IdleLimit, w.Policy.AbsoluteLimit = 150*time.Second, 300*time.Second
	return w
}

// keyless counts late repeats, two of which end a session, as in the presets
// of the higher assurance levels.
func keyless() World {
	w := Normal("an owner without order in his keys")
	w.Requests, w.Answers = 2, 1
	w.Crashes = true
	w.AnswerTime = 0
	w.Keys = []Key{NoKey, OneKey, OtherKey}
	w.Policy.LateRepeats = 2
	return w
}

// apart is another set of assumptions than the design's: tabs that know
// nothing of each other, but a jar that never goes back and requests that are
// faster than the race window. It is what the race window is for.
func apart() World {
	w := Normal("tabs that do not talk")
	w.Requests, w.Answers = 2, 1
	w.AnswerTime = 0
	w.OwnTimers = true
	w.Policy.RaceWindow, w.Policy.LateRepeats = 30*time.Second, 2
	return w
}

// robbed is the thief of the default policy, found at the fourth late repeat
// if not before.
func robbed() World {
	w := Normal("a thief")
	w.Requests, w.Answers = 1, 1
	w.RequestTime, w.AnswerTime = 0, 0
	w.Crashes, w.Thief = true, Copier
	return w
}

// robbedOfKeys has renewals that nothing tells apart but time.
func robbedOfKeys() World {
	w := Normal("a thief where neither side sends keys")
	w.Requests, w.Answers = 1, 1
	w.RequestTime, w.AnswerTime = 0, 0
	w.Thief = Copier
	w.Keys, w.ThiefKeys = []Key{NoKey}, []Key{NoKey}
	w.Policy.LateRepeats = 2
	return w
}

// used has what it takes to find a thief who is behind: generations that are
// confirmed without a renewal, by either party.
func used() World {
	w := Normal("a thief, and verifiers that report")
	w.Requests, w.Answers, w.Uses, w.Reports = 1, 1, 1, 1
	w.RequestTime, w.AnswerTime = 0, 0
	w.MaxDepth = 30
	w.Thief = Copier
	w.Policy.LateRepeats = 2
	return w
}

// watched has a thief whom rotation cannot find, since he is never behind. He
// gains nothing else by it.
func watched() World {
	w := Normal("a thief who watches")
	w.Requests, w.Answers = 1, 1
	w.RequestTime, w.AnswerTime = 0, 0
	w.Thief = Watcher
	w.Policy.LateRepeats = 2
	return w
}
