package verify_test

import (
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

// A token that is seen again costs neither signature nor decoding: the same
// principal comes back, and nothing is allocated.
func TestSeenTokenIsNotExaminedAgain(t *testing.T) {
	w := newWorld(t, keyring.EdDSA, 10)
	raw := w.issue(t, claims())
	first := accepted(t, w.Verifier, "first", raw, start)
	if n := testing.AllocsPerRun(100, func() {
		if p := accepted(t, w.Verifier, "again", raw, start); p != first {
			t.Error("examined again")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	without := newWorld(t, keyring.EdDSA, 0)
	raw = without.issue(t, claims())
	if accepted(t, without.Verifier, "first", raw, start) == accepted(t, without.Verifier, "again", raw, start) {
		t.Error("remembered although there is no cache")
	}
}

// What can change after a token was seen is looked at each time.
//
// Rows: 79, 93, 186, A61
func TestSeenTokenIsStillJudged(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(w *world, session token.ID)
		after  time.Duration
		want   error
	}{
		"expired": {func(*world, token.ID) {}, life + leeway, verify.ErrExpired},
		"ended":   {func(w *world, session token.ID) { w.ended.ended[session] = true }, 0, verify.ErrRevoked},
		"stale":   {func(w *world, _ token.ID) { w.ended.err = verify.ErrStale }, 0, verify.ErrStale},
		"key withdrawn": {func(w *world, _ token.ID) {
			if err := w.ring.Withdraw(t.Context(), w.ring.Set().Lookup(w.ring.Signer().Header()).ID); err != nil {
				t.Fatal(err)
			}
		}, 0, verify.ErrUnknownKey},
	} {
		w := newWorld(t, keyring.EdDSA, 10)
		c := claims()
		raw := w.issue(t, c)
		for range 3 {
			accepted(t, w.Verifier, name, raw, start)
		}
		tt.change(w, c.Session)
		for range 3 {
			refused(t, w.Verifier, name, raw, start.Add(tt.after), tt.want)
		}
	}
}

// Rows: 92
func TestRefusedTokenIsNotRemembered(t *testing.T) {
	w := newWorld(t, keyring.EdDSA, 10)
	good := split(t, w.issue(t, claims()))
	foreign := claims()
	foreign.Audience = "https://api-2.example"
	expired, future, ended := claims(), claims(), claims()
	expired.IssuedAt, expired.Expires, expired.AuthTime = 1, 2, 1
	future.IssuedAt += 60
	w.ended.ended[ended.Session] = true
	for name, raw := range map[string]string{
		"junk": "junk", "unknown key": "x." + good.Payload + "." + good.Signature, "wrong signature": good.Header + "." + payloadOf(t, claims()) + "." + good.Signature,
		"wrong audience": w.issue(t, foreign), "bad claims": w.forge(t, good.Header, encode([]byte("{}"))),
		"expired": w.issue(t, expired), "not yet": w.issue(t, future), "ended": w.issue(t, ended),
	} {
		for range 2 {
			if _, err := w.Verify(raw, start); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
		if w.CacheLen() != 0 {
			t.Fatalf("%s: remembered", name)
		}
	}
}

// The cache holds what it was told to hold, and no more than that.
func TestCacheIsBounded(t *testing.T) {
	const size, tokens = 16, 200
	w := newWorld(t, keyring.EdDSA, size)
	var issued []string
	for range tokens {
		issued = append(issued, w.issue(t, claims()))
	}
	for range 2 {
		for _, raw := range issued {
			accepted(t, w.Verifier, "one of many", raw, start)
		}
	}
	if n := w.CacheLen(); n > size || n == 0 {
		t.Errorf("%d tokens are remembered, at most %d", n, size)
	}
}

// Many callers, a small cache, keys and sessions that change meanwhile.
func TestVerifyIsSafeForConcurrentUse(t *testing.T) {
	w := newWorld(t, keyring.EdDSA, 4)
	feed := newFeed()
	revoked := newRevoked(t)
	if _, err := revoked.Poll(t.Context(), feed, start); err != nil {
		t.Fatal(err)
	}
	config := w.config(4)
	config.Revocations = revoked
	v, err := verify.New(config)
	if err != nil {
		t.Fatal(err)
	}
	var issued []string
	var sessions []token.ID
	for range 12 {
		c := claims()
		issued, sessions = append(issued, w.issue(t, c)), append(sessions, c.Session)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 100 {
				j := (i + n) % 6 // the first six sessions stay
				if p, err := v.Verify(issued[j], start); err != nil || p.Session != sessions[j] {
					t.Errorf("%v", err)
					return
				}
			}
		})
	}
	for _, session := range sessions[6:] {
		revoked.Add(session, start)
		if _, err := w.ring.Sync(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := revoked.Poll(t.Context(), feed, start); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	for _, raw := range issued[6:] {
		refused(t, v, "ended", raw, start, verify.ErrRevoked)
	}
}
