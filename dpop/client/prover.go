package client

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A Prover signs every request with its key. It remembers the newest nonce of
// each server, and sends a request once more if the server wants another. It is
// safe for concurrent use.
type Prover struct {
	Key  *Key
	Base http.RoundTripper // nil: [http.DefaultTransport]

	mu     sync.Mutex
	nonces map[audience]string // guarded by mu
}

// An audience has nonces of its own: a server where tokens are used, or issued
// (RFC 9449 §9), which may be at one origin.
type audience struct {
	origin string
	used   bool
}

// maxNonces bounds how many servers' nonces are remembered.
const maxNonces = 1 << 10

// RoundTrip implements [http.RoundTripper]. A request that must be sent again is,
// once, if it has no body or has a GetBody.
func (p *Prover) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := p.once(r, r.Body)
	if err != nil || !wantsNonce(response) || r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		return response, err
	}
	body := r.Body
	if r.GetBody != nil {
		if body, err = r.GetBody(); err != nil {
			return response, nil
		}
	}
	discard(response)
	return p.once(r, body)
}

// once sends the request with a fresh proof. What the caller gave is not
// changed, as a RoundTripper must not.
func (p *Prover) once(r *http.Request, body io.ReadCloser) (*http.Response, error) {
	access, used := accessOf(r)
	at := audience{r.URL.Scheme + "://" + r.URL.Host, used}
	proof, err := p.Key.Proof(r.Method, r.URL.Scheme+"://"+hostOf(r)+r.URL.EscapedPath(), access, p.nonce(at), time.Now())
	if err != nil {
		if body != nil {
			body.Close()
		}
		return nil, err
	}
	signed := r.Clone(r.Context())
	signed.Body = body
	signed.Header.Set("DPoP", proof)
	base := p.Base
	if base == nil {
		base = http.DefaultTransport
	}
	response, err := base.RoundTrip(signed)
	if err == nil {
		p.note(at, response.Header["Dpop-Nonce"])
	}
	return response, err
}

func hostOf(r *http.Request) string {
	if r.Host != "" {
		return r.Host
	}
	return r.URL.Host
}

func accessOf(r *http.Request) (access string, used bool) {
	scheme, access, found := strings.Cut(r.Header.Get("Authorization"), " ")
	if !found || !strings.EqualFold(scheme, "DPoP") {
		return "", false
	}
	return access, true
}

func (p *Prover) nonce(at audience) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nonces[at]
}

// note remembers the newest nonce (RFC 9449 §8.2).
func (p *Prover) note(at audience, lines []string) {
	if len(lines) != 1 || lines[0] == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.nonces == nil || len(p.nonces) >= maxNonces {
		p.nonces = make(map[audience]string)
	}
	p.nonces[at] = lines[0]
}

// wantsNonce reports whether the server refuses a proof for its nonce alone: a
// resource in its challenge, an issuer in the body of a 400, which is put back.
// See RFC 9449 §8 and §9.
func wantsNonce(response *http.Response) bool {
	const wanted = `"use_dpop_nonce"`
	switch {
	case len(response.Header["Dpop-Nonce"]) != 1:
		return false
	case response.StatusCode == http.StatusUnauthorized:
		return strings.Contains(response.Header.Get("WWW-Authenticate"), "error="+wanted)
	case response.StatusCode != http.StatusBadRequest:
		return false
	}
	start, err := io.ReadAll(io.LimitReader(response.Body, maxDiscard))
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), response.Body), response.Body}
	return err == nil && bytes.Contains(start, []byte(wanted))
}

// maxDiscard bounds what is read of an answer that nobody wants, in bytes, so
// that its connection can be used again.
const maxDiscard = 1 << 16

func discard(response *http.Response) {
	io.CopyN(io.Discard, response.Body, maxDiscard)
	response.Body.Close()
}
