package client_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/dpop/client"
)

// A tripper answers requests.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, challenge, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Www-Authenticate": {challenge}}, Body: io.NopCloser(strings.NewReader(body))}
}

func options(t *testing.T, base http.RoundTripper) client.Options {
	t.Helper()
	key, err := client.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return client.Options{Prover: &client.Prover{Key: key, Base: base}, Tokens: client.Tokens{Access: "a", Refresh: "r"},
		TokenURL: "https://app.example/auth/token", ClientID: "cli", Origins: []string{"https://api.example"}}
}

// An answer that was lost, or that could not be stored, is asked for again as
// the same renewal; the next renewal is another.
func TestRetriesOfARenewalKeepItsKey(t *testing.T) {
	var keys []string
	o := options(t, tripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path != "/auth/token" {
			return answer(401, `DPoP error="invalid_token"`, ""), nil
		}
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		if len(keys) <= 2 {
			return nil, errors.New("the answer was lost")
		}
		return answer(200, "", `{"access_token":"`+r.Header.Get("Idempotency-Key")+`","token_type":"DPoP","refresh_token":"s"}`), nil
	}))
	full := true
	o.Renewed = func(client.Tokens) error {
		if full {
			full = false
			return errors.New("the disk is full")
		}
		return nil
	}
	transport, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	if len(keys) != 5 || keys[0] == "" || keys[1] != keys[0] || keys[2] != keys[0] || keys[3] != keys[0] || keys[4] == keys[0] {
		t.Errorf("two lost, one not stored, two good: %q", keys)
	}
}

// Tokens go over TLS, or stay on this machine.
func TestTokensGoNowhereInTheClear(t *testing.T) {
	for name, change := range map[string]func(*client.Options){
		"token URL":         func(o *client.Options) { o.TokenURL = "http://app.example/auth/token" },
		"origin":            func(o *client.Options) { o.Origins = append(o.Origins, "http://api.example") },
		"like localhost":    func(o *client.Options) { o.Origins = []string{"http://localhost.example"} },
		"no host":           func(o *client.Options) { o.TokenURL = "https:///auth/token" },
		"another scheme":    func(o *client.Options) { o.Origins = []string{"ftp://api.example"} },
		"user of that name": func(o *client.Options) { o.TokenURL = "http://localhost@app.example/auth/token" },
	} {
		o := options(t, nil)
		change(&o)
		if _, err := client.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, host := range []string{"localhost:8080", "127.0.0.1", "[::1]:8080"} {
		o := options(t, nil)
		o.TokenURL, o.Origins = "http://"+host+"/auth/token", []string{"http://" + host}
		if _, err := client.New(o); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}
