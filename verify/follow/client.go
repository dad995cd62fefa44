package follow

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"
)

// What can be wrong with an answer; see also [statusError].
var (
	errAddress     = errors.New("the name resolves to an address that is not allowed; if the issuer is meant to be there, set AllowPrivate")
	errContentType = errors.New("the answer is of the wrong content type")
	errTooLong     = errors.New("the answer is longer than the limit")
)

// A statusError is an answer with another status than was hoped for. A
// redirect is one: it is never followed, so that nobody is sent elsewhere with
// a credential, or to other keys.
type statusError struct{ code int }

func (e *statusError) Error() string {
	if e.code == http.StatusUnauthorized || e.code == http.StatusForbidden {
		return fmt.Sprintf("answered %d; check name, secret and scopes of the service credential", e.code)
	}
	return fmt.Sprintf("answered %d", e.code)
}

const (
	connectTime = 5 * time.Second
	answerTime  = 10 * time.Second // for all of an answer that has an end
)

// newClient returns a client that follows no redirect, uses no proxy, unpacks
// nothing and dials only what may be dialled.
func newClient(o Options, mayDial func(netip.Addr) bool) *http.Client {
	dialer := &net.Dialer{
		Timeout: connectTime,
		// Asked for the very address that is connected to: a name that resolves
		// to another one the second time gains nothing.
		Control: func(_, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil || !mayDial(at.Addr().Unmap().WithZone("")) {
				return errAddress
			}
			return nil
		},
	}
	dial := dialer.DialContext
	if o.dial != nil {
		dial = o.dial
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dial,
			TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    connectTime,
			IdleConnTimeout:        2 * keysEvery,
			MaxResponseHeaderBytes: 32 << 10,
			MaxConnsPerHost:        4,
			DisableCompression:     true, // a small answer must not become a large one
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// issuerAddress says where the issuer's keys may come from.
func issuerAddress(issuer *url.URL, allowPrivate bool) func(netip.Addr) bool {
	switch {
	case loopback(issuer.Hostname()):
		return netip.Addr.IsLoopback
	case allowPrivate:
		return func(a netip.Addr) bool {
			return a.IsLoopback() || a.IsGlobalUnicast() && !within(neverNetworks, a)
		}
	}
	return func(a netip.Addr) bool {
		return a.IsGlobalUnicast() && !a.IsPrivate() && !within(neverNetworks, a) && !within(privateNetworks, a)
	}
}

// serviceAddress says where the service API may be: anywhere, as the operator
// says, but a name that stands for this machine must be this machine.
func serviceAddress(service *url.URL) func(netip.Addr) bool {
	if loopback(service.Hostname()) {
		return netip.Addr.IsLoopback
	}
	return netip.Addr.IsValid
}

// Beyond what [netip.Addr] knows (RFC 6890 §2.2): privateNetworks are not of
// the public Internet, or hide an address that may not be; at neverNetworks
// there is no server.
var (
	privateNetworks = networks("100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "fec0::/10")
	neverNetworks   = networks("0.0.0.0/8", "240.0.0.0/4", "::/96", "100::/64")
)

func networks(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

func within(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

// is reports whether an answer is of a media type, and not encoded.
func is(answer *http.Response, mediaType string) bool {
	got, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	return err == nil && got == mediaType && answer.Header.Get("Content-Encoding") == ""
}

// readAll reads an answer of at most limit bytes.
func readAll(r io.Reader, limit int) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err == nil && len(text) > limit {
		err = errTooLong
	}
	return text, err
}

// A backoff is how long to wait after one failure and the next.
type backoff struct{ next time.Duration }

const (
	firstWait = 100 * time.Millisecond
	maxWait   = 5 * time.Second
)

func (b *backoff) wait() time.Duration {
	d := max(b.next, firstWait)
	b.next = min(2*d, maxWait)
	return max(jittered(d), firstWait)
}

// jittered returns between half of d and d, so that many followers do not come
// all at once.
func jittered(d time.Duration) time.Duration {
	var random [8]byte
	rand.Read(random[:])
	half := uint64(d / 2)
	return time.Duration(half + binary.LittleEndian.Uint64(random[:])%(half+1))
}

// A teller logs when something begins to fail, or fails differently, and when
// it works again; not each time it is tried. One goroutine owns it.
type teller struct {
	log    *slog.Logger
	what   string
	failed bool
	code   int // of the status error, or 0
}

func (t *teller) tell(err error) {
	if err == nil {
		if t.failed {
			t.log.Info("works again", "task", t.what)
		}
		t.failed, t.code = false, 0
		return
	}
	code := 0
	if status, ok := errors.AsType[*statusError](err); ok {
		code = status.code
	}
	if !t.failed || code != t.code {
		t.log.Error("fails; it is tried again", "task", t.what, "error", err)
	}
	t.failed, t.code = true, code
}
