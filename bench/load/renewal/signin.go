package renewal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
)

// A Credential signs a user in.
type Credential struct{ Username, Password string }

// signInTries bounds how often one sign-in is tried again while the server
// asks to wait, and signIns how many are in flight: passwords are slow to hash
// on purpose.
const (
	signInTries = 50
	signIns     = 4
)

// SignIn begins n sessions at Pawl's POST /auth/login with transport bearer,
// spread evenly over the users, and returns their refresh tokens. A user has a
// bound of sessions, 100 unless the server is told otherwise; a sign-in beyond
// it ends an older session. client may be empty if the server knows only one.
// fields are more header fields, as [ParseHeader] returns them.
//
// Sign-ins from one network are limited to a few a second. A server that trusts
// this machine as a proxy can be told that they come from many: from is an IPv4
// network of which each sign-in names another /24 in X-Forwarded-For; the zero
// value names none.
func SignIn(ctx context.Context, t *Target, fields, client string, users []Credential, n int, from netip.Prefix, timeout time.Duration) ([]string, error) {
	if len(users) == 0 || n < 1 {
		return nil, errors.New("there are no users to sign in, or no sessions to begin")
	}
	tokens, errs := make([]string, n), make([]error, signIns)
	if from.IsValid() && (!from.Addr().Is4() || from.Bits() > 24) {
		return nil, fmt.Errorf("%v is no IPv4 network of /24 or larger", from)
	}
	head := "Accept: application/json\r\nContent-Type: application/json\r\n" + fields
	var next atomic.Int64
	var signing sync.WaitGroup
	for w := range signIns {
		signing.Go(func() {
			s := signer{wire: newWire([]*Target{t}, 0, plainDialer, timeout)}
			defer s.wire.close()
			for errs[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				tokens[i], errs[w] = s.signIn(ctx, []byte(head+forwarded(from, i)), client, users[i%len(users)])
			}
		})
	}
	signing.Wait()
	return tokens, errors.Join(errs...)
}

// forwarded is the field that names the i-th network within from.
func forwarded(from netip.Prefix, i int) string {
	if !from.IsValid() {
		return ""
	}
	address := from.Masked().Addr().As4()
	n := binary.BigEndian.Uint32(address[:]) + uint32(i%(1<<(24-from.Bits())))<<8 + 1
	binary.BigEndian.PutUint32(address[:], n)
	return "X-Forwarded-For: " + netip.AddrFrom4(address).String() + "\r\n"
}

type signer struct {
	wire    *wire
	answers answers
}

type signInRequest struct {
	Username  string `json:"username"`
	Password  string `json:"password"`
	Transport string `json:"transport"`
	ClientID  string `json:"client_id,omitzero"`
}

func (s *signer) signIn(ctx context.Context, head []byte, client string, user Credential) (string, error) {
	body, err := json.Marshal(signInRequest{user.Username, user.Password, "bearer", client})
	if err != nil {
		return "", err
	}
	for range signInTries {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if err := s.wire.exchange(head, body); err != nil {
			return "", fmt.Errorf("sign-in of %s: %w", user.Username, err)
		}
		switch s.wire.status {
		case 200:
			refresh, ok := s.answers.renewed(s.wire.body)
			if !ok || len(refresh) == 0 {
				return "", fmt.Errorf("sign-in of %s: the answer has no tokens", user.Username)
			}
			return string(refresh), nil
		case 429, 503:
			wait(ctx, max(s.wire.retryAfter, 100*time.Millisecond))
		default:
			return "", fmt.Errorf("sign-in of %s: refused with %s", user.Username, s.answers.refused(s.wire.status, s.wire.body))
		}
	}
	return "", fmt.Errorf("sign-in of %s: the server still asks to wait", user.Username)
}
