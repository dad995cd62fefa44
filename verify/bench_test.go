package verify_test

import (
	"crypto/ed25519"
	"testing"

	"github.com/pawlauth/pawl/keyring"
)

// Tokens that BenchmarkVerifyFresh goes round, and what the cache holds: less
// than 1 in 100, since its policy keeps some of them however often it turns over.
const benchTokens, benchCache = 8192, 64

// BenchmarkEd25519Verify is the floor of BenchmarkVerifyFresh: the signature
// alone, over the same bytes.
func BenchmarkEd25519Verify(b *testing.B) {
	w := newWorld(b, keyring.EdDSA, 0)
	s := split(b, w.issue(b, claims()))
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	message := []byte(s.Header + "." + s.Payload)
	signature := ed25519.Sign(private, message)
	b.ReportAllocs()
	for b.Loop() {
		if !ed25519.Verify(public, message, signature) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkVerifyFresh(b *testing.B) {
	w := newWorld(b, keyring.EdDSA, benchCache)
	issued := make([]string, benchTokens)
	for i := range issued {
		issued[i] = w.issue(b, claims())
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Verify(issued[i%benchTokens], start); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkVerifySeen(b *testing.B) {
	w := newWorld(b, keyring.EdDSA, benchCache)
	issued := make([]string, 16)
	for i := range issued {
		issued[i] = w.issue(b, claims())
		accepted(b, w.Verifier, "first", issued[i], start)
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Verify(issued[i%len(issued)], start); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkForeignHeader(b *testing.B) {
	w := newWorld(b, keyring.EdDSA, benchCache)
	foreign := w.forge(b, encode([]byte(`{"alg":"none","typ":"at+jwt","kid":"k"}`)), payloadOf(b, claims()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Verify(foreign, start); err == nil {
			b.Fatal("accepted")
		}
	}
}
