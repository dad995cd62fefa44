package token

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

// The payload is what the JSON library makes of the same claims, or neither
// writes them.
func TestClaimsAreWrittenAsTheLibraryWritesThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
		number := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64())
		c := Claims{
			Issuer: text.Draw(t, "iss"), Subject: text.Draw(t, "sub"), Audience: text.Draw(t, "aud"), ClientID: text.Draw(t, "client_id"),
			IssuedAt: number.Draw(t, "iat"), NotBefore: number.Draw(t, "nbf"), Expires: number.Draw(t, "exp"),
			Generation: rapid.Uint32().Draw(t, "gen"), AuthTime: number.Draw(t, "auth_time"),
			Methods: rapid.SliceOfN(text, 0, 3).Draw(t, "amr"), Scope: text.Draw(t, "scope"),
		}
		copy(c.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "jti"))
		copy(c.Session[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "sid"))
		if rapid.Bool().Draw(t, "bound") {
			c.Binding = &Confirmation{Thumbprint: text.Draw(t, "jkt")}
		}
		want, wantErr := json.Marshal(&c)
		got, err := appendClaims(nil, &c)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, the library's %v", err, wantErr)
		}
		if err == nil && !bytes.Equal(got, want) {
			t.Fatalf("wrote\n%s, want\n%s", got, want)
		}
	})
}

func BenchmarkClaims(b *testing.B) {
	c := Claims{Issuer: "https://app.example.com", Subject: "u_alice", Audience: "https://app.example.com", ClientID: "web", IssuedAt: 1 << 30,
		Expires: 1<<30 + 300, Generation: 7, AuthTime: 1 << 30, Methods: []string{"pwd"}}
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			if _, err := appendClaims(make([]byte, 0, 512), &c); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		for b.Loop() {
			if _, err := json.Marshal(&c); err != nil {
				b.Fatal(err)
			}
		}
	})
}
