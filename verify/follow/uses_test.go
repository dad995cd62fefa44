package follow_test

import (
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify/follow"
)

// settled is the settle time of the default policy, and the second by which
// "iat" may be rounded.
const settled = 76 * time.Second

// someUse is a use of a token that was issued so long ago.
func someUse(id token.ID, generation uint32, ago time.Duration) session.Use {
	return session.Use{Session: id, Generation: generation, IssuedAt: time.Now().Add(-ago)}
}

// The first settled use of each generation is reported, once, in batches.
func TestUsesAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.open()
		synctest.Wait()
		id, young := token.NewID(), token.NewID()
		for range 100 {
			f.Note(someUse(id, 3, settled), time.Now())
			f.Note(someUse(young, 1, settled-time.Second), time.Now())
		}
		time.Sleep(1100 * time.Millisecond)
		got, sizes := w.uses.seen()
		if want := []use{{id, 3, time.Now().Add(-settled - 1100*time.Millisecond).Unix()}}; !slices.Equal(got, want) || !slices.Equal(sizes, []int{1}) {
			t.Errorf("reported %v in %v, want %v", got, sizes, want)
		}
		f.Note(someUse(id, 2, settled), time.Now())                // older
		f.Note(someUse(id, 4, settled), time.Now())                // the next
		f.Note(someUse(id, 4, settled-time.Second/2), time.Now())  // not settled
		f.Note(someUse(young, 1, settled+time.Second), time.Now()) // settled by now
		time.Sleep(time.Second)
		got, sizes = w.uses.seen()
		if len(got) != 3 || got[1].Generation != 4 || got[2].Session != young || !slices.Equal(sizes, []int{1, 2}) {
			t.Errorf("reported %v in %v", got, sizes)
		}
		for range 600 {
			f.Note(someUse(token.NewID(), 1, settled), time.Now())
		}
		time.Sleep(time.Second)
		if got, sizes := w.uses.seen(); len(got) != 603 || !slices.Equal(sizes, []int{1, 2, 256, 256, 88}) {
			t.Errorf("reported %d in %v", len(got), sizes)
		}
		if s := f.Stats(); s.UsesPending != 0 || s.UsesDropped != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// The server may say how old a token must be.
func TestUsesSettleAsTheServerSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.feed.set(func(f *fakeFeed) { f.settle = 10 * time.Second })
		f := w.open()
		synctest.Wait()
		f.Note(someUse(token.NewID(), 1, 11*time.Second), time.Now())
		f.Note(someUse(token.NewID(), 1, 10*time.Second), time.Now())
		time.Sleep(2 * time.Second)
		if got, _ := w.uses.seen(); len(got) != 1 {
			t.Errorf("reported %v", got)
		}
	})
}

// What did not arrive is tried again, less and less often; what is refused is
// dropped, so that it does not stand before what comes later.
func TestUsesAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.open()
		synctest.Wait()
		for what, fault := range map[string]func(bool){
			"503": func(on bool) { w.uses.set(map[bool]int{true: 503}[on]) },
			"500": func(on bool) { w.uses.set(map[bool]int{true: 500}[on]) },
			"429": func(on bool) { w.uses.set(map[bool]int{true: 429}[on]) },
			"cut": func(on bool) { w.api.cut(on) },
		} {
			before, sizes := w.uses.seen()
			fault(true)
			f.Note(someUse(token.NewID(), 1, settled), time.Now())
			time.Sleep(time.Minute)
			if _, now := w.uses.seen(); f.Stats().UsesPending != 1 || len(now)-len(sizes) > 30 {
				t.Errorf("%s: %+v, %d attempts in a minute", what, f.Stats(), len(now)-len(sizes))
			}
			fault(false)
			time.Sleep(6 * time.Second)
			if after, _ := w.uses.seen(); len(after)-len(before) != 1 || f.Stats().UsesPending != 0 {
				t.Errorf("%s: %d arrived", what, len(after)-len(before))
			}
		}
		for i, status := range []int{400, 401, 403, 413, 200, 302} {
			_, before := w.uses.seen()
			w.uses.set(status)
			f.Note(someUse(token.NewID(), 1, settled), time.Now())
			time.Sleep(20 * time.Second)
			if _, sizes := w.uses.seen(); len(sizes)-len(before) != 1 || f.Stats().UsesDropped != uint64(i+1) {
				t.Errorf("%d: %d attempts, %+v", status, len(sizes)-len(before), f.Stats())
			}
			w.uses.set(0)
		}
	})
}

// What waits is bounded, and is noted again once there is room.
func TestUsesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.api.cut(true)
		f := w.open()
		const bound = 1 << 16
		for range bound {
			f.Note(someUse(token.NewID(), 1, settled), time.Now())
		}
		last := someUse(token.NewID(), 1, settled)
		f.Note(last, time.Now())
		if s := f.Stats(); s.UsesPending != bound || s.UsesDropped != 1 {
			t.Errorf("%+v", s)
		}
		w.api.cut(false)
		time.Sleep(10 * time.Second)
		f.Note(last, time.Now())
		time.Sleep(2 * time.Second)
		got, _ := w.uses.seen()
		if len(got) != bound+1 || got[bound].Session != last.Session {
			t.Errorf("%d arrived", len(got))
		}
	})
}

// Close reports what was noted last, and does not wait for long.
func TestCloseReportsTheLastUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.open()
		synctest.Wait()
		f.Note(someUse(token.NewID(), 1, settled), time.Now())
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if got, _ := w.uses.seen(); len(got) != 1 {
			t.Errorf("%d arrived", len(got))
		}
		f = w.open(func(o *follow.Options) {})
		synctest.Wait()
		w.api.serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}))
		f.Note(someUse(token.NewID(), 1, settled), time.Now())
		began := time.Now()
		if err := f.Close(); err == nil || time.Since(began) > 3*time.Second {
			t.Errorf("closed after %v: %v", time.Since(began), err)
		}
	})
}
