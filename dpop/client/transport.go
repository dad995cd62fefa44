package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/token"
)

// Tokens are those of one session, as an answer gave them (RFC 6749 §5.1).
type Tokens struct {
	Access  token.Secret
	Refresh token.Secret
	Expires time.Time // of Access, by this machine's clock; zero: not known
}

// Options say whose tokens are sent where. All are required but the last two.
type Options struct {
	_ struct{} // only fields by name

	Prover   *Prover // with the key that the tokens are bound to
	Tokens   Tokens
	TokenURL string // where they are renewed, such as https://app.example/auth/token
	ClientID string
	// Origins are the servers that get the access token, such as
	// https://api.example; requests to any other are refused. Here, and in
	// TokenURL, http is for localhost, 127.0.0.1 and [::1].
	Origins []string
	// Renewed is told of new tokens before they are used, to store them; an error
	// is that of the request. It is not called twice at once. Nil: nobody is.
	Renewed func(Tokens) error
	// Early is how long before its end an access token is renewed; zero: 15 s.
	Early time.Duration
}

// ErrLoginNeeded says that the session is over, or was never this client's: the
// user must sign in again.
var ErrLoginNeeded = errors.New("client: sign in again")

// ErrOrigin says that a request is for a server that does not get the token.
var ErrOrigin = errors.New("client: this origin does not get the access token")

// A Transport sends the access token and a proof of its key with every request,
// and renews the token when it must. It is safe for concurrent use: however many
// requests need a new token, one renewal gets it.
type Transport struct {
	options Options

	mu     sync.Mutex
	tokens Tokens   // guarded by mu
	under  *renewal // guarded by mu; nil: none is under way
	// again is the Idempotency-Key of renewals of these tokens, empty before the
	// first: the issuer must see one whose answer was lost as the same one.
	again string // guarded by mu
}

// A renewal is one request for tokens that others wait for.
type renewal struct {
	done chan struct{}
	err  error
}

// New checks the options and returns a transport, or every fault at once.
func New(o Options) (*Transport, error) {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(o.Prover == nil || o.Prover.Key == nil, "prover is missing; give the one that the user signed in by")
	fault(o.Tokens.Access == "" || o.Tokens.Refresh == "", "tokens are missing")
	fault(o.ClientID == "", "client id is missing")
	at, err := url.Parse(o.TokenURL)
	fault(err != nil || !safe(at), "token URL %q is not https, nor http of localhost", o.TokenURL)
	fault(len(o.Origins) == 0, "origins are missing; name the servers that get the access token")
	for _, origin := range o.Origins {
		u, err := url.Parse(origin)
		fault(err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin, "origin %q is not of the form https://api.example", origin)
		fault(err == nil && !safe(u), "origin %q is not https, nor http of localhost", origin)
	}
	fault(o.Early < 0, "%v before the end is after it", o.Early)
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if o.Early == 0 {
		o.Early = 15 * time.Second
	}
	return &Transport{options: o, tokens: o.Tokens}, nil
}

// safe reports whether tokens may be sent there: over TLS (RFC 6750 §5.3), or to
// this machine.
func safe(u *url.URL) bool {
	host := u.Hostname()
	local := host == "localhost" || host == "127.0.0.1" || host == "::1"
	return host != "" && (u.Scheme == "https" || u.Scheme == "http" && local)
}

// Tokens returns the newest tokens.
func (t *Transport) Tokens() Tokens {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tokens
}

// RoundTrip implements [http.RoundTripper]. A token that is refused is renewed,
// and the request sent once more if it has no body or has a GetBody.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !slices.Contains(t.options.Origins, r.URL.Scheme+"://"+r.URL.Host) {
		return nil, refused(r, ErrOrigin)
	}
	tokens := t.Tokens()
	if !tokens.Expires.IsZero() && time.Until(tokens.Expires) < t.options.Early {
		var err error
		if tokens, err = t.renew(r.Context(), tokens); err != nil {
			return nil, refused(r, err)
		}
	}
	response, err := t.send(r, r.Body, tokens)
	if err != nil || !tokenRefused(response) || r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		return response, err
	}
	newer, err := t.renew(r.Context(), tokens)
	if err != nil {
		return response, nil // who asked sees what the server said
	}
	body := r.Body
	if r.GetBody != nil {
		if body, err = r.GetBody(); err != nil {
			return response, nil
		}
	}
	discard(response)
	return t.send(r, body, newer)
}

// refused closes the body, as a RoundTripper must.
func refused(r *http.Request, err error) error {
	if r.Body != nil {
		r.Body.Close()
	}
	return err
}

func (t *Transport) send(r *http.Request, body io.ReadCloser, tokens Tokens) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.Body = body
	out.Header.Set("Authorization", "DPoP "+tokens.Access.Reveal())
	return t.options.Prover.RoundTrip(out)
}

func tokenRefused(response *http.Response) bool {
	return response.StatusCode == http.StatusUnauthorized &&
		strings.Contains(response.Header.Get("WWW-Authenticate"), `error="invalid_token"`)
}

// renew returns newer tokens than those given. The renewal goes on for the
// others when one who waits for it goes.
func (t *Transport) renew(ctx context.Context, than Tokens) (Tokens, error) {
	t.mu.Lock()
	if t.tokens.Access != than.Access {
		defer t.mu.Unlock()
		return t.tokens, nil
	}
	under := t.under
	if under == nil {
		under = &renewal{done: make(chan struct{})}
		t.under = under
		if t.again == "" {
			t.again = token.NewID().String()
		}
		go t.run(under, than, t.again)
	}
	t.mu.Unlock()
	select {
	case <-under.done:
		return t.Tokens(), under.err
	case <-ctx.Done():
		return Tokens{}, ctx.Err()
	}
}

// renewTime bounds one renewal.
const renewTime = 15 * time.Second

func (t *Transport) run(under *renewal, old Tokens, key string) {
	ctx, cancel := context.WithTimeout(context.Background(), renewTime)
	defer cancel()
	tokens, err := t.request(ctx, old, key)
	if err == nil && t.options.Renewed != nil {
		err = t.options.Renewed(tokens)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if under.err = err; err == nil {
		t.tokens, t.again = tokens, ""
	}
	t.under = nil
	close(under.done)
}

// maxAnswer bounds the answer of a renewal, in bytes.
const maxAnswer = 1 << 16

// request renews (RFC 6749 §6).
func (t *Transport) request(ctx context.Context, old Tokens, key string) (Tokens, error) {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {old.Refresh.Reveal()}, "client_id": {t.options.ClientID}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.options.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return Tokens{}, fmt.Errorf("client: renew: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Idempotency-Key", key)
	sent := time.Now()
	response, err := t.options.Prover.RoundTrip(r)
	if err != nil {
		return Tokens{}, fmt.Errorf("client: renew: %w", err)
	}
	defer discard(response)
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return Tokens{}, fmt.Errorf("client: renew: %w", err)
	}
	var answer struct {
		Access  string `json:"access_token"`
		Type    string `json:"token_type"`
		Life    int64  `json:"expires_in"`
		Refresh string `json:"refresh_token"`
		Error   string `json:"error"`
	}
	err = json.Unmarshal(text, &answer)
	switch {
	case response.StatusCode == http.StatusBadRequest && answer.Error == "invalid_grant":
		return Tokens{}, ErrLoginNeeded
	case response.StatusCode != http.StatusOK:
		return Tokens{}, fmt.Errorf("client: renew: status %d", response.StatusCode)
	case err != nil || answer.Access == "" || !strings.EqualFold(answer.Type, "DPoP"):
		return Tokens{}, errors.New("client: renew: the answer has no token that is bound to the key")
	}
	tokens := Tokens{Access: token.Secret(answer.Access), Refresh: old.Refresh}
	if answer.Refresh != "" {
		tokens.Refresh = token.Secret(answer.Refresh)
	}
	if answer.Life > 0 {
		tokens.Expires = sent.Add(time.Duration(answer.Life) * time.Second)
	}
	return tokens, nil
}
