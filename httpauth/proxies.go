package httpauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pawlauth/pawl/session"
)

// Proxies are the reverse proxies that are believed. What any other peer says
// in X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Method, X-Original-Method
// or X-Request-Id is ignored. X-Forwarded-Host is never read: the hosts are
// configured. The zero value believes nobody.
type Proxies struct{ trusted []netip.Prefix }

// NewProxies returns the proxies whose addresses are in the given networks,
// written as "192.0.2.0/24" or "2001:db8::/32". Every fault is reported at
// once.
func NewProxies(networks ...string) (Proxies, error) {
	var p Proxies
	var faults []error
	for _, text := range networks {
		prefix, err := netip.ParsePrefix(text)
		switch {
		case err != nil || prefix != prefix.Masked():
			faults = append(faults, fmt.Errorf("proxy network %q is not an address and a length, such as 192.0.2.0/24", text))
		case prefix.Bits() == 0:
			faults = append(faults, fmt.Errorf("proxy network %q is the whole Internet; name the networks of your proxies", text))
		default:
			p.trusted = append(p.trusted, prefix)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return Proxies{}, fmt.Errorf("httpauth: %w", err)
	}
	return p, nil
}

func (p Proxies) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(p.trusted, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// trustsPeer reports whether a trusted proxy sent the request.
func (p Proxies) trustsPeer(r *http.Request) bool {
	return len(p.trusted) > 0 && p.trusts(peer(r))
}

// peer is who opened the connection; not valid if it has no IP address.
func peer(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// HTTPS reports whether the client's connection was encrypted. A trusted
// proxy that says what its client used decides; otherwise our own connection
// does.
func (p Proxies) HTTPS(r *http.Request) bool {
	if p.trustsPeer(r) {
		if said := r.Header["X-Forwarded-Proto"]; len(said) > 0 {
			return len(said) == 1 && strings.EqualFold(said[0], "https")
		}
	}
	return r.TLS != nil
}

// ClientAddr is the address of the client: the peer's, or, as far as trusted
// proxies vouch for it, what X-Forwarded-For says. The list is read from the
// right, each entry being the word of the proxy to its right, and ends at the
// first that is not a trusted proxy. It is not valid if the peer has no IP
// address.
func (p Proxies) ClientAddr(r *http.Request) netip.Addr {
	client := peer(r)
	if !p.trustsPeer(r) {
		return client
	}
	for _, line := range slices.Backward(r.Header["X-Forwarded-For"]) {
		for _, entry := range slices.Backward(strings.Split(line, ",")) {
			addr, ok := parseForwarded(strings.TrimSpace(entry))
			if !ok {
				return client // the last that somebody trustworthy named
			}
			if client = addr; !p.trusts(client) {
				return client
			}
		}
	}
	return client
}

// parseForwarded reads "192.0.2.1", "192.0.2.1:80", "2001:db8::1" and
// "[2001:db8::1]:80".
func parseForwarded(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		at, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = at.Addr()
	}
	return addr.Unmap().WithZone(""), true
}

// coarse returns the network that stands for an address wherever one is kept:
// 24 bits of an IPv4 address, 48 of an IPv6 address (a site, RFC 6177 §2);
// empty for an address that is not valid.
func coarse(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	addr = addr.Unmap()
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	network, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return ""
	}
	return network.String()
}

// What is kept of a request, in bytes.
const (
	maxUserAgent = 256
	maxRequestID = 64
)

// Origin says where a request came from, as much of it as is kept.
func (p Proxies) Origin(r *http.Request) session.Origin {
	o := session.Origin{Address: coarse(p.ClientAddr(r)), UserAgent: clip(r.UserAgent(), maxUserAgent)}
	if p.trustsPeer(r) {
		o.RequestID = clip(r.Header.Get("X-Request-Id"), maxRequestID)
	}
	return o
}

// clip cuts text between runes and replaces what is not UTF-8.
func clip(text string, limit int) string {
	if len(text) > limit {
		for limit > 0 && !utf8.RuneStart(text[limit]) {
			limit--
		}
		text = text[:limit]
	}
	return strings.ToValidUTF8(text, "?")
}

// forwardedMethod is the method of the request that a trusted proxy asks
// about; empty if none is named, or two are.
func (p Proxies) forwardedMethod(r *http.Request) string {
	if !p.trustsPeer(r) {
		return ""
	}
	said := slices.Concat(r.Header["X-Forwarded-Method"], r.Header["X-Original-Method"])
	said = slices.Compact(said)
	if len(said) != 1 {
		return ""
	}
	return said[0]
}
