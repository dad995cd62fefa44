package token

import "crypto/sha256"

// mac is HMAC-SHA-256 (RFC 2104 §2) of two parts, of together at most the
// length of a refresh token if it is not to allocate. It does what crypto/hmac
// does, in half the time: a renewal needs six MACs, and junk costs one. HMAC
// pads keys with zeros, so a shorter key is one that ends in zeros.
func mac(key *[32]byte, first, second []byte) [sha256.Size]byte {
	var inner [sha256.BlockSize + refreshMax]byte
	var outer [sha256.BlockSize + sha256.Size]byte
	copy(inner[:], key[:])
	copy(outer[:], key[:])
	for i := range sha256.BlockSize {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	sum := sha256.Sum256(append(append(inner[:sha256.BlockSize], first...), second...))
	copy(outer[sha256.BlockSize:], sum[:])
	return sha256.Sum256(outer[:])
}
