package renewal

import (
	"context"
	"errors"
	"fmt"
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
// spread evenly over the users, and returns their refresh tokens. Pawl lets one
// user sign in 60 times, and then once a minute, so that it wants a user for
// every 60 sessions. client may be empty if the server knows only one.
// fields are more header fields, as [ParseHeader] returns them.
func SignIn(ctx context.Context, t *Target, fields, client string, users []Credential, n int, timeout time.Duration) ([]string, error) {
	if len(users) == 0 || n < 1 {
		return nil, errors.New("there are no users to sign in, or no sessions to begin")
	}
	tokens, errs := make([]string, n), make([]error, signIns)
	head := []byte("Accept: application/json\r\nContent-Type: application/json\r\n" + fields)
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
				tokens[i], errs[w] = s.signIn(ctx, head, client, users[i%len(users)])
			}
		})
	}
	signing.Wait()
	return tokens, errors.Join(errs...)
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
