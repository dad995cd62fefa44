package server

import (
	"bytes"
	"crypto/tls"
	"net/netip"
	"strings"
	"testing"

	"github.com/pawlauth/pawl"
)

// A server that may sit behind a proxy it does not trust says so: all clients would be one network.
//
// Rows: 168, 170
func TestServerWarnsOfProxiesThatAreNotTrusted(t *testing.T) {
	trusted := pawl.Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	for what, c := range map[string]struct {
		plan Plan
		warn string
	}{
		"plain":            {Plan{}, "every request is refused"},
		"TLS":              {Plan{tls: &tls.Config{}}, "one network"},
		"a proxy":          {Plan{options: trusted}, ""},
		"TLS, and a proxy": {Plan{options: trusted, tls: &tls.Config{}}, ""},
		"development":      {Plan{dev: true}, ""},
	} {
		var out bytes.Buffer
		c.plan.warn(NewLogger(&out, "text"))
		if got := out.String(); !strings.Contains(got, c.warn) || (got == "") != (c.warn == "") {
			t.Errorf("%s: %q", what, got)
		}
	}
}
