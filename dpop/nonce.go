package dpop

import (
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"

	"github.com/pawlauth/pawl/token"
)

// NonceLife is for how long a nonce is accepted. A client that is in use gets
// a newer one with every answer.
const NonceLife = 2 * time.Minute

// clocks is how far the clocks of two nodes may be apart.
const clocks = 5 * time.Second

const (
	nonceTag   = 16
	nonceBytes = 8 + nonceTag
	nonceText  = nonceBytes / 3 * 4
)

// Nonces makes and checks nonces: a time and a MAC over it, so that they need
// no store and all nodes with the same keys honour each other's. Nobody without
// a key can tell one beforehand. It is safe for concurrent use.
type Nonces struct {
	keys   []*token.MAC
	first  int64 // seconds; older ones are not accepted
	newest atomic.Pointer[nonce]
}

type nonce struct {
	second int64
	text   string
}

// NewNonces returns nonces that are made with the first key; those of every
// key are honoured. An issuer and a resource need different keys, so that a
// nonce of one is none at the other (RFC 9449 §9).
//
// Since is when the memory of used proofs begins, which is the start of the
// process where it is in memory: a nonce that was made before is not accepted,
// as a proof may have been used with it that nobody remembers.
func NewNonces(keys [][32]byte, since time.Time) (*Nonces, error) {
	if len(keys) == 0 {
		return nil, errors.New("dpop: a key is required to make nonces")
	}
	if since.IsZero() {
		return nil, errors.New("dpop: say since when used proofs are remembered")
	}
	n := &Nonces{first: since.Truncate(time.Second).Add(time.Second).Unix()}
	for _, key := range keys {
		n.keys = append(n.keys, token.NewMAC(key[:]))
	}
	return n, nil
}

// Newest returns the nonce of this second, or of the first that is accepted: 32
// characters of base64url.
func (n *Nonces) Newest(now time.Time) string {
	second := max(now.Unix(), n.first)
	if made := n.newest.Load(); made != nil && made.second == second {
		return made.text
	}
	body := binary.BigEndian.AppendUint64(make([]byte, 0, nonceBytes), uint64(second))
	made := &nonce{second, encode(appendTag(body, n.keys[0], body))}
	n.newest.Store(made)
	return made.text
}

// accepts returns until when a nonce is accepted, if it is.
func (n *Nonces) accepts(text string, now time.Time) (until time.Time, ok bool) {
	if len(text) != nonceText {
		return time.Time{}, false
	}
	var buf [nonceBytes]byte
	body, err := token.AppendDecodedBase64URL(buf[:0], text)
	if err != nil || len(body) != nonceBytes {
		return time.Time{}, false
	}
	genuine := false
	for _, key := range n.keys {
		genuine = hmac.Equal(appendTag(nil, key, body[:8]), body[8:]) || genuine
	}
	made := time.Unix(int64(binary.BigEndian.Uint64(body)), 0)
	until = made.Add(NonceLife)
	return until, genuine && made.Unix() >= n.first && !now.Add(clocks).Before(made) && now.Before(until)
}

func appendTag(dst []byte, key *token.MAC, message []byte) []byte {
	var sum [32]byte
	return append(dst, key.AppendSum(sum[:0], message)[:nonceTag]...)
}
