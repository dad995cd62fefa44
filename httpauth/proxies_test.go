package httpauth_test

import (
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pawlauth/pawl/httpauth"
)

// Rows: 64.
func TestClientAddressIsOnlyWhatTrustedProxiesSay(t *testing.T) {
	proxies, err := httpauth.NewProxies("10.0.0.0/8", "2001:db8:ff::/48")
	must(t, err)
	for _, c := range []struct {
		name, peer string
		lines      []string
		want       string
	}{
		{"no proxy", "192.0.2.1:5", nil, "192.0.2.1"},
		{"a stranger's word", "192.0.2.1:5", []string{"203.0.113.9"}, "192.0.2.1"},
		{"one proxy", "10.0.0.1:5", []string{"203.0.113.9"}, "203.0.113.9"},
		{"a client's word before the proxy's", "10.0.0.1:5", []string{"198.51.100.1, 203.0.113.9"}, "203.0.113.9"},
		{"in a line of its own", "10.0.0.1:5", []string{"198.51.100.1", "203.0.113.9"}, "203.0.113.9"},
		{"two proxies", "10.0.0.1:5", []string{"203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		{"a client that names a proxy", "10.0.0.1:5", []string{"10.0.0.3, 203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		{"only proxies", "10.0.0.1:5", []string{"10.0.0.3,10.0.0.2"}, "10.0.0.3"},
		{"with ports", "10.0.0.1:5", []string{"203.0.113.9:1234"}, "203.0.113.9"},
		{"IPv6", "[2001:db8:ff::1]:5", []string{"[2001:db8:1::9]:1234"}, "2001:db8:1::9"},
		{"IPv6 without brackets", "[2001:db8:ff::1]:5", []string{"2001:db8:1::9"}, "2001:db8:1::9"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:5", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{"garbage", "10.0.0.1:5", []string{"203.0.113.9, unknown"}, "10.0.0.1"},
		{"garbage behind a proxy", "10.0.0.1:5", []string{"<script>, 10.0.0.2"}, "10.0.0.2"},
		{"empty", "10.0.0.1:5", []string{""}, "10.0.0.1"},
		{"no address at all", "@", []string{"203.0.113.9"}, "invalid IP"},
	} {
		r := request("GET", "/")
		r.RemoteAddr, r.Header["X-Forwarded-For"] = c.peer, c.lines
		r.Header.Set("Forwarded", "for=203.0.113.77")
		r.Header.Set("X-Real-Ip", "203.0.113.77")
		if got := proxies.ClientAddr(r).String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestNobodyIsTrustedByDefault(t *testing.T) {
	r := request("GET", "/", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Request-Id: 7")
	r.RemoteAddr, r.TLS = "127.0.0.1:5", nil
	var none httpauth.Proxies
	if got := none.ClientAddr(r).String(); got != "127.0.0.1" {
		t.Errorf("client %s", got)
	}
	if none.HTTPS(r) {
		t.Error("X-Forwarded-Proto of anybody is believed")
	}
	if id := none.Origin(r).RequestID; id != "" {
		t.Errorf("request id %q of anybody is kept", id)
	}
}

func TestProxyNetworksAreChecked(t *testing.T) {
	for _, bad := range []string{"", "10.0.0.1", "10.0.0.1/8", "0.0.0.0/0", "::/0", "10.0.0.0/33", "all"} {
		if _, err := httpauth.NewProxies(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestAddressesAreKeptCoarsely(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.77": "192.0.2.0/24", "2001:db8:1:2::3": "2001:db8:1::/48", "::ffff:192.0.2.77": "192.0.2.0/24", "fe80::1%eth0": "fe80::/48",
	} {
		if got := httpauth.Coarse(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	if got := httpauth.Coarse(netip.Addr{}); got != "" {
		t.Errorf("no address: %q", got)
	}
}

func TestWhatIsKeptOfARequestIsBounded(t *testing.T) {
	r := request("GET", "/")
	r.Header.Set("User-Agent", strings.Repeat("é", 1000)+"\xff")
	ua := httpauth.Proxies{}.Origin(r).UserAgent
	if len(ua) > 256 || !utf8.ValidString(ua) || !strings.HasPrefix(ua, "é") {
		t.Errorf("kept %d bytes: %q", len(ua), ua)
	}
}
