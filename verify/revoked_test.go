package verify_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

const (
	keep    = 6 * time.Minute
	overlap = 30 * time.Second
	whole   = 10 * time.Second
	stale   = time.Minute
)

// A feed is a store's table of ended sessions, with the store's own clock.
type feed struct {
	now     time.Time
	entries []entry
	epoch   time.Time
	err     error
	windows []time.Duration // what was asked for
}

type entry struct {
	id      token.ID
	stamped time.Time
	visible time.Time // when its transaction commits
}

func newFeed() *feed { return &feed{now: start} }

func (f *feed) Ended(_ context.Context, window time.Duration) (verify.Endings, error) {
	f.windows = append(f.windows, window)
	if f.err != nil {
		return verify.Endings{}, f.err
	}
	out := verify.Endings{Epoch: f.epoch}
	for _, e := range f.entries {
		if !e.stamped.Before(f.now.Add(-window)) && !e.visible.After(f.now) {
			out.Sessions = append(out.Sessions, e.id)
		}
	}
	return out, nil
}

// end writes an entry now that becomes visible later.
func (f *feed) end(after time.Duration) token.ID {
	id := token.NewID()
	f.entries = append(f.entries, entry{id, f.now, f.now.Add(after)})
	return id
}

func followOptions() verify.FollowOptions {
	return verify.FollowOptions{Keep: keep, Overlap: overlap, WholeEvery: whole, Stale: stale}
}

func newRevoked(t testing.TB) *verify.Revoked {
	t.Helper()
	r, err := verify.NewRevoked(followOptions())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// poll reads the feed, which must work, and returns what it has lost.
func poll(t testing.TB, r *verify.Revoked, f *feed, now time.Time) verify.Endings {
	t.Helper()
	lost, err := r.Poll(t.Context(), f, now)
	if err != nil {
		t.Fatal(err)
	}
	return lost
}

func check(t testing.TB, r *verify.Revoked, what string, id token.ID, now time.Time, want error) {
	t.Helper()
	if err := r.Check(id, start, now); !errors.Is(err, want) || (want == nil && err != nil) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestFollowOptionsAreRequired(t *testing.T) {
	for name, change := range map[string]func(*verify.FollowOptions){
		"keep": func(o *verify.FollowOptions) { o.Keep = 0 }, "overlap": func(o *verify.FollowOptions) { o.Overlap = 0 },
		"whole": func(o *verify.FollowOptions) { o.WholeEvery = -1 }, "stale": func(o *verify.FollowOptions) { o.Stale = 0 },
		"all": func(o *verify.FollowOptions) { *o = verify.FollowOptions{} },
	} {
		o := followOptions()
		change(&o)
		if r, err := verify.NewRevoked(o); err == nil || r != nil {
			t.Errorf("without %s: accepted", name)
		}
	}
}

// Before the first whole read nothing is accepted, and what is known to have
// ended is refused as such.
//
// Rows: 93, 94
func TestRevokedFailsClosedAtFirst(t *testing.T) {
	f := newFeed()
	ended := f.end(0)
	r := newRevoked(t)
	check(t, r, "before the first poll", token.NewID(), start, verify.ErrStale)
	r.Add(ended, start)
	check(t, r, "ended here", ended, start, verify.ErrRevoked)
	if r.Ready(start) {
		t.Error("ready before the first poll")
	}
	f.err = errors.New("down")
	if _, err := r.Poll(t.Context(), f, start); !errors.Is(err, f.err) {
		t.Errorf("a poll that fails: %v", err)
	}
	check(t, r, "after a poll that failed", token.NewID(), start, verify.ErrStale)
	f.err = nil
	poll(t, r, f, start)
	check(t, r, "after the first poll", token.NewID(), start, nil)
	check(t, r, "ended", ended, start, verify.ErrRevoked)
	if !r.Ready(start) || f.windows[len(f.windows)-1] != keep {
		t.Errorf("not ready, or the first read was of %v", f.windows)
	}
}

// Rows: 94
func TestRevokedGrowsStale(t *testing.T) {
	f := newFeed()
	r := newRevoked(t)
	ended := f.end(0)
	poll(t, r, f, start)
	f.err = errors.New("down")
	for _, after := range []time.Duration{0, 20 * time.Second, stale} {
		if _, err := r.Poll(t.Context(), f, start.Add(after)); !errors.Is(err, f.err) {
			t.Fatal(err)
		}
		check(t, r, "within the bound", token.NewID(), start.Add(after), nil)
	}
	late := start.Add(stale + time.Nanosecond)
	check(t, r, "past the bound", token.NewID(), late, verify.ErrStale)
	check(t, r, "ended, past the bound", ended, late, verify.ErrRevoked)
	if r.Ready(late) {
		t.Error("ready although stale")
	}
	// It recovers by a read of the whole window: what ended in between is known.
	missed := f.end(0)
	f.err, f.now = nil, start.Add(3*time.Minute)
	poll(t, r, f, f.now)
	check(t, r, "recovered", token.NewID(), f.now, nil)
	check(t, r, "ended in between", missed, f.now, verify.ErrRevoked)
	if got := f.windows[len(f.windows)-1]; got != keep {
		t.Errorf("read only the last %v after the gap", got)
	}
}

// Most polls read the overlap; now and then, and after a gap, the whole.
func TestPollWindows(t *testing.T) {
	f := newFeed()
	r := newRevoked(t)
	for now := time.Duration(0); now <= 25*time.Second; now += 250 * time.Millisecond {
		poll(t, r, f, start.Add(now))
	}
	wholes := 0
	for i, w := range f.windows {
		switch {
		case w == keep && i%40 == 0: // every 10 s
			wholes++
		case w != overlap:
			t.Errorf("poll %d read %v", i, w)
		}
	}
	if wholes != 3 {
		t.Errorf("%d whole reads in 25 s, want 3", wholes)
	}
	// A gap of more than half the overlap: an entry could have fallen through.
	o := followOptions()
	o.WholeEvery = time.Hour
	r, err := verify.NewRevoked(o)
	if err != nil {
		t.Fatal(err)
	}
	f.windows = nil
	for _, now := range []time.Duration{0, overlap / 2, overlap + time.Nanosecond} {
		poll(t, r, f, start.Add(now))
	}
	if f.windows[0] != keep || f.windows[1] != overlap || f.windows[2] != keep {
		t.Errorf("read %v", f.windows)
	}
}

// An end that is stamped now and commits later is found by the overlap; one
// that commits later than that, by the whole read.
//
// Rows: 93
func TestPollFindsLateCommits(t *testing.T) {
	for name, tt := range map[string]struct {
		commit time.Duration
		within time.Duration // of the commit
	}{
		"at once":           {0, time.Second},
		"within overlap":    {29 * time.Second, time.Second},
		"outside overlap":   {45 * time.Second, whole + time.Second},
		"far outside":       {keep - whole - 2*time.Second, whole + time.Second},
		"just in the whole": {2 * time.Minute, whole + time.Second},
	} {
		f := newFeed()
		r := newRevoked(t)
		poll(t, r, f, start)
		f.now = start.Add(3 * time.Second)
		id := f.end(tt.commit)
		committed := f.now.Add(tt.commit)
		for f.now.Before(committed.Add(tt.within)) {
			f.now = f.now.Add(250 * time.Millisecond)
			poll(t, r, f, f.now)
			if f.now.Before(committed) {
				check(t, r, name+": not committed", id, f.now, nil)
			}
		}
		check(t, r, name, id, f.now, verify.ErrRevoked)
	}
}

// An entry is forgotten after Keep by this node's clock, however far the
// store's clock is off, and not before.
//
// Rows: 93, A62
func TestEntriesAreKeptForKeep(t *testing.T) {
	for _, skew := range []time.Duration{0, time.Hour, -time.Hour} {
		f := newFeed()
		r := newRevoked(t)
		poll(t, r, f, start.Add(skew))
		ended := f.end(0)
		poll(t, r, f, start.Add(skew))
		local := token.NewID()
		r.Add(local, start.Add(skew))
		for elapsed := time.Duration(0); elapsed <= keep; elapsed += time.Second {
			f.now = start.Add(elapsed)
			poll(t, r, f, f.now.Add(skew))
			check(t, r, "ended in the store", ended, f.now.Add(skew), verify.ErrRevoked)
			check(t, r, "ended here", local, f.now.Add(skew), verify.ErrRevoked)
		}
		if r.Len() != 2 {
			t.Errorf("%d entries, want 2", r.Len())
		}
		for elapsed := keep; elapsed <= keep+2*whole; elapsed += time.Second {
			f.now = start.Add(elapsed)
			poll(t, r, f, f.now.Add(skew))
		}
		if r.Len() != 0 {
			t.Errorf("skew %v: %d entries are never forgotten", skew, r.Len())
		}
	}
}

// Whoever adds an entry again does not shorten or stretch what is known.
func TestAddTwice(t *testing.T) {
	f := newFeed()
	r := newRevoked(t)
	poll(t, r, f, start)
	id := token.NewID()
	for range 3 {
		r.Add(id, start)
	}
	if r.Len() != 1 {
		t.Errorf("%d entries, want 1", r.Len())
	}
	check(t, r, "added", id, start, verify.ErrRevoked)
	check(t, r, "another", token.NewID(), start, nil)
}
