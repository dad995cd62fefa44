package verify_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

// wantLost fails unless a poll found that the feed has lost just that.
func wantLost(t testing.TB, what string, lost verify.Endings, epoch time.Time, sessions ...token.ID) {
	t.Helper()
	slices.SortFunc(lost.Sessions, token.ID.Compare)
	slices.SortFunc(sessions, token.ID.Compare)
	if !slices.Equal(lost.Sessions, sessions) || !lost.Epoch.Equal(epoch) {
		t.Errorf("%s: lost %v and epoch %v; want %v and %v", what, lost.Sessions, lost.Epoch, sessions, epoch)
	}
}

// forget takes an end out of the feed, as a failover may.
func (f *feed) forget(id token.ID) {
	f.entries = slices.DeleteFunc(f.entries, func(e entry) bool { return e.id == id })
}

// What this node knows and the store has lost is told at each whole read, until
// the store has it again, and stays refused.
//
// Rows: 93, 118
func TestPollFindsWhatTheStoreLost(t *testing.T) {
	f := newFeed()
	r := newRevoked(t)
	first := f.end(0)
	poll(t, r, f, start) // of the whole, which does not tell how old it is; the next one does
	read, added, kept := f.end(0), token.NewID(), f.end(0)
	f.now = start.Add(time.Second)
	wantLost(t, "with all there", poll(t, r, f, f.now), time.Time{})
	r.Add(added, f.now) // and its write was lost
	f.forget(read)
	f.forget(first)
	for _, step := range []struct {
		after time.Duration
		lost  []token.ID
	}{
		{2 * time.Second, nil}, // the last few seconds do not tell
		{11 * time.Second, []token.ID{first, read, added}},
		{12 * time.Second, nil},
		{22 * time.Second, []token.ID{first, read, added}},
	} {
		f.now = start.Add(step.after)
		wantLost(t, step.after.String(), poll(t, r, f, f.now), time.Time{}, step.lost...)
		check(t, r, "read", read, f.now, verify.ErrRevoked)
		check(t, r, "added", added, f.now, verify.ErrRevoked)
	}
	f.entries = append(f.entries, entry{read, f.now, f.now})
	f.now = start.Add(33 * time.Second)
	wantLost(t, "when one was written again", poll(t, r, f, f.now), time.Time{}, first, added)
	check(t, r, "kept", kept, f.now, verify.ErrRevoked)
}

// Rows: 93, 143
func TestPollFindsThatTheStoreLostTheEpoch(t *testing.T) {
	f := newFeed()
	r := newRevoked(t)
	poll(t, r, f, start)
	epoch := start.Add(-time.Second)
	r.AddEpoch(epoch, start)
	wantLost(t, "at once", poll(t, r, f, start), epoch)
	f.epoch = epoch.Add(-time.Minute)
	wantLost(t, "with an older one", poll(t, r, f, start), epoch)
	f.epoch = epoch
	wantLost(t, "when it is there", poll(t, r, f, start), time.Time{})
	f.epoch = epoch.Add(time.Minute)
	wantLost(t, "with a newer one", poll(t, r, f, start), time.Time{})
	f.epoch = epoch
	wantLost(t, "when the newer one is gone", poll(t, r, f, start), epoch.Add(time.Minute))
}

// A busyFeed lets something happen while it is read.
type busyFeed struct {
	*feed
	meanwhile func()
}

func (f busyFeed) Ended(ctx context.Context, window time.Duration) (verify.Endings, error) {
	told, err := f.feed.Ended(ctx, window)
	f.meanwhile()
	return told, err
}

// Between the read of the feed and its answer this node ends sessions: that the
// answer lacks them says nothing.
//
// Rows: 93
func TestEndWhileTheFeedIsReadIsNotLost(t *testing.T) {
	f := newFeed()
	r := newRevoked(t)
	poll(t, r, f, start)
	id, epoch := token.NewID(), start.Add(time.Second)
	f.now = start.Add(whole)
	// By a clock that stands still, or was set back.
	for _, now := range []time.Time{f.now, f.now.Add(-time.Minute)} {
		id = token.NewID()
		epoch = epoch.Add(time.Second)
		lost, err := r.Poll(t.Context(), busyFeed{f, func() { r.Add(id, now); r.AddEpoch(epoch, now) }}, f.now)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(lost.Sessions, id) || lost.Epoch.Equal(epoch) {
			t.Errorf("lost %v and epoch %v, which came meanwhile", lost.Sessions, lost.Epoch)
		}
		check(t, r, "ended meanwhile", id, f.now, verify.ErrRevoked)
		f.now = f.now.Add(whole)
		if lost := poll(t, r, f, f.now); !slices.Contains(lost.Sessions, id) || !lost.Epoch.Equal(epoch) {
			t.Errorf("lost %v and epoch %v; now the store should have had them", lost.Sessions, lost.Epoch)
		}
	}
}

// Whatever happens, a store that has lost nothing is not told that it had:
// ends that are as old as the feed reaches back, that committed late, that this
// node learned late, because it started or could not read; clocks that differ,
// and reads that take long.
//
// Rows: 93
func TestWhatTheFeedNoLongerTellsIsNotLost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFeed()
		skew := time.Duration(rapid.IntRange(-3600, 3600).Draw(rt, "skew")) * time.Second
		seconds := func(name string, most int) time.Duration {
			return time.Duration(rapid.IntRange(0, most).Draw(rt, name)) * time.Second
		}
		for range rapid.IntRange(0, 5).Draw(rt, "ended before") {
			f.end(0)
			f.now = f.now.Add(seconds("pause", 200))
		}
		r := newRevoked(t)
		rt.Repeat(map[string]func(*rapid.T){
			"end":        func(*rapid.T) { f.end(seconds("commit", 29)) },
			"end here":   func(*rapid.T) { r.Add(f.end(0), f.now.Add(skew)) },
			"everyone":   func(*rapid.T) { f.epoch = f.now },
			"wait":       func(*rapid.T) { f.now = f.now.Add(seconds("pause", 20)) },
			"wait long":  func(*rapid.T) { f.now = f.now.Add(seconds("long pause", 400)) },
			"be away":    func(*rapid.T) { f.err = errors.New("down") },
			"come again": func(*rapid.T) { f.err = nil },
			"poll": func(rt *rapid.T) {
				now := f.now.Add(skew)
				f.now = f.now.Add(seconds("on its way", 4))
				lost, err := r.Poll(t.Context(), f, now)
				if (err == nil) != (f.err == nil) || len(lost.Sessions) > 0 || !lost.Epoch.IsZero() {
					rt.Fatalf("lost %d sessions and epoch %v, %v; nothing was", len(lost.Sessions), lost.Epoch, err)
				}
			},
		})
	})
}

// An end that became visible as late as it may, and a read that takes its time.
func TestReadThatTakesLongIsNoLoss(t *testing.T) {
	f := newFeed()
	r := newRevoked(t)
	f.end(overlap)
	for f.now = start.Add(-whole / 2); !f.now.After(start.Add(overlap)); f.now = f.now.Add(time.Second) {
		poll(t, r, f, f.now)
	}
	if r.Len() != 1 || f.windows[len(f.windows)-1] != overlap {
		t.Fatalf("%d are known by reads of %v", r.Len(), f.windows)
	}
	before := start.Add(keep - time.Second)
	f.now = before.Add(5 * time.Second)
	wantLost(t, "past the window when it is read", poll(t, r, f, before), time.Time{})
}

// A poll that fails may have hidden anything: the next one reads the whole.
//
// Rows: 94
func TestPollAfterAFailureReadsTheWhole(t *testing.T) {
	f := newFeed()
	r := newRevoked(t)
	poll(t, r, f, start)
	poll(t, r, f, start)
	f.err = errors.New("down")
	if _, err := r.Poll(t.Context(), f, start); !errors.Is(err, f.err) {
		t.Errorf("a poll that fails: %v", err)
	}
	f.err = nil
	poll(t, r, f, start)
	poll(t, r, f, start)
	if want := []time.Duration{keep, overlap, overlap, keep, overlap}; !slices.Equal(f.windows, want) {
		t.Errorf("read %v, want %v", f.windows, want)
	}
}

// What was issued until the epoch is refused, whatever its session; an epoch
// that is older changes nothing.
//
// Rows: 79, 143
func TestEpochRefusesWhatWasIssuedUntilThen(t *testing.T) {
	f := newFeed()
	r := newRevoked(t)
	epoch := start.Add(time.Minute)
	r.AddEpoch(epoch, start)
	r.AddEpoch(epoch.Add(-time.Hour), start)
	if err := r.Check(token.NewID(), epoch, epoch); !errors.Is(err, verify.ErrRevoked) {
		t.Errorf("before the first poll: %v, want ErrRevoked", err)
	}
	f.epoch = epoch.Add(-time.Minute)
	poll(t, r, f, start)
	for issued, want := range map[time.Time]error{
		epoch.Add(-time.Hour): verify.ErrRevoked, epoch: verify.ErrRevoked, epoch.Add(time.Nanosecond): nil,
	} {
		if err := r.Check(token.NewID(), issued, start); !errors.Is(err, want) {
			t.Errorf("issued %v after the epoch: %v, want %v", issued.Sub(epoch), err, want)
		}
	}
	f.epoch = epoch.Add(time.Minute)
	poll(t, r, f, start)
	if err := r.Check(token.NewID(), epoch.Add(time.Minute), start); !errors.Is(err, verify.ErrRevoked) {
		t.Errorf("until the epoch that the feed told: %v, want ErrRevoked", err)
	}
	for elapsed := time.Duration(0); elapsed < 2*keep; elapsed += whole {
		f.now = start.Add(elapsed)
		poll(t, r, f, f.now)
	}
	if err := r.Check(token.NewID(), epoch, f.now); !errors.Is(err, verify.ErrRevoked) {
		t.Errorf("long after: %v, want ErrRevoked", err)
	}
}

// Who asks for what came after his place gets each end once, in the order in
// which they were learned, and is woken when there is more.
//
// Rows: 93
func TestSinceTellsWhatIsNew(t *testing.T) {
	f := newFeed()
	r := newRevoked(t)
	told, place, changed := r.Since(0)
	if len(told.Sessions) != 0 || !told.Epoch.IsZero() || place != 0 {
		t.Errorf("an empty set tells of %v, up to %d", told, place)
	}
	woken := func(changed <-chan struct{}) bool {
		select {
		case <-changed:
			return true
		default:
			return false
		}
	}
	var want []token.ID
	for i := range 5 {
		if woken(changed) {
			t.Fatal("woken for nothing")
		}
		id := token.NewID()
		if want = append(want, id); i%2 == 0 {
			r.Add(id, start)
		} else {
			r.Take(verify.Endings{Sessions: []token.ID{id}}, false, start)
		}
		if !woken(changed) {
			t.Fatal("not woken")
		}
		if told, place, changed = r.Since(place); !slices.Equal(told.Sessions, want[i:]) || !told.Epoch.IsZero() {
			t.Errorf("told of %v, want the one that is new", told)
		}
	}
	r.Add(want[0], start)
	r.Take(verify.Endings{Sessions: want}, true, start)
	if again, same, _ := r.Since(place); woken(changed) || same != place || len(again.Sessions) != 0 {
		t.Errorf("told of what was known: %v", again)
	}
	r.AddEpoch(start, start)
	if !woken(changed) {
		t.Error("not woken for an epoch")
	}
	if told, place, changed = r.Since(place); len(told.Sessions) != 0 || !told.Epoch.Equal(start) {
		t.Errorf("told of %v, want the epoch", told)
	}
	if told, _, _ := r.Since(place); !told.Epoch.IsZero() {
		t.Errorf("told of epoch %v once more", told.Epoch)
	}
	if r.AddEpoch(start.Add(-time.Hour), start); woken(changed) {
		t.Error("woken for an epoch that changes nothing")
	}
	for _, from := range []uint64{0, place + 1, 1 << 60} { // a place that it never gave is one of another set
		if told, next, _ := r.Since(from); !slices.Equal(told.Sessions, want) || !told.Epoch.Equal(start) || next != place {
			t.Errorf("from %d: %v up to %d; want everything up to %d", from, told, next, place)
		}
	}
	if told, _, _ := r.Since(3); !slices.Equal(told.Sessions, want[3:]) {
		t.Errorf("from the third: %v", told)
	}
	// What was forgotten is told to nobody.
	f.now = start.Add(keep + time.Second)
	poll(t, r, f, f.now)
	last := token.NewID()
	r.Add(last, f.now)
	if told, _, _ := r.Since(0); !slices.Equal(told.Sessions, []token.ID{last}) {
		t.Errorf("after they were forgotten: %v", told)
	}
}

// What is handed over counts as what is read: the whole of it at first, and
// then anything, so that the set does not grow stale.
//
// Rows: 93, 94
func TestTakeIsAsGoodAsAPoll(t *testing.T) {
	r := newRevoked(t)
	ended := token.NewID()
	r.Take(verify.Endings{Sessions: []token.ID{ended}}, false, start)
	check(t, r, "before the whole", token.NewID(), start, verify.ErrStale)
	check(t, r, "ended", ended, start, verify.ErrRevoked)
	r.Take(verify.Endings{Epoch: start.Add(-time.Hour)}, true, start)
	check(t, r, "after the whole", token.NewID(), start, nil)
	late := start.Add(stale)
	r.Take(verify.Endings{}, false, late)
	if age := r.Age(late.Add(time.Second)); age != time.Second {
		t.Errorf("read %v ago, want 1 s", age)
	}
	check(t, r, "later", token.NewID(), late.Add(stale), nil)
	check(t, r, "past the bound", token.NewID(), late.Add(stale+time.Nanosecond), verify.ErrStale)
	if err := r.Check(token.NewID(), start.Add(-time.Hour), late); !errors.Is(err, verify.ErrRevoked) {
		t.Errorf("issued at the epoch that was told: %v, want ErrRevoked", err)
	}
}
