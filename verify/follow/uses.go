package follow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

const (
	usesEvery  = time.Second
	usesAtOnce = 256
	// maxUses bounds the sessions whose last use is remembered, and the uses
	// that wait to be reported.
	maxUses = 1 << 16
)

// uses collects the first settled use of each generation and reports them. It
// does over HTTP what [session.Confirmations] does beside the engine.
type uses struct {
	url       string
	client    *http.Client
	authorize func(*http.Request)
	log       teller
	settle    atomic.Int64 // [session.Policy].Settle of the issuer, as a time.Duration
	dropped   atomic.Uint64

	mu      sync.RWMutex
	noted   map[token.ID]session.Use // guarded by mu: the newest use noted; forgotten as a whole when full
	pending []session.Use            // guarded by mu: not reported yet; only the reporting goroutine removes
}

// note takes in the use of an access token. It never blocks on the network.
func (u *uses) note(use session.Use, now time.Time) {
	u.mu.RLock()
	known := u.knows(use)
	u.mu.RUnlock()
	if known || !use.Settled(now, time.Duration(u.settle.Load())) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.knows(use) {
		return
	}
	if len(u.pending) >= maxUses {
		u.dropped.Add(1) // noted at the session's next use
		return
	}
	if len(u.noted) >= maxUses {
		clear(u.noted)
	}
	u.noted[use.Session] = use
	u.pending = append(u.pending, use)
}

// knows needs mu. A newer token of the same generation is noted again: after a
// failover the store may have forgotten that the generation was there.
func (u *uses) knows(use session.Use) bool {
	n := u.noted[use.Session]
	return n.Generation > use.Generation || n.Generation == use.Generation && !use.IssuedAt.After(n.IssuedAt)
}

// run reports every second, and less often while that fails.
func (u *uses) run(ctx context.Context) {
	var b backoff
	wait := usesEvery
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		sent, err := u.flush(ctx)
		if ctx.Err() != nil {
			return
		}
		if sent || err != nil {
			u.log.tell(err)
		}
		if err == nil {
			wait, b = usesEvery, backoff{}
		} else {
			wait = max(b.wait(), usesEvery)
		}
	}
}

// flush reports what is pending, in pieces. What the issuer refuses is dropped,
// since it would refuse it again; what did not reach it stays.
func (u *uses) flush(ctx context.Context) (sent bool, err error) {
	for {
		u.mu.RLock()
		batch := u.pending[:min(len(u.pending), usesAtOnce)]
		u.mu.RUnlock()
		if len(batch) == 0 {
			return sent, nil
		}
		sent = true
		err = u.report(ctx, batch)
		if err != nil && again(err) {
			return sent, err
		}
		u.mu.Lock()
		u.pending = u.pending[len(batch):]
		if len(u.pending) == 0 {
			u.pending = nil // let go of the memory
		}
		u.mu.Unlock()
		if err != nil {
			u.dropped.Add(uint64(len(batch)))
			return sent, err
		}
	}
}

// again reports whether what failed is worth another attempt.
func again(err error) bool {
	status, ok := errors.AsType[*statusError](err)
	return !ok || status.code >= 500 || status.code == http.StatusTooManyRequests
}

// used is a use in the body of a report.
type used struct {
	Session    token.ID `json:"session"`
	Generation uint32   `json:"generation"`
	IssuedAt   int64    `json:"issued_at"` // "iat" of the token: seconds since 1970
}

func (u *uses) report(ctx context.Context, batch []session.Use) error {
	var body struct {
		Uses []used `json:"uses"`
	}
	for _, use := range batch {
		body.Uses = append(body.Uses, used{use.Session, use.Generation, use.IssuedAt.Unix()})
	}
	text, err := json.Marshal(&body)
	if err != nil {
		return fmt.Errorf("follow: encode uses: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.url, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("follow: report uses: %w", err)
	}
	u.authorize(request)
	request.Header.Set("Content-Type", "application/json")
	answer, err := u.client.Do(request)
	if err != nil {
		return fmt.Errorf("follow: report uses: %w", err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusNoContent {
		return fmt.Errorf("follow: report uses: %w", &statusError{answer.StatusCode})
	}
	return nil
}
