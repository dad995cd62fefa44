package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash"
	"sync"
)

// A MAC computes HMAC-SHA-256 (RFC 2104) under one key. It keeps what it
// derived from the key, which is half the work on a short message. It is safe
// for concurrent use.
type MAC struct {
	states sync.Pool // of hash.Hash; its New holds the key
}

// NewMAC returns a MAC under a copy of key.
func NewMAC(key []byte) *MAC {
	key = append([]byte(nil), key...)
	return &MAC{states: sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// AppendSum appends the MAC of message to dst.
func (m *MAC) AppendSum(dst, message []byte) []byte {
	state := m.states.Get().(hash.Hash)
	defer m.states.Put(state)
	state.Reset()
	state.Write(message)
	return state.Sum(dst)
}

// Format implements [fmt.Formatter] by redacting.
func (*MAC) Format(f fmt.State, _ rune) { f.Write([]byte(redacted)) }
