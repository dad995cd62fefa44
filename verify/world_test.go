package verify_test

import (
	"errors"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

const (
	issuer   = "https://login.example"
	audience = "https://api.example"
	leeway   = 5 * time.Second
	life     = 5 * time.Minute
)

// start is when the tokens of these tests are issued.
var start = time.Unix(1700000000, 0)

// revocations are what a test says they are; they count what they are asked.
type revocations struct {
	ended map[token.ID]bool
	err   error
	asked int
}

func (r *revocations) Check(session token.ID, _, _ time.Time) error {
	r.asked++
	if r.ended[session] {
		return verify.ErrRevoked
	}
	return r.err
}

// A world is one issuer with its keys, and a verifier of its tokens.
type world struct {
	master *keyring.Master
	ring   *keyring.Ring
	ended  *revocations
	*verify.Verifier
}

func newWorld(t testing.TB, alg keyring.Algorithm, cache int) *world {
	t.Helper()
	w := &world{ended: &revocations{ended: make(map[token.ID]bool)}}
	var err error
	if w.master, err = keyring.ParseMaster(keyring.NewMasterText()); err != nil {
		t.Fatal(err)
	}
	store := keyringtest.NewStore(func() time.Time { return start })
	w.ring, err = keyring.Open(t.Context(), store, w.master, keyring.Options{
		Algorithm: alg, DangerouslySignWithRS256: alg == keyring.RS256,
		Rotation: 720 * time.Hour, Publication: time.Hour, TokenLife: life + leeway,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Verifier, err = verify.New(w.config(cache))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) config(cache int) verify.Config {
	return verify.Config{Issuer: issuer, Audience: audience, Keys: w.ring, Revocations: w.ended, Leeway: leeway, CacheSize: cache}
}

func claims() token.Claims {
	return token.Claims{
		Issuer: issuer, Subject: "u1", Audience: audience, ClientID: "web",
		IssuedAt: start.Unix(), Expires: start.Add(life).Unix(), ID: token.NewID(), Session: token.NewID(),
		Generation: 3, AuthTime: start.Add(-time.Hour).Unix(), Methods: []string{"pwd"}, Scope: "read",
	}
}

func (w *world) issue(t testing.TB, c token.Claims) string {
	t.Helper()
	raw, err := token.EncodeAccess(c, w.ring.Signer())
	if err != nil {
		t.Fatal(err)
	}
	return raw.Reveal()
}

func encode(b []byte) string { return string(token.AppendBase64URL(nil, b)) }

// forge signs any header and any payload with the issuer's key.
func (w *world) forge(t testing.TB, header, payload string) string {
	t.Helper()
	signed := header + "." + payload
	signature, err := w.ring.Signer().Sign([]byte(signed))
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + encode(signature)
}

func payloadOf(t testing.TB, c token.Claims) string {
	t.Helper()
	text, err := json.Marshal(&c)
	if err != nil {
		t.Fatal(err)
	}
	return encode(text)
}

func split(t testing.TB, raw string) token.Segments {
	t.Helper()
	s, err := token.SplitAccess(raw)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// refused fails the test unless the token is refused for this reason.
func refused(t testing.TB, v *verify.Verifier, name, raw string, now time.Time, want error) {
	t.Helper()
	if p, err := v.Verify(raw, now); !errors.Is(err, want) || p != nil {
		t.Errorf("%s: got %+v, %v, want %v", name, p, err, want)
	}
}

func accepted(t testing.TB, v *verify.Verifier, name, raw string, now time.Time) *verify.Principal {
	t.Helper()
	p, err := v.VerifyBound(raw, now)
	if err != nil || p == nil {
		t.Fatalf("%s: refused: %v", name, err)
	}
	return p
}
