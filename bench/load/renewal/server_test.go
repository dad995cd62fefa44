package renewal

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
)

// A strictServer speaks OAuth's refresh grant and keeps its own book of what
// may be sent: each chain's newest token, or the one before if the answer that
// replaced it was lost. Anything else fails the test.
type strictServer struct {
	t     *testing.T
	reply func(w http.ResponseWriter, r *http.Request, n int, body []byte) // n-th request; default: answer
	// refuse, if it returns true, has answered instead; nothing is renewed.
	refuse func(w http.ResponseWriter, n int) bool
	keep   bool // answers name the token that was sent

	mu       sync.Mutex
	turns    map[string]int  // by chain
	lost     map[string]bool // the answer to the newest turn did not arrive
	ended    map[string]bool // was refused for good
	keys     map[string]string
	requests int
	rotated  int
}

func newStrictServer(t *testing.T) *strictServer {
	return &strictServer{t: t, turns: make(map[string]int), lost: make(map[string]bool), ended: make(map[string]bool),
		keys: make(map[string]string)}
}

// first returns the first tokens of n chains.
func first(n int) (tokens []string) {
	for i := range n {
		tokens = append(tokens, fmt.Sprintf("chain%d+/ .0", i))
	}
	return tokens
}

func (s *strictServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var chain string
	var turn int
	form := r.PostFormValue("refresh_token")
	if _, err := fmt.Sscanf(form, "%s .%d", &chain, &turn); err != nil || r.PostForm.Get("grant_type") != "refresh_token" || r.PostForm.Get("client_id") != "app & co" {
		s.t.Errorf("form %v", r.PostForm)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if s.ended[chain] {
		s.t.Errorf("chain %s was sent after it was refused", chain)
	}
	if s.refuse != nil && s.refuse(w, s.requests) {
		return
	}
	key := r.Header.Get("Idempotency-Key")
	switch now := s.turns[chain]; {
	case turn == now:
		if key != "" && key == s.keys[chain] {
			s.t.Errorf("chain %s has the key of its last renewal", chain)
		}
		s.keys[chain] = key
		if !s.keep {
			s.turns[chain]++
			s.rotated++
		}
	case turn == now-1 && s.lost[chain]:
		if key != s.keys[chain] {
			s.t.Errorf("chain %s was sent again with another key", chain)
		}
	default:
		s.t.Errorf("chain %s: turn %d was sent, it is at %d, lost %v", chain, turn, now, s.lost[chain])
	}
	delete(s.lost, chain)
	body, _ := json.Marshal(map[string]any{"access_token": "a", "token_type": "Bearer", "expires_in": 300,
		"refresh_token": fmt.Sprintf("%s .%d", chain, s.turns[chain])})
	if s.reply == nil {
		_, _ = w.Write(body)
		return
	}
	defer func() { // the reply may break off
		if broken := recover(); broken != nil {
			s.lost[chain] = true
			panic(broken)
		}
	}()
	s.reply(w, r, s.requests, body)
}

// lose is for replies that the client cannot read.
func (s *strictServer) lose(r *http.Request) {
	var chain string
	var turn int
	_, _ = fmt.Sscanf(r.PostForm.Get("refresh_token"), "%s .%d", &chain, &turn)
	s.lost[chain] = true
}

func options(t *testing.T, url string) Options {
	t.Helper()
	target, err := ParseTarget(t.Context(), url, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Targets: []*Target{target}, Request: Request{Parameters: [][2]string{{"client_id", "app & co"}}, Idempotency: true},
		Tokens: first(40), Workers: 8, Duration: 200 * time.Millisecond, Timeout: 5 * time.Second}
}

func serve(t *testing.T, h http.Handler) Options {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return options(t, s.URL+"/token?tenant=1")
}

func mustRun(t *testing.T, o Options) *Result {
	t.Helper()
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// checkSaved says whether the tokens of the result are the newest that the
// server gave, but for answers that were lost.
func (s *strictServer) checkSaved(t *testing.T, tokens []string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, token := range tokens {
		var chain string
		var turn int
		if _, err := fmt.Sscanf(token, "%s .%d", &chain, &turn); err != nil {
			t.Fatal(err)
		}
		if now := s.turns[chain]; turn != now && !(turn == now-1 && s.lost[chain]) {
			t.Errorf("token %q was left, the server is at %d", token, now)
		}
	}
}

// A pipeListener is a server's side of connections that never leave the
// process, for tests in which time is not real; it is the dialer as well.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { close(l.done); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipeListener) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// inBubble calls f where time is not real, with options for the handler. What
// f sleeps costs nothing, and waits are exact.
func inBubble(t *testing.T, h http.Handler, f func(t *testing.T, o Options)) {
	t.Helper()
	o := options(t, "http://127.0.0.1:9/token")
	o.sleep = func() func(time.Duration) { return time.Sleep }
	synctest.Test(t, func(t *testing.T) {
		l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
		server := &http.Server{Handler: h}
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(l) })
		o.dialer = l
		f(t, o)
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
}
