package server

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

func TestNarrowestNetworkNamesThePlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "places.csv")
	table := "192.0.0.0/8,Europe\n192.0.2.0/24,Vienna\n192.0.2.128/25,Graz\n\"2001:db8::/32\",\"Ulm, Germany\"\n"
	if err := os.WriteFile(file, []byte(table), 0o600); err != nil {
		t.Fatal(err)
	}
	known, err := readPlaces(file)
	if err != nil {
		t.Fatal(err)
	}
	for network, want := range map[string]string{
		"192.0.2.0/24": "Vienna", "192.0.3.0/24": "Europe", "192.0.2.200/32": "Graz", "193.0.2.0/24": "",
		"2001:db8:1::/48": "Ulm, Germany", "2001:db9::/48": "", "::ffff:192.0.2.0/120": "",
	} {
		if got := known.of(netip.MustParsePrefix(network)); got != want {
			t.Errorf("%s is in %q, want %q", network, got, want)
		}
	}
}
