package follow

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"testing"
	"time"
)

// The proxy of the environment would see whose keys are read, and would be
// whose address is judged.
//
// Rows: 188
func TestNoProxyOfTheEnvironment(t *testing.T) {
	if c := newClient(Options{}, netip.Addr.IsValid); c.Transport.(*http.Transport).Proxy != nil {
		t.Error("a proxy is used")
	}
}

// However many headers are invented, what is remembered of them is bounded,
// and one that finds no room is looked for all the same.
//
// Rows: 188, 189, A66
func TestHeadersThatAreRememberedAreBounded(t *testing.T) {
	k := newKeys("", nil, teller{}, time.Minute)
	now := time.Now()
	for round := range 3 {
		for i := range 3 * maxHeaders {
			k.missed(fmt.Sprint(round, "-", i))
		}
		if len(k.asked) != maxHeaders || len(k.wake) != 1 {
			t.Fatalf("%d headers are asked for, %d readings are due", len(k.asked), len(k.wake))
		}
		k.deny(k.begin(), now)
		if len(k.asked) != 0 || len(k.wake) != 0 || len(k.denied) != maxHeaders {
			t.Fatalf("%d headers are asked for, %d denied", len(k.asked), len(k.denied))
		}
	}
	k.missed("0-1")
	if len(k.wake) != 0 {
		t.Error("a header that was looked for counts")
	}
	k.deny(nil, now.Add(deniedFor))
	if len(k.denied) != 0 {
		t.Errorf("%d headers are denied for ever", len(k.denied))
	}
}

// Rows: 188
func TestIssuerAddresses(t *testing.T) {
	const public, private, never = 0, 1, 2
	for address, kind := range map[string]int{
		"93.184.215.14": public, "2606:2800:21f:cb07:6820:80da:af6b:8b2c": public,
		"10.0.0.1": private, "172.16.0.1": private, "172.31.255.255": private, "192.168.1.1": private, "100.64.0.1": private,
		"127.0.0.1": private, "127.1.2.3": private, "::1": private, "fc00::1": private, "fdff::1": private, "192.0.0.1": private, "198.18.0.1": private,
		"::ffff:10.0.0.1": private, "::ffff:127.0.0.1": private, "64:ff9b::a00:1": private, "2002:a00:1::": private, "fec0::1": private, "2001::1": private,
		"169.254.169.254": never, "fe80::1": never, "fe80::1%eth0": never, "::ffff:169.254.169.254": never, "0.0.0.0": never, "::": never, "0.1.2.3": never,
		"224.0.0.1": never, "ff02::1": never, "255.255.255.255": never, "240.0.0.1": never, "::a00:1": never,
	} {
		a := netip.MustParseAddr(address).Unmap().WithZone("")
		u := &url.URL{Scheme: "https", Host: "login.example"}
		if got := issuerAddress(u, false)(a); got != (kind == public) {
			t.Errorf("%s: allowed is %v", address, got)
		}
		if got := issuerAddress(u, true)(a); got != (kind != never) {
			t.Errorf("%s, private ones being allowed: allowed is %v", address, got)
		}
		for _, host := range []string{"localhost", "127.0.0.1:8080", "[::1]:8080"} {
			u := &url.URL{Scheme: "http", Host: host}
			if issuerAddress(u, true)(a) != a.IsLoopback() || issuerAddress(u, false)(a) != a.IsLoopback() || serviceAddress(u)(a) != a.IsLoopback() {
				t.Errorf("%s at %s: allowed", host, address)
			}
		}
		if !serviceAddress(u)(a) {
			t.Errorf("service at %s: refused", address)
		}
	}
	if issuerAddress(&url.URL{Host: "login.example"}, true)(netip.Addr{}) {
		t.Error("no address: allowed")
	}
}
