package server

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/service"
)

// What a service of another machine sends in plain http is refused before its
// secret is looked at, unless the operator said otherwise; from this machine,
// over TLS, and through a proxy that vouches for TLS, it is served.
//
// Rows: 197, A98
func TestServicesOfOtherMachinesNeedTLS(t *testing.T) {
	for _, dangerously := range []bool{false, true} {
		p, err := pawl.Open(t.Context(), pawl.Options{Data: filepath.Join(t.TempDir(), "data"), Origins: []string{"https://app.example.com"},
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.80/32")}, DangerouslyPlainServices: dangerously, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		_, secret, err := p.Services().Add(t.Context(), "shop", []service.Scope{service.EventsRead})
		if err != nil {
			t.Fatal(err)
		}
		operations := operationsHandler(p, newMetrics())
		ask := func(from string, change func(*http.Request)) int {
			r := httptest.NewRequest("GET", "/v1/events", nil)
			r.RemoteAddr = from
			r.SetBasicAuth("shop", secret.Reveal())
			if change != nil {
				change(r)
			}
			w := httptest.NewRecorder()
			operations.ServeHTTP(w, r)
			return w.Code
		}
		said := func(proto string) func(*http.Request) {
			return func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", proto) }
		}
		plain := 403
		if dangerously {
			plain = 200
		}
		for _, c := range []struct {
			what, from string
			change     func(*http.Request)
			want       int
		}{
			{"this machine", "127.0.0.1:4711", nil, 200},
			{"this machine, over IPv6", "[::1]:4711", nil, 200},
			{"another machine", "192.0.2.7:4711", nil, plain},
			{"another machine that says https", "192.0.2.7:4711", said("https"), plain},
			{"another machine over TLS", "192.0.2.7:4711", func(r *http.Request) { r.TLS = &tls.ConnectionState{} }, 200},
			{"a proxy that got https", "192.0.2.80:4711", said("https"), 200},
			{"a proxy that got http", "192.0.2.80:4711", said("http"), plain},
			{"nobody knows", "@", nil, plain},
		} {
			if got := ask(c.from, c.change); got != c.want {
				t.Errorf("dangerously=%t: from %s: %d, want %d", dangerously, c.what, got, c.want)
			}
		}
	}
}
