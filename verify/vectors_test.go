package verify_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"flag"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

var update = flag.Bool("update", false, "write the vector file again instead of comparing with it")

// The file ../vectors/access.json, which every verifier of access tokens can
// read: what it needs to know, and tokens with what becomes of each.
type (
	accessFile struct {
		Issuer   string         `json:"issuer"`
		Audience string         `json:"audience"`
		Now      int64          `json:"now"`            // seconds since 1970
		Leeway   int            `json:"leeway_seconds"` // for every time
		Keys     jsontext.Value `json:"keys"`           // a JWK set
		Tokens   []accessVector `json:"tokens"`
	}
	accessVector struct {
		Name    string `json:"name"`
		Token   string `json:"token"`
		Refused string `json:"refused,omitzero"` // the reason, one of reasons; absent when accepted
		Subject string `json:"subject,omitzero"` // of the accepted ones
	}
)

// reasons are the names that the file has for refusals.
var reasons = map[string]error{
	"malformed": verify.ErrMalformed, "unknown_key": verify.ErrUnknownKey, "signature": verify.ErrSignature,
	"expired": verify.ErrExpired, "not_yet": verify.ErrNotYet, "issuer": verify.ErrIssuer, "audience": verify.ErrAudience,
}

// A vectorKey is known to everybody and signs nothing but vectors, each time
// with the same bytes.
type vectorKey struct {
	alg keyring.Algorithm
	kid string
	key crypto.Signer
}

func (k vectorKey) Header() string {
	return encode([]byte(`{"alg":"` + string(k.alg) + `","typ":"at+jwt","kid":"` + k.kid + `"}`))
}

func (k vectorKey) Sign(message []byte) ([]byte, error) {
	if key, ok := k.key.(ed25519.PrivateKey); ok {
		return ed25519.Sign(key, message), nil
	}
	digest := sha256.Sum256(message)
	der, err := k.key.Sign(nil, digest[:], crypto.SHA256) // without a random source: RFC 6979
	if err != nil {
		return nil, err
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return nil, err
	}
	return append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...), nil
}

func (k vectorKey) jwk() map[string]string {
	out := map[string]string{"use": "sig", "alg": string(k.alg), "kid": k.kid, "pawl_header": k.Header()}
	switch key := k.key.Public().(type) {
	case ed25519.PublicKey:
		out["kty"], out["crv"], out["x"] = "OKP", "Ed25519", encode(key)
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			panic(err)
		}
		out["kty"], out["crv"], out["x"], out["y"] = "EC", "P-256", encode(point[1:33]), encode(point[33:])
	}
	return out
}

func vectorKeys() (ed, ec, stranger vectorKey) {
	scalar := sha256.Sum256([]byte("pawl vectors: ES256"))
	p256, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:])
	if err != nil {
		panic(err)
	}
	seed := func(b byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32)) }
	return vectorKey{keyring.EdDSA, "vector-ed25519", seed(1)}, vectorKey{keyring.ES256, "vector-p256", p256}, vectorKey{keyring.EdDSA, "stranger", seed(9)}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func accessVectors() accessFile {
	ed, ec, stranger := vectorKeys()
	out := accessFile{Issuer: issuer, Audience: audience, Now: start.Unix() + 60, Leeway: int(leeway / time.Second)}
	out.Keys = jsontext.Value(must(json.Marshal(map[string]any{"keys": []map[string]string{ed.jwk(), ec.jwk()}}, json.Deterministic(true))))
	base := func() token.Claims {
		c := claims()
		c.ID, c.Session = token.ID([]byte("a token's own id")), token.ID([]byte("a session's id  "))
		return c
	}
	add := func(name, raw, refused string) {
		v := accessVector{Name: name, Token: raw, Refused: refused}
		if refused == "" {
			v.Subject = base().Subject
		}
		out.Tokens = append(out.Tokens, v)
	}
	sign := func(k vectorKey, header, payload string) string {
		return header + "." + payload + "." + encode(must(k.Sign([]byte(header+"."+payload))))
	}
	raw := func(k vectorKey, c token.Claims) string { return must(token.EncodeAccess(c, k)).Reveal() }
	payload := encode(must(json.Marshal(new(base()))))
	good := raw(ed, base())
	s := must(token.SplitAccess(good))

	add("good, EdDSA", good, "")
	goodES256 := raw(ec, base())
	add("good, ES256", goodES256, "")
	full := base()
	full.NotBefore, full.Methods, full.Binding = full.IssuedAt, []string{"pwd", "otp"}, &token.Confirmation{Thumbprint: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}
	add("good, every claim", raw(ed, full), "")
	add("good, a claim of the future", sign(ed, ed.Header(), encode([]byte(strings.Replace(string(must(json.Marshal(new(base())))), "{", `{"later":[1],`, 1)))), "")

	p := must(token.SplitAccess(goodES256))
	signature := must(token.AppendDecodedBase64URL(nil, p.Signature))
	n := elliptic.P256().Params().N
	r, sigS := signature[:32], signature[32:]
	twin := new(big.Int).Sub(n, new(big.Int).SetBytes(sigS)).FillBytes(make([]byte, 32))
	es256 := func(r, s []byte) string { return p.Header + "." + p.Payload + "." + encode(slices.Concat(r, s)) }
	add("good, ES256, the other spelling (r, n-s)", es256(r, twin), "")
	zero, order := make([]byte, 32), n.FillBytes(make([]byte, 32))
	for _, v := range []struct {
		name string
		r, s []byte
	}{
		{"ES256 with r = 0", zero, sigS}, {"ES256 with s = 0", r, zero}, {"ES256 with both 0", zero, zero},
		{"ES256 with r = n", order, sigS}, {"ES256 with s = n", r, order}, {"ES256 with r and s exchanged", sigS, r},
		{"ES256 with 63 bytes", r, sigS[:31]}, {"ES256 with 65 bytes", r, append(slices.Clone(sigS), 0)},
	} {
		add(v.name, es256(v.r, v.s), "signature")
	}
	add("ES256 in DER", p.Header+"."+p.Payload+"."+encode(must(asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(r), new(big.Int).SetBytes(sigS)}))), "signature")

	add("no signature", s.Header+"."+s.Payload+".", "signature")
	add("signature of zeros", s.Header+"."+s.Payload+"."+encode(make([]byte, 64)), "signature")
	add("signature of another payload", s.Header+"."+encode([]byte("{}"))+"."+s.Signature, "signature")
	add("signature by a stranger under our header", sign(stranger, ed.Header(), payload), "signature")
	add("EdDSA under the header of ES256", sign(ed, ec.Header(), payload), "signature")
	add("ES256 under the header of EdDSA", sign(ec, ed.Header(), payload), "signature")
	add("signature padded", good+"==", "malformed")
	add("signature with trailing bits", good[:len(good)-1]+string(good[len(good)-1]+1), "malformed")
	add("LF at the end", good+"\n", "malformed")

	tricks := headers(keyring.EdDSA, ed.kid)
	for _, name := range slices.Sorted(maps.Keys(tricks)) {
		add("header: "+name, sign(ed, encode([]byte(tricks[name])), payload), "unknown_key")
	}
	add("a stranger's key", raw(stranger, base()), "unknown_key")
	add("header padded", sign(ed, ed.Header()+"=", payload), "unknown_key")
	add("no header", "."+s.Payload+"."+s.Signature, "unknown_key")
	add("nothing but dots", "..", "unknown_key")
	add("nothing", "", "malformed")
	add("two parts", s.Header+"."+s.Payload, "malformed")
	add("four parts", good+".", "malformed")
	add("five parts, as a JWE has", s.Header+"."+s.Payload+"."+s.Signature+"."+s.Signature+"."+s.Signature, "malformed")
	add("JSON serialization", `{"payload":"`+s.Payload+`","protected":"`+s.Header+`","signature":"`+s.Signature+`"}`, "malformed")
	add("over the limit", good+strings.Repeat("A", token.MaxAccess), "malformed")

	for _, v := range [][3]string{
		{"payload is empty", ``, "malformed"}, {"payload is no object", `[]`, "malformed"}, {"payload is null", `null`, "malformed"},
		{"payload is cut off", `{"sub":"a"`, "malformed"}, {"payload has a name twice", `{"sub":"a","sub":"b"}`, "malformed"}, {"payload lacks everything", `{}`, "issuer"},
	} {
		add(v[0], sign(ed, ed.Header(), encode([]byte(v[1]))), v[2])
	}
	add("payload padded", sign(ed, ed.Header(), payload+"="), "malformed")
	for _, v := range []struct {
		name, reason string
		change       func(*token.Claims)
	}{
		{"expired", "expired", func(c *token.Claims) { c.IssuedAt -= 600; c.Expires -= 600; c.AuthTime = c.IssuedAt }},
		{"expired by the leeway exactly", "expired", func(c *token.Claims) { c.Expires = out.Now - int64(out.Leeway) }},
		{"expired within the leeway", "", func(c *token.Claims) { c.Expires = out.Now - int64(out.Leeway) + 1 }},
		{"issued in the future", "not_yet", func(c *token.Claims) { c.IssuedAt = out.Now + int64(out.Leeway) + 1 }},
		{"issued in the future within the leeway", "", func(c *token.Claims) { c.IssuedAt = out.Now + int64(out.Leeway) }},
		{"not before later", "not_yet", func(c *token.Claims) { c.NotBefore = out.Now + int64(out.Leeway) + 1 }},
		{"another issuer", "issuer", func(c *token.Claims) { c.Issuer += "/" }},
		{"another audience", "audience", func(c *token.Claims) { c.Audience += "/" }},
		{"no subject", "malformed", func(c *token.Claims) { c.Subject = "" }},
		{"no client", "malformed", func(c *token.Claims) { c.ClientID = "" }},
		{"no session", "malformed", func(c *token.Claims) { c.Session = token.ID{} }},
		{"no token id", "malformed", func(c *token.Claims) { c.ID = token.ID{} }},
		{"no generation", "malformed", func(c *token.Claims) { c.Generation = 0 }},
		{"exp before iat", "malformed", func(c *token.Claims) { c.Expires = c.IssuedAt - 1 }},
		{"exp beyond the year 9999", "malformed", func(c *token.Claims) { c.Expires = 253402300800 }},
		{"auth_time after iat", "malformed", func(c *token.Claims) { c.AuthTime = c.IssuedAt + 1 }},
		{"bound to a key without a name", "malformed", func(c *token.Claims) { c.Binding = &token.Confirmation{} }},
	} {
		c := base()
		v.change(&c)
		add(v.name, raw(ed, c), v.reason)
	}
	return out
}

func loadAccess(t testing.TB) accessFile {
	t.Helper()
	path := filepath.Join("..", "vectors", "access.json")
	want := append(must(json.Marshal(accessVectors(), jsontext.WithIndent("  "))), '\n')
	if *update {
		if err := os.WriteFile(path, want, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Fatalf("%s is not what this test generates; run go test -update (-want +got):\n%s", path, diff)
	}
	var out accessFile
	if err := json.Unmarshal(got, &out, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	return out
}

// ringOf is a ring that verifies with the keys of a JWK set.
func ringOf(t testing.TB, document []byte, now time.Time) *keyring.Ring {
	t.Helper()
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(document, &set); err != nil {
		t.Fatal(err)
	}
	var records []keyring.Record
	for _, text := range set.Keys {
		var key jose.JSONWebKey
		var own struct {
			Header string `json:"pawl_header"`
		}
		if err := errors.Join(json.Unmarshal(text, &key), json.Unmarshal(text, &own)); err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKIXPublicKey(key.Key)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, keyring.Record{
			ID: key.KeyID, Algorithm: keyring.Algorithm(key.Algorithm), Header: own.Header, Public: der,
			State: keyring.Retiring, DueAt: now.Add(time.Hour),
		})
	}
	ring, err := keyring.Open(t.Context(), keyringtest.NewStore(func() time.Time { return now }, records...),
		must(keyring.ParseMaster(keyring.NewMasterText())),
		keyring.Options{Algorithm: keyring.EdDSA, Rotation: 720 * time.Hour, Publication: time.Hour, TokenLife: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// Rows: 71, 72, 73, 74, 75, 76, 77, 78, 79, 82, 83, 84, 85, 86, 91, 107, A46, A47, A48, A49, A50, A51, A52, A53, A54, A55, A57
func TestAccessVectors(t *testing.T) {
	file := loadAccess(t)
	now := time.Unix(file.Now, 0)
	v, err := verify.New(verify.Config{
		Issuer: file.Issuer, Audience: file.Audience, Keys: ringOf(t, file.Keys, now), Revocations: &revocations{},
		Leeway: time.Duration(file.Leeway) * time.Second, CacheSize: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	n := make(map[string]int)
	for _, vector := range file.Tokens {
		n[vector.Refused]++
		if vector.Refused == "" {
			if p := accepted(t, v, vector.Name, vector.Token, now); p.UserID != vector.Subject {
				t.Errorf("%s: subject %q", vector.Name, p.UserID)
			}
			continue
		}
		want, ok := reasons[vector.Refused]
		if !ok {
			t.Errorf("%s: unknown reason %q", vector.Name, vector.Refused)
			continue
		}
		refused(t, v, vector.Name, vector.Token, now, want)
	}
	for reason := range reasons {
		if n[reason] == 0 {
			t.Errorf("no vector is refused as %s", reason)
		}
	}
	if n[""] == 0 {
		t.Error("no vector is accepted")
	}
}
