package keyring_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
	"github.com/pawlauth/pawl/token"
)

func access(t testing.TB, s token.Signer) string {
	t.Helper()
	raw, err := token.EncodeAccess(token.Claims{
		Issuer: "https://login.example", Subject: "u1", Audience: "https://api.example", ClientID: "web",
		IssuedAt: 1700000000, Expires: 1700000300, ID: token.NewID(), Session: token.NewID(), Generation: 1, AuthTime: 1700000000,
	}, s)
	if err != nil {
		t.Fatal(err)
	}
	return raw.Reveal()
}

// Keys of all three algorithms and states, in one ring.
func mixedRing(t testing.TB) (*keyring.Ring, *keyringtest.Store) {
	t.Helper()
	c, m := newClock(), newMaster(t)
	s := keyringtest.NewStore(c.Now)
	var r *keyring.Ring
	for i, alg := range []keyring.Algorithm{keyring.RS256, keyring.ES256, keyring.EdDSA} {
		o := options()
		o.Algorithm, o.DangerouslySignWithRS256 = alg, true
		r = open(t, s, m, o)
		if i > 0 {
			if _, err := r.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if i == 1 {
			c.advance(published)
			mustSync(t, r)
		}
	}
	if got := states(t, s); got != "next 1 active 1 retiring 1 gone 0 withdrawn 0" {
		t.Fatal(got)
	}
	return r, s
}

// Rows: 187, A64
func TestKeySetHasPublicMembersOnly(t *testing.T) {
	r, s := mixedRing(t)
	var document struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(r.Set().Document(), &document, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	if len(document.Keys) != 3 || r.Set().Len() != 3 {
		t.Fatalf("%d keys", len(document.Keys))
	}
	allowed := map[string][]string{
		"EdDSA": {"kty", "use", "alg", "kid", "crv", "x", "pawl_header"},
		"ES256": {"kty", "use", "alg", "kid", "crv", "x", "y", "pawl_header"},
		"RS256": {"kty", "use", "alg", "kid", "n", "e", "pawl_header"},
	}
	ids := make(map[string]bool)
	for _, k := range document.Keys {
		for member, value := range k {
			if !slices.Contains(allowed[k["alg"]], member) || value == "" {
				t.Errorf("a %s key has %q: %q", k["alg"], member, value)
			}
		}
		if len(k) != len(allowed[k["alg"]]) || k["use"] != "sig" || ids[k["kid"]] {
			t.Errorf("a %s key is %v", k["alg"], k)
		}
		ids[k["kid"]] = true
		header, err := base64.RawURLEncoding.DecodeString(k["pawl_header"])
		if err != nil {
			t.Fatal(err)
		}
		var h map[string]string
		if err := json.Unmarshal(header, &h); err != nil {
			t.Fatal(err)
		}
		// RFC 9068 §2.1, RFC 7515 §4.1.4; nothing else in a header.
		if len(h) != 3 || h["typ"] != "at+jwt" || h["alg"] != k["alg"] || h["kid"] != k["kid"] {
			t.Errorf("the header is %s", header)
		}
		found := r.Set().Lookup(k["pawl_header"])
		if found == nil || found.ID != k["kid"] || string(found.Algorithm) != k["alg"] || found.Header != k["pawl_header"] {
			t.Errorf("key %s is not found by its header", k["kid"])
		}
	}
	for _, record := range stored(t, s) {
		if !ids[record.ID] {
			t.Errorf("key %s is missing", record.ID)
		}
	}
}

// The signer writes the header that is published, byte for byte, as the first
// segment of its tokens.
func TestTokensBeginWithThePublishedHeader(t *testing.T) {
	r, s := mixedRing(t)
	parts, err := token.SplitAccess(access(t, r.Signer()))
	if err != nil {
		t.Fatal(err)
	}
	if parts.Header != in(t, s, keyring.Active).Header || r.Set().Lookup(parts.Header) == nil {
		t.Errorf("the first segment is %q", parts.Header)
	}
}

// Another library verifies our tokens with the key set that we publish, and
// refuses what was changed.
//
// Rows: 71, 73, 89, 187
func TestGoJoseVerifiesOurTokens(t *testing.T) {
	for _, alg := range []keyring.Algorithm{keyring.EdDSA, keyring.ES256, keyring.RS256} {
		o := options()
		o.Algorithm, o.DangerouslySignWithRS256 = alg, alg == keyring.RS256
		r := open(t, keyringtest.NewStore(newClock().Now), newMaster(t), o)
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(r.Set().Document(), &set); err != nil {
			t.Fatal(err)
		}
		raw := access(t, r.Signer())
		parsed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		kid := parsed.Signatures[0].Protected.KeyID
		keys := set.Key(kid)
		if len(keys) != 1 || !keys[0].IsPublic() || !keys[0].Valid() || keys[0].Use != "sig" || keys[0].Algorithm != string(alg) {
			t.Fatalf("%s: key %q is there %d times", alg, kid, len(keys))
		}
		payload, err := parsed.Verify(keys[0])
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		parts, err := token.SplitAccess(raw)
		if err != nil || base64.RawURLEncoding.EncodeToString(payload) != parts.Payload {
			t.Errorf("%s: verified another payload, %v", alg, err)
		}
		other, err := token.SplitAccess(access(t, r.Signer()))
		if err != nil {
			t.Fatal(err)
		}
		mixed, err := jose.ParseSignedCompact(parts.Header+"."+parts.Payload+"."+other.Signature, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := mixed.Verify(keys[0]); err == nil {
			t.Errorf("%s: the signature of another token verifies", alg)
		}
	}
}

// Two rows of one id or one header are a fault of the store: which key would
// verify must not depend on their order.
//
// Rows: 187, A64
func TestDuplicateKeyIsRefused(t *testing.T) {
	c := newClock()
	record := func(id, header string, seed byte) keyring.Record {
		key := ed25519.NewKeyFromSeed(slices.Repeat([]byte{seed}, 32))
		return keyring.Record{ID: id, Algorithm: keyring.EdDSA, Header: header, Public: public(t, key.Public()),
			State: keyring.Retiring, DueAt: c.Now().Add(time.Hour)}
	}
	for name, records := range map[string][]keyring.Record{
		"id":     {record("a", "h1", 1), record("a", "h2", 2)},
		"header": {record("a", "h1", 1), record("b", "h1", 2)},
		"both":   {record("a", "h1", 1), record("a", "h1", 1)},
	} {
		if _, err := keyring.Open(t.Context(), keyringtest.NewStore(c.Now, records...), newMaster(t), options()); !errors.Is(err, keyring.ErrDamaged) {
			t.Errorf("the same %s: %v", name, err)
		}
	}
	open(t, keyringtest.NewStore(c.Now, record("a", "h1", 1), record("b", "h2", 2)), newMaster(t), options())
}

// Only the exact bytes of a published header find a key.
//
// Rows: 72, 73, 74, 75, 76, 86, A46, A48, A49, A50, A53
func TestLookupTakesExactBytesOnly(t *testing.T) {
	r, _ := mixedRing(t)
	header := r.Signer().Header()
	for i := range header {
		changed := []byte(header)
		changed[i] ^= 1
		for _, h := range []string{string(changed), header[:i], header[i+1:], header[:i] + "\n" + header[i:]} {
			if r.Set().Lookup(h) != nil {
				t.Errorf("%q finds a key", h)
			}
		}
	}
	for _, h := range []string{"", header + "=", header + "A", " " + header, r.Set().Lookup(header).ID} {
		if r.Set().Lookup(h) != nil {
			t.Errorf("%q finds a key", h)
		}
	}
}
