package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

// headers are JOSE headers that other verifiers fell for, with the kid and the
// algorithm of our key where that helps.
func headers(alg keyring.Algorithm, kid string) map[string]string {
	out := map[string]string{
		"empty": ``, "empty object": `{}`, "null": `null`, "array": `[]`,
		"typ absent":          fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, kid),
		"alg absent":          fmt.Sprintf(`{"typ":"at+jwt","kid":%q}`, kid),
		"kid absent":          fmt.Sprintf(`{"alg":%q,"typ":"at+jwt"}`, alg),
		"members reordered":   fmt.Sprintf(`{"kid":%q,"alg":%q,"typ":"at+jwt"}`, kid, alg),
		"white space":         fmt.Sprintf(`{"alg":%q, "typ":"at+jwt","kid":%q}`, alg, kid),
		"an escape":           fmt.Sprintf(`{"\u0061lg":%q,"typ":"at+jwt","kid":%q}`, alg, kid),
		"alg twice":           fmt.Sprintf(`{"alg":"none","alg":%q,"typ":"at+jwt","kid":%q}`, alg, kid),
		"alg twice, reversed": fmt.Sprintf(`{"alg":%q,"alg":"none","typ":"at+jwt","kid":%q}`, alg, kid),
		"ALG beside alg":      fmt.Sprintf(`{"alg":%q,"ALG":"none","typ":"at+jwt","kid":%q}`, alg, kid),
		"trailing data":       fmt.Sprintf(`{"alg":%q,"typ":"at+jwt","kid":%q}{}`, alg, kid),
		"invalid UTF-8":       fmt.Sprintf("{\"alg\":%q,\"typ\":\"at+jwt\",\"kid\":%q,\"x\":\"\xff\"}", alg, kid),
	}
	for _, typ := range []string{"", "JWT", "jwt", "AT+JWT", "application/at+jwt", "id+jwt", "dpop+jwt", "dbsc+jwt", "logout+jwt", "secevent+jwt", "at+jwt ", "at+jwt\u0000"} {
		out["typ "+typ] = fmt.Sprintf(`{"alg":%q,"typ":%q,"kid":%q}`, alg, typ, kid)
	}
	for _, a := range []string{"none", "None", "NONE", "nOnE", "none ", "", "HS256", "HS384", "HS512", "hs256", "RS256", "PS256", "ES256", "ES256K", "ES384", "EdDSA", "eddsa", "Ed25519", "RSA1_5", "dir", "PBES2-HS256+A128KW", "../../etc/passwd"} {
		if a != string(alg) {
			out["alg "+a] = fmt.Sprintf(`{"alg":%q,"typ":"at+jwt","kid":%q}`, a, kid)
		}
	}
	for _, a := range []string{`1`, `null`, `true`, `["EdDSA"]`, `{"a":1}`, `1e400`} {
		out["alg is "+a] = fmt.Sprintf(`{"alg":%s,"typ":"at+jwt","kid":%q}`, a, kid)
	}
	for _, k := range []string{"", "../../../../dev/null", "/dev/null", "' OR '1'='1", "x' UNION SELECT 'key'--", "|sleep 10", "$(id)", "`id`", "http://evil.example/k", "\u0000", kid + "\n", strings.ToLower(kid) + "x", strings.Repeat("k", 1000)} {
		text, err := json.Marshal(k)
		if err != nil {
			panic(err)
		}
		out["kid "+k[:min(len(k), 30)]] = fmt.Sprintf(`{"alg":%q,"typ":"at+jwt","kid":%s}`, alg, text)
	}
	for _, extra := range []string{
		`"jku":"https://evil.example/jwks.json"`, `"jku":"http://127.0.0.1:1/"`, `"x5u":"https://evil.example/c.pem"`, `"x5c":["MIIB"]`, `"x5t":"AAAA"`, `"x5t#S256":"AAAA"`,
		`"jwk":{"kty":"OKP","crv":"Ed25519","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
		`"crit":[]`, `"crit":["x"],"x":1`, `"crit":["alg"]`, `"crit":["exp"]`, `"crit":null`, `"crit":"b64"`,
		`"b64":false`, `"b64":true`, `"b64":false,"crit":["b64"]`, `"b64":"false"`, `"zip":"DEF"`, `"cty":"JWT"`, `"p2c":2147483647,"p2s":"AAAA"`,
		`"enc":"A128GCM"`, `"epk":{}`, `"nonce":"x"`, `"iss":"https://evil.example"`,
	} {
		out["with "+extra] = fmt.Sprintf(`{"alg":%q,"typ":"at+jwt","kid":%q,%s}`, alg, kid, extra)
	}
	return out
}

// Any other header, although signed by the right key: unknown bytes, refused
// before anything is decoded, at no cost.
//
// Rows: 72, 73, 74, 75, 76, 82, 86, 88, 107, A46, A48, A49, A50, A53
func TestForeignHeaderIsAnUnknownKey(t *testing.T) {
	for _, alg := range []keyring.Algorithm{keyring.EdDSA, keyring.ES256} {
		w := newWorld(t, alg, 10)
		own := w.ring.Signer().Header()
		kid := w.ring.Set().Lookup(own).ID
		payload := payloadOf(t, claims())
		accepted(t, w.Verifier, "own header", w.forge(t, own, payload), start)
		for name, header := range headers(alg, kid) {
			raw := w.forge(t, encode([]byte(header)), payload)
			if n := testing.AllocsPerRun(1, func() { refused(t, w.Verifier, name, raw, start, verify.ErrUnknownKey) }); n != 0 {
				t.Errorf("%s: refused after %v allocations", name, n)
			}
			// Not even what is no token at all behind it matters.
			refused(t, w.Verifier, name, encode([]byte(header))+".!.!", start, verify.ErrUnknownKey)
			refused(t, w.Verifier, name, encode([]byte(header))+"..", start, verify.ErrUnknownKey)
		}
		for name, header := range map[string]string{
			"padded": own + "=", "LF": own + "\n", "CR LF inside": own[:8] + "\r\n" + own[8:], "standard alphabet": strings.Replace(own, "e", "+", 1), "cut off": own[:len(own)-1],
		} {
			refused(t, w.Verifier, name, w.forge(t, header, payload), start, verify.ErrUnknownKey)
		}
		if w.CacheLen() != 1 {
			t.Errorf("%d tokens are remembered, want 1", w.CacheLen())
		}
	}
}

// The public key is no secret: used as an HMAC key in every form that a
// library might load it in, under our own header and under that of HS256.
//
// Rows: 72, 73, A47
func TestPublicKeyAsHMACKey(t *testing.T) {
	for _, alg := range []keyring.Algorithm{keyring.EdDSA, keyring.ES256, keyring.RS256} {
		w := newWorld(t, alg, 10)
		own := w.ring.Signer().Header()
		var set struct {
			Keys []map[string]string `json:"keys"`
		}
		if err := json.Unmarshal(w.ring.Set().Document(), &set); err != nil {
			t.Fatal(err)
		}
		jwk, err := json.Marshal(set.Keys[0], json.Deterministic(true))
		if err != nil {
			t.Fatal(err)
		}
		secrets := map[string][]byte{"nothing": {}, "JWK set": w.ring.Set().Document(), "JWK": jwk}
		for _, member := range []string{"x", "y", "n", "kid"} {
			text := set.Keys[0][member]
			secrets["text of "+member] = []byte(text)
			if raw, err := base64.RawURLEncoding.DecodeString(text); err == nil {
				secrets["bytes of "+member] = raw
				secrets["PEM of "+member] = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: raw})
			}
		}
		payload := payloadOf(t, claims())
		foreign := encode([]byte(`{"alg":"HS256","typ":"at+jwt","kid":"` + set.Keys[0]["kid"] + `"}`))
		for name, secret := range secrets {
			for header, want := range map[string]error{own: verify.ErrSignature, foreign: verify.ErrUnknownKey} {
				mac := hmac.New(sha256.New, secret)
				mac.Write([]byte(header + "." + payload))
				sum := mac.Sum(nil)
				refused(t, w.Verifier, name, header+"."+payload+"."+encode(sum), start, want)
				refused(t, w.Verifier, name, header+"."+payload+"."+encode(append(sum, sum...)), start, want)
			}
		}
	}
}

// A stranger's key, embedded in the header, with a valid signature of its own.
//
// Rows: 74, A49, A50
func TestEmbeddedKeyIsNotUsed(t *testing.T) {
	w := newWorld(t, keyring.EdDSA, 10)
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	raw := foreignJWS(t, key, "at+jwt", payloadOf(t, claims()))
	refused(t, w.Verifier, "embedded jwk", raw, start, verify.ErrUnknownKey)
	s := split(t, raw)
	refused(t, w.Verifier, "its signature under our header", w.ring.Signer().Header()+"."+s.Payload+"."+s.Signature, start, verify.ErrSignature)
}

// foreignJWS is a JWS as a client makes it, e.g. a DPoP proof: its own key is
// in its header.
func foreignJWS(t testing.TB, key ed25519.PrivateKey, typ, payload string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key},
		(&jose.SignerOptions{EmbedJWK: true}).WithType(jose.ContentType(typ)))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(raw)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Each kind of token at each place that reads one: only its own takes it.
//
// Rows: 82, 83, 88, 184, A41, A55, A57
func TestEveryTokenKindAtEveryReader(t *testing.T) {
	w := newWorld(t, keyring.EdDSA, 10)
	codec := token.NewRefreshCodec(w.master.RefreshKeys()...)
	c := claims()
	refresh, err := codec.Seal(w.master.Current(), c.Session, c.Generation, token.Salt{1})
	if err != nil {
		t.Fatal(err)
	}
	csrfKey := w.master.CSRFKeys()[0]
	mac := hmac.New(sha256.New, csrfKey[:])
	mac.Write(c.Session[:])
	random := token.NewID()
	csrf := encode(append(random[:], mac.Sum(nil)...))
	access := w.issue(t, c)
	s := split(t, access)
	client := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	kinds := map[string]string{
		"access token": access, "refresh token": refresh.Reveal(), "session id": c.Session.String(), "master key": strings.TrimSpace(string(keyring.NewMasterText())),
		"CSRF token": csrf, "DPoP proof": foreignJWS(t, client, "dpop+jwt", s.Payload), "DBSC proof": foreignJWS(t, client, "dbsc+jwt", s.Payload),
		"ID token": w.forge(t, encode([]byte(`{"alg":"EdDSA","typ":"JWT"}`)), s.Payload), "logout token": w.forge(t, encode([]byte(`{"alg":"EdDSA","typ":"logout+jwt"}`)), s.Payload),
		"JWE":              s.Header + ".." + s.Payload + "." + s.Signature + "." + s.Signature,
		"flattened JSON":   fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, s.Header, s.Payload, s.Signature),
		"general JSON":     fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, s.Payload, s.Header, s.Signature),
		"polyglot":         access + `{"payload":"x"}`,
		"access in quotes": `"` + access + `"`, "with the scheme": "Bearer " + access, "access and refresh": access + refresh.Reveal(), "prefixed access": token.RefreshPrefix + access,
		"unsigned": s.Header + "." + s.Payload + ".", "detached": s.Header + ".." + s.Signature, "nothing": "",
	}
	readers := map[string]func(string) error{
		"access token":  func(raw string) error { _, err := w.Verify(raw, start); return err },
		"refresh token": func(raw string) error { _, err := codec.Open(raw); return err },
		"session id":    func(raw string) error { _, err := token.ParseID(raw); return err },
		"master key":    func(raw string) error { _, err := keyring.ParseMaster([]byte(raw)); return err },
	}
	for reader, read := range readers {
		for kind, raw := range kinds {
			if err := read(raw); (err == nil) != (kind == reader) {
				t.Errorf("a %s read as a %s: %v", kind, reader, err)
			}
		}
	}
}
