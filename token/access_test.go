package token_test

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/token"
)

// testSigner is a key that exists only here; nothing in this package verifies.
type testSigner struct{ key ed25519.PrivateKey }

func newTestSigner() testSigner {
	return testSigner{ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}
}

func (testSigner) Header() string { return "eyJhbGciOiJFZERTQSJ9" }
func (s testSigner) Sign(message []byte) ([]byte, error) {
	return ed25519.Sign(s.key, message), nil
}

type brokenSigner struct{ testSigner }

var errBroken = errors.New("broken")

func (brokenSigner) Sign([]byte) ([]byte, error) { return nil, errBroken }

func claims() token.Claims {
	return token.Claims{
		Issuer: "https://login.example", Subject: "u1", Audience: "https://api.example", ClientID: "web",
		IssuedAt: 1700000000, Expires: 1700000300, ID: idOf(1), Session: idOf(0x80), Generation: 3, AuthTime: 1699999000,
	}
}

func idGen() *rapid.Generator[token.ID] {
	return rapid.Custom(func(t *rapid.T) token.ID { return token.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")) })
}

func claimsGen() *rapid.Generator[token.Claims] {
	text := rapid.StringN(0, 20, 60)
	return rapid.Custom(func(t *rapid.T) token.Claims {
		c := token.Claims{
			Issuer: text.Draw(t, "iss"), Subject: text.Draw(t, "sub"), Audience: text.Draw(t, "aud"), ClientID: text.Draw(t, "client"),
			IssuedAt: rapid.Int64().Draw(t, "iat"), NotBefore: rapid.Int64().Draw(t, "nbf"), Expires: rapid.Int64().Draw(t, "exp"),
			ID: idGen().Draw(t, "jti"), Session: idGen().Draw(t, "sid"), Generation: rapid.Uint32().Draw(t, "gen"),
			AuthTime: rapid.Int64().Draw(t, "auth"), Scope: text.Draw(t, "scope"),
		}
		if rapid.Bool().Draw(t, "amr") {
			c.Methods = rapid.SliceOfN(text, 1, 3).Draw(t, "methods")
		}
		if rapid.Bool().Draw(t, "bound") {
			c.Binding = &token.Confirmation{Thumbprint: text.Draw(t, "jkt")}
		}
		return c
	})
}

// Whatever is encoded is read as what it was, and what was read is encoded as
// the same bytes.
func TestAccessRoundTrip(t *testing.T) {
	signer := newTestSigner()
	rapid.Check(t, func(t *rapid.T) {
		want := claimsGen().Draw(t, "claims")
		raw, err := token.EncodeAccess(want, signer)
		if err != nil {
			t.Fatal(err)
		}
		s, err := token.SplitAccess(raw.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		if s.Header != signer.Header() || s.Header+"."+s.Payload+"."+s.Signature != raw.Reveal() {
			t.Fatalf("split into %+v", s)
		}
		signature, err := token.AppendDecodedBase64URL(nil, s.Signature)
		if err != nil || !ed25519.Verify(signer.key.Public().(ed25519.PublicKey), []byte(s.Header+"."+s.Payload), signature) {
			t.Fatal("the signature is not over header, dot, payload")
		}
		got, err := token.DecodeClaims(s.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
		again, err := token.EncodeAccess(got, signer)
		if err != nil || again != raw {
			t.Fatalf("encodes to %q, then %q (%v)", raw.Reveal(), again.Reveal(), err)
		}
		witness, err := token.WitnessOf(raw.Reveal())
		if want.Session.IsZero() != (err != nil) || witness != want.Session {
			t.Fatalf("witness %v, %v, want %v", witness, err, want.Session)
		}
	})
}

// The claims are these, and no personal ones.
//
// Rows: 80, 98
func TestAccessClaimsAreMinimal(t *testing.T) {
	full := claims()
	full.NotBefore, full.Methods, full.Scope, full.Binding = 1, []string{"pwd"}, "read", &token.Confirmation{Thumbprint: "x"}
	for name, tt := range map[string]struct {
		claims token.Claims
		want   []string
	}{
		"least": {claims(), []string{"aud", "auth_time", "client_id", "exp", "gen", "iat", "iss", "jti", "sid", "sub"}},
		"all":   {full, []string{"amr", "aud", "auth_time", "client_id", "cnf", "exp", "gen", "iat", "iss", "jti", "nbf", "scope", "sid", "sub"}},
	} {
		raw, err := token.EncodeAccess(tt.claims, newTestSigner())
		if err != nil {
			t.Fatal(err)
		}
		s, err := token.SplitAccess(raw.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		text, err := token.AppendDecodedBase64URL(nil, s.Payload)
		if err != nil {
			t.Fatal(err)
		}
		var members map[string]any
		if err := json.Unmarshal(text, &members); err != nil {
			t.Fatal(err)
		}
		if len(members) != len(tt.want) {
			t.Errorf("%s: %d members, want %d: %s", name, len(members), len(tt.want), text)
		}
		for _, m := range tt.want {
			if _, ok := members[m]; !ok {
				t.Errorf("%s: no %q in %s", name, m, text)
			}
		}
	}
}

// Rows: 87
func TestEncodeAccessRefuses(t *testing.T) {
	long := claims()
	long.Scope = strings.Repeat("s", token.MaxAccess)
	if _, err := token.EncodeAccess(long, newTestSigner()); !errors.Is(err, token.ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
	bad := claims()
	bad.Subject = "\xff"
	if raw, err := token.EncodeAccess(bad, newTestSigner()); err == nil {
		t.Errorf("invalid UTF-8 gives %q", raw.Reveal())
	}
	if _, err := token.EncodeAccess(claims(), brokenSigner{}); !errors.Is(err, errBroken) {
		t.Errorf("a signer that fails: %v", err)
	}
}

// The longest token that is made is one that is read.
func TestAccessLengthLimitIsTheSameBothWays(t *testing.T) {
	c := claims()
	for n := range token.MaxAccess {
		c.Scope = strings.Repeat("s", n)
		raw, err := token.EncodeAccess(c, newTestSigner())
		if errors.Is(err, token.ErrTooLong) {
			if n < 1000 {
				t.Errorf("a scope of only %d bytes is too long", n)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if n > 1900 || n == 0 {
			s, err := token.SplitAccess(raw.Reveal())
			if err != nil {
				t.Fatalf("%d bytes: %v", len(raw), err)
			}
			if _, err := token.DecodeClaims(s.Payload); err != nil {
				t.Fatalf("%d bytes: %v", len(raw), err)
			}
		}
	}
	t.Error("no scope is too long")
}

// Rows: 83, 87, 88, A55, A59
func TestSplitAccess(t *testing.T) {
	for raw, want := range map[string]error{
		"a.b.c":                                  nil,
		"..":                                     nil, // three empty parts: no key has an empty header
		"":                                       token.ErrMalformed,
		"a":                                      token.ErrMalformed,
		"a.b":                                    token.ErrMalformed,
		"a.b.c.":                                 token.ErrMalformed,
		"a.b.c.d":                                token.ErrMalformed,
		"a.b.c.d.e":                              token.ErrMalformed, // a JWE
		`{"payload":"a","signatures":[]}`:        token.ErrMalformed,
		strings.Repeat("a", token.MaxAccess):     token.ErrMalformed,
		strings.Repeat("a", token.MaxAccess+1):   token.ErrTooLong,
		strings.Repeat(".", token.MaxAccess+1):   token.ErrTooLong,
		"a.b." + strings.Repeat(".", 1<<20):      token.ErrTooLong,
		"a.b." + strings.Repeat("c", 1<<20):      token.ErrTooLong,
		strings.Repeat("\n", token.MaxAccess+1):  token.ErrTooLong,
		strings.Repeat("a.", token.MaxAccess/2):  token.ErrMalformed,
		strings.Repeat("a.", token.MaxAccess):    token.ErrTooLong,
		"a.b." + strings.Repeat("c", 1000) + ".": token.ErrMalformed,
	} {
		s, err := token.SplitAccess(raw)
		if !errors.Is(err, want) || (err != nil && s != token.Segments{}) {
			t.Errorf("%.40q (%d bytes): %+v, %v, want %v", raw, len(raw), s, err, want)
		}
	}
}

// Rows: 87, 107, A59
func TestAccessSizeComesFirst(t *testing.T) {
	for name, raw := range map[string]string{
		"dots":     strings.Repeat(".", 1<<20),
		"letters":  "a.b." + strings.Repeat("A", 1<<20),
		"brackets": strings.Repeat("[", 1<<20),
	} {
		if n := testing.AllocsPerRun(10, func() {
			if _, err := token.SplitAccess(raw); err == nil {
				t.Error("a megabyte is accepted")
			}
			if _, err := token.WitnessOf(raw); err == nil {
				t.Error("a megabyte is a witness")
			}
			if _, err := token.DecodeClaims(raw); err == nil {
				t.Error("a megabyte has claims")
			}
		}); n != 0 {
			t.Errorf("a megabyte of %s costs %v allocations", name, n)
		}
	}
	// Within the limit, depth is bounded by length; it is not recursion that fails.
	for _, open := range []string{"[", `{"a":`} {
		deep := strings.Repeat(open, 2200/len(open))
		if _, err := token.DecodeClaims(string(token.AppendBase64URL(nil, []byte(deep)))); !errors.Is(err, token.ErrMalformed) {
			t.Errorf("deep %q: %v", open, err)
		}
	}
}

// The witness is read whatever the signature and the header say, and only
// from a payload that would be read after verification as well.
func TestWitnessOf(t *testing.T) {
	raw, err := token.EncodeAccess(claims(), newTestSigner())
	if err != nil {
		t.Fatal(err)
	}
	s, err := token.SplitAccess(raw.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if id, err := token.WitnessOf("retired." + s.Payload + ".gone"); err != nil || id != claims().Session {
		t.Errorf("got %v, %v", id, err)
	}
	none := claims()
	none.Session = token.ID{}
	zero, err := token.EncodeAccess(none, newTestSigner())
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "a.b", "a." + s.Payload + "=.c", "a." + s.Payload + "\n.c", "a.e30.c" + strings.Repeat(".", 3), "a.e30.c", zero.Reveal()} {
		if id, err := token.WitnessOf(bad); err == nil || !id.IsZero() {
			t.Errorf("%q: got %v, %v", bad, id, err)
		}
	}
}

// What splits is put together again from its parts, and has two dots.
func FuzzSplitAccess(f *testing.F) {
	raw, err := token.EncodeAccess(claims(), newTestSigner())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{raw.Reveal(), "", ".", "..", "...", "a.b.c", "a.b.c.d.e", strings.Repeat(".", 4000)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		s, err := token.SplitAccess(raw)
		if err != nil {
			return
		}
		if s.Header+"."+s.Payload+"."+s.Signature != raw || strings.Count(raw, ".") != 2 || len(raw) > token.MaxAccess {
			t.Errorf("%q splits into %+v", raw, s)
		}
		if id, err := token.WitnessOf(raw); err == nil && id.IsZero() {
			t.Errorf("%q: a witness that names nothing", raw)
		}
	})
}

// Claims that are accepted are accepted again, unchanged, in the form that
// this package writes.
func FuzzDecodeClaims(f *testing.F) {
	for _, v := range claimsVectors() {
		if text, err := token.AppendDecodedBase64URL(nil, v.Payload); err == nil {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := token.DecodeClaims(string(token.AppendBase64URL(nil, text)))
		if err != nil {
			if !errors.Is(err, token.ErrMalformed) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		raw, err := token.EncodeAccess(got, newTestSigner())
		if err != nil {
			if errors.Is(err, token.ErrTooLong) {
				return
			}
			t.Fatalf("%q is accepted but not written: %v", text, err)
		}
		s, err := token.SplitAccess(raw.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		again, err := token.DecodeClaims(s.Payload)
		if err != nil {
			t.Fatalf("%q is accepted but not what is written for it: %v", text, err)
		}
		if got.Methods != nil && len(got.Methods) == 0 {
			got.Methods = nil // "amr":[] says what no "amr" says
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Errorf("%q (-first +again):\n%s", text, diff)
		}
	})
}
