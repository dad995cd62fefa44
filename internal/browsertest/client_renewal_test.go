package browsertest

import (
	"net/http"
	"testing"
	"time"
)

// Ten tabs are open when the access token expires, again and again, and all
// want something at that moment. Nobody is signed out, each time one renewal
// turns the session, and there is one lineage: a token for each turn. Half of
// the time the tabs do not notice how much of it has passed.
//
// Rows: 253
func TestTenTabsAcrossAnExpiry(t *testing.T) {
	const rounds = 100
	inBoth(t, func(t *testing.T, in *browser) {
		s := newClientSite(t)
		tabs := []*tab{s.newClient(t, in)}
		for len(tabs) < 10 {
			tabs = append(tabs, tabs[0].another().client())
		}
		begun := time.Now()
		for round := range rounds {
			s.later(6 * time.Minute)
			want := `ask({ method: "POST", body: "x" }).then((answer) => String(answer.status))`
			if round%2 == 0 {
				want = `(ahead += 36e4, ` + want + `)`
			}
			if wrong := together(tabs, want, "200"); len(wrong) > 0 {
				t.Fatalf("round %d: %q", round, wrong)
			}
			if sessions, generation := s.live(); sessions != 1 || generation != round+2 {
				t.Fatalf("round %d: %d sessions, generation %d", round, sessions, generation)
			}
			if round%10 == 0 { // the new token settles
				s.pass(2*time.Minute, tabs...)
				tabs[round/10].ask("")
			}
		}
		t.Logf("%v a round, %d renewals", time.Since(begun)/rounds, len(s.requests("POST", "/auth/refresh")))
		if wrong := together(tabs, `String(heard.filter((change) => change === "signed-out" || change === "ended"))`, ""); len(wrong) > 0 {
			t.Errorf("signed out: %q", wrong)
		}
		if n := s.refreshTokens(); n != rounds+1 {
			t.Errorf("%d refresh tokens, want %d", n, rounds+1)
		}
		for _, e := range s.requests("POST", "/auth/refresh") {
			if e.answer.status != http.StatusOK {
				t.Errorf("a renewal was answered %d", e.answer.status)
			}
		}
	})
}

// The network loses the answer of a renewal, and the lid closes for a night.
// What is sent again is the same attempt, and brings what was lost.
func TestLostAnswerIsAskedForAgainAfterANight(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newClientSite(t)
		b := s.newClient(t, in)
		b.provoked = true
		s.pass(6*time.Minute, b)
		lost, found := s.unanswered(isRenewal)
		if got := b.ask(""); got.Status != http.StatusUnauthorized || lost() == 0 {
			t.Fatalf("without its renewal: %d; %d answers were lost", got.Status, lost())
		}
		if got := b.heard(); got != "signed-in" {
			t.Errorf("the page heard %q", got)
		}
		found()
		s.pass(8*time.Hour, b)
		if got := b.ask(`{ method: "POST", body: "again" }`); got.Status != http.StatusOK {
			t.Fatalf("after the night: %d", got.Status)
		}
		sent := s.requests("POST", "/auth/refresh")
		keys := make(map[string]bool)
		for _, e := range sent {
			keys[e.request.Get("Idempotency-Key")] = true
		}
		if sessions, generation := s.live(); sessions != 1 || generation != 2 || len(keys) != 1 || keys[""] {
			t.Errorf("%d sessions, generation %d, %d keys", sessions, generation, len(keys))
		}
		if got := b.heard(); got != "signed-in renewed" {
			t.Errorf("the page heard %q", got)
		}
		// From then on all is as ever.
		s.pass(2*time.Minute, b)
		b.ask("")
		s.pass(6*time.Minute, b)
		if got := b.ask(""); got.Status != http.StatusOK {
			t.Errorf("at the next renewal: %d", got.Status)
		}
	})
}
