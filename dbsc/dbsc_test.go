package dbsc_test

import (
	"crypto"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/dbsc"
	"github.com/pawlauth/pawl/dbsc/dbsctest"
	"github.com/pawlauth/pawl/token"
)

type captured struct {
	Thumbprint string `json:"thumbprint"`
	Register   proof  `json:"register"`
	Renew      proof  `json:"renew"`
}

type proof struct {
	Proof     string `json:"proof"`
	Challenge string `json:"challenge"`
}

func chromium(t testing.TB) (c captured) {
	t.Helper()
	text, err := os.ReadFile("testdata/chromium156.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &c); err != nil || c.Renew.Proof == "" {
		t.Fatalf("vectors: %v", err)
	}
	return c
}

// What Chromium 156 sent, raw and as the draft's grammar has it.
//
// Rows: 223, 224, 226.
func TestProofsOfChromiumAreGood(t *testing.T) {
	c := chromium(t)
	for _, form := range []string{"%s", `"%s"`} {
		key, challenge, err := dbsc.Register(fmt.Sprintf(form, c.Register.Proof))
		if err != nil || challenge != c.Register.Challenge || key.Thumbprint() != c.Thumbprint {
			t.Fatalf("registration: %v, challenge %q, key %s", err, challenge, key.Thumbprint())
		}
		if challenge, err := key.Verify(fmt.Sprintf(form, c.Renew.Proof)); err != nil || challenge != c.Renew.Challenge {
			t.Errorf("renewal: %v, challenge %q", err, challenge)
		}
	}
}

// Rows: 224, 226, A68, A69, A71.
func TestProofsThatAreNone(t *testing.T) {
	d, other := dbsctest.NewDevice(), dbsctest.NewDevice()
	key, _, err := dbsc.Register(d.Register("c"))
	if err != nil {
		t.Fatal(err)
	}
	good := map[string]any{"jti": "c"}
	head := func(change ...any) map[string]any {
		h := map[string]any{"alg": "ES256", "typ": "dbsc+jwt", "jwk": d.JWK()}
		for i := 0; i < len(change); i += 2 {
			if h[change[i].(string)] = change[i+1]; change[i+1] == nil {
				delete(h, change[i].(string))
			}
		}
		return h
	}
	bent := d.Register("c")
	bent = bent[:len(bent)-2] + "AA"
	none := strings.Join(strings.Split(d.Sign(head("alg", "none"), good), ".")[:2], ".") + "."
	private := d.JWK()
	private["d"] = base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	offCurve := d.JWK()
	offCurve["x"] = other.JWK()["x"]
	for name, test := range map[string]struct{ proof, reason string }{
		"nothing":              {"", "malformed"},
		"junk":                 {"a.b.c", "malformed"},
		"one quote":            {`"`, "malformed"},
		"as JSON":              {`{"payload":"e30","signatures":[]}`, "malformed"},
		"too long":             {d.Sign(head(), map[string]any{"jti": strings.Repeat("c", 8<<10)}), "malformed"},
		"alg none":             {none, "algorithm"},
		"alg HS256":            {d.Sign(head("alg", "HS256"), good), "algorithm"},
		"alg RS256":            {d.Sign(head("alg", "RS256"), good), "algorithm"},
		"alg ES384":            {d.Sign(head("alg", "ES384"), good), "algorithm"},
		"no alg":               {d.Sign(head("alg", nil), good), "algorithm"},
		"alg in another case":  {d.Sign(head("alg", "es256"), good), "algorithm"},
		"no type":              {d.Sign(head("typ", nil), good), "type"},
		"type of DPoP":         {d.Sign(head("typ", "dpop+jwt"), good), "type"},
		"type in another case": {d.Sign(head("typ", "DBSC+JWT"), good), "type"},
		"critical":             {d.Sign(head("crit", []string{"x"}, "x", 1), good), "signature"},
		"payload not encoded":  {d.Sign(head("crit", []string{"b64"}, "b64", false), good), "signature"},
		"bent signature":       {bent, "signature"},
		"signed by another":    {other.Sign(head(), good), "signature"},
		"no claims":            {d.Sign(head(), "[]"), "claims"},
		"no challenge":         {d.Sign(head(), map[string]any{"nonce": "c"}), "claims"},
		"empty challenge":      {d.Sign(head(), map[string]any{"jti": ""}), "claims"},
		"challenge twice":      {d.Sign(head(), `{"jti":"c","jti":"d"}`), "claims"},
		"challenge a number":   {d.Sign(head(), map[string]any{"jti": 1}), "claims"},
	} {
		_, _, err := dbsc.Register(test.proof)
		if wrong, ok := errors.AsType[*dbsc.ProofError](err); !ok || wrong.Reason != test.reason || !errors.Is(err, dbsc.ErrProof) {
			t.Errorf("%s registers: %v, want %q", name, err, test.reason)
		}
		if _, err := key.Verify(test.proof); !errors.Is(err, dbsc.ErrProof) {
			t.Errorf("%s renews: %v", name, err)
		}
	}
	for name, jwk := range map[string]any{
		"no key": nil, "a private key": private, "a key off the curve": offCurve,
		"an RSA key":   map[string]any{"kty": "RSA", "n": "AQAB", "e": "AQAB"},
		"a shared key": map[string]any{"kty": "oct", "k": "AAAA"},
	} {
		if _, _, err := dbsc.Register(d.Sign(head("jwk", jwk), good)); !errors.Is(err, dbsc.ErrProof) {
			t.Errorf("%s registers: %v", name, err)
		}
	}
	// The header's key is not looked at where the session has one.
	if _, err := key.Verify(other.Sign(head("jwk", other.JWK()), good)); !errors.Is(err, dbsc.ErrProof) {
		t.Errorf("a thief's own key renews: %v", err)
	}
	// What later browsers may say besides.
	if challenge, err := key.Verify(d.Sign(head(), map[string]any{"jti": "c", "aud": "x", "iat": 1, "new": []int{1}})); err != nil || challenge != "c" {
		t.Errorf("claims that nobody knows yet: %v", err)
	}
}

// Another implementation signs, and knows the key by the same name.
func TestProofsOfAnotherImplementationAreGood(t *testing.T) {
	d := dbsctest.NewDevice()
	key, _, err := dbsc.Register(d.Register("c"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(d.JWK())
	if err != nil {
		t.Fatal(err)
	}
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil || base64.RawURLEncoding.EncodeToString(sum) != key.Thumbprint() {
		t.Errorf("thumbprint %s, theirs %s, %v", key.Thumbprint(), hex.EncodeToString(sum), err)
	}
}

func issuer(t testing.TB, keys ...byte) *dbsc.Issuer {
	t.Helper()
	var all [][32]byte
	for _, k := range keys {
		all = append(all, [32]byte{k})
	}
	i, err := dbsc.NewIssuer(all)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// Rows: 225, 228, A72.
func TestChallengesAreKnownAgain(t *testing.T) {
	old, both := issuer(t, 1), issuer(t, 2, 1)
	for _, c := range []dbsc.Challenge{
		{Purpose: dbsc.Registration, Session: token.NewID(), Generation: 1, Made: noon},
		{Purpose: dbsc.RegistrationAlone, Session: token.NewID(), Generation: 1, Made: noon},
		{Purpose: dbsc.Renewal, Session: token.NewID(), Generation: 1<<32 - 1, Made: noon},
	} {
		text := old.Challenge(c)
		if text == old.Challenge(c) {
			t.Error("two challenges are alike")
		}
		life := dbsc.RegistrationLife
		if c.Purpose == dbsc.Renewal {
			life = dbsc.RenewalLife
		}
		for _, now := range []time.Time{noon, noon.Add(-time.Minute), noon.Add(life - time.Second)} {
			got, err := both.ParseChallenge(text, now)
			if err != nil || !got.Made.Equal(noon) || got.Session != c.Session || got.Purpose != c.Purpose || got.Generation != c.Generation {
				t.Errorf("%v after: %+v, %v", now.Sub(noon), got, err)
			}
		}
		for _, now := range []time.Time{noon.Add(-time.Minute - time.Second), noon.Add(life)} {
			if _, err := both.ParseChallenge(text, now); !errors.Is(err, dbsc.ErrChallenge) {
				t.Errorf("%v after: %v", now.Sub(noon), err)
			}
		}
		if _, err := issuer(t, 3).ParseChallenge(text, noon); !errors.Is(err, dbsc.ErrChallenge) {
			t.Error("a challenge of another installation is good")
		}
		// Any other text is none: each character counts.
		for at := range text {
			bent := []byte(text)
			bent[at] ^= 1
			if _, err := old.ParseChallenge(string(bent), noon); !errors.Is(err, dbsc.ErrChallenge) {
				t.Errorf("bent at %d: %v", at, err)
			}
		}
	}
	if _, err := dbsc.NewIssuer(nil); err == nil {
		t.Error("an issuer without keys")
	}
}

// Rows: 225, A70.
func TestIdentifiersAreKnownAgain(t *testing.T) {
	d := dbsctest.NewDevice()
	key, _, err := dbsc.Register(d.Register("c"))
	if err != nil {
		t.Fatal(err)
	}
	id := dbsc.Identifier{Session: token.NewID(), Key: key}
	mine := issuer(t, 1)
	text := mine.Identifier(id)
	for _, form := range []string{text, `"` + text + `"`} {
		if got, err := issuer(t, 2, 1).ParseIdentifier(form); err != nil || got.Session != id.Session || got.Key != id.Key {
			t.Errorf("%q: %v", form, err)
		}
	}
	for at := range text {
		bent := []byte(text)
		bent[at] ^= 1
		if _, err := mine.ParseIdentifier(string(bent)); !errors.Is(err, dbsc.ErrIdentifier) {
			t.Errorf("bent at %d: %v", at, err)
		}
	}
	challenge := mine.Challenge(dbsc.Challenge{Purpose: dbsc.Renewal, Session: id.Session, Made: noon})
	for _, junk := range []string{"", `""`, text + "A", text[1:], challenge, strings.Repeat("A", len(text))} {
		if _, err := mine.ParseIdentifier(junk); !errors.Is(err, dbsc.ErrIdentifier) {
			t.Errorf("%q: %v", junk, err)
		}
	}
	if _, err := mine.ParseChallenge(text, noon); !errors.Is(err, dbsc.ErrChallenge) {
		t.Error("an identifier is taken for a challenge")
	}
}

// Rows: 225, 229.
func TestWhatBrowsersAreTold(t *testing.T) {
	body, err := dbsc.Instructions("id", "/auth/dbsc/refresh", "c", "Path=/; Secure")
	want := `{"session_identifier":"id","refresh_url":"/auth/dbsc/refresh","scope":{"include_site":false},"credentials":[{"type":"cookie","name":"c","attributes":"Path=/; Secure"}]}`
	if err != nil || string(body) != want {
		t.Errorf("%s, %v", body, err)
	}
	if over, err := dbsc.Over("id"); err != nil || string(over) != `{"session_identifier":"id","continue":false}` {
		t.Errorf("%s, %v", over, err)
	}
	if got := dbsc.Offer("/p", "c"); got != `(ES256);path="/p";challenge="c"` {
		t.Error(got)
	}
	if got := dbsc.Ask("id", "c"); got != `"c";id="id"` {
		t.Error(got)
	}
	for said, want := range map[string]string{
		`quota_exceeded;session_identifier="x"`: "quota_exceeded", "unreachable": "unreachable", " server_error ; x": "server_error",
		"": "other", "<script>": "other", strings.Repeat("a", 1<<10): "other",
	} {
		if got := dbsc.SkippedReason(said); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

// Nobody learns from a challenge how often a session was renewed, nor from two
// whether it was in between.
func TestAChallengeHidesTheGeneration(t *testing.T) {
	i, id := issuer(t, 1), token.NewID()
	const at, size = 1 + len(id), 4
	seen := make(map[string]bool)
	for range 4 {
		for _, generation := range []uint32{1, 2, 3} {
			raw, err := token.AppendDecodedBase64URL(nil, i.Challenge(dbsc.Challenge{Purpose: dbsc.Renewal, Session: id, Generation: generation, Made: noon}))
			if err != nil {
				t.Fatal(err)
			}
			seen[string(raw[at:at+size])] = true
		}
	}
	if len(seen) != 12 {
		t.Errorf("12 challenges show %d values where the generation is", len(seen))
	}
}

func FuzzProof(f *testing.F) {
	c, d := chromium(f), dbsctest.NewDevice()
	key, _, err := dbsc.Register(d.Register("c"))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{c.Register.Proof, c.Renew.Proof, d.Register("c"), `"` + d.Prove("c") + `"`, "..", `{"payload":""}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, challenge, err := dbsc.Register(text); (err == nil) == (challenge == "") {
			t.Errorf("challenge %q, %v", challenge, err)
		}
		if challenge, err := key.Verify(text); (err == nil) == (challenge == "") || err == nil && challenge != "c" {
			t.Errorf("challenge %q, %v", challenge, err)
		}
	})
}

// A renewal by proof costs this beside one without.
func BenchmarkVerify(b *testing.B) {
	d := dbsctest.NewDevice()
	i := issuer(b, 1)
	challenge := i.Challenge(dbsc.Challenge{Purpose: dbsc.Renewal, Session: token.NewID(), Generation: 7, Made: noon})
	key, _, err := dbsc.Register(d.Register(challenge))
	if err != nil {
		b.Fatal(err)
	}
	id, text := i.Identifier(dbsc.Identifier{Key: key}), d.Prove(challenge)
	for b.Loop() {
		who, err := i.ParseIdentifier(id)
		if err != nil {
			b.Fatal(err)
		}
		said, err := who.Key.Verify(text)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := i.ParseChallenge(said, noon); err != nil {
			b.Fatal(err)
		}
	}
}
