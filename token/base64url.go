package token

import (
	"encoding/base64"
	"errors"
)

// ErrEncoding says that a string is not canonical, unpadded base64url
// (RFC 7515 §2, RFC 4648 §5).
var ErrEncoding = errors.New("token: not canonical base64url")

// strict refuses padding and non-zero trailing bits.
var strict = base64.RawURLEncoding.Strict()

// AppendBase64URL appends the unpadded base64url form of src to dst.
func AppendBase64URL(dst, src []byte) []byte {
	return strict.AppendEncode(dst, src)
}

// AppendDecodedBase64URL appends the bytes that src encodes to dst. It accepts
// exactly one spelling of each byte string; Go's decoder alone would also skip
// CR and LF, so the alphabet is checked first.
func AppendDecodedBase64URL(dst []byte, src string) ([]byte, error) {
	for i := range len(src) {
		if !alphabet[src[i]] {
			return dst, ErrEncoding
		}
	}
	n := len(dst)
	size := strict.DecodedLen(len(src))
	if cap(dst)-n < size {
		dst = append(make([]byte, 0, n+size), dst...)
	}
	// Decode takes a slice; a string of token size is copied on the stack.
	var buf [MaxAccess]byte
	if len(src) > len(buf) {
		return dst[:n], ErrEncoding
	}
	m, err := strict.Decode(dst[n:n+size], buf[:copy(buf[:], src)])
	if err != nil {
		return dst[:n], ErrEncoding
	}
	return dst[:n+m], nil
}

var alphabet = func() (set [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		set[c] = true
	}
	return set
}()
