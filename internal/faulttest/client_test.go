//go:build linux

package faulttest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/token"
)

// A client is one device of a user, and honest: it renews one token at a time,
// tries again with the same token and the same Idempotency-Key while it is told
// to or told nothing, and uses what it got. One goroutine at a time drives it.
type client struct {
	w      *world
	name   string
	cookie bool // else bearer
	twins  bool // renews at two nodes at the same time, as two tabs do
	at     int  // the node that it asks
	tokens
	id         token.ID
	generation uint32
}

// contents reads what a refresh token says, which its client need not know.
func contents(refresh string) (id token.ID, generation uint32, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(refresh, token.RefreshPrefix))
	if err != nil || len(raw) < 22 {
		return id, 0, fmt.Errorf("no refresh token: %.12q: %w", refresh, err)
	}
	copy(id[:], raw[5:21])
	g, _ := binary.Uvarint(raw[21:])
	return id, uint32(g), nil
}

// tokensOf takes the tokens from an answer: from its cookies, or from its body.
func tokensOf(resp *http.Response, body []byte) (t tokens) {
	for _, c := range resp.Cookies() {
		switch c.Name {
		case httpauth.AccessCookie:
			t.access = c.Value
		case httpauth.RefreshCookie:
			t.refresh = c.Value
		}
	}
	var doc struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if t.refresh == "" && json.Unmarshal(body, &doc) == nil {
		t.access, t.refresh = doc.Access, doc.Refresh
	}
	return t
}

// fromPage are the headers of a request that our own page makes.
var fromPage = []string{"Sec-Fetch-Site", "same-origin", "Origin", origin}

// signIn signs in, and takes "busy" for an answer that asks it to come again.
func (c *client) signIn(ctx context.Context) error {
	transport := map[bool]string{true: "cookie", false: "bearer"}[c.cookie]
	login := map[string]any{"username": user, "password": password, "transport": transport, "remember": c.cookie}
	headers := []string{"User-Agent", c.name}
	if c.cookie {
		headers = append(headers, fromPage...)
	} else {
		login["client_id"], login["remember"] = app, false
	}
	body, err := json.Marshal(login)
	if err != nil {
		return err
	}
	a, err := c.insist(ctx, func(n *node) (answer, error) {
		return n.send(ctx, "POST", "/auth/login", "application/json", string(body), headers...)
	})
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("%s signs in: %d %s", c.name, a.status, a.raw)
	}
	return c.take(a)
}

// take keeps the tokens of an answer.
func (c *client) take(a answer) error {
	id, generation, err := contents(a.refresh)
	if err != nil {
		return err
	}
	c.tokens, c.id, c.generation = a.tokens, id, generation
	return c.w.ledger.note(id, generation, a.refresh)
}

// present sends a refresh token as the client would, to one node.
func (c *client) present(ctx context.Context, n *node, t tokens, key string) (answer, error) {
	if c.cookie {
		cookies := httpauth.AccessCookie + "=" + t.access + "; " + httpauth.RefreshCookie + "=" + t.refresh
		return n.send(ctx, "POST", "/auth/refresh", "application/json", "",
			append([]string{"Cookie", cookies, "Idempotency-Key", key}, fromPage...)...)
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {t.refresh}, "client_id": {app}}.Encode()
	return n.send(ctx, "POST", "/auth/token", "application/x-www-form-urlencoded", form, "Idempotency-Key", key)
}

// insist asks node after node until one decides. Everything but an answer that
// decides is to be expected of a failing system if it says when to come back.
func (c *client) insist(ctx context.Context, ask func(*node) (answer, error)) (answer, error) {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		a, err := ask(c.w.nodes[c.at%len(c.w.nodes)])
		switch {
		case err != nil:
			c.w.count.unanswered.Add(1)
		case a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "":
			c.w.count.unavailable.Add(1)
		default:
			return a, nil
		}
		c.at++
		select {
		case <-ctx.Done():
			return answer{}, fmt.Errorf("%s: %w; last answer: %d %s, %w", c.name, ctx.Err(), a.status, a.raw, err)
		case <-time.After(wait):
		}
	}
}

// renew renews, until it has new tokens.
func (c *client) renew(ctx context.Context) error { return c.renewAs(ctx, rand.Text()) }

func (c *client) renewAs(ctx context.Context, key string) error {
	before, twin := c.generation, *c
	other := make(chan error, 1)
	if c.twins {
		twin.at++
		go func() { other <- twin.renewOnce(ctx, key) }()
	} else {
		other <- nil
	}
	err := c.renewOnce(ctx, key)
	if more := <-other; err == nil {
		err = more
	}
	if err != nil {
		return err
	}
	// The jar is one. Where a test makes rows old, one of the two may turn the
	// session long after the other was told that it is too young.
	if twin.generation > c.generation {
		c.tokens, c.generation = twin.tokens, twin.generation
	}
	if c.generation != before+1 && !(c.w.repeats.Load() && c.generation == before) {
		return fmt.Errorf("%s renewed generation %d and got %d", c.name, before, c.generation)
	}
	c.w.count.renewed.Add(1)
	return nil
}

func (c *client) renewOnce(ctx context.Context, key string) error {
	a, err := c.insist(ctx, func(n *node) (answer, error) { return c.present(ctx, n, c.tokens, key) })
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("%s renews generation %d: %d %s", c.name, c.generation, a.status, a.raw)
	}
	return c.take(a)
}

// access asks one node whether it lets the client in, as a proxy does.
func (n *node) letsIn(ctx context.Context, c *client, access string) (answer, error) {
	headers := []string{"X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/"}
	if c.cookie {
		headers = append(headers, "Cookie", httpauth.AccessCookie+"="+access)
	} else {
		headers = append(headers, "Authorization", "Bearer "+access)
	}
	return n.send(ctx, "GET", "/auth/verify", "", "", headers...)
}

// use uses the newest access token, until it is let in. It renews if the token
// is refused while that is to be expected.
func (c *client) use(ctx context.Context) error {
	for {
		a, err := c.insist(ctx, func(n *node) (answer, error) { return n.letsIn(ctx, c, c.access) })
		switch {
		case err != nil:
			return err
		case a.status == http.StatusNoContent:
			return nil
		case a.status != http.StatusUnauthorized || !c.w.refuses.Load():
			return fmt.Errorf("%s uses generation %d: %d %s", c.name, c.generation, a.status, a.raw)
		}
		time.Sleep(20 * time.Millisecond)
		if err := c.renew(ctx); err != nil {
			return err
		}
	}
}

// signOut tries once, and reports whether it was told that it is done.
func (c *client) signOut(ctx context.Context, n *node) (done bool, err error) {
	var a answer
	if c.cookie {
		cookies := httpauth.AccessCookie + "=" + c.access + "; " + httpauth.RefreshCookie + "=" + c.refresh
		a, err = n.send(ctx, "POST", "/auth/logout", "application/json", "", append([]string{"Cookie", cookies}, fromPage...)...)
	} else {
		a, err = n.send(ctx, "POST", "/auth/logout", "", "", "Authorization", "Bearer "+c.access)
	}
	switch {
	case err != nil || a.status == http.StatusServiceUnavailable:
		return false, nil // nobody knows
	case a.status == http.StatusNoContent:
		return true, nil
	}
	return false, fmt.Errorf("%s signs out: %d %s", c.name, a.status, a.raw)
}

// A ledger holds every refresh token that any client was given.
type ledger struct {
	mu    sync.Mutex
	given map[token.ID]map[uint32]string // guarded by mu
}

// note fails if a generation has more than one token.
func (l *ledger) note(id token.ID, generation uint32, refresh string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.given[id] == nil {
		l.given[id] = make(map[uint32]string)
	}
	if had, ok := l.given[id][generation]; ok && had != refresh {
		return fmt.Errorf("generation %d of %v has two tokens", generation, id)
	}
	l.given[id][generation] = refresh
	return nil
}

// counts are what happened to all clients of a world.
type counts struct{ renewed, unavailable, unanswered atomic.Int64 }
