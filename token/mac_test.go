package token

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"pgregory.net/rapid"
)

// The MAC is that of crypto/hmac, whatever the key and the message, and with a
// padded salt it is the extract of crypto/hkdf.
func TestMACIsHMAC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytesOf := func(label string, least, most int) []byte {
			return rapid.SliceOfN(rapid.Byte(), least, most).Draw(t, label)
		}
		key := [32]byte(bytesOf("key", 32, 32))
		first, second := bytesOf("first", 0, 2*refreshMax), bytesOf("second", 0, 2*refreshMax)
		want := hmac.New(sha256.New, key[:])
		want.Write(first)
		want.Write(second)
		if got := mac(&key, first, second); !bytes.Equal(got[:], want.Sum(nil)) {
			t.Fatalf("mac is %x, HMAC %x", got, want.Sum(nil))
		}
		var padded [32]byte
		salt := bytesOf("salt", len(Salt{}), len(Salt{}))
		copy(padded[:], salt)
		extracted, err := hkdf.Extract(sha256.New, first, salt)
		if got := mac(&padded, first, nil); err != nil || !bytes.Equal(got[:], extracted) {
			t.Fatalf("mac is %x, HKDF extracts %x, %v", got, extracted, err)
		}
	})
}

func TestMACsAllocateNothing(t *testing.T) {
	k := &RefreshKey{Inner: [32]byte{1}, Outer: [32]byte{2}}
	var buf [refreshMax]byte
	head := appendRefreshHead(buf[:0], KeyID{}, ID{3}, 1<<32-1)
	if n := testing.AllocsPerRun(100, func() {
		inner := innerTag(k, Salt{4}, head)
		outerTag(k, head, inner[:])
	}); n != 0 {
		t.Errorf("the tags of a token cost %v allocations", n)
	}
}
