package follow_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
	"github.com/pawlauth/pawl/verify/follow"
)

func ids(n int) []token.ID {
	out := make([]token.ID, n)
	for i := range out {
		out[i] = token.NewID()
	}
	return out
}

// After a cut the follower goes on where it was, with the id of the last
// event; a server that was restarted does not know it and tells everything.
//
// Rows: 93
func TestFeedResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		sessions := ids(4)
		w.feed.end(sessions[0])
		f := w.open()
		synctest.Wait()
		w.feed.end(sessions[1])
		synctest.Wait()
		w.api.cut(true)
		w.feed.end(sessions[2])
		w.api.cut(false)
		time.Sleep(6 * time.Second)
		// Another process, which has forgotten the first.
		w.feed.set(func(f *fakeFeed) { f.boot, f.ended = 2, f.ended[1:] })
		w.api.cut(false)
		time.Sleep(6 * time.Second)
		w.feed.end(sessions[3])
		synctest.Wait()
		for i, id := range sessions {
			judge(t, f, fmt.Sprint("session ", i), w.issue(id), verify.ErrRevoked)
		}
		judge(t, f, "another", w.issue(token.NewID()), nil)
		if got := w.feed.connections(); !slices.Equal(got, []string{"", "1-2", "1-3"}) {
			t.Errorf("asked to go on after %q", got)
		}
	})
}

// A long list comes in parts. One that is cut off in between counts for
// nothing, and is told again from its beginning.
//
// Rows: 93, 94
func TestFeedInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		sessions, others := ids(100), ids(9)
		w.feed.set(func(f *fakeFeed) {
			f.ended, f.part = sessions, 7
			f.raw = func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "text/event-stream")
				write(rw, "part", "p1", map[string]any{"sessions": others[:7]})
				write(rw, "alive", "p2", map[string]any{}) // not before everything was told
				write(rw, "ended", "p3", map[string]any{"sessions": others[7:]})
			}
		})
		f := w.open()
		time.Sleep(20 * time.Second)
		if f.Ready() {
			t.Error("ready after some parts")
		}
		w.feed.set(func(f *fakeFeed) { f.raw = nil })
		time.Sleep(6 * time.Second)
		if s := f.Stats(); !s.Ready || s.Revoked != 100 {
			t.Errorf("%+v", s)
		}
		for _, asked := range w.feed.connections() {
			if asked != "" {
				t.Errorf("asked to go on after %q", asked)
			}
		}
	})
}

// What a server or the way to it may do wrong leaves the follower as it was,
// growing stale, and asking again at a bounded rate until it is right.
//
// Rows: 93, 94
func TestFeedSurvivesBadStreams(t *testing.T) {
	id := token.NewID().String()
	events := func(text string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.Write([]byte(text))
		}
	}
	dribble := func(piece string, every time.Duration) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for r.Context().Err() == nil {
				w.Write([]byte(piece))
				http.NewResponseController(w).Flush()
				select {
				case <-time.After(every):
				case <-r.Context().Done():
				}
			}
		}
	}
	for what, raw := range map[string]func(http.ResponseWriter, *http.Request){
		"nothing":                 events(""),
		"half an event":           events("event: whole\nid: 9\ndata: {\"keep\":365,\"sessions\":[]}\n"),
		"half a line":             events("event: whole\nid: 9\ndata: {\"keep\":36"),
		"no JSON":                 events("event: whole\nid: 9\ndata: <html>\n\n"),
		"a name twice":            events("event: whole\nid: 9\ndata: {\"keep\":365,\"keep\":365}\n\n"),
		"no session id":           events("event: whole\nid: 9\ndata: {\"keep\":365,\"sessions\":[\"x\"]}\n\n"),
		"a session with padding":  events("event: whole\nid: 9\ndata: {\"keep\":365,\"sessions\":[\"" + id + "==\"]}\n\n"),
		"no keep":                 events("event: whole\nid: 9\ndata: {\"sessions\":[]}\n\n"),
		"a short keep":            events("event: whole\nid: 9\ndata: {\"keep\":59}\n\n"),
		"a keep without end":      events("event: whole\nid: 9\ndata: {\"keep\":9223372036854775807}\n\n"),
		"a keep of 32 days":       events("event: whole\nid: 9\ndata: {\"keep\":2764800}\n\n"),
		"a keep that overflows":   events("event: whole\nid: 9\ndata: {\"keep\":18446744074}\n\n"),
		"a negative settle":       events("event: whole\nid: 9\ndata: {\"keep\":365,\"settle\":-1}\n\n"),
		"an epoch far ahead":      events("event: whole\nid: 9\ndata: {\"keep\":365,\"epoch\":9223372036854775807}\n\n"),
		"a negative epoch":        events("event: whole\nid: 9\ndata: {\"keep\":365,\"epoch\":-1}\n\n"),
		"an id with a line break": events("event: whole\nid: 9\x00\ndata: {\"keep\":365}\n\n"),
		"a long id":               events("id: " + strings.Repeat("9", 129) + "\nevent: whole\ndata: {\"keep\":365}\n\n"),
		"a huge event":            events("event: whole\ndata: {\"keep\":365,\"sessions\":[" + strings.Repeat(" ", follow.MaxEvent) + "]}\n\n"),
		"a strange event first":   events("event: hello\ndata: {}\n\n"),
		"alive alone":             dribble("event: alive\nid: 1\ndata: {}\n\n", time.Second),
		"comments alone":          dribble(": hello\n\n", time.Second),
		"strange events alone":    dribble("event: hello\nid: 1\ndata: {}\n\n", time.Second),
		"parts without end":       dribble("event: part\nid: 1\ndata: {\"sessions\":[]}\n\n", time.Second),
		"a byte a second":         dribble("d", time.Second),
		"lines without an event":  dribble(strings.Repeat("data: 1\n", 4096), 0),
		"an endless line":         dribble(strings.Repeat("a", 1<<15), 0),
		"an answer without end":   func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"another content type": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Write([]byte("event: whole\ndata: {\"keep\":365}\n\n"))
		},
		"compressed": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			events("event: whole\ndata: {\"keep\":365}\n\n")(w, r)
		},
		"another status": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusAccepted)
			w.Write([]byte("event: whole\ndata: {\"keep\":365}\n\n"))
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://localhost/v1/revocations", http.StatusTemporaryRedirect)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			stolen := 0
			mux := http.NewServeMux()
			mux.Handle("GET /.well-known/jwks.json", w.keySet())
			mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) { stolen++ })
			w.issuer.serve(mux)
			// Bad from the beginning, and bad later.
			w.feed.set(func(f *fakeFeed) { f.raw = raw })
			f := w.open()
			time.Sleep(2 * time.Minute)
			if f.Ready() || f.Stats().Revoked != 0 {
				t.Errorf("%s: ready: %+v", what, f.Stats())
			}
			w.feed.set(func(f *fakeFeed) { f.raw = nil })
			w.api.cut(false)
			time.Sleep(12 * time.Second)
			judge(t, f, what+", then a good one", w.issue(token.NewID()), nil)
			w.feed.set(func(f *fakeFeed) { f.raw = raw })
			w.api.cut(false)
			before := len(w.feed.connections())
			time.Sleep(2 * time.Minute)
			// A sign of life after a place to go on from is a good stream.
			good := what == "alive alone"
			if n := len(w.feed.connections()) - before; n < 2 && !good || n > 60 {
				t.Errorf("%s: %d connections in two minutes", what, n)
			}
			if f.Ready() != good {
				t.Errorf("%s: ready is not %v", what, good)
			}
			ended := token.NewID()
			w.feed.end(ended)
			w.feed.set(func(f *fakeFeed) { f.raw, f.boot = nil, 2 })
			w.api.cut(false)
			time.Sleep(12 * time.Second)
			judge(t, f, what+", then ended", w.issue(ended), verify.ErrRevoked)
			judge(t, f, what+", then good", w.issue(token.NewID()), nil)
			if stolen != 0 {
				t.Errorf("%s: the redirect was followed", what)
			}
		})
	}
}

// An event that cannot be taken in is not asked for again and again: all is
// told anew.
//
// Rows: 94
func TestFeedDoesNotStickAtABadEvent(t *testing.T) {
	for what, bad := range map[string]string{
		"no JSON":  "event: ended\nid: 2\ndata: <html>\n\n",
		"too long": "event: ended\nid: 2\ndata: {\"sessions\":[" + strings.Repeat(" ", follow.MaxEvent) + "]}\n\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			id := token.NewID()
			w.feed.set(func(f *fakeFeed) {
				f.raw = func(rw http.ResponseWriter, r *http.Request) {
					rw.Header().Set("Content-Type", "text/event-stream")
					if r.Header.Get("Last-Event-ID") != "" {
						rw.Write([]byte(bad))
						return
					}
					write(rw, "whole", "1", map[string]any{"keep": 365, "sessions": []token.ID{id}})
					http.NewResponseController(rw).Flush()
					select {
					case <-time.After(10 * time.Second):
					case <-r.Context().Done():
					}
				}
			})
			f := w.open()
			time.Sleep(5 * time.Minute)
			if got := w.feed.connections(); !f.Ready() || got[0] != "" || got[1] != "1" || got[2] != "" {
				t.Errorf("%s: ready %v, asked to go on after %q", what, f.Ready(), got)
			}
		})
	}
}

// What is told twice counts once.
func TestFeedToldTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := token.NewID()
		w.feed.set(func(f *fakeFeed) {
			f.raw = func(rw http.ResponseWriter, r *http.Request) {
				rw.Header().Set("Content-Type", "text/event-stream")
				for range 3 {
					write(rw, "whole", "1", map[string]any{"epoch": 0, "keep": 365, "sessions": []token.ID{id, id}})
					write(rw, "ended", "2", map[string]any{"sessions": []token.ID{id}})
					write(rw, "hello", "3", "of a newer server")
					write(rw, "ended", "3", map[string]any{"sessions": []token.ID{id}, "more": 1})
				}
				http.NewResponseController(rw).Flush()
				<-r.Context().Done()
			}
		})
		f := w.open()
		synctest.Wait()
		if s := f.Stats(); s.Revoked != 1 || !s.Ready {
			t.Errorf("%+v", s)
		}
		judge(t, f, "ended", w.issue(id), verify.ErrRevoked)
	})
}

// An ended session is remembered for as long as the server says, and then
// forgotten, although the connection lasts; if the server says otherwise, what
// is known goes over.
//
// Rows: 93
func TestFeedKeepsForKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := token.NewID()
		f := w.open()
		synctest.Wait()
		w.feed.end(id)
		time.Sleep(keep)
		if f.Stats().Revoked != 1 {
			t.Error("forgotten too early")
		}
		time.Sleep(20 * time.Second)
		if f.Stats().Revoked != 0 || len(w.feed.connections()) != 1 {
			t.Error("never forgotten")
		}
		id = token.NewID()
		w.feed.end(id)
		synctest.Wait()
		w.feed.set(func(f *fakeFeed) { f.boot, f.ended, f.keep = 2, nil, 2*keep })
		w.api.cut(false)
		time.Sleep(6 * time.Second)
		judge(t, f, "known before", w.issue(id), verify.ErrRevoked)
		time.Sleep(2*keep - 10*time.Second)
		if f.Stats().Revoked != 1 {
			t.Error("forgotten too early")
		}
		time.Sleep(30 * time.Second)
		if f.Stats().Revoked != 0 {
			t.Error("never forgotten")
		}
	})
}

// A wrong credential is logged once, and is tried at a bounded rate until it
// is accepted.
//
// Rows: 94
func TestFeedWithAWrongCredential(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.feed.set(func(f *fakeFeed) { f.status = status })
			f := w.open()
			time.Sleep(10 * time.Minute)
			if f.Ready() || strings.Count(w.log.String(), "level=ERROR") != 1 {
				t.Errorf("ready, or the log says\n%s", w.log)
			}
			if n := len(w.feed.connections()); n < 100 || n > 250 {
				t.Errorf("%d attempts in 10 minutes", n)
			}
			judge(t, f, "refused", w.issue(token.NewID()), verify.ErrStale)
			w.feed.set(func(f *fakeFeed) { f.status = 0 })
			time.Sleep(6 * time.Second)
			judge(t, f, "accepted", w.issue(token.NewID()), nil)
		})
	}
}

// Attempts begin a tenth of a second apart and end at five seconds, each drawn
// from a range.
func TestFeedBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.feed.set(func(f *fakeFeed) { f.status = http.StatusServiceUnavailable })
		w.open()
		time.Sleep(time.Minute)
		w.feed.mu.Lock()
		defer w.feed.mu.Unlock()
		for i := range w.feed.begun[1:] {
			gap := w.feed.begun[i+1].Sub(w.feed.begun[i])
			most := min(100*time.Millisecond<<i, 5*time.Second)
			if gap > most || gap < max(most/2, 100*time.Millisecond) {
				t.Errorf("attempt %d after %v, at most %v", i+2, gap, most)
			}
		}
		if n := len(w.feed.begun); n < 15 {
			t.Errorf("%d attempts", n)
		}
	})
}
