package dpoptest

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/dpop/client"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/token"
)

const (
	name     = "ada"
	password = "correct horse battery staple"
)

// A site is a whole Pawl with an application behind it.
type site struct {
	origin string
	*pawl.Pawl
	renewals atomic.Int32 // requests to the token route that were answered well
}

func serve(t *testing.T) *site {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	s := &site{origin: "http://localhost:" + port}
	s.Pawl, err = pawl.Open(t.Context(), pawl.Options{Data: t.TempDir() + "/data", Origins: []string{s.origin},
		Clients: []httpapi.Client{{ID: "cli"}}, RequireDPoP: true, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { s.Close() })
	_, err = s.Accounts().Add(t.Context(), name, account.NewPassword(password))
	must(t, err)
	app := s.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := pawl.PrincipalFrom(r.Context())
		io.WriteString(w, p.Thumbprint+" ")
		io.Copy(w, r.Body)
	}))
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/auth/") || strings.HasPrefix(r.URL.Path, "/.well-known/") {
			counted := &status{ResponseWriter: w}
			s.Handler().ServeHTTP(counted, r)
			if r.URL.Path == "/auth/token" && counted.code == http.StatusOK {
				s.renewals.Add(1)
			}
			return
		}
		app.ServeHTTP(w, r)
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return s
}

type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) { s.code = code; s.ResponseWriter.WriteHeader(code) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Many requests at once that find the token expired make one renewal; a request
// that must be sent again is, with its body; and no other origin gets the token.
//
// Rows: 207, 212, 216
func TestTheGoClient(t *testing.T) {
	s := serve(t)
	key, err := client.NewKey()
	must(t, err)
	prover := &client.Prover{Key: key}
	body := `{"username":"` + name + `","password":"` + password + `","transport":"bearer"}`
	signIn := &http.Client{Transport: prover, Timeout: 20 * time.Second}
	response, err := signIn.Post(s.origin+"/auth/login", "application/json", strings.NewReader(body))
	must(t, err)
	defer response.Body.Close()
	var answer struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Type    string `json:"token_type"`
	}
	text, err := io.ReadAll(response.Body)
	must(t, err)
	if err := json.Unmarshal(text, &answer); err != nil || answer.Type != "DPoP" {
		t.Fatalf("signed in: %d %s", response.StatusCode, text)
	}
	var told []client.Tokens
	transport, err := client.New(client.Options{Prover: prover, ClientID: "cli", TokenURL: s.origin + "/auth/token", Origins: []string{s.origin},
		Tokens:  client.Tokens{Access: token.Secret(answer.Access), Refresh: token.Secret(answer.Refresh), Expires: time.Now()},
		Renewed: func(tokens client.Tokens) error { told = append(told, tokens); return nil }})
	must(t, err)
	web := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	var wait sync.WaitGroup
	for range 10 {
		wait.Go(func() {
			response, err := web.Post(s.origin+"/things?q=1", "text/plain", strings.NewReader("hello"))
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			if text, _ := io.ReadAll(response.Body); string(text) != key.Thumbprint()+" hello" {
				t.Errorf("%d %s", response.StatusCode, text)
			}
		})
	}
	wait.Wait()
	if n := s.renewals.Load(); n != 1 || len(told) != 1 {
		t.Errorf("%d renewals, told of %d", n, len(told))
	}
	if _, err := web.Get("http://127.0.0.1:1/"); err == nil || !strings.Contains(err.Error(), client.ErrOrigin.Error()) {
		t.Errorf("another origin: %v", err)
	}
	if response, err := http.Get(s.origin + "/things"); err != nil || response.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %v %v", response, err)
	}
}

// A library that nobody here wrote uses, renews and revokes what a sign-in gave.
//
// Rows: 207, 212, 216, 219
func TestOAuth4WebAPI(t *testing.T) {
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("npm is missing")
		}
		t.Skip("npm is missing")
	}
	if _, err := os.Stat("npm/node_modules/oauth4webapi"); err != nil {
		install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
		install.Dir = "npm"
		if out, err := install.CombinedOutput(); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("npm ci: %v\n%s", err, out)
			}
			t.Skipf("npm ci: %v\n%s", err, out)
		}
	}
	s := serve(t)
	script := exec.CommandContext(t.Context(), "node", "interop.mjs", s.origin, name, password)
	script.Dir = "npm"
	if out, err := script.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "done\n") {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := s.renewals.Load(); n != 1 {
		t.Errorf("%d renewals", n)
	}
}
