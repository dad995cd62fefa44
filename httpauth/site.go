package httpauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// A Site is where the service lives: its exact origins and the hosts under
// which it may be addressed. It is immutable.
type Site struct {
	origins []string
	hosts   map[string]bool // as in a Host header, lower case
	plain   map[string]bool // those of hosts that are served over plain http: loopback names only
}

// NewSite returns the site with these origins, the first being the one it
// calls itself by. Requests may also name one of otherHosts ("host" or
// "host:port"), for example the name by which a reverse proxy reaches this
// server. Every fault is reported at once.
func NewSite(origins []string, otherHosts ...string) (*Site, error) {
	s := &Site{origins: slices.Clone(origins), hosts: make(map[string]bool), plain: make(map[string]bool)}
	var faults []error
	if len(origins) == 0 {
		faults = append(faults, errors.New("origin is missing; give the one that browsers show, such as https://app.example"))
	}
	for _, origin := range origins {
		if err := CheckOrigin(origin); err != nil {
			faults = append(faults, err)
			continue
		}
		s.addOrigin(origin)
	}
	for _, host := range otherHosts {
		if !validHost(host) {
			faults = append(faults, fmt.Errorf("host %q is not of the form host or host:port, in lower case", host))
			continue
		}
		s.hosts[host] = true
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("httpauth: site: %w", err)
	}
	return s, nil
}

// addOrigin takes in the spellings of the origin's host: a client may write
// the default port or leave it out (RFC 9110 §4.2.3).
func (s *Site) addOrigin(origin string) {
	scheme, host, _ := strings.Cut(origin, "://")
	spellings := []string{host}
	if !hasPort(host) {
		spellings = append(spellings, host+defaultPort[scheme])
	}
	for _, host := range spellings {
		s.hosts[host] = true
		if scheme == "http" {
			s.plain[host] = true
		}
	}
}

var defaultPort = map[string]string{"https": ":443", "http": ":80"}

// Origins returns the origins as they were given.
func (s *Site) Origins() []string { return slices.Clone(s.origins) }

// Has reports whether origin is exactly one of the site's.
func (s *Site) Has(origin string) bool { return slices.Contains(s.origins, origin) }

// checkHost returns [ErrMisdirected] unless the request names a host of the
// site, and only in the Host header: a target in absolute form overrides that
// header (RFC 9112 §3.2.2), so that a proxy in front and this server could see
// two hosts.
func (s *Site) checkHost(r *http.Request) error {
	if r.URL.Host == "" && r.URL.Scheme == "" && s.hosts[strings.ToLower(r.Host)] {
		return nil
	}
	return ErrMisdirected
}

// originsAt returns the origins that a host is of, as in a Host header; all of
// them if it is another name of this server.
func (s *Site) originsAt(host string) []string {
	var at []string
	for _, origin := range s.origins {
		scheme, name, _ := strings.Cut(origin, "://")
		if strings.EqualFold(strings.TrimSuffix(host, defaultPort[scheme]), name) {
			at = append(at, origin)
		}
	}
	if len(at) == 0 {
		return s.origins
	}
	return at
}

// servedPlain reports whether the site has an origin with plain http for this
// host, which [CheckOrigin] allows for loopback names only.
func (s *Site) servedPlain(host string) bool { return s.plain[strings.ToLower(host)] }

// CheckOrigin returns what is wrong with text as an origin: a scheme, a host
// and, if it is not the scheme's default, a port, spelt as browsers spell it
// in the Origin header (RFC 6454 §6.2). The scheme is https, or http for
// localhost, 127.0.0.1 and [::1], which browsers trust as much.
func CheckOrigin(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme+"://"+u.Host != text || !validHost(u.Host):
		return fmt.Errorf("origin %q is not exact; give scheme and host, and a port if needed, in lower case, without path, slash, user or wildcard", text)
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("origin %q is neither https nor http", text)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return fmt.Errorf("origin %q is not secure; use https", text)
	case strings.HasSuffix(u.Host, defaultPort[u.Scheme]):
		return fmt.Errorf("origin %q names the default port; leave it out, as browsers do", text)
	}
	return nil
}

func isLoopback(hostname string) bool {
	return hostname == "localhost" || hostname == "127.0.0.1" || hostname == "::1"
}

// validHost accepts "host" and "host:port" in the one spelling that browsers
// use: DNS names in lower case and punycode, IP addresses in canonical form.
func validHost(host string) bool {
	name := host
	if hasPort(host) {
		i := strings.LastIndexByte(host, ':')
		port := host[i+1:]
		if port == "" || len(port) > 5 || port[0] == '0' || strings.Trim(port, "0123456789") != "" {
			return false
		}
		name = host[:i]
	}
	if inner, ok := strings.CutPrefix(name, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return ok && err == nil && addr.Is6() && addr.Zone() == "" && addr.String() == inner
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return len(name) <= 253
}

// hasPort tells the colon of a port from those inside an IPv6 address.
func hasPort(host string) bool {
	return strings.LastIndexByte(host, ':') > strings.LastIndexByte(host, ']')
}
