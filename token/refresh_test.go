package token_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math/bits"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/token"
)

// parts is a refresh token taken apart. Its encoder is written from the
// format's description, on the standard library alone, so that a fault in the
// codec is not repeated here.
type parts struct {
	head  []byte // version, key id, session, generation
	outer [8]byte
	inner [16]byte
}

func partsOf(k token.RefreshKey, session token.ID, generation []byte, salt token.Salt) parts {
	head := append([]byte{1}, k.ID[:]...)
	head = append(head, session[:]...)
	head = append(head, generation...)
	return parts{head: head}.retag(k, salt)
}

// retag makes both tags again for whatever the head says.
func (p parts) retag(k token.RefreshKey, salt token.Salt) parts {
	// HKDF-Extract (RFC 5869 §2.2): HMAC(salt, input keying material).
	innerKey := hmacOf(salt[:], k.Inner[:])
	p.inner = [16]byte(hmacOf(innerKey, p.head))
	p.outer = [8]byte(hmacOf(k.Outer[:], p.head, p.inner[:]))
	return p
}

func (p parts) text() string {
	body := append(append(bytes.Clone(p.head), p.outer[:]...), p.inner[:]...)
	return "pawl_rt_" + base64.RawURLEncoding.EncodeToString(body)
}

func hmacOf(key []byte, message ...[]byte) []byte {
	mac := hmac.New(sha256.New, key)
	for _, m := range message {
		mac.Write(m)
	}
	return mac.Sum(nil)
}

func saltOf(b byte) token.Salt { return token.Salt(idOf(b)) }

func keyOf(b byte) token.RefreshKey {
	k := token.RefreshKey{ID: token.KeyID{b, 2, 3, 4}}
	for i := range k.Outer {
		k.Outer[i], k.Inner[i] = b+byte(i), b+0x55+byte(2*i)
	}
	return k
}

// vectorKey is the key of ../vectors/refresh.json.
var vectorKey = keyOf(1)

// nextBits returns the last character of a text with one more of its unused
// bits set.
func nextBits(text string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, text[len(text)-1])|1:][:1]
}

func mustSeal(t testing.TB, c *token.RefreshCodec, k token.KeyID, session token.ID, generation uint32, salt token.Salt) string {
	t.Helper()
	s, err := c.Seal(k, session, generation, salt)
	if err != nil {
		t.Fatal(err)
	}
	return s.Reveal()
}

// Whatever is sealed opens as what it was, by any codec that knows the key,
// and is the one spelling that the independent encoder gives too.
//
// Rows: 119, 120
func TestRefreshRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := token.RefreshKey{
			ID:    token.KeyID(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "id")),
			Outer: [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "outer")),
			Inner: [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "inner")),
		}
		session := token.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "session"))
		salt := token.Salt(rapid.SliceOfN(rapid.Byte(), 16, 16).Filter(func(b []byte) bool { return !token.Salt(b).IsZero() }).Draw(t, "salt"))
		generation := rapid.Uint32Min(1).Draw(t, "generation")
		codec := token.NewRefreshCodec(keyOf(200), k)

		text, err := codec.Seal(k.ID, session, generation, salt)
		if err != nil {
			t.Fatal(err)
		}
		if want := partsOf(k, session, binary.AppendUvarint(nil, uint64(generation)), salt).text(); text.Reveal() != want {
			t.Fatalf("sealed %q, want %q", text.Reveal(), want)
		}
		if len(text) > token.MaxRefresh {
			t.Fatalf("%d bytes, over the limit of %d", len(text), token.MaxRefresh)
		}
		r, err := token.NewRefreshCodec(k).Open(text.Reveal())
		if err != nil || r.Key != k.ID || r.Session != session || r.Generation != generation {
			t.Fatalf("opened key %x, session %v, generation %d, %v", r.Key, r.Session, r.Generation, err)
		}
		if !codec.Genuine(r, salt) {
			t.Fatal("not genuine for its own salt")
		}
	})
}

// One bit, wherever it is, and the token does not open: no store is asked.
// The bits of a character that encode nothing are refused as well.
//
// Rows: 84, 120, A44, A56
func TestRefreshOpenRefusesEveryFlippedBit(t *testing.T) {
	codec := token.NewRefreshCodec(vectorKey)
	for _, generation := range []uint32{1, 128, 1 << 14, 1 << 21, 1<<32 - 1} {
		text := mustSeal(t, codec, vectorKey.ID, idOf(9), generation, saltOf(7))
		for i := range len(text) * 8 {
			flipped := []byte(text)
			flipped[i/8] ^= 1 << (i % 8)
			if r, err := codec.Open(string(flipped)); !errors.Is(err, token.ErrRefresh) || r.Generation != 0 {
				t.Fatalf("generation %d, bit %d flipped: %q opens (%v)", generation, i, flipped, err)
			}
		}
		body, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, token.RefreshPrefix))
		if err != nil {
			t.Fatal(err)
		}
		for i := range len(body) * 8 {
			body[i/8] ^= 1 << (i % 8)
			flipped := token.RefreshPrefix + base64.RawURLEncoding.EncodeToString(body)
			body[i/8] ^= 1 << (i % 8)
			if _, err := codec.Open(flipped); !errors.Is(err, token.ErrRefresh) {
				t.Fatalf("generation %d, bit %d of the body flipped: %q opens", generation, i, flipped)
			}
		}
	}
}

// Rows: 120, A52
func TestRefreshOpenRefusesEveryTruncationAndExtension(t *testing.T) {
	codec := token.NewRefreshCodec(vectorKey)
	text := mustSeal(t, codec, vectorKey.ID, idOf(9), 300, saltOf(7))
	for i := range len(text) {
		for _, cut := range []string{text[:i], text[i+1:], text[:i] + text[i+1:]} {
			if _, err := codec.Open(cut); !errors.Is(err, token.ErrRefresh) {
				t.Errorf("%q opens", cut)
			}
		}
	}
	for c := range 256 {
		for _, long := range []string{text + string([]byte{byte(c)}), string([]byte{byte(c)}) + text} {
			if _, err := codec.Open(long); !errors.Is(err, token.ErrRefresh) {
				t.Errorf("%q opens", long)
			}
		}
	}
}

// Rows: 87, A59
func TestRefreshOpenSizeComesFirst(t *testing.T) {
	codec := token.NewRefreshCodec(vectorKey)
	for _, filler := range []string{"A", ".", "=", "\n"} {
		junk := token.RefreshPrefix + strings.Repeat(filler, 1<<20)
		if n := testing.AllocsPerRun(10, func() {
			if _, err := codec.Open(junk); err == nil {
				t.Error("a megabyte opens")
			}
		}); n != 0 {
			t.Errorf("a megabyte of %q costs %v allocations", filler, n)
		}
	}
}

// Rows: 120, 193
func TestRefreshGenuine(t *testing.T) {
	codec := token.NewRefreshCodec(vectorKey, keyOf(50))
	open := func(text string) token.Refresh {
		t.Helper()
		r, err := codec.Open(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := open(mustSeal(t, codec, vectorKey.ID, idOf(9), 5, saltOf(7)))
	if !codec.Genuine(r, saltOf(7)) {
		t.Error("refused for the right salt")
	}
	if codec.Genuine(r, token.Salt{}) {
		t.Error("genuine although the salt was erased")
	}
	// What would match an erased salt, were it not refused.
	if codec.Genuine(open(partsOf(vectorKey, idOf(9), []byte{5}, token.Salt{}).text()), token.Salt{}) {
		t.Error("genuine under the salt of zeros")
	}
	for i := range 128 {
		wrong := saltOf(7)
		wrong[i/8] ^= 1 << (i % 8)
		if codec.Genuine(r, wrong) {
			t.Errorf("genuine for a salt with bit %d flipped", i)
		}
	}
	for name, other := range map[string]token.Refresh{
		"generation": {Key: r.Key, Session: r.Session, Generation: 6},
		"session":    {Key: r.Key, Session: idOf(10), Generation: 5},
		"key":        {Key: keyOf(50).ID, Session: r.Session, Generation: 5},
		"unknown":    {Key: token.KeyID{9, 9, 9, 9}, Session: r.Session, Generation: 5},
		"zero":       {},
	} {
		if codec.Genuine(other, saltOf(7)) {
			t.Errorf("%s: a token that was never opened is genuine", name)
		}
	}
	changed := r
	changed.Generation++
	if codec.Genuine(changed, saltOf(7)) {
		t.Error("genuine for another generation")
	}
	if token.NewRefreshCodec(keyOf(50)).Genuine(r, saltOf(7)) {
		t.Error("genuine by a codec that does not know the key")
	}
}

// Who holds the database has salts and no master key; who holds the master
// key has no salts. Neither makes a token.
//
// Rows: 119, 184, A43
func TestRefreshNeedsBothSecrets(t *testing.T) {
	codec := token.NewRefreshCodec(vectorKey)
	salt := saltOf(7)
	onlySalt := keyOf(99)
	onlySalt.ID = vectorKey.ID
	if _, err := codec.Open(partsOf(onlySalt, idOf(9), []byte{5}, salt).text()); !errors.Is(err, token.ErrRefresh) {
		t.Errorf("made without the master key, yet it opens: %v", err)
	}
	onlyMaster, err := codec.Open(partsOf(vectorKey, idOf(9), []byte{5}, saltOf(8)).text())
	if err != nil {
		t.Fatal(err)
	}
	if codec.Genuine(onlyMaster, salt) {
		t.Error("made without the salt, yet genuine")
	}
	half := vectorKey
	half.Inner = onlySalt.Inner
	r, err := codec.Open(partsOf(half, idOf(9), []byte{5}, salt).text())
	if err != nil {
		t.Fatal(err)
	}
	if codec.Genuine(r, salt) {
		t.Error("made without the inner key, yet genuine")
	}
}

func TestRefreshSealRefuses(t *testing.T) {
	codec := token.NewRefreshCodec(vectorKey)
	for name, err := range map[string]error{
		"generation 0":  second(codec.Seal(vectorKey.ID, idOf(9), 0, saltOf(7))),
		"erased salt":   second(codec.Seal(vectorKey.ID, idOf(9), 1, token.Salt{})),
		"unknown key":   second(codec.Seal(token.KeyID{9}, idOf(9), 1, saltOf(7))),
		"without a key": second(token.NewRefreshCodec().Seal(vectorKey.ID, idOf(9), 1, saltOf(7))),
	} {
		if !errors.Is(err, token.ErrRefresh) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// Every session, generation, key and salt has a token of its own.
func TestRefreshTokensDiffer(t *testing.T) {
	codec := token.NewRefreshCodec(vectorKey, keyOf(50))
	seen := make(map[string]bool)
	for _, k := range []token.KeyID{vectorKey.ID, keyOf(50).ID} {
		for session := range byte(4) {
			for salt := range byte(4) {
				for generation := range uint32(4) {
					seen[mustSeal(t, codec, k, idOf(session), generation+1, saltOf(salt+1))] = true
				}
			}
		}
	}
	if len(seen) != 2*4*4*4 {
		t.Errorf("%d tokens for %d sets of arguments", len(seen), 2*4*4*4)
	}
}

// The tags are 64 and 128 bits, spread over all their values.
//
// Rows: 119, 192
func TestRefreshTagsUseAllTheirBits(t *testing.T) {
	codec := token.NewRefreshCodec(vectorKey)
	var ones, zeros [24]byte
	for generation := range uint32(64) {
		text := mustSeal(t, codec, vectorKey.ID, idOf(9), generation+1, saltOf(7))
		body, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, token.RefreshPrefix))
		if err != nil {
			t.Fatal(err)
		}
		for i, b := range body[len(body)-24:] {
			ones[i] |= b
			zeros[i] |= ^b
		}
	}
	for i := range ones {
		if bits.OnesCount8(ones[i]) != 8 || bits.OnesCount8(zeros[i]) != 8 {
			t.Errorf("byte %d of the tags never has some of its bits (%08b, %08b)", i, ones[i], zeros[i])
		}
	}
}

// Whatever opens is exactly what Seal or the same tags write again.
func FuzzRefreshOpen(f *testing.F) {
	codec := token.NewRefreshCodec(vectorKey)
	for _, v := range makeRefreshVectors().Tokens {
		f.Add(v.Token)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		r, err := codec.Open(raw)
		if err != nil {
			if !errors.Is(err, token.ErrRefresh) {
				t.Errorf("%q: %v", raw, err)
			}
			return
		}
		if len(raw) > token.MaxRefresh || r.Generation == 0 || r.Key != vectorKey.ID {
			t.Errorf("%q opens", raw)
		}
		body, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimPrefix(raw, token.RefreshPrefix))
		if err != nil {
			t.Fatalf("%q opens: %v", raw, err)
		}
		p := partsOf(vectorKey, r.Session, binary.AppendUvarint(nil, uint64(r.Generation)), saltOf(1))
		p.inner = [16]byte(body[len(body)-16:])
		p.outer = [8]byte(hmacOf(vectorKey.Outer[:], p.head, p.inner[:]))
		if p.text() != raw {
			t.Errorf("%q opens, but the canonical form is %q", raw, p.text())
		}
	})
}

func BenchmarkForgedRefresh(b *testing.B) {
	codec := token.NewRefreshCodec(vectorKey)
	p := partsOf(vectorKey, idOf(9), []byte{5}, saltOf(7))
	p.outer[3] ^= 1
	forged := p.text()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := codec.Open(forged); err == nil {
			b.Fatal("a forged token opens")
		}
	}
}
