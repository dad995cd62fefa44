package follow_test

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
	"github.com/pawlauth/pawl/verify/follow"
)

// strange is a token whose header no key writes.
func strange(n int) string {
	header := fmt.Sprintf(`{"alg":"EdDSA","typ":"at+jwt","kid":"%016x"}`, n)
	return string(token.AppendBase64URL(nil, []byte(header))) + ".e30.AAAA"
}

// flood has a follower judge tokens of invented headers.
func flood(t *testing.T, f *follow.Follower, from, count int) {
	t.Helper()
	for i := range count {
		judge(t, f, "invented", strange(from+i), verify.ErrUnknownKey)
	}
}

// However many headers are invented, the keys are read once in ten seconds.
//
// Rows: 188, A66
func TestInventedHeadersCostOneReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.open()
		time.Sleep(11 * time.Second)
		synctest.Wait()
		before := w.issuer.count()
		flood(t, f, 0, 10_000)
		synctest.Wait()
		if got := w.issuer.count() - before; got != 1 {
			t.Errorf("10000 at once: %d readings", got)
		}
		for i := range 600 { // a minute
			flood(t, f, 10_000+20*i, 20)
			time.Sleep(100 * time.Millisecond)
		}
		got := w.issuer.count() - before
		if got < 5 || got > 7 {
			t.Errorf("12000 more in a minute: %d readings", got)
		}
		w.issuer.mu.Lock()
		defer w.issuer.mu.Unlock()
		for i := range w.issuer.requests[1:] {
			if gap := w.issuer.requests[i+1].Sub(w.issuer.requests[i]); gap < 10*time.Second {
				t.Errorf("two readings within %v", gap)
			}
		}
	})
}

// One header that is shown again and again, as by a client whose token is long
// out of date, is looked for once a minute.
//
// Rows: 188, A66
func TestHeaderLookedForInVainDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.open()
		before := w.issuer.count()
		for range 6000 { // ten minutes
			flood(t, f, 7, 1)
			time.Sleep(100 * time.Millisecond)
		}
		// At most once a minute for the header, at least once in 30 s anyway.
		if got := w.issuer.count() - before; got > 30 {
			t.Errorf("%d readings in 10 minutes", got)
		}
	})
}

// A key that signs without having been published, as after a withdrawal, is
// found within ten seconds, during a flood as without one, and the withdrawn
// one goes with it.
//
// Rows: 189, A66
func TestNewKeyIsFoundDuringAFlood(t *testing.T) {
	for _, flooded := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			f := w.open()
			old := w.issue(token.NewID())
			synctest.Wait()
			for i := range 300 {
				if flooded {
					flood(t, f, 100*i, 100)
				}
				time.Sleep(100 * time.Millisecond)
			}
			judge(t, f, "the old key", old, nil)
			records, _, err := w.store.Keys(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := w.ring.Withdraw(t.Context(), records[0].ID); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			for i := 0; ; i++ {
				_, err := f.Verifier().Verify(w.issue(token.NewID()), time.Now())
				if err == nil {
					break
				}
				if flooded {
					flood(t, f, 1_000_000+100*i, 100)
				}
				if time.Since(began) > 10*time.Second {
					t.Fatalf("flooded %v: not found within 10 s: %v", flooded, err)
				}
				time.Sleep(100 * time.Millisecond)
			}
			judge(t, f, "the withdrawn key", old, verify.ErrUnknownKey)
		})
	}
}

// A key is known before it signs, and a withdrawn one goes, although nobody
// shows a token of a strange header.
//
// Rows: 189
func TestKeysAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.open()
		if _, err := w.ring.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute + time.Second)
		if s := f.Stats(); s.Keys != 2 || s.KeysAge > time.Minute {
			t.Errorf("the published key is not known: %+v", s)
		}
		old := w.issue(token.NewID())
		records, _, err := w.store.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if r.State == "active" {
				if err := w.ring.Withdraw(t.Context(), r.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		judge(t, f, "the key that was published", w.issue(token.NewID()), nil)
		time.Sleep(time.Minute + time.Second)
		judge(t, f, "the withdrawn key", old, verify.ErrUnknownKey)
		judge(t, f, "its successor", w.issue(token.NewID()), nil)
	})
}

// What is not a good key set changes nothing: the keys that are known go on,
// and nobody else's come in.
//
// Rows: 188, A65
func TestBadKeySetsChangeNothing(t *testing.T) {
	_, _, foreign := newRing(t)
	body := func(status int, contentType, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			w.Write([]byte(text))
		}
	}
	const good = "application/jwk-set+json"
	document := string(foreign.Set().Document())
	for what, h := range map[string]http.HandlerFunc{
		"an empty set":    body(200, good, `{"keys":[]}`),
		"null":            body(200, good, `null`),
		"nothing":         body(200, good, ``),
		"500":             body(500, good, document),
		"204":             body(204, good, ""),
		"206":             body(206, good, document),
		"10 MB":           body(200, good, document+strings.Repeat(" ", 10<<20)),
		"a page":          body(200, "text/html", document),
		"plain JSON":      body(200, "application/json", document),
		"no content type": body(200, "", document),
		"half a set":      body(200, good, document[:len(document)/2]),
		"a private key":   body(200, good, strings.Replace(document, `"x":`, `"d":"AQ","x":`, 1)),
		"compressed": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			body(200, good, document)(w, r)
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"a redirect to http": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://localhost:9443/elsewhere", http.StatusPermanentRedirect)
		},
		"a long header": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("a", 1<<20))
			body(200, good, document)(w, r)
		},
		"a body that never ends": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", good)
			for r.Context().Err() == nil {
				w.Write([]byte(" "))
				http.NewResponseController(w).Flush()
				time.Sleep(time.Second)
			}
		},
		"a body without end, at once": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", good)
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return // the reader has had enough
				}
			}
		},
		"an answer that never comes": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a connection that is cut":   func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			f := w.open()
			redirected := 0
			mux := http.NewServeMux()
			mux.Handle("GET /.well-known/jwks.json", h)
			mux.HandleFunc("GET /elsewhere", func(w http.ResponseWriter, r *http.Request) {
				redirected++
				body(200, good, document)(w, r)
			})
			w.issuer.serve(mux)
			w.issuer.cut(false)
			reads := w.issuer.count()
			time.Sleep(5 * time.Minute)
			if n := w.issuer.count() - reads; n < 10 || n > 31 {
				t.Errorf("%s: read %d times in 5 minutes", what, n)
			}
			judge(t, f, what, w.issue(token.NewID()), nil)
			if s := f.Stats(); redirected != 0 || s.Keys != 1 || s.KeysAge < 4*time.Minute {
				t.Errorf("%s: taken in: %+v, %d redirects", what, s, redirected)
			}
			if n := strings.Count(w.log.String(), `task="read keys"`); n != 1 {
				t.Errorf("%s: logged %d times", what, n)
			}
			w.issuer.serve(w.keySet())
			time.Sleep(30 * time.Second)
			if s := f.Stats(); s.KeysAge > 30*time.Second || !strings.Contains(w.log.String(), "works again") {
				t.Errorf("%s: never recovers: %+v", what, s)
			}
			w.issuer.cut(false) // ends handlers that wait
		})
	}
}

// When the keys cannot be read for long, one that was withdrawn must not stay
// good: every token is refused, as one that cannot be judged now, although the
// feed of ended sessions is heard. Once they are read again the follower knows.
//
// Rows: 94, 189
func TestKeysThatCannotBeReadAreNotTrustedForEver(t *testing.T) {
	for name, c := range map[string]struct {
		stale time.Duration
		feed  bool // what is stale is accepted
	}{"by default": {0, false}, "as set": {3 * time.Minute, false}, "with a feed that may be stale": {0, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				f := w.open(func(o *follow.Options) { o.KeysStale, o.DangerouslyAcceptStale, o.CacheSize = c.stale, c.feed, 100 })
				synctest.Wait()
				bound := cmp.Or(c.stale, follow.DefaultKeysStale)
				time.Sleep(time.Minute)
				w.issuer.cut(true)
				began := time.Now()
				for time.Since(began) < bound-time.Minute-5*time.Second { // read up to a minute before
					raw := w.issue(token.NewID())
					if judge(t, f, "keys that are not old", raw, nil); !f.Ready() {
						t.Fatal("not ready")
					}
					time.Sleep(10 * time.Second)
				}
				raw := w.issue(token.NewID())
				judge(t, f, "keys that are not old", raw, nil) // and remembered
				time.Sleep(time.Until(began.Add(bound + time.Second)))
				if _, err := f.Verifier().Verify(raw, time.Now()); !errors.Is(err, verify.ErrStale) || !errors.Is(err, follow.ErrKeysStale) {
					t.Errorf("with keys of %v ago: %v", f.Stats().KeysAge, err)
				}
				if f.Ready() {
					t.Error("ready with keys that are too old")
				}
				w.issuer.cut(false)
				time.Sleep(time.Minute)
				if judge(t, f, "keys that were read again", w.issue(token.NewID()), nil); !f.Ready() {
					t.Error("not ready with keys that were read again")
				}
			})
		})
	}
}
