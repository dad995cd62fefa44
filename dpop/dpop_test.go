package dpop_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/dpop"
	"github.com/pawlauth/pawl/dpop/client"
	"github.com/pawlauth/pawl/token"
)

// The proofs of RFC 9449 §4.1 and §7.1, and the access token of the latter.
const (
	rfcProof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	rfcUse   = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
	rfcToken = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
	rfcKey   = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
)

// Rows: 201, 202, 203, 208
func TestExamplesOfTheStandard(t *testing.T) {
	p, err := dpop.Parse(rfcProof)
	if err != nil {
		t.Fatal(err)
	}
	want := dpop.Proof{Thumbprint: rfcKey, ID: "-BwC3ESc6acc2lTc", Method: "POST", URL: "https://server.example.com/token", IssuedAt: time.Unix(1562262616, 0)}
	if *p != want {
		t.Errorf("§4.1: %+v, want %+v", *p, want)
	}
	p, err = dpop.Parse(rfcUse)
	if err != nil {
		t.Fatal(err)
	}
	if p.TokenHash != dpop.HashOf(rfcToken) || p.URL != "https://resource.example.org/protectedresource" || p.Thumbprint != rfcKey {
		t.Errorf("§7.1: %+v", *p)
	}
}

var (
	start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	begun = start.Add(-time.Hour) // the memory of used proofs
)

const target = "https://app.example/things"

type world struct {
	*dpop.Verifier
	key    *ecdsa.PrivateKey
	memory *dpop.Memory
}

func newWorld(t testing.TB) *world {
	t.Helper()
	nonces, err := dpop.NewNonces([][32]byte{{1}}, begun)
	must(t, err)
	memory, err := dpop.NewMemory(dpop.MinMemory)
	must(t, err)
	v, err := dpop.New(dpop.Options{Nonces: nonces, Replays: memory})
	must(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return &world{v, key, memory}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func (w *world) jwk() string {
	text, _ := jose.JSONWebKey{Key: w.key.Public()}.MarshalJSON()
	return string(text)
}

func (w *world) header() string { return `{"typ":"dpop+jwt","alg":"ES256","jwk":` + w.jwk() + `}` }

func (w *world) claims(extra string) string {
	return fmt.Sprintf(`{"jti":%q,"htm":"GET","htu":%q,"iat":%d,"ath":%q,"nonce":%q%s}`,
		token.NewID().String(), target, start.Unix(), dpop.HashOf("access"), w.Nonces.Newest(start), extra)
}

// sign signs whatever it is given.
func (w *world) sign(header, claims string) string {
	text := b64(header) + "." + b64(claims)
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, w.key, digest[:])
	if err != nil {
		panic(err)
	}
	out := make([]byte, 64)
	r.FillBytes(out[:32])
	s.FillBytes(out[32:])
	return text + "." + b64(string(out))
}

func (w *world) thumbprint() string {
	print, _ := (&jose.JSONWebKey{Key: w.key.Public()}).Thumbprint(crypto.SHA256)
	return b64(string(print))
}

func (w *world) target() dpop.Target {
	return dpop.Target{Method: "GET", URLs: []string{target}, Token: "access", Thumbprint: w.thumbprint()}
}

// Every check of RFC 9449 §4.3 has a proof that fails it alone.
//
// Rows: 201, 202, 203, 204, 205, 206, 208, 212, 213, A69, A71, A74
func TestEveryCheckOfAProof(t *testing.T) {
	w := newWorld(t)
	good := w.sign(w.header(), w.claims(""))
	if _, err := w.Check([]string{good}, w.target(), start); err != nil {
		t.Fatal(err)
	}
	head := func(old, with string) string {
		changed := strings.Replace(w.header(), old, with, 1)
		if changed == w.header() {
			t.Fatalf("no %q in the header", old)
		}
		return w.sign(changed, w.claims(""))
	}
	body := func(old, with string) string {
		changed := strings.Replace(w.claims(""), old, with, 1)
		if changed == w.claims("") || !strings.Contains(w.claims(""), old) {
			t.Fatalf("no %q in the claims", old)
		}
		return w.sign(w.header(), changed)
	}
	without := func(name string) string {
		text := w.claims("")
		i := strings.Index(text, `"`+name+`":`)
		j := i + strings.IndexAny(text[i:], ",}")
		return w.sign(w.header(), strings.Replace(strings.Replace(text[:i]+text[j:], "{,", "{", 1), ",,", ",", 1))
	}
	mac := func(alg string) string {
		text := b64(strings.Replace(w.header(), "ES256", alg, 1)) + "." + b64(w.claims(""))
		m := hmac.New(sha256.New, []byte(w.jwk()))
		m.Write([]byte(text))
		return text + "." + b64(string(m.Sum(nil)))
	}
	parts := strings.Split(good, ".")
	other := newWorld(t)
	strangers := w.sign(strings.Replace(w.header(), w.jwk(), other.jwk(), 1), w.claims(""))
	private, _ := jose.JSONWebKey{Key: w.key}.MarshalJSON()
	point, err := w.key.PublicKey.Bytes() // 4, x, y
	must(t, err)
	y := string(point[33:])
	beside := y[:31] + string([]byte{y[31] ^ 1})
	resource, err := dpop.NewNonces([][32]byte{{2}}, begun)
	must(t, err)
	newest := w.Nonces.Newest(start)
	iat := fmt.Sprintf(`"iat":%d`, start.Unix())
	at := func(d time.Duration) string { return body(iat, fmt.Sprintf(`"iat":%d`, start.Add(d).Unix())) }
	for _, c := range []struct {
		name  string
		lines []string
		want  error
	}{
		{"none", nil, dpop.ErrMissing},
		{"an empty one", []string{""}, dpop.ErrMissing},
		{"two", []string{good, good}, dpop.ErrRepeated},
		{"a comma list", []string{good + ", " + good}, dpop.ErrMalformed},
		{"the JSON form", []string{`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`}, dpop.ErrMalformed},
		{"two parts", []string{parts[0] + "." + parts[1]}, dpop.ErrMalformed},
		{"no signature", []string{parts[0] + "." + parts[1] + "."}, dpop.ErrMalformed},
		{"padding", []string{good + "="}, dpop.ErrMalformed},
		{"a line break", []string{parts[0] + "\n." + parts[1] + "." + parts[2]}, dpop.ErrMalformed},
		{"100 kB of key", []string{head(`"alg":"ES256",`, `"alg":"ES256","x":"`+strings.Repeat("A", 100_000)+`",`)}, dpop.ErrMalformed},
		{"1 MB of jti", []string{body(`"htm"`, `"jtj":"`+strings.Repeat("A", 1_000_000)+`","htm"`)}, dpop.ErrMalformed},
		{"a name twice in the header", []string{head(`"alg":"ES256"`, `"alg":"ES256","alg":"ES256"`)}, dpop.ErrMalformed},
		{"a name twice in the claims", []string{body(`"htm":"GET"`, `"htm":"POST","htm":"GET"`)}, dpop.ErrMalformed},
		{"a name in another case", []string{body(`"htm"`, `"HTM"`)}, dpop.ErrClaims},
		{"type JWT", []string{head("dpop+jwt", "JWT")}, dpop.ErrType},
		{"type at+jwt", []string{head("dpop+jwt", "at+jwt")}, dpop.ErrType},
		{"no type", []string{head(`"typ":"dpop+jwt",`, "")}, dpop.ErrType},
		{"alg none", []string{b64(strings.Replace(w.header(), "ES256", "none", 1)) + "." + parts[1] + "." + parts[2]}, dpop.ErrAlgorithm},
		{"alg HS256", []string{mac("HS256")}, dpop.ErrAlgorithm},
		{"alg RS256", []string{head("ES256", "RS256")}, dpop.ErrAlgorithm},
		{"alg in another case", []string{head("ES256", "es256")}, dpop.ErrAlgorithm},
		{"alg of another key", []string{head("ES256", "EdDSA")}, dpop.ErrSignature},
		{"crit", []string{head(`"alg"`, `"crit":["b64"],"b64":false,"alg"`)}, dpop.ErrMalformed},
		{"jku", []string{head(`"alg"`, `"jku":"https://evil.example","alg"`)}, dpop.ErrMalformed},
		{"no key", []string{head(`,"jwk":`+w.jwk(), "")}, dpop.ErrKey},
		{"a private key", []string{head(w.jwk(), string(private))}, dpop.ErrKey},
		{"a point off the curve", []string{head(b64(y), b64(beside))}, dpop.ErrKey},
		{"an RSA key", []string{head(w.jwk(), `{"kty":"RSA","n":"AQAB","e":"AQAB"}`)}, dpop.ErrKey},
		{"a symmetric key", []string{head(w.jwk(), `{"kty":"oct","k":"AQAB"}`)}, dpop.ErrKey},
		{"another curve", []string{head("P-256", "P-521")}, dpop.ErrKey},
		{"a stranger's key in the header", []string{strangers}, dpop.ErrSignature},
		{"another payload", []string{parts[0] + "." + b64(w.claims(`,"x":1`)) + "." + parts[2]}, dpop.ErrSignature},
		{"no jti", []string{without("jti")}, dpop.ErrClaims},
		{"a long jti", []string{body(`"jti":"`, `"jti":"`+strings.Repeat("A", 300))}, dpop.ErrClaims},
		{"no htm", []string{without("htm")}, dpop.ErrClaims},
		{"no htu", []string{without("htu")}, dpop.ErrClaims},
		{"no iat", []string{body(iat+",", "")}, dpop.ErrClaims},
		{"iat as text", []string{body(iat, `"iat":"1"`)}, dpop.ErrMalformed},
		{"another method", []string{body(`"GET"`, `"POST"`)}, dpop.ErrMethod},
		{"the method in another case", []string{body(`"GET"`, `"get"`)}, dpop.ErrMethod},
		{"another host", []string{body("app.example", "evil.example")}, dpop.ErrURL},
		{"another path", []string{body("/things", "/others")}, dpop.ErrURL},
		{"a slash at the end", []string{body("/things", "/things/")}, dpop.ErrURL},
		{"plain http", []string{body("https:", "http:")}, dpop.ErrURL},
		{"a user in the URL", []string{body("//app", "//app@app")}, dpop.ErrURL},
		{"an hour ahead", []string{at(time.Hour)}, dpop.ErrTime},
		{"31 s ahead", []string{at(dpop.MaxAhead + time.Second)}, dpop.ErrTime},
		{"too old", []string{at(-dpop.MaxAge - time.Second)}, dpop.ErrTime},
		{"30 s ahead", []string{at(dpop.MaxAhead)}, nil},
		{"as old as may be", []string{at(-dpop.MaxAge)}, nil},
		{"no ath", []string{without("ath")}, dpop.ErrToken},
		{"of another token", []string{body(dpop.HashOf("access"), dpop.HashOf("other"))}, dpop.ErrToken},
		{"another key", []string{other.sign(other.header(), w.claims(""))}, dpop.ErrOtherKey},
		{"no nonce", []string{body(`,"nonce":"`+newest+`"`, "")}, dpop.ErrNonce},
		{"an invented nonce", []string{body(newest, newest[:31]+"A")}, dpop.ErrNonce},
		{"a nonce of another purpose", []string{body(newest, resource.Newest(start))}, dpop.ErrNonce},
		{"an old nonce", []string{body(newest, w.Nonces.Newest(start.Add(-dpop.NonceLife)))}, dpop.ErrNonce},
		{"a nonce of the future", []string{body(newest, w.Nonces.Newest(start.Add(6*time.Second)))}, dpop.ErrNonce},
		{"a nonce of a minute ago", []string{body(newest, w.Nonces.Newest(start.Add(-time.Minute)))}, nil},
		{"a claim of somebody else's", []string{w.sign(w.header(), w.claims(`,"x":{}`))}, nil},
	} {
		if _, err := w.Check(c.lines, w.target(), start); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// Rows: 205
func TestURLsAreComparedInOneSpelling(t *testing.T) {
	for _, c := range [][2]string{
		{"HTTPS://App.Example:443/things", "https://app.example/things"},
		{"http://localhost:80", "http://localhost/"},
		{"https://app.example/a%7Eb%2fc?q#f", "https://app.example/a~b%2Fc"},
		{"https://app.example/a/./b/../c/", "https://app.example/a/c/"},
		{"https://app.example/..", "https://app.example/"},
		{"https://app.example/a//b", "https://app.example/a//b"},
		{"https://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443/"},
		{"ftp://app.example/", ""}, {"/things", ""}, {"https:///things", ""}, {"https://u@app.example/", ""},
		{"https://app.example/\\", ""}, {"https://app.example/ü", ""}, {"https://app.example/%zz", ""}, {"", ""},
	} {
		if got, _ := dpop.NormalizeURL(c[0]); got != c[1] {
			t.Errorf("%q is %q, want %q", c[0], got, c[1])
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text := "https://app.example/" + rapid.StringMatching(`[a-z./%~2Ff7eE]{0,12}`).Draw(t, "path")
		if once, ok := dpop.NormalizeURL(text); ok {
			if twice, _ := dpop.NormalizeURL(once); twice != once {
				t.Fatalf("%q is %q, then %q", text, once, twice)
			}
		}
	})
}

// A key of either algorithm makes proofs that are taken.
func TestClientKeys(t *testing.T) {
	w := newWorld(t)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	for _, signer := range []crypto.Signer{w.key, edwards} {
		key, err := client.KeyOf(signer)
		must(t, err)
		proof, err := key.Proof("GET", target+"?q=1", "access", w.Nonces.Newest(start), start)
		must(t, err)
		to := w.target()
		to.Thumbprint = key.Thumbprint()
		if _, err := w.Check([]string{proof}, to, start); err != nil {
			t.Errorf("%T: %v", signer, err)
		}
		if text := fmt.Sprintf("%v %+v %#v", key, key, key); text != "[redacted] [redacted] [redacted]" {
			t.Errorf("prints as %s", text)
		}
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	if _, err := client.KeyOf(p384); err == nil {
		t.Error("a key on P-384 is taken")
	}
}

// Rows: 207, A68
func TestAProofIsUsedOnce(t *testing.T) {
	w := newWorld(t)
	p, err := w.Check([]string{w.sign(w.header(), w.claims(""))}, w.target(), start)
	must(t, err)
	good := 0
	var mu sync.Mutex
	var wait sync.WaitGroup
	for range 32 {
		wait.Go(func() {
			err := w.Spend(t.Context(), p, start)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				good++
			} else if !errors.Is(err, dpop.ErrReplayed) {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if good != 1 {
		t.Errorf("%d of 32 uses of one proof are good", good)
	}
	for _, later := range []time.Duration{time.Second, dpop.NonceLife - time.Second, dpop.Window - time.Second} {
		if err := w.Spend(t.Context(), p, start.Add(later)); !errors.Is(err, dpop.ErrReplayed) {
			t.Errorf("after %v: %v", later, err)
		}
	}
}

// One key fills its share, and no other is refused for it. Nothing is forgotten that
// could be used again, and everything else is.
//
// Rows: 207, A72
func TestAFloodOfAMillionProofs(t *testing.T) {
	m, err := dpop.NewMemory(dpop.MinMemory * 64)
	must(t, err)
	use := func(key string, n uint64, now time.Time) error {
		u := dpop.Use{Thumbprint: key, Until: now.Add(dpop.NonceLife)}
		binary.BigEndian.PutUint64(u.Fingerprint[:], n)
		return m.Use(t.Context(), u, now)
	}
	full := 0
	for n := range uint64(100_000) {
		if errors.Is(use("loud", n, start), dpop.ErrFull) {
			full++
		}
	}
	if full != 100_000-dpop.MinMemory {
		t.Errorf("%d proofs of one key are refused", full)
	}
	refused := 0
	for n := range uint64(10_000) {
		if use(fmt.Sprint("quiet", n), n+1<<32, start) != nil {
			refused++
		}
	}
	if refused > 0 {
		t.Errorf("%d of 10000 other keys are refused", refused)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for n := range uint64(1_000_000) {
		use(fmt.Sprint("key", n%10_000), n, start.Add(time.Duration(n/5000)*time.Second))
		if n%100_000 == 0 && m.Len() > dpop.MinMemory*64 {
			t.Fatalf("%d proofs are remembered", m.Len())
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("a million proofs take %d MB", grown>>20)
	}
	if err := use("loud", 0, start.Add(2*dpop.NonceLife+time.Hour)); err != nil {
		t.Errorf("after the flood: %v", err)
	}
	runtime.KeepAlive(m)
}

// Rows: 212, 215
func TestNoncesAreSharedByNodes(t *testing.T) {
	one, err := dpop.NewNonces([][32]byte{{7}, {1}}, begun)
	must(t, err)
	w := newWorld(t) // has key 1 alone, as a node that does not know the new key yet would
	text := strings.Replace(w.claims(""), w.Nonces.Newest(start), one.Newest(start), 1)
	if _, err := w.Check([]string{w.sign(w.header(), text)}, w.target(), start); !errors.Is(err, dpop.ErrNonce) {
		t.Errorf("a nonce of a key that is not known: %v", err)
	}
	v, err := dpop.New(dpop.Options{Nonces: one, Replays: w.memory})
	must(t, err)
	if _, err := v.Check([]string{w.sign(w.header(), w.claims(""))}, w.target(), start); err != nil {
		t.Errorf("a nonce of the older key: %v", err)
	}
	if a, b := one.Newest(start), one.Newest(start.Add(time.Second)); a == b || len(a) != 32 {
		t.Errorf("nonces %q and %q", a, b)
	}
}

// What was used before the start is not remembered, so that a nonce of before is
// none; those of the second of the start are not, whose half may be of before.
//
// Rows: 207, 213, A68
func TestARestartTakesNoProofAgain(t *testing.T) {
	before := newWorld(t)
	used := before.sign(before.header(), before.claims(""))
	for _, since := range []time.Duration{0, 300 * time.Millisecond, time.Second, time.Minute} {
		now := start.Add(since)
		nonces, err := dpop.NewNonces([][32]byte{{1}}, now)
		must(t, err)
		memory, err := dpop.NewMemory(dpop.MinMemory)
		must(t, err)
		after, err := dpop.New(dpop.Options{Nonces: nonces, Replays: memory})
		must(t, err)
		if _, err := after.Check([]string{used}, before.target(), now); !errors.Is(err, dpop.ErrNonce) {
			t.Errorf("%v after: %v, want ErrNonce", since, err)
		}
		// Who is asked for another is served at once.
		fresh := strings.Replace(before.claims(""), before.Nonces.Newest(start), nonces.Newest(now), 1)
		if _, err := after.Check([]string{before.sign(before.header(), fresh)}, before.target(), now); err != nil {
			t.Errorf("%v after, with the nonce of the new process: %v", since, err)
		}
	}
	if _, err := dpop.NewNonces([][32]byte{{1}}, time.Time{}); err == nil {
		t.Error("nonces since no time")
	}
}

// What is parsed was one compact JWS with all that it must have.
func FuzzParse(f *testing.F) {
	w := newWorld(f)
	for _, seed := range []string{rfcProof, rfcUse, w.sign(w.header(), w.claims("")), w.sign(w.header(), `{"iat":1e400}`), "a.b.c", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := dpop.Parse(raw)
		if err != nil {
			if !errors.Is(err, dpop.ErrProof) {
				t.Errorf("error %v", err)
			}
			return
		}
		if len(raw) > dpop.MaxProof || !dpop.IsThumbprint(p.Thumbprint) || p.ID == "" || p.Method == "" || p.IssuedAt.Unix() < 0 {
			t.Errorf("%q is taken for %+v", raw, p)
		}
		if again, ok := dpop.NormalizeURL(p.URL); !ok || again != p.URL {
			t.Errorf("URL %q is not normalised", p.URL)
		}
	})
}
