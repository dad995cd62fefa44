package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/bench/load/renewal"
)

// A server signs in and renews as Pawl does, for a test of the command.
type server struct {
	mu       sync.Mutex
	sessions int
	newest   map[string]bool // tokens that may be sent
	signIns  []string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var session, turn int
	switch r.URL.Path {
	case "/auth/login":
		var in map[string]string
		if err := json.UnmarshalRead(r.Body, &in); err != nil || in["password"] != "se:cret" || in["transport"] != "bearer" || in["client_id"] != "app" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if s.signIns = append(s.signIns, in["username"]); len(s.signIns) == 2 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		session = s.sessions
		s.sessions++
	case "/auth/token":
		token := r.PostFormValue("refresh_token")
		if !s.newest[token] || r.PostFormValue("client_id") != "app" || r.PostFormValue("scope") != "a" || r.Header.Get("X-A") != "b" || r.Host != "app.example" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
			return
		}
		delete(s.newest, token)
		_, _ = fmt.Sscanf(token, "s%d.%d", &session, &turn)
		turn++
	}
	token := fmt.Sprintf("s%d.%d", session, turn)
	s.newest[token] = true
	_, _ = fmt.Fprintf(w, `{"access_token":"a","refresh_token":"%s"}`, token)
}

func started(t *testing.T) (*server, string) {
	t.Helper()
	s := &server{newest: make(map[string]bool)}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return s, h.URL
}

func load(t *testing.T, in string, args ...string) (string, error) {
	t.Helper()
	var out, notes bytes.Buffer
	err := run(t.Context(), args, strings.NewReader(in), &out, &notes)
	return out.String(), err
}

// A run begins sessions, leaves their newest tokens, and the next goes on with
// them.
func TestRunsGoOnWhereTheLastOneEnded(t *testing.T) {
	s, url := started(t)
	file := filepath.Join(t.TempDir(), "tokens")
	common := []string{"-url", url + "/auth/token", "-client", "app", "-form", "scope=a", "-header", "X-A: b", "-host", "app.example",
		"-c", "2", "-duration", "100ms", "-warmup", "20ms", "-pid", fmt.Sprintf("itself=%d", os.Getpid()), "-save", file}
	out, err := load(t, "ann:se:cret\nbob:se:cret\n", append(common, "-pawl-login", url+"/auth/login", "-users", "-", "-sessions", "10", "-json")...)
	if err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal([]byte(out), &got, json.RejectUnknownMembers(true)); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	if got.Rotated == 0 || got.Failed != 0 || got.Alive != 10 || got.PerSecond <= 0 || got.Took.P50 <= 0 || got.Took.Max < got.Took.P99 || got.Lag != nil ||
		len(got.Processes) != 2 || got.Processes[1].Name != "itself" || got.Seconds < 0.1 {
		t.Errorf("%s", out)
	}
	if n := strings.Count(strings.Join(s.signIns, " "), "ann"); len(s.signIns) != 11 || n < 5 || n > 6 {
		t.Errorf("sign-ins of %v", s.signIns)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	out, err = load(t, "", append(common, "-tokens", file, "-rate", "500")...)
	if err != nil || !strings.Contains(out, "500 begun per second, 2 workers, 10 sessions (10 alive at the end)") || !strings.Contains(out, "| itself |") ||
		!strings.Contains(out, "lateness") || strings.Contains(out, "| failed | times |") {
		t.Errorf("%s\n%v", out, err)
	}
	if strings.Contains(out, "s0.") {
		t.Error("the report has a token")
	}
}

func TestFailuresAreReportedByKind(t *testing.T) {
	_, url := started(t)
	out, err := load(t, "s1.1\ns2.1\n", "-url", url+"/auth/token", "-tokens", "-", "-c", "1", "-warmup", "0s", "-duration", "1h")
	if err == nil || !strings.Contains(out, "(0 alive at the end)") {
		t.Errorf("%s\n%v", out, err)
	}
	r := &renewal.Result{Wall: 1, Failures: map[string]uint64{"400 invalid_grant": 7}}
	var b strings.Builder
	if err := printReport(&b, r); err != nil || !strings.Contains(b.String(), "| 400 invalid_grant | 7 |") {
		t.Errorf("%s, %v", b.String(), err)
	}
}

func TestArgumentsThatMeanNothingAreRefused(t *testing.T) {
	const to = "-url http://127.0.0.1:9/token "
	for _, args := range []string{"", "-url http://127.0.0.1:9", "-tokens -", to + "-tokens - -pawl-login http://127.0.0.1:9", to + "-pawl-login http://127.0.0.1:9", to + "-tokens - more",
		to + "-tokens - -form x", to + "-tokens - -form grant_type=password", to + "-tokens - -pid 7", to + "-tokens - -pid x=0", to + "-tokens - -header x", to + "-tokens /nowhere/at/all",
		to + "-tokens - -c 3", to + "-tokens - -ca /nowhere", "-url http://192.0.2.1/ -tokens -", to + "-users - -pawl-login http://192.0.2.1/", "-nonsense",
		"pgbench -url x", "pgbench -clients 1,x", "pgbench -duration 0s", "pgbench more", "pgbench -pid 1 -url http://x"} {
		if _, err := load(t, "a\nb\n", strings.Fields(args)...); err == nil {
			t.Errorf("%s: accepted", args)
		}
	}
}

// A run that is interrupted says what it knows, and keeps the tokens.
func TestInterruptedRunsKeepTheirTokens(t *testing.T) {
	s := &server{newest: map[string]bool{"s1.0": true}}
	ctx, cancel := context.WithCancel(t.Context())
	file := filepath.Join(t.TempDir(), "tokens")
	stopping := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.newest["s1.50"] {
			cancel()
		}
	}))
	t.Cleanup(stopping.Close)
	var out bytes.Buffer
	args := []string{"-url", stopping.URL + "/auth/token", "-client", "app", "-form", "scope=a", "-header", "X-A: b", "-host", "app.example",
		"-c", "1", "-warmup", "0s", "-duration", "1h", "-tokens", "-", "-save", file}
	if err := run(ctx, args, strings.NewReader("s1.0\n"), &out, &out); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if token := strings.TrimSpace(string(text)); err != nil || !s.newest[token] {
		t.Errorf("%q was left, %v are good; %v", token, s.newest, err)
	}
}
