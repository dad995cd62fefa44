package token

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// RefreshPrefix begins every refresh token, so that secret scanners find a
// leaked one.
const RefreshPrefix = "pawl_rt_"

// The layout of a refresh token before base64url. The generation takes one to
// five bytes.
const (
	refreshVersion = 1
	outerTagSize   = 8
	innerTagSize   = 16
	refreshHead    = 1 + len(KeyID{}) + len(ID{})
	refreshMin     = refreshHead + 1 + outerTagSize + innerTagSize
	refreshMax     = refreshHead + binary.MaxVarintLen32 + outerTagSize + innerTagSize
)

// MaxRefresh is the greatest length of a refresh token in bytes, checked
// before anything else is done with one.
const MaxRefresh = len(RefreshPrefix) + (refreshMax*8+5)/6

// ErrRefresh says that a string is no refresh token of this issuer. It says
// no more on purpose: length, form, unknown key and wrong tag look alike.
var ErrRefresh = errors.New("token: not a refresh token of this issuer")

// A KeyID names the master key that the MACs of a refresh token are derived
// from. A session keeps its key id for life.
type KeyID [4]byte

// A Salt is the random part of a session's inner key. It lives in the
// session's row and is erased when the session ends.
type Salt [16]byte

// IsZero reports whether the salt was erased.
func (s Salt) IsZero() bool { return s == Salt{} }

// Format implements [fmt.Formatter] by redacting: with the master key a salt
// makes tokens.
func (Salt) Format(f fmt.State, _ rune) { f.Write([]byte(redacted)) }

// MarshalText implements [encoding.TextMarshaler] by redacting.
func (Salt) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// RefreshKey are the two secrets for the refresh tokens of one master key,
// each derived from it under a label of its own.
type RefreshKey struct {
	ID    KeyID
	Outer [32]byte
	Inner [32]byte
}

// Format implements [fmt.Formatter] by redacting.
func (RefreshKey) Format(f fmt.State, _ rune) { f.Write([]byte(redacted)) }

// MarshalText implements [encoding.TextMarshaler] by redacting.
func (RefreshKey) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Refresh is what a refresh token names. Only [RefreshCodec.Open] makes one
// from outside; that its outer tag was right does not yet make it genuine.
type Refresh struct {
	Key        KeyID
	Session    ID
	Generation uint32 // 1 for the token of the login
	inner      [innerTagSize]byte
}

// Format implements [fmt.Formatter] by redacting: the tag is part of a token.
func (Refresh) Format(f fmt.State, _ rune) { f.Write([]byte(redacted)) }

// A RefreshCodec writes and reads refresh tokens. It is immutable and safe
// for concurrent use.
type RefreshCodec struct {
	// A function, since package fmt prints the unexported fields of whatever
	// holds a codec, past every Format method, but nothing of a function.
	find func(KeyID) (key *codecKey, known bool)
}

// codecKey is a [RefreshKey] made ready for use.
type codecKey struct {
	outer *MAC
	inner [32]byte
}

// Format implements [fmt.Formatter] by redacting.
func (RefreshCodec) Format(f fmt.State, _ rune) { f.Write([]byte(redacted)) }

// NewRefreshCodec returns a codec that honours the given keys. Without keys it
// honours no token.
func NewRefreshCodec(keys ...RefreshKey) *RefreshCodec {
	byID := make(map[KeyID]*codecKey, len(keys))
	for _, k := range keys {
		byID[k.ID] = &codecKey{outer: NewMAC(k.Outer[:]), inner: k.Inner}
	}
	return &RefreshCodec{find: func(id KeyID) (*codecKey, bool) {
		k, ok := byID[id]
		return k, ok
	}}
}

// Seal returns the one refresh token of a session's generation: a function of
// its arguments, so that all who ask for it get the same bytes. It fails with
// [ErrRefresh] if the key is unknown, the salt erased or the generation 0.
func (c *RefreshCodec) Seal(key KeyID, session ID, generation uint32, salt Salt) (Secret, error) {
	k, ok := c.find(key)
	if !ok || generation == 0 || salt.IsZero() {
		return "", ErrRefresh
	}
	var buf [refreshMax]byte
	head := appendRefreshHead(buf[:0], key, session, generation)
	inner := innerTag(k, salt, head)
	outer := outerTag(k, head, inner[:])
	body := append(append(head, outer[:]...), inner[:]...)
	text := make([]byte, 0, MaxRefresh)
	text = append(text, RefreshPrefix...)
	return Secret(AppendBase64URL(text, body)), nil
}

// Open reads a refresh token and checks its outer tag, which needs no row:
// junk is refused after one MAC at most. Every failure is [ErrRefresh].
func (c *RefreshCodec) Open(raw string) (Refresh, error) {
	if len(raw) > MaxRefresh {
		return Refresh{}, ErrRefresh
	}
	text, ok := strings.CutPrefix(raw, RefreshPrefix)
	if !ok {
		return Refresh{}, ErrRefresh
	}
	var buf [refreshMax + 3]byte
	body, err := AppendDecodedBase64URL(buf[:0], text)
	if err != nil || len(body) < refreshMin || len(body) > refreshMax || body[0] != refreshVersion {
		return Refresh{}, ErrRefresh
	}
	head, tags := body[:len(body)-outerTagSize-innerTagSize], body[len(body)-outerTagSize-innerTagSize:]
	var r Refresh
	copy(r.Key[:], head[1:])
	copy(r.Session[:], head[1+len(r.Key):])
	copy(r.inner[:], tags[outerTagSize:])
	generation, n := binary.Uvarint(head[refreshHead:])
	if n != len(head)-refreshHead || generation == 0 || generation > 1<<32-1 {
		return Refresh{}, ErrRefresh
	}
	r.Generation = uint32(generation)
	k, ok := c.find(r.Key)
	if !ok {
		return Refresh{}, ErrRefresh
	}
	// A number has more than one uvarint spelling; only the shortest is ours.
	var again [refreshMax]byte
	if canonical := appendRefreshHead(again[:0], r.Key, r.Session, r.Generation); len(canonical) != len(head) {
		return Refresh{}, ErrRefresh
	}
	outer := outerTag(k, head, r.inner[:])
	if !hmac.Equal(outer[:], tags[:outerTagSize]) {
		return Refresh{}, ErrRefresh
	}
	return r, nil
}

// Genuine reports, in constant time, whether this issuer made r for the
// session that has this salt. It is false for an erased salt.
func (c *RefreshCodec) Genuine(r Refresh, salt Salt) bool {
	k, ok := c.find(r.Key)
	if !ok || salt.IsZero() {
		return false
	}
	var buf [refreshMax]byte
	inner := innerTag(k, salt, appendRefreshHead(buf[:0], r.Key, r.Session, r.Generation))
	return hmac.Equal(inner[:], r.inner[:])
}

func appendRefreshHead(b []byte, key KeyID, session ID, generation uint32) []byte {
	b = append(b, refreshVersion)
	b = append(b, key[:]...)
	b = append(b, session[:]...)
	return binary.AppendUvarint(b, uint64(generation))
}

// outerTag covers every other byte of the token, the inner tag included: a
// token with any bit changed is refused without a query.
func outerTag(k *codecKey, head, inner []byte) (tag [outerTagSize]byte) {
	var message [refreshMax]byte
	var sum [sha256.Size]byte
	copy(tag[:], k.outer.AppendSum(sum[:0], append(append(message[:0], head...), inner...)))
	return tag
}

// innerTag is made under a key that takes both the master key and the
// session's salt: who has only one of the two can make none.
func innerTag(k *codecKey, salt Salt, head []byte) (tag [innerTagSize]byte) {
	// Extract (RFC 5869 §2.2) suffices: the key that comes out is used for
	// one purpose only.
	key, err := hkdf.Extract(sha256.New, k.inner[:], salt[:])
	if err != nil {
		panic("token: HKDF with SHA-256 failed: " + err.Error())
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(head)
	var sum [sha256.Size]byte
	copy(tag[:], mac.Sum(sum[:0]))
	return tag
}
