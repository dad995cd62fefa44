package storetest_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/storetest"
)

// flaws says which test of the suite each flaw must fail. A suite that cannot
// fail proves nothing.
var flaws = []struct{ flaw, test string }{
	{"create overwrites", "Rows/CreateRefusesATakenID"},
	{"create loses the methods", "Rows/CreateStoresTheRowAsItIs"},
	{"load repeats rows", "Rows/LoadReturnsEachRowOnce"},
	{"load keeps the clock", "Rows/LoadReturnsTheClock"},
	{"replace keeps the confirmation", "Rows/ReplaceTurns"},
	{"replace stamps the turn itself", "Rows/ReplaceAppliesAsRowApplySays"},
	{"replace forgets the confirmation", "Rows/ReplaceWithinAGenerationKeepsWhatCameBetween"},
	{"replace overwrites late repeats", "Rows/ReplaceWithinAGenerationKeepsWhatCameBetween"},
	{"replace loses the return", "Rows/ReplaceAppliesAsRowApplySays"},
	{"replace keeps the salt", "Rows/ReplaceEnds"},
	{"replace does not tell of an end", "Rows/ReplaceEnds"},
	{"replace ignores the generation", "Rows/ReplaceRefusesAnotherGenerationOrBinding"},
	{"replace ignores the binding", "Rows/ReplaceRefusesAnotherGenerationOrBinding"},
	{"replace renews the ended", "Rows/ReplaceRefusesTheEnded"},
	{"replace stops at a conflict", "Rows/ReplaceAnswersEachChangeInOrder"},
	{"replace answers backward", "Rows/ReplaceAnswersEachChangeInOrder"},
	{"bind binds again", "Rows/BindBindsOnce"},
	{"bind ignores the generation", "Rows/BindRefusesWhatHasMovedOn"},
	{"bind touches the ended", "Rows/BindRefusesWhatHasMovedOn"},
	{"bind ignores the epoch", "Directory/EpochEndsWhatWasCreatedUntilThen"},
	{"bind without a lock", "Contention/OneBindWins"},
	{"confirm moves the stamp", "Rows/ConfirmStampsTheFirstSettledUse"},
	{"confirm ignores the generation", "Rows/ConfirmPassesOverEverythingElse"},
	{"confirm ignores the age", "Rows/ConfirmPassesOverEverythingElse"},
	{"confirm touches the ended", "Rows/ConfirmPassesOverEverythingElse"},
	{"confirm a second early", "Rows/ConfirmJudgesByTheStoresClock"},
	{"times in milliseconds", "Rows/TimesKeepMicroseconds"},
	{"end knows no exception", "Directory/EndNamesSessions"},
	{"end folds names", "Directory/EndNamesSessions"},
	{"end keeps the salt", "Directory/EndStampsErasesAndTells"},
	{"end does not tell the feed", "Directory/EndStampsErasesAndTells"},
	{"end stamps again", "Directory/EndTwiceChangesNothing"},
	{"end tells of the ended", "Directory/EndTwiceChangesNothing"},
	{"list orders by signed bytes", "Directory/ListIsInTheOrderOfIDs"},
	{"list begins with the last", "Directory/ListPages"},
	{"list knows no limit", "Directory/ListPages"},
	{"list shows the ended", "Directory/ListSelects"},
	{"sweep spares the moment itself", "Directory/SweepRemovesWhatIsPastItsEnd"},
	{"sweep takes the ended", "Directory/SweepRemovesWhatIsPastItsEnd"},
	{"sweep takes the feed along", "Directory/SweepRemovesWhatIsPastItsEnd"},
	{"sweep knows no limit", "Directory/SweepStopsAtItsLimit"},
	{"sweep stops short", "Directory/SweepStopsAtItsLimit"},
	{"sweep shortens the feed", "Directory/FeedIsKeptAsLongAsAsked"},
	{"epoch lies behind", "Directory/EpochEndsWhatWasCreatedUntilThen"},
	{"epoch lies far ahead", "Directory/EpochEndsWhatWasCreatedUntilThen"},
	{"epoch ends all but the last moment", "Directory/EpochEndsWhatWasCreatedUntilThen"},
	{"epoch ends what comes later", "Directory/EpochEndsWhatWasCreatedUntilThen"},
	{"epoch ends once more", "Directory/EpochEndsWhatWasCreatedUntilThen"},
	{"epoch keeps the salt", "Directory/EpochEndsWhatWasCreatedUntilThen"},
	{"load ignores the epoch", "Directory/EpochEndsWhatWasCreatedUntilThen"},
	{"list ignores the epoch", "Directory/EpochEndsWhatWasCreatedUntilThen"},
	{"replace ignores the epoch", "Directory/EpochEndsWhatWasCreatedUntilThen"},
	{"confirm ignores the epoch", "Directory/EpochEndsWhatWasCreatedUntilThen"},
	{"end ignores the epoch", "Directory/EpochEndsWhatWasCreatedUntilThen"},
	{"feed does not tell of the epoch", "Directory/EpochEndsWhatWasCreatedUntilThen"},
	{"epoch moves back", "Directory/EpochNeverMovesBack"},
	{"epoch knows no given time", "Directory/EpochNeverMovesBack"},
	{"sweep writes no epoch", "Directory/EpochIsWrittenIntoTheRows"},
	{"sweep writes the epoch early", "Directory/EpochIsWrittenIntoTheRows"},
	{"sweep tells the feed of the epoch's", "Directory/EpochIsWrittenIntoTheRows"},
	{"sweep ignores the epoch", "Directory/SweepKeepsWhatTheEpochEnded"},
	{"epoch is seen late", "Contention/EpochLiesAheadOfWhoDoesNotKnowIt"},
	{"feed does not tell of the epoch", "Faults/EndEveryoneAgain"},
	{"feed leaves out the oldest", "Directory/FeedReachesBackAsFarAsAsked"},
	{"end stops when canceled", "Directory/CanceledEndIsNeverHalfDone"},
	{"create without a lock", "Contention/OneCreateWins"},
	{"replace without a lock", "Contention/OneReplaceWins"},
	{"replace without a lock", "Contention/LateRepeatsAddUp"},
	{"confirm without a lock", "Contention/ConfirmNeverReachesTheNextGeneration"},
	{"end without a lock", "Contention/OneEndTells"},
	{"replace renews the ended", "Contention/EndIsNeverUndone"},
	{"load reads the clock last", "Contention/LoadReadsTheClockFirst"},
	{"replace without a lock", "Contention/OneLineage"},
	{"replace renews the ended", "Contention/RenewalInFlightLosesToAnEnd"},
	{"replace does not tell of an end", "Faults/TellReuseAgain"},
	{"end does not tell the feed", "Faults/SignOutAgain"},
}

// flawVariable tells the child process which flaw its store has.
const flawVariable = "STORETEST_FLAW"

// TestStoreWithOneFlaw runs the suite on a store that has none, unless
// TestSuiteFindsEachFlaw runs it as a child process.
func TestStoreWithOneFlaw(t *testing.T) {
	storetest.Run(t, storetest.Maker{
		Open: func(_ *testing.T, now func() time.Time) session.Store { return newFlawed(os.Getenv(flawVariable), now) },
		Again: func(t *testing.T, first session.Store, _ func() time.Time) session.Store {
			if first == nil {
				t.Fatal("the suite opens a second store without a first")
			}
			return first
		},
	})
}

func TestSuiteFindsEachFlaw(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range flaws {
		t.Run(f.flaw+"/"+f.test, func(t *testing.T) {
			pattern := "^TestStoreWithOneFlaw$/^" + strings.ReplaceAll(f.test, "/", "$/^") + "$"
			child := exec.CommandContext(t.Context(), self, "-test.run="+pattern, "-test.timeout=1m", "-rapid.nofailfile")
			child.Env = append(os.Environ(), flawVariable+"="+f.flaw)
			out, err := child.CombinedOutput()
			if _, failed := errors.AsType[*exec.ExitError](err); !failed {
				t.Fatalf("the suite passes a store that %s (%v)", f.flaw, err)
			}
			if !strings.Contains(string(out), "--- FAIL: TestStoreWithOneFlaw/"+f.test) {
				t.Errorf("failed elsewhere:\n%.2000s", out)
			}
		})
	}
}

// Faulty does what it was told, at the call it was told of, and nothing else.
func TestFaultyFailsTheCallsItWasToldTo(t *testing.T) {
	ctx, clock := t.Context(), storetest.NewClock()
	inner := newFlawed("", clock.Now)
	faulty := storetest.NewFaulty(inner)
	row := func(n byte) session.Row {
		return session.Row{ID: session.ID{n}, UserID: "u", Generation: 1, Transport: session.Cookie}
	}
	faulty.Fail(storetest.Create, 2, storetest.Lost)
	faulty.Fail(storetest.Create, 3, storetest.Unanswered)
	for n, want := range []error{nil, storetest.ErrFault, storetest.ErrFault, nil} {
		if err := faulty.Create(ctx, row(byte(n+1))); !errors.Is(err, want) {
			t.Errorf("call %d: %v, want %v", n+1, err, want)
		}
	}
	if _, there := inner.rows[session.ID{2}]; there {
		t.Error("a lost write took effect")
	}
	if _, there := inner.rows[session.ID{3}]; !there || len(inner.rows) != 3 {
		t.Errorf("an unanswered write was lost, or another; %d rows", len(inner.rows))
	}
	if n := faulty.Calls(storetest.Create); n != 4 || faulty.Calls(storetest.Replace) != 0 {
		t.Errorf("counted %d calls of Create, want 4", n)
	}

	changes := []session.Change{{ID: session.ID{1}, From: 1, Generation: 2}, {ID: session.ID{9}, From: 1, Generation: 2}}
	faulty.Fail(storetest.Replace, 1, storetest.Unanswered)
	for _, err := range faulty.Replace(ctx, changes) {
		if !errors.Is(err, storetest.ErrFault) || errors.Is(err, session.ErrConflict) {
			t.Errorf("an unanswered Replace tells its outcome: %v", err)
		}
	}
	if inner.rows[session.ID{1}].Generation != 2 {
		t.Error("an unanswered Replace was lost")
	}
}

// Check finds a row that no engine makes, and a feed that is wrong.
func TestCheckFindsWhatIsUnsound(t *testing.T) {
	for name, spoil := range map[string]func(*flawed, session.ID){
		"row": func(s *flawed, id session.ID) {
			row := s.rows[id]
			row.Generation = 0
			s.rows[id] = row
		},
		"end that the feed lacks": func(s *flawed, id session.ID) {
			s.flaw = "end does not tell the feed"
			_, _ = s.End(t.Context(), session.Selection{Session: id}, session.ReasonSignOut)
		},
		"feed that has the living": func(s *flawed, id session.ID) { s.feed[id] = s.now() },
	} {
		clock := storetest.NewClock()
		store := newFlawed("", clock.Now)
		issued, err := storetest.NewEngine(t, store, nil).Start(t.Context(), session.Login{UserID: "u", ClientID: "web", Audience: "app", Transport: session.Cookie})
		if err != nil {
			t.Fatal(err)
		}
		if err := storetest.Check(t.Context(), store); err != nil {
			t.Errorf("a sound store: %v", err)
		}
		spoil(store, issued.Row.ID)
		if storetest.Check(t.Context(), storetest.NewFaulty(store)) == nil {
			t.Errorf("%s: found sound", name)
		}
	}
	type bare struct{ session.Store }
	if storetest.Check(t.Context(), bare{newFlawed("", storetest.NewClock().Now)}) == nil {
		t.Error("a store without a feed is found sound")
	}
}
