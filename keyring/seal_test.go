package keyring_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/keyring/keyringtest"
	"github.com/pawlauth/pawl/token"
)

// Whatever is changed in a row that holds a private key, or exchanged with
// another row, the ring refuses to start, and says that it is the store.
//
// Rows: 191, 193
func TestSealedKeyOpensOnlyInItsOwnRow(t *testing.T) {
	for _, alg := range []keyring.Algorithm{keyring.EdDSA, keyring.ES256} {
		c, m := newClock(), newMaster(t)
		s := keyringtest.NewStore(c.Now)
		o := options()
		o.Algorithm = alg
		r := open(t, s, m, o)
		if _, err := r.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		a, n := in(t, s, keyring.Active), in(t, s, keyring.Next)
		for name, spoil := range map[string]func(a, n *keyring.Record){
			"ciphertexts exchanged":  func(a, n *keyring.Record) { a.Sealed, n.Sealed = n.Sealed, a.Sealed },
			"public keys exchanged":  func(a, n *keyring.Record) { a.Public, n.Public = n.Public, a.Public },
			"headers exchanged":      func(a, n *keyring.Record) { a.Header, n.Header = n.Header, a.Header },
			"ids exchanged":          func(a, n *keyring.Record) { a.ID, n.ID = n.ID, a.ID },
			"another's whole pair":   func(a, n *keyring.Record) { a.Sealed, a.Public = n.Sealed, n.Public },
			"another's public key":   func(a, n *keyring.Record) { a.Public = n.Public },
			"ciphertext copied":      func(a, n *keyring.Record) { n.Sealed = a.Sealed },
			"no ciphertext":          func(a, n *keyring.Record) { a.Sealed = nil },
			"ciphertext cut off":     func(a, n *keyring.Record) { a.Sealed = a.Sealed[:11] },
			"ciphertext shortened":   func(a, n *keyring.Record) { a.Sealed = a.Sealed[:len(a.Sealed)-1] },
			"nonce changed":          func(a, n *keyring.Record) { a.Sealed[0] ^= 1 },
			"ciphertext changed":     func(a, n *keyring.Record) { a.Sealed[20] ^= 1 },
			"tag changed":            func(a, n *keyring.Record) { a.Sealed[len(a.Sealed)-1] ^= 1 },
			"public key is no key":   func(a, n *keyring.Record) { a.Public = []byte("junk") },
			"header changed":         func(a, n *keyring.Record) { a.Header += "A" },
			"id changed":             func(a, n *keyring.Record) { a.ID += "A" },
			"the same key two times": func(a, n *keyring.Record) { state := n.State; *n = *a; n.State = state },
		} {
			a, n := clone(a), clone(n)
			spoil(&a, &n)
			if _, err := keyring.Open(t.Context(), keyringtest.NewStore(c.Now, a, n), m, o); !errors.Is(err, keyring.ErrDamaged) {
				t.Errorf("%s, %s: %v", alg, name, err)
			}
		}
		other := clone(a)
		other.Master[0]++
		if _, err := keyring.Open(t.Context(), keyringtest.NewStore(c.Now, other, n), m, o); !errors.Is(err, keyring.ErrWrongMaster) {
			t.Errorf("%s, master id changed: %v", alg, err)
		}
		open(t, keyringtest.NewStore(c.Now, clone(a), clone(n)), m, o) // unspoiled, it opens
	}
}

func clone(r keyring.Record) keyring.Record {
	r.Public, r.Sealed = slices.Clone(r.Public), slices.Clone(r.Sealed)
	return r
}

// A seal is never repeated: the nonce is random.
//
// Rows: 191
func TestSealsDiffer(t *testing.T) {
	m := newMaster(t)
	seen := make(map[string]bool)
	for range 20 {
		s := keyringtest.NewStore(newClock().Now)
		open(t, s, m, options())
		nonce := string(in(t, s, keyring.Active).Sealed[:12])
		if seen[nonce] {
			t.Fatal("a nonce came twice")
		}
		seen[nonce] = true
	}
}

func public(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// A key that is weak, or of another algorithm than its row says, does not get
// into the ring, whatever state it is in.
//
// Rows: 73, 89, 90, 192, A47, A60
func TestWeakOrMismatchedKeyIsRefused(t *testing.T) {
	ed := ed25519.NewKeyFromSeed(make([]byte, 32)).Public()
	p256, p384 := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384())
	n := func(bits uint) *big.Int { // an odd number of so many bits
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		return n.Add(n, big.NewInt(1))
	}
	rsaKey := func(bits uint, e int) *rsa.PublicKey { return &rsa.PublicKey{N: n(bits), E: e} }
	for name, tt := range map[string]struct {
		alg  keyring.Algorithm
		der  []byte
		good bool
	}{
		"Ed25519":                   {keyring.EdDSA, public(t, ed), true},
		"P-256":                     {keyring.ES256, public(t, p256), true},
		"RSA 3072":                  {keyring.RS256, public(t, rsaKey(3072, 65537)), true},
		"RSA 2048":                  {keyring.RS256, public(t, rsaKey(2048, 65537)), false},
		"RSA 3071":                  {keyring.RS256, public(t, rsaKey(3071, 65537)), false},
		"RSA 1024":                  {keyring.RS256, public(t, rsaKey(1024, 65537)), false},
		"RSA with exponent 3":       {keyring.RS256, public(t, rsaKey(3072, 3)), false},
		"P-384":                     {keyring.ES256, public(t, p384), false},
		"P-256 said to be Ed25519":  {keyring.EdDSA, public(t, p256), false},
		"Ed25519 said to be P-256":  {keyring.ES256, public(t, ed), false},
		"Ed25519 said to be RSA":    {keyring.RS256, public(t, ed), false},
		"RSA said to be P-256":      {keyring.ES256, public(t, rsaKey(3072, 65537)), false},
		"Ed25519 for HS256":         {"HS256", public(t, ed), false},
		"Ed25519 for none":          {"none", public(t, ed), false},
		"Ed25519 for no algorithm":  {"", public(t, ed), false},
		"Ed25519 in another case":   {"eddsa", public(t, ed), false},
		"P-256 point off the curve": {keyring.ES256, offCurve(public(t, p256)), false},
	} {
		c := newClock()
		record := keyring.Record{ID: "k", Algorithm: tt.alg, Header: "h", Public: tt.der, State: keyring.Retiring, DueAt: c.Now().Add(time.Hour)}
		s := keyringtest.NewStore(c.Now, record)
		_, err := keyring.Open(t.Context(), s, newMaster(t), options())
		if tt.good != (err == nil) || (err != nil && !errors.Is(err, keyring.ErrAlgorithm) && !errors.Is(err, keyring.ErrDamaged)) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && len(stored(t, s)) != 1 {
			t.Errorf("%s: refused, but a key was made", name)
		}
	}
}

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PublicKey {
	t.Helper()
	scalar := make([]byte, (curve.Params().BitSize+7)/8)
	scalar[len(scalar)-1] = 5
	key, err := ecdsa.ParseRawPrivateKey(curve, scalar)
	if err != nil {
		t.Fatal(err)
	}
	return &key.PublicKey
}

// offCurve changes the y coordinate, which ends the encoding.
func offCurve(der []byte) []byte {
	der = slices.Clone(der)
	der[len(der)-1] ^= 1
	return der
}

// RS256 must be asked for by its long name, and works then.
//
// Rows: 89
func TestRS256OnlyWithTheOption(t *testing.T) {
	s := keyringtest.NewStore(newClock().Now)
	o := options()
	o.Algorithm = keyring.RS256
	if _, err := keyring.Open(t.Context(), s, newMaster(t), o); !errors.Is(err, keyring.ErrAlgorithm) {
		t.Errorf("without the option: %v", err)
	}
	if len(stored(t, s)) != 0 {
		t.Error("a key was made")
	}
	o.DangerouslySignWithRS256 = true
	r := open(t, s, newMaster(t), o)
	if one := sign(t, r); len(one.signature) != 384 || !one.verifies(r) {
		t.Error("with the option, it does not work")
	}
}

var p256Order = elliptic.P256().Params().N

// Rows: 91, A51, A52
func TestES256SignatureEdges(t *testing.T) {
	o := options()
	o.Algorithm = keyring.ES256
	r := open(t, keyringtest.NewStore(newClock().Now), newMaster(t), o)
	one := sign(t, r)
	k := r.Set().Lookup(one.header)
	if !one.verifies(r) || len(one.signature) != 64 {
		t.Fatal("the untouched signature does not verify")
	}
	rr, ss := new(big.Int).SetBytes(one.signature[:32]), new(big.Int).SetBytes(one.signature[32:])
	pair := func(r, s *big.Int) []byte {
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	zero, ones, n := new(big.Int), big.NewInt(1), p256Order
	less, all := new(big.Int).Sub(n, ones), new(big.Int).Sub(new(big.Int).Lsh(ones, 256), ones)
	for name, signature := range map[string][]byte{
		"nothing": {}, "one byte": {0}, "r only": one.signature[:32], "a byte short": one.signature[:63],
		"a byte long": append(slices.Clone(one.signature), 0), "a zero between": slices.Concat(one.signature[:32], []byte{0}, one.signature[32:]), "a zero before": append([]byte{0}, one.signature...), "twice": append(slices.Clone(one.signature), one.signature...),
		"0, 0": pair(zero, zero), "0, s": pair(zero, ss), "r, 0": pair(rr, zero), "0, 1": pair(zero, ones), "1, 0": pair(ones, zero), "1, 1": pair(ones, ones),
		"n, s": pair(n, ss), "r, n": pair(rr, n), "n, n": pair(n, n), "n, 0": pair(n, zero), "n-1, n-1": pair(less, less), "n-1, s": pair(less, ss), "r, n-1": pair(rr, less),
		"all ones": pair(all, all), "s, r": pair(ss, rr), "n-r, s": pair(new(big.Int).Sub(n, rr), ss),
		"DER": derOf(rr, ss),
	} {
		if k.Verify(one.message, signature) {
			t.Errorf("%s verifies", name)
		}
	}
	for i := range len(one.signature) * 8 {
		flipped := slices.Clone(one.signature)
		flipped[i/8] ^= 1 << (i % 8)
		if k.Verify(one.message, flipped) {
			t.Errorf("with bit %d flipped it verifies", i)
		}
	}
	// The twin verifies: a signature has two spellings, which is why nothing
	// is ever denied by the text of a token.
	if !k.Verify(one.message, pair(rr, new(big.Int).Sub(n, ss))) {
		t.Error("(r, n-s) does not verify; the mathematics says otherwise")
	}
}

// derOf is the form of a signature in X.509, which JWS does not use.
func derOf(r, s *big.Int) []byte {
	out := []byte{0x30, 0}
	for _, v := range []*big.Int{r, s} {
		b := append([]byte{0}, v.Bytes()...)
		out = append(append(out, 2, byte(len(b))), b...)
	}
	out[1] = byte(len(out) - 2)
	return out
}

// Rows: 91, A51, A52
func TestEdDSASignatureEdges(t *testing.T) {
	r := open(t, keyringtest.NewStore(newClock().Now), newMaster(t), options())
	one := sign(t, r)
	k := r.Set().Lookup(one.header)
	for n := range len(one.signature) {
		if k.Verify(one.message, one.signature[:n]) {
			t.Errorf("the first %d bytes verify", n)
		}
	}
	for i := range len(one.signature) * 8 {
		flipped := slices.Clone(one.signature)
		flipped[i/8] ^= 1 << (i % 8)
		if k.Verify(one.message, flipped) {
			t.Errorf("with bit %d flipped it verifies", i)
		}
	}
	// S + L is the twin that RFC 8032 §5.1.7 rules out.
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := slices.Clone(one.signature[32:])
	slices.Reverse(s)
	twin := new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	slices.Reverse(twin)
	for name, signature := range map[string][]byte{
		"zeros": make([]byte, 64), "long": append(slices.Clone(one.signature), 0), "S + L": append(slices.Clone(one.signature[:32]), twin...),
	} {
		if k.Verify(one.message, signature) {
			t.Errorf("%s verifies", name)
		}
	}
}

// The errors that a broken store causes quote neither ciphertext nor key.
//
// Rows: 193, 238
func TestEverySealErrorIsTheSame(t *testing.T) {
	m, c := newMaster(t), newClock()
	s := keyringtest.NewStore(c.Now)
	open(t, s, m, options())
	good := in(t, s, keyring.Active)
	texts := make(map[string]bool)
	for i := range good.Sealed {
		bad := clone(good)
		bad.Sealed[i] ^= 0x80
		_, err := keyring.Open(t.Context(), keyringtest.NewStore(c.Now, bad), m, options())
		if !errors.Is(err, keyring.ErrDamaged) {
			t.Fatalf("byte %d: %v", i, err)
		}
		texts[err.Error()] = true
	}
	if len(texts) != 1 {
		t.Errorf("%d different errors tell where the ciphertext is wrong", len(texts))
	}
}

var _ token.Signer = (*keyring.Signer)(nil)
