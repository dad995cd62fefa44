package follow

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

// Bounds and defaults of [Options].
const (
	// MaxLeeway is half of the minute for which the issuer remembers an ended
	// session beyond the life of its tokens: a clock that is so far behind, and
	// a leeway of so much, still keep within it.
	MaxLeeway = 30 * time.Second
	// DefaultStale is what Stale is unless it is given.
	DefaultStale = time.Minute
	// MinStale leaves time to notice that a connection is dead, and to make
	// another.
	MinStale = 20 * time.Second
	// MaxStale keeps a mistake in the unit from switching the bound off.
	MaxStale = 15 * time.Minute
	// DefaultKeysStale is what KeysStale is unless it is given.
	DefaultKeysStale = 10 * time.Minute
	// MinKeysStale leaves time for a second attempt, and a third.
	MinKeysStale = 2 * time.Minute
	// MaxKeysStale is how long a key that was withdrawn may stay good here at
	// most.
	MaxKeysStale = 24 * time.Hour
)

// A Credential is that of a service, as "pawl service add" shows it once. It
// needs the scopes to read revocations and to report uses. The secret prints
// as "[redacted]".
type Credential struct {
	Name   string
	Secret token.Secret
}

// Options say whose tokens are verified, and how closely the issuer is
// followed. Issuer, Audience, Service and Credential are required.
type Options struct {
	_ struct{} // only fields by name

	// Issuer is the exact issuer that tokens must name: an origin, such as
	// https://login.example. Its keys are at /.well-known/jwks.json.
	Issuer string
	// Audience is the exact audience that tokens must name.
	Audience string
	// Service is where the service API is, without its /v1: the operations
	// listener, such as https://pawl.internal:9443. It may be private.
	Service    string
	Credential Credential
	// Leeway is how far the clocks of issuer and verifier may be apart: 0 to
	// MaxLeeway.
	Leeway time.Duration
	// CacheSize is how many verified tokens are remembered: 0 to
	// [verify.MaxCacheSize].
	CacheSize int
	// Stale is for how long the feed of ended sessions may be silent before
	// every token is refused: MinStale to MaxStale; 0 is DefaultStale.
	Stale time.Duration
	// DangerouslyAcceptStale accepts tokens although the feed is silent, or was
	// never heard: a session that was ended lives on here until its access
	// token expires.
	DangerouslyAcceptStale bool
	// KeysStale is for how long the issuer's keys may be unreadable before every
	// token is refused, since any of them may have been withdrawn meanwhile:
	// MinKeysStale to MaxKeysStale; 0 is DefaultKeysStale. No option turns this
	// off.
	KeysStale time.Duration
	// RootCAs are the authorities that may vouch for issuer and service; nil
	// are the system's. Certificates are always checked.
	RootCAs *x509.CertPool
	// AllowPrivate allows the issuer's name to resolve to an address of a
	// private network or of this machine. Without it such an address is
	// refused when it is dialled, whatever the name resolved to before.
	AllowPrivate bool
	// Log is told when something begins to fail, and when it works again; nil
	// is [slog.Default].
	Log *slog.Logger

	dial func(ctx context.Context, network, address string) (net.Conn, error) // instead of the network, in tests
}

// Validate returns every fault of the options at once.
func (o Options) Validate() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	if _, err := target("issuer", o.Issuer); err != nil {
		faults = append(faults, err)
	} else {
		fault(strings.Count(o.Issuer, "/") > 2, "issuer %q is not an origin; give scheme and host, without path or slash", o.Issuer)
	}
	if _, err := target("service", o.Service); err != nil {
		faults = append(faults, err)
	} else {
		fault(strings.HasSuffix(o.Service, "/"), "service %q ends in a slash; leave it out", o.Service)
	}
	fault(o.Audience == "", "audience is missing; give the exact audience that tokens must name")
	fault(!plain(o.Credential.Name) || strings.Contains(o.Credential.Name, ":"), "name of the credential is missing or is none; give the one that the service was added under")
	fault(!plain(o.Credential.Secret.Reveal()), "secret of the credential is missing or is none; give the one that was shown when the service was added")
	fault(o.Leeway < 0 || o.Leeway > MaxLeeway, "leeway of %v is outside 0 to %v", o.Leeway, MaxLeeway)
	fault(o.CacheSize < 0 || o.CacheSize > verify.MaxCacheSize, "cache size of %d is outside 0 to %d", o.CacheSize, verify.MaxCacheSize)
	fault(o.Stale != 0 && (o.Stale < MinStale || o.Stale > MaxStale), "stale bound of %v is outside %v to %v", o.Stale, MinStale, MaxStale)
	fault(o.KeysStale != 0 && (o.KeysStale < MinKeysStale || o.KeysStale > MaxKeysStale), "stale bound of the keys, %v, is outside %v to %v", o.KeysStale, MinKeysStale, MaxKeysStale)
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Stale == 0 {
		o.Stale = DefaultStale
	}
	if o.KeysStale == 0 {
		o.KeysStale = DefaultKeysStale
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// authorize returns what puts the credential into a request (RFC 7617 §2). The
// secret is in a function, where nothing that prints a Follower finds it.
func (o Options) authorize() func(*http.Request) {
	name, secret := o.Credential.Name, o.Credential.Secret
	return func(r *http.Request) { r.SetBasicAuth(name, secret.Reveal()) }
}

// plain reports whether text is 1 to 256 visible ASCII characters.
func plain(text string) bool {
	return text != "" && len(text) <= 256 && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// target reads a URL that requests go to. Credentials and keys travel over
// https, or do not leave this machine.
func target(name, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return nil, fmt.Errorf("%s is missing", name)
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Scheme+"://"+u.Host+u.Path != text:
		return nil, fmt.Errorf("%s is not a plain URL; give scheme, host and perhaps port, without user, query or fragment", name)
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, fmt.Errorf("%s %q is not secure; use https", name, text)
	}
	return u, nil
}

// loopback reports whether a host of a URL is this machine by its name.
func loopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}
