package dpop_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"testing"
)

// What a proof costs that was not seen before, against its signature alone.
func BenchmarkCheck(b *testing.B) {
	w := newWorld(b)
	lines := []string{w.sign(w.header(), w.claims(""))}
	to := w.target()
	b.Run("proof", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.Check(lines, to, start); err != nil {
				b.Fatal(err)
			}
		}
	})
	digest := sha256.Sum256([]byte(lines[0]))
	signature, err := ecdsa.SignASN1(rand.Reader, w.key, digest[:])
	must(b, err)
	b.Run("signature", func(b *testing.B) {
		for b.Loop() {
			if !ecdsa.VerifyASN1(&w.key.PublicKey, digest[:], signature) {
				b.Fatal("wrong")
			}
		}
	})
}
