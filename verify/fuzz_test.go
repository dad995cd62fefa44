package verify_test

import (
	"strings"
	"testing"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/token"
)

// Nothing but the token that was issued is ever accepted, and nothing panics.
//
// Rows: 107, A51, A52, A58
func FuzzVerify(f *testing.F) {
	w := newWorld(f, keyring.EdDSA, 8)
	good := w.issue(f, claims())
	s := split(f, good)
	for _, seed := range []string{
		good, "", ".", "..", "....", s.Header + "..", s.Header + "." + s.Payload + ".", s.Header + ".." + s.Signature,
		good + "=", good + "\n", good[:len(good)-1], "." + s.Payload + "." + s.Signature,
		s.Header + "." + encode([]byte("{}")) + "." + s.Signature, encode([]byte(`{"alg":"none"}`)) + "." + s.Payload + ".",
		w.forge(f, s.Header, encode([]byte("{}"))), w.forge(f, s.Header, "!"),
	} {
		f.Add(seed)
	}
	for _, header := range headers(keyring.EdDSA, "kid") {
		f.Add(encode([]byte(header)) + "." + s.Payload + "." + s.Signature)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := w.Verify(raw, start)
		if (err == nil) != (p != nil) {
			t.Errorf("%q: both or neither of %+v and %v", raw, p, err)
		}
		if (err == nil) != (raw == good) {
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
