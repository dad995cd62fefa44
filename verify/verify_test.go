package verify_test

import (
	"context"
	"crypto/elliptic"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

// Who does not look at the binding gets no token that has one.
//
// Rows: 208, 209, A70
func TestBoundTokenIsRefusedToWhoProvesNoKey(t *testing.T) {
	w := newWorld(t, keyring.EdDSA, 10)
	for name, binding := range map[string]token.Confirmation{"DPoP": {Thumbprint: "thumb"}, "a device": {Device: "thumb"}} {
		c := claims()
		c.Binding = &binding
		raw := w.issue(t, c)
		for range 2 { // remembered, the second time
			if p, err := w.Verify(raw, start); p != nil || !errors.Is(err, verify.ErrBound) {
				t.Errorf("%s: %+v, %v", name, p, err)
			}
			if p, err := w.VerifyBound(raw, start); err != nil || p.Thumbprint+p.Device != "thumb" {
				t.Errorf("%s, for who proves it: %+v, %v", name, p, err)
			}
		}
	}
}

// Rows: 77, 78, 80, 81, 89
func TestVerifySaysWhatTheTokenSays(t *testing.T) {
	for _, alg := range []keyring.Algorithm{keyring.EdDSA, keyring.ES256, keyring.RS256} {
		w := newWorld(t, alg, 10)
		c := claims()
		c.Binding = &token.Confirmation{Thumbprint: "thumb"}
		got := accepted(t, w.Verifier, string(alg), w.issue(t, c), start)
		want := &verify.Principal{
			UserID: "u1", ClientID: "web", Session: c.Session, TokenID: c.ID, Generation: 3, Audience: audience, Scope: "read",
			Methods: []string{"pwd"}, AuthTime: start.Add(-time.Hour), IssuedAt: start, Expires: start.Add(life), Thumbprint: "thumb",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", alg, diff)
		}
		c.Binding = &token.Confirmation{Device: "browser"}
		if p := accepted(t, w.Verifier, "bound to a device", w.issue(t, c), start); p.Thumbprint != "" || p.Device != "browser" {
			t.Errorf("a token of a device is bound to %q, of the device %q", p.Thumbprint, p.Device)
		}
		c.Binding.Thumbprint = "thumb"
		if _, err := w.Verify(w.issue(t, c), start); !errors.Is(err, verify.ErrMalformed) {
			t.Errorf("a token that is bound to two keys: %v", err)
		}
		if plain := accepted(t, w.Verifier, "unbound", w.issue(t, claims()), start); plain.Thumbprint != "" {
			t.Errorf("an unbound token is bound to %q", plain.Thumbprint)
		}
	}
}

// The times hold to the nanosecond, seen before or not.
//
// Rows: 79, A62
func TestClockEdges(t *testing.T) {
	const ns = time.Nanosecond
	exp := start.Add(life)
	for name, tt := range map[string]struct {
		change func(*token.Claims)
		now    time.Time
		want   error
	}{
		"at issue":                      {nil, start, nil},
		"a second before exp":           {nil, exp.Add(-time.Second), nil},
		"at exp":                        {nil, exp, nil},
		"leeway after exp, less 1 ns":   {nil, exp.Add(leeway - ns), nil},
		"leeway after exp":              {nil, exp.Add(leeway), verify.ErrExpired},
		"a second after that":           {nil, exp.Add(leeway + time.Second), verify.ErrExpired},
		"years later":                   {nil, exp.AddDate(50, 0, 0), verify.ErrExpired},
		"leeway before iat":             {nil, start.Add(-leeway), nil},
		"leeway before iat, and 1 ns":   {nil, start.Add(-leeway - ns), verify.ErrNotYet},
		"years before":                  {nil, start.AddDate(-50, 0, 0), verify.ErrNotYet},
		"the zero time":                 {nil, time.Time{}, verify.ErrNotYet},
		"leeway before nbf":             {func(c *token.Claims) { c.NotBefore = start.Unix() + 60 }, start.Add(60*time.Second - leeway), nil},
		"leeway before nbf, and 1 ns":   {func(c *token.Claims) { c.NotBefore = start.Unix() + 60 }, start.Add(60*time.Second - leeway - ns), verify.ErrNotYet},
		"nbf before iat changes naught": {func(c *token.Claims) { c.NotBefore = start.Unix() - 60 }, start.Add(-leeway - ns), verify.ErrNotYet},
	} {
		for _, cache := range []int{0, 10} {
			w := newWorld(t, keyring.EdDSA, cache)
			c := claims()
			if tt.change != nil {
				tt.change(&c)
			}
			raw := w.issue(t, c)
			if cache > 0 {
				accepted(t, w.Verifier, "before", raw, start.Add(2*time.Minute))
			}
			if _, err := w.Verify(raw, tt.now); !errors.Is(err, tt.want) {
				t.Errorf("%s (cache of %d): %v, want %v", name, cache, err, tt.want)
			}
		}
	}
}

// Rows: 79
func TestNoLeewayMeansNone(t *testing.T) {
	w := newWorld(t, keyring.EdDSA, 0)
	config := w.config(0)
	config.Leeway = 0
	v, err := verify.New(config)
	if err != nil {
		t.Fatal(err)
	}
	raw := w.issue(t, claims())
	accepted(t, v, "at issue", raw, start)
	accepted(t, v, "just before exp", raw, start.Add(life-time.Nanosecond))
	refused(t, v, "at exp", raw, start.Add(life), verify.ErrExpired)
	refused(t, v, "just before iat", raw, start.Add(-time.Nanosecond), verify.ErrNotYet)
}

// A signature does not make up for a claim: each of these is signed by the
// issuer's own key under its own header.
//
// Rows: 77, 78, 79, 80, 82, 107, A57, A58, A63
func TestSignedButUnfit(t *testing.T) {
	w := newWorld(t, keyring.EdDSA, 10)
	for name, tt := range map[string]struct {
		change func(*token.Claims)
		want   error
	}{
		"another issuer":         {func(c *token.Claims) { c.Issuer = "https://evil.example" }, verify.ErrIssuer},
		"issuer with a slash":    {func(c *token.Claims) { c.Issuer += "/" }, verify.ErrIssuer},
		"issuer in another case": {func(c *token.Claims) { c.Issuer = strings.ToUpper(c.Issuer) }, verify.ErrIssuer},
		"issuer and more":        {func(c *token.Claims) { c.Issuer += ".evil" }, verify.ErrIssuer},
		"issuer looks alike":     {func(c *token.Claims) { c.Issuer = strings.Replace(c.Issuer, "o", "\u043e", 1) }, verify.ErrIssuer},
		"no issuer":              {func(c *token.Claims) { c.Issuer = "" }, verify.ErrIssuer},
		"another audience":       {func(c *token.Claims) { c.Audience = "https://api-2.example" }, verify.ErrAudience},
		"no audience":            {func(c *token.Claims) { c.Audience = "" }, verify.ErrAudience},
		"audience is the issuer": {func(c *token.Claims) { c.Audience = issuer }, verify.ErrAudience},
		"two audiences in one":   {func(c *token.Claims) { c.Audience += " https://api-2.example" }, verify.ErrAudience},
		"no subject":             {func(c *token.Claims) { c.Subject = "" }, verify.ErrMalformed},
		"no client":              {func(c *token.Claims) { c.ClientID = "" }, verify.ErrMalformed},
		"no token id":            {func(c *token.Claims) { c.ID = token.ID{} }, verify.ErrMalformed},
		"no session":             {func(c *token.Claims) { c.Session = token.ID{} }, verify.ErrMalformed},
		"no generation":          {func(c *token.Claims) { c.Generation = 0 }, verify.ErrMalformed},
		"no iat":                 {func(c *token.Claims) { c.IssuedAt = 0 }, verify.ErrMalformed},
		"negative iat":           {func(c *token.Claims) { c.IssuedAt = -1 }, verify.ErrMalformed},
		"no exp":                 {func(c *token.Claims) { c.Expires = 0 }, verify.ErrMalformed},
		"negative exp":           {func(c *token.Claims) { c.Expires = -1 }, verify.ErrMalformed},
		"exp is iat":             {func(c *token.Claims) { c.Expires = c.IssuedAt }, verify.ErrMalformed},
		"exp before iat":         {func(c *token.Claims) { c.Expires = c.IssuedAt - 1 }, verify.ErrMalformed},
		"exp in the year 10000":  {func(c *token.Claims) { c.Expires = 253402300800 }, verify.ErrMalformed},
		"the greatest exp":       {func(c *token.Claims) { c.Expires = 1<<63 - 1 }, verify.ErrMalformed},
		"the greatest times":     {func(c *token.Claims) { c.IssuedAt, c.Expires = 1<<63-2, 1<<63-1 }, verify.ErrMalformed},
		"negative nbf":           {func(c *token.Claims) { c.NotBefore = -1 }, verify.ErrMalformed},
		"the greatest nbf":       {func(c *token.Claims) { c.NotBefore = 1<<63 - 1 }, verify.ErrMalformed},
		"no auth_time":           {func(c *token.Claims) { c.AuthTime = 0 }, verify.ErrMalformed},
		"auth_time after iat":    {func(c *token.Claims) { c.AuthTime = c.IssuedAt + 1 }, verify.ErrMalformed},
		"bound to a key unnamed": {func(c *token.Claims) { c.Binding = &token.Confirmation{} }, verify.ErrMalformed},
		"issued in the far future": {func(c *token.Claims) {
			c.IssuedAt += 3600
			c.Expires += 3600
		}, verify.ErrNotYet},
	} {
		c := claims()
		tt.change(&c)
		refused(t, w.Verifier, name, w.issue(t, c), start, tt.want)
	}
	header := w.ring.Signer().Header()
	good := split(t, w.issue(t, claims())).Payload
	accepted(t, w.Verifier, "as a check of forge", w.forge(t, header, good), start)
	for name, payload := range map[string]string{
		"no payload": "", "not base64url": "!!!!", "padded": good + "=", "LF": good + "\n", "trailing bits": good[:len(good)-1] + "_",
		"no JSON": encode([]byte("x")), "null": encode([]byte("null")), "array": encode([]byte("[]")), "empty object": encode([]byte("{}")),
		"duplicate": encode([]byte(`{"sub":"a","sub":"b"}`)), "folded": encode([]byte(`{"sub":"a","SUB":"b"}`)),
	} {
		if p, err := w.Verify(w.forge(t, header, payload), start); err == nil || p != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if w.CacheLen() != 1 {
		t.Errorf("%d tokens are remembered, want the good one", w.CacheLen())
	}
}

// Tokens of another installation: its keys are not ours, whatever its name.
//
// Rows: 77, A57, A63
func TestTokenOfAnotherInstallation(t *testing.T) {
	w, other := newWorld(t, keyring.EdDSA, 10), newWorld(t, keyring.EdDSA, 10)
	raw := other.issue(t, claims())
	accepted(t, other.Verifier, "at home", raw, start)
	refused(t, w.Verifier, "abroad", raw, start, verify.ErrUnknownKey)
	s := split(t, raw)
	refused(t, w.Verifier, "under our header", w.ring.Signer().Header()+"."+s.Payload+"."+s.Signature, start, verify.ErrSignature)
}

// A wrong signature ends it: no claim is read, no session asked for.
//
// Rows: 71, A52
func TestSignatureComesBeforeClaims(t *testing.T) {
	for _, alg := range []keyring.Algorithm{keyring.EdDSA, keyring.ES256} {
		w := newWorld(t, alg, 10)
		good := split(t, w.issue(t, claims()))
		expired := claims()
		expired.IssuedAt, expired.Expires, expired.AuthTime = 1, 2, 1
		for name, payload := range map[string]string{
			"good": payloadOf(t, claims()), "expired": payloadOf(t, expired), "no JSON": encode([]byte("{")), "nothing": "", "not base64url": "=",
		} {
			refused(t, w.Verifier, name, good.Header+"."+payload+"."+good.Signature, start, verify.ErrSignature)
		}
		for name, signature := range map[string]string{
			"none": "", "null": encode(make([]byte, 64)), "short": good.Signature[:len(good.Signature)-2],
			"empty in JSON": encode([]byte(`""`)), "long": encode(make([]byte, 400)), "very long": strings.Repeat("A", 1500), "that of a hash": encode(make([]byte, 32)),
		} {
			refused(t, w.Verifier, name, good.Header+"."+good.Payload+"."+signature, start, verify.ErrSignature)
		}
		last := good.Signature[len(good.Signature)-1:]
		for name, signature := range map[string]string{
			"padded": good.Signature + "==", "LF": good.Signature + "\n", "CR LF inside": good.Signature[:9] + "\r\n" + good.Signature[9:],
			"space": " " + good.Signature, "trailing bits": good.Signature[:len(good.Signature)-1] + string(last[0]+1),
		} {
			refused(t, w.Verifier, name, good.Header+"."+good.Payload+"."+signature, start, verify.ErrMalformed)
		}
		if w.ended.asked != 0 || w.CacheLen() != 0 {
			t.Errorf("%s: %d sessions were asked for, %d tokens remembered", alg, w.ended.asked, w.CacheLen())
		}
	}
}

// Rows: 71, 84, A56
func TestEveryFlippedBitIsRefused(t *testing.T) {
	w := newWorld(t, keyring.EdDSA, 10)
	raw := w.issue(t, claims())
	accepted(t, w.Verifier, "unchanged", raw, start)
	for i := range len(raw) * 8 {
		flipped := []byte(raw)
		flipped[i/8] ^= 1 << (i % 8)
		if p, err := w.Verify(string(flipped), start); err == nil {
			t.Fatalf("bit %d flipped: accepted as %+v", i, p)
		}
	}
	for i := range raw {
		if _, err := w.Verify(raw[:i], start); err == nil {
			t.Fatalf("the first %d bytes are accepted", i)
		}
	}
}

// The other spelling of an ECDSA signature verifies, and is refused all the
// same once the session has ended: nothing is denied by a token's text.
//
// Rows: 91, 92, 93, A51, A56
func TestRevocationRefusesTheSignatureTwin(t *testing.T) {
	w := newWorld(t, keyring.ES256, 10)
	c := claims()
	raw := w.issue(t, c)
	s := split(t, raw)
	signature, err := token.AppendDecodedBase64URL(nil, s.Signature)
	if err != nil {
		t.Fatal(err)
	}
	n := elliptic.P256().Params().N
	new(big.Int).Sub(n, new(big.Int).SetBytes(signature[32:])).FillBytes(signature[32:])
	twin := s.Header + "." + s.Payload + "." + encode(signature)
	one, two := accepted(t, w.Verifier, "token", raw, start), accepted(t, w.Verifier, "twin", twin, start)
	if twin == raw || one.Session != two.Session || one.TokenID != two.TokenID {
		t.Fatal("not a twin")
	}
	w.ended.ended[c.Session] = true
	refused(t, w.Verifier, "token", raw, start, verify.ErrRevoked)
	refused(t, w.Verifier, "twin", twin, start, verify.ErrRevoked)
}

// Rows: 87, 107, A59
func TestSizeComesFirst(t *testing.T) {
	w := newWorld(t, keyring.EdDSA, 10)
	for name, raw := range map[string]string{
		"dots": strings.Repeat(".", 1<<20), "letters": strings.Repeat("A", 1<<20), "one over": strings.Repeat("A", token.MaxAccess+1),
		"a token and a megabyte": w.issue(t, claims()) + strings.Repeat("A", 1<<20),
	} {
		if n := testing.AllocsPerRun(10, func() { refused(t, w.Verifier, name, raw, start, verify.ErrMalformed) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if w.CacheLen() != 0 {
		t.Error("junk is remembered")
	}
}

// Revocations that cannot be read are a fault of the service, and refuse.
//
// Rows: 93, 94
func TestRevocationsAreAskedEachTime(t *testing.T) {
	w := newWorld(t, keyring.EdDSA, 10)
	c := claims()
	raw := w.issue(t, c)
	for range 3 {
		accepted(t, w.Verifier, "not ended", raw, start)
	}
	if w.ended.asked != 3 {
		t.Errorf("asked %d times, want 3", w.ended.asked)
	}
	w.ended.err = verify.ErrStale
	refused(t, w.Verifier, "stale", raw, start, verify.ErrStale)
	w.ended.err = nil
	w.ended.ended[c.Session] = true
	refused(t, w.Verifier, "ended", raw, start, verify.ErrRevoked)
	other := claims()
	other.Subject = c.Subject
	accepted(t, w.Verifier, "another session of the same user", w.issue(t, other), start)
}

// Rows: 77, 78, 79
func TestConfigReportsEveryFault(t *testing.T) {
	w := newWorld(t, keyring.EdDSA, 0)
	faults := func(c verify.Config) int {
		v, err := verify.New(c)
		if err == nil {
			return 0
		}
		if v != nil {
			t.Error("a verifier in spite of faults")
		}
		many, ok := errors.AsType[interface {
			error
			Unwrap() []error
		}](err)
		if !ok {
			t.Fatalf("%v is not a list of faults", err)
		}
		return len(many.Unwrap())
	}
	if n := faults(verify.Config{}); n != 4 {
		t.Errorf("the zero value has %d faults, want 4", n)
	}
	if n := faults(verify.Config{Leeway: -1, CacheSize: -1}); n != 6 {
		t.Errorf("%d faults, want 6", n)
	}
	for name, change := range map[string]func(*verify.Config){
		"no issuer":        func(c *verify.Config) { c.Issuer = "" },
		"no audience":      func(c *verify.Config) { c.Audience = "" },
		"no keys":          func(c *verify.Config) { c.Keys = nil },
		"no revocations":   func(c *verify.Config) { c.Revocations = nil },
		"negative leeway":  func(c *verify.Config) { c.Leeway = -1 },
		"much leeway":      func(c *verify.Config) { c.Leeway = verify.MaxLeeway + 1 },
		"negative cache":   func(c *verify.Config) { c.CacheSize = -1 },
		"enormous cache":   func(c *verify.Config) { c.CacheSize = verify.MaxCacheSize + 1 },
		"leeway of an age": func(c *verify.Config) { c.Leeway = 1<<63 - 1 },
	} {
		c := w.config(0)
		change(&c)
		if n := faults(c); n != 1 {
			t.Errorf("%s: %d faults, want 1", name, n)
		}
	}
	c := w.config(0)
	c.Leeway = verify.MaxLeeway
	if n := faults(c); n != 0 {
		t.Errorf("the greatest leeway: %d faults", n)
	}
}

func TestContext(t *testing.T) {
	if p, ok := verify.FromContext(context.Background()); ok || p != nil {
		t.Error("somebody is there without having been put there")
	}
	want := &verify.Principal{UserID: "u1"}
	if p, ok := verify.FromContext(verify.NewContext(t.Context(), want)); !ok || p != want {
		t.Error("another principal comes back")
	}
}
