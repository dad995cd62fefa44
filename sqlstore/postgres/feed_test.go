package postgres_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/storetest"
	"github.com/pawlauth/pawl/sqlstore/postgres"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

// accessLife is that of the policy of storetest.
const accessLife = 5 * time.Minute

// follow returns what a node knows of ended sessions, and reads the feed.
func follow(t *testing.T, s *postgres.Store) (revoked *verify.Revoked, poll func(now time.Time)) {
	t.Helper()
	revoked, err := verify.NewRevoked(verify.FollowOptions{Keep: accessLife + 2*time.Minute, Overlap: 30 * time.Second,
		WholeEvery: time.Minute, Stale: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	poll = func(now time.Time) {
		t.Helper()
		if lost, err := revoked.Poll(t.Context(), s, now); err != nil || len(lost.Sessions) > 0 {
			t.Fatalf("Poll: lost %v, %v", lost, err)
		}
	}
	poll(time.Now())
	return revoked, poll
}

// Of two transactions that end sessions, the one that was stamped first may be
// committed last. Whoever follows the feed misses neither.
//
// Rows: 198, 252
func TestAnEndThatIsCommittedLateIsNotMissed(t *testing.T) {
	url := database(t)
	s, other, slow := open(t, url, nil), open(t, url, nil), connect(t, url)
	rows := create(t, s, 3)
	revoked, poll := follow(t, s)
	refused := func(i int) bool {
		return errors.Is(revoked.Check(rows[i].ID, time.Now(), time.Now()), verify.ErrRevoked)
	}
	run(t, slow, `BEGIN`, fmt.Sprintf(`UPDATE pawl.sessions SET ended_at = transaction_timestamp(), end_reason = 'signed_out',
		salt = '\x00000000000000000000000000000000' WHERE id = '%x'`, rows[0].ID[:]))
	if _, err := other.End(t.Context(), session.Selection{Session: rows[1].ID}, session.ReasonSignOut); err != nil {
		t.Fatal(err)
	}
	poll(time.Now())
	if refused(0) || !refused(1) {
		t.Fatalf("refused: %t, %t; want the second, which is committed", refused(0), refused(1))
	}
	run(t, slow, `COMMIT`)
	poll(time.Now())
	if !refused(0) || !refused(1) {
		t.Errorf("refused: %t, %t; want both", refused(0), refused(1))
	}
	if refused(2) {
		t.Error("who has not ended is refused")
	}
	var inOrder bool
	if err := slow.QueryRow(t.Context(), `SELECT (SELECT ended_at FROM pawl.sessions WHERE id = $1) < (SELECT ended_at FROM pawl.sessions WHERE id = $2)`,
		[16]byte(rows[0].ID), [16]byte(rows[1].ID)).Scan(&inOrder); err != nil || !inOrder {
		t.Fatalf("the one that was committed last was not stamped first, %v", err)
	}
}

// slowSigner signs when it may.
type slowSigner struct {
	token.Signer
	asked, may chan struct{}
}

func (s slowSigner) Sign(message []byte) ([]byte, error) {
	s.asked <- struct{}{}
	<-s.may
	return s.Signer.Sign(message)
}

// A token that is signed after its session was ended, on another node, is
// refused as long as it lives.
//
// Rows: 198, 252
func TestATokenSignedAfterTheEndIsRefused(t *testing.T) {
	url := database(t)
	here, there := open(t, url, nil), open(t, url, nil)
	master, err := keyring.ParseMaster(keyring.NewMasterText())
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Open(t.Context(), keyringtest.NewStore(time.Now), master, keyring.Options{Algorithm: keyring.EdDSA,
		Rotation: 720 * time.Hour, Publication: time.Hour, TokenLife: accessLife + time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	signer := slowSigner{ring.Signer(), make(chan struct{}), make(chan struct{})}
	engine := storetest.NewEngine(t, here, func(o *session.Options) { o.Signer = func() token.Signer { return signer } })
	var ahead atomic.Int64 // of what the feed takes for now
	feed := open(t, url, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	revoked, poll := follow(t, feed)
	verifier, err := verify.New(verify.Config{Issuer: "https://issuer.example", Audience: "app", Keys: ring, Revocations: revoked, Leeway: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	type answer struct {
		session.Issued
		err error
	}
	answers := make(chan answer, 1)
	signed := func(call func() (session.Issued, error), before func()) session.Issued {
		t.Helper()
		go func() {
			issued, err := call()
			answers <- answer{issued, err}
		}()
		select {
		case <-signer.asked:
		case a := <-answers:
			t.Fatalf("answered without a signature: %v", a.err)
		}
		before()
		signer.may <- struct{}{}
		a := <-answers
		if a.err != nil {
			t.Fatal(a.err)
		}
		return a.Issued
	}
	first := signed(func() (session.Issued, error) {
		return engine.Start(t.Context(), session.Login{UserID: "u_alice", ClientID: "web", Audience: "app", Transport: session.Bearer})
	}, func() {})
	if _, err := verifier.Verify(first.Access.Reveal(), time.Now()); err != nil {
		t.Fatalf("before the end: %v", err)
	}
	late := signed(func() (session.Issued, error) {
		return engine.Refresh(t.Context(), session.Renewal{Refresh: first.Refresh.Reveal(), Transport: session.Bearer})
	}, func() {
		if _, err := there.End(t.Context(), session.Selection{User: "u_alice"}, session.ReasonOperator); err != nil {
			t.Fatal(err)
		}
	})
	for now := time.Now(); now.Before(late.Expires); now = time.Now().Add(time.Duration(ahead.Add(int64(10 * time.Second)))) {
		poll(now)
		if _, err := verifier.Verify(late.Access.Reveal(), now); !errors.Is(err, verify.ErrRevoked) {
			t.Fatalf("%v before it expires: %v", late.Expires.Sub(now), err)
		}
	}
}
