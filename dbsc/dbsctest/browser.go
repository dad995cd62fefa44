package dbsctest

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/dbsc"
)

// A Browser has a jar of cookies and one device, and does as Chromium 156 does:
// it registers when it is asked to, holds requests while the cookie that it
// watches is missing, and renews before it sends them.
type Browser struct {
	Origin string            // of the site
	Send   http.RoundTripper // carries requests
	Now    func() time.Time
	Device *Device

	renewing sync.Mutex // held while it renews; others wait for that

	mu    sync.Mutex
	jar   map[string]kept // guarded by mu
	bound *Bound          // guarded by mu; nil: no session is bound
	trace []string        // guarded by mu
	next  string          // guarded by mu: the challenge for the next renewal; may be empty
}

type kept struct {
	value, path string
	until       time.Time // zero: while the browser runs
}

// A Bound is what a browser was told of the session that is bound to its device.
type Bound struct {
	Identifier  string `json:"session_identifier"`
	RefreshURL  string `json:"refresh_url"`
	Continue    *bool  `json:"continue"`
	Credentials []struct {
		Name       string `json:"name"`
		Attributes string `json:"attributes"`
	} `json:"credentials"`
	Scope struct {
		IncludeSite bool `json:"include_site"`
	} `json:"scope"`
}

// NewBrowser returns a browser with a key of its own.
func NewBrowser(origin string, send http.RoundTripper, now func() time.Time) *Browser {
	return &Browser{Origin: origin, Send: send, Now: now, Device: NewDevice(), jar: make(map[string]kept)}
}

// Clone is a thief with a copy of everything but the key.
func (b *Browser) Clone() *Browser {
	b.mu.Lock()
	defer b.mu.Unlock()
	other := NewBrowser(b.Origin, b.Send, b.Now)
	for name, c := range b.jar {
		other.jar[name] = c
	}
	other.bound, other.next = b.bound, b.next
	return other
}

// Bound is the session that is bound; nil: none.
func (b *Browser) Bound() *Bound {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bound
}

// Forget forgets the session that was bound and its challenge, not the cookies.
func (b *Browser) Forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bound, b.next = nil, ""
}

// Challenge is what the next renewal would answer.
func (b *Browser) Challenge() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.next
}

// SetChallenge replaces it; empty: the next renewal begins without a proof.
func (b *Browser) SetChallenge(challenge string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next = challenge
}

// Trace returns what was sent since it was last asked: "POST /path 200".
func (b *Browser) Trace() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	trace := b.trace
	b.trace = nil
	return trace
}

// Value is the value of a cookie; empty: there is none.
func (b *Browser) Value(name string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, ok := b.jar[name]
	if !ok || !c.until.IsZero() && !b.Now().Before(c.until) {
		return ""
	}
	return c.value
}

// Set puts a cookie into the jar; an empty value takes it out.
func (b *Browser) Set(name, value, path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if value == "" {
		delete(b.jar, name)
	} else {
		b.jar[name] = kept{value: value, path: path}
	}
}

// Do sends a request of a page of the site, and everything that comes before
// and after it. Headers are "Name: value".
func (b *Browser) Do(method, path, body string, headers ...string) (*http.Response, error) {
	var skipped string
	if b.craves() {
		b.renewing.Lock()
		if b.craves() {
			skipped = b.renew()
		}
		b.renewing.Unlock()
	}
	if skipped != "" {
		headers = append(headers, dbsc.SkippedHeader+": "+skipped)
	}
	answer, err := b.send(method, path, body, append([]string{"Sec-Fetch-Mode: cors"}, headers...)...)
	if err != nil {
		return nil, err
	}
	if offer := answer.Header.Get(dbsc.RegistrationHeader); offer != "" {
		b.register(offer)
	}
	return answer, nil
}

// craves reports whether the cookie that is watched is missing.
func (b *Browser) craves() bool {
	bound := b.Bound()
	return bound != nil && b.Value(bound.Credentials[0].Name) == ""
}

// tries is how many proofs Chromium sends in one renewal.
const tries = 5

// renew returns why the request goes on without; empty: it does not.
func (b *Browser) renew() (skipped string) {
	bound := b.Bound()
	for range tries {
		headers := []string{dbsc.IdentifierHeader + ": " + bound.Identifier, "Sec-Fetch-Mode: no-cors"}
		if challenge := b.Challenge(); challenge != "" {
			headers = append(headers, dbsc.ResponseHeader+": "+b.Device.Prove(challenge))
		}
		answer, err := b.send("POST", bound.RefreshURL, "", headers...)
		switch {
		case err != nil:
			return `unreachable;session_identifier="` + bound.Identifier + `"`
		case answer.StatusCode >= 500:
			return `server_error;session_identifier="` + bound.Identifier + `"`
		case answer.StatusCode == http.StatusForbidden && b.heed(answer):
			continue
		case answer.StatusCode != http.StatusOK:
			b.Forget()
			return ""
		}
		b.SetChallenge("") // it is used
		b.heed(answer)
		if errors.Is(b.follow(answer, bound), errMismatched) {
			b.Forget()
		}
		return ""
	}
	b.Forget()
	return ""
}

var (
	offered = regexp.MustCompile(`^\(ES256\);path="([^"]+)";challenge="([^"]+)"$`)
	asked   = regexp.MustCompile(`^"([^"]+)";id="([^"]+)"$`)
)

// heed notes the challenge of an answer, if it is for the session that is bound.
func (b *Browser) heed(answer *http.Response) bool {
	found := asked.FindStringSubmatch(answer.Header.Get(dbsc.ChallengeHeader))
	if bound := b.Bound(); found == nil || bound == nil || found[2] != bound.Identifier {
		return false
	}
	b.SetChallenge(found[1])
	return true
}

// register does what an offer asks for.
func (b *Browser) register(offer string) {
	found := offered.FindStringSubmatch(offer)
	if found == nil {
		return
	}
	answer, err := b.send("POST", found[1], "", dbsc.ResponseHeader+": "+b.Device.Register(found[2]), "Sec-Fetch-Mode: no-cors")
	if err != nil || answer.StatusCode != http.StatusOK {
		return
	}
	if b.follow(answer, nil) == nil {
		b.SetChallenge("")
		b.heed(answer)
	}
}

// errMismatched is Chromium's kMismatchedSessionId, for which it forgets the
// session.
var errMismatched = errors.New("instructions for another session than was renewed")

// follow does what instructions say. They must be for the session that was
// renewed; nil: one that is new.
func (b *Browser) follow(answer *http.Response, renewed *Bound) error {
	var told Bound
	if err := json.UnmarshalRead(answer.Body, &told); err != nil {
		return err
	}
	switch {
	case told.Identifier == "":
		return errors.New("no identifier")
	case renewed != nil && told.Identifier != renewed.Identifier:
		return errMismatched
	case told.Continue != nil && !*told.Continue:
		b.Forget()
		return nil
	case len(told.Credentials) != 1:
		return errors.New("no credential")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bound = &told
	return nil
}

// send sends one request and keeps its cookies.
func (b *Browser) send(method, path, body string, headers ...string) (*http.Response, error) {
	r, err := http.NewRequest(method, b.Origin+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{"Origin": b.Origin, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty"} {
		r.Header.Set(name, value)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	if pairs := b.pairs(path); pairs != "" {
		r.Header.Set("Cookie", pairs)
	}
	answer, err := b.Send.RoundTrip(r)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.trace = append(b.trace, method+" "+path+" -")
		return nil, err
	}
	b.trace = append(b.trace, method+" "+path+" "+answer.Status[:3])
	for _, c := range answer.Cookies() {
		switch {
		case c.MaxAge < 0:
			delete(b.jar, c.Name)
		case c.MaxAge > 0:
			b.jar[c.Name] = kept{c.Value, c.Path, b.Now().Add(time.Duration(c.MaxAge) * time.Second)}
		default:
			b.jar[c.Name] = kept{value: c.Value, path: c.Path}
		}
	}
	return answer, nil
}

func (b *Browser) pairs(path string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []string
	for name, c := range b.jar {
		if strings.HasPrefix(path, c.path) && (c.until.IsZero() || b.Now().Before(c.until)) {
			list = append(list, name+"="+c.value)
		}
	}
	return strings.Join(list, "; ")
}
