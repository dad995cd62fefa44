package verify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

// Nothing but the tokens that were issued is ever accepted, and nothing
// panics. The keys are those of the vectors, the same in every process that
// fuzzes, so that what is nearly good in one is nearly good in all.
//
// Rows: 107, A51, A52, A58
func FuzzVerify(f *testing.F) {
	file := accessVectors()
	now := time.Unix(file.Now, 0)
	v, err := verify.New(verify.Config{
		Issuer: file.Issuer, Audience: file.Audience, Keys: ringOf(f, file.Keys, now), Revocations: &revocations{},
		Leeway: time.Duration(file.Leeway) * time.Second, CacheSize: 8,
	})
	if err != nil {
		f.Fatal(err)
	}
	good := make(map[string]bool)
	for _, vector := range file.Tokens {
		good[vector.Token] = vector.Refused == ""
		f.Add(vector.Token)
		if good[vector.Token] {
			accepted(f, v, vector.Name, vector.Token, now)
			s := split(f, vector.Token)
			for _, seed := range []string{s.Header + "..", s.Header + ".." + s.Signature, vector.Token[1:], vector.Token[:len(vector.Token)-1]} {
				f.Add(seed)
			}
		}
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := v.VerifyBound(raw, now)
		if (err == nil) != (p != nil) {
			t.Errorf("%q: both or neither of %+v and %v", raw, p, err)
		}
		if (err == nil) != good[raw] {
			t.Errorf("%q: %v", raw, err)
		}
	})
}

// The issuer's key signs whatever is in the payload: what the claims say must
// never make the verifier fall over, nor get past what it requires.
//
// Rows: 107, A58
func FuzzVerifySignedPayload(f *testing.F) {
	w := newWorld(f, keyring.EdDSA, 8)
	header := w.ring.Signer().Header()
	for _, v := range accessVectors().Tokens {
		if parts := strings.Split(v.Token, "."); len(parts) == 3 {
			if payload, err := token.AppendDecodedBase64URL(nil, parts[1]); err == nil {
				f.Add(payload)
			}
		}
	}
	f.Add([]byte(`{"iss":"https://login.example"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		p, err := w.Verify(w.forge(t, header, encode(payload)), start)
		if err != nil {
			return
		}
		if p.UserID == "" || p.ClientID == "" || p.Audience != audience || p.Session.IsZero() || p.TokenID.IsZero() || p.Generation == 0 ||
			!p.Expires.After(p.IssuedAt) || p.AuthTime.After(p.IssuedAt) || !p.Expires.Add(leeway).After(start) || p.IssuedAt.After(start.Add(leeway)) {
			t.Errorf("%q: accepted as %+v", payload, p)
		}
	})
}
