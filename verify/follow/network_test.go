package follow_test

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
	"github.com/pawlauth/pawl/verify/follow"
)

// resolve makes every name that this process looks up resolve to 127.0.0.1, as
// a name server does that an attacker has, or that was attacked.
func resolve(t *testing.T) *atomic.Int64 {
	t.Helper()
	asked := new(atomic.Int64)
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer ours.Close()
			for answer(ours) == nil {
				asked.Add(1)
			}
		}()
		return theirs, nil
	}}
	return asked
}

// answer answers one question of DNS over a stream (RFC 1035 §4.1, §4.2.2).
func answer(c net.Conn) error {
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return err
	}
	q := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, q); err != nil {
		return err
	}
	end := 12 // of the question, behind the header
	for q[end] != 0 {
		end += int(q[end]) + 1
	}
	end += 5
	out := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:end]...)
	if q[end-3] == 1 { // A
		out[7] = 1
		out = append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1)
	}
	_, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...))
	return err
}

// tlsServer serves with a certificate for example.com.
func tlsServer(t *testing.T, h http.Handler) (server *httptest.Server, port string, roots *x509.CertPool, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		h.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = nil
	server.StartTLS()
	t.Cleanup(server.Close)
	roots = x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return server, server.URL[strings.LastIndexByte(server.URL, ':'):], roots, requests
}

func realOptions(port, servicePort string, roots *x509.CertPool) follow.Options {
	return follow.Options{Issuer: "https://example.com" + port, Audience: audience, Service: "https://127.0.0.1" + servicePort,
		Credential: follow.Credential{Name: name, Secret: secret}, RootCAs: roots}
}

// eventually waits for what another goroutine brings about.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

// The issuer's name may not lead to a private address, whatever the name
// server says at the moment of the connection; the service's may.
//
// Rows: 188, A65
func TestIssuerAtAPrivateAddress(t *testing.T) {
	asked := resolve(t)
	w := &world{t: t, feed: newFakeFeed()}
	w.master, w.store, w.ring = newRing(t)
	_, port, roots, requests := tlsServer(t, w.keySet())
	api, servicePort, _, _ := tlsServer(t, w.feed)
	roots.AddCert(api.Certificate())

	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if f, err := follow.Open(ctx, realOptions(port, servicePort, roots)); err == nil || f != nil {
		t.Error("the keys were read from a private address")
	}
	if requests.Load() != 0 || asked.Load() == 0 {
		t.Errorf("%d requests arrived, %d questions", requests.Load(), asked.Load())
	}
	o := realOptions(port, servicePort, roots)
	o.AllowPrivate = true
	f, err := follow.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	eventually(t, "ready", f.Ready)
	now := time.Now()
	raw, err := token.EncodeAccess(token.Claims{Issuer: o.Issuer, Subject: "u1", Audience: audience, ClientID: "web", IssuedAt: now.Unix(),
		Expires: now.Add(life).Unix(), ID: token.NewID(), Session: token.NewID(), Generation: 1, AuthTime: now.Unix()}, w.ring.Signer())
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Verifier().Verify(raw.Reveal(), now)
	if err != nil {
		t.Fatal(err)
	}
	w.feed.end(p.Session)
	eventually(t, "ended", func() bool {
		_, err := f.Verifier().Verify(raw.Reveal(), time.Now())
		return err == verify.ErrRevoked
	})
}

// A certificate that nobody known vouches for, or of another name, is refused,
// and what answers plain http is none.
//
// Rows: 188, A65
func TestCertificatesAreChecked(t *testing.T) {
	resolve(t)
	w := &world{t: t}
	w.master, w.store, w.ring = newRing(t)
	_, port, roots, requests := tlsServer(t, w.keySet())
	plain := httptest.NewServer(w.keySet())
	defer plain.Close()
	for what, change := range map[string]func(*follow.Options){
		"an unknown authority": func(o *follow.Options) { o.RootCAs = x509.NewCertPool() },
		"the system's":         func(o *follow.Options) { o.RootCAs = nil },
		"another name":         func(o *follow.Options) { o.Issuer = "https://other.example" + port },
		"plain http": func(o *follow.Options) {
			o.Issuer = "https://example.com" + plain.URL[strings.LastIndexByte(plain.URL, ':'):]
		},
	} {
		o := realOptions(port, port, roots)
		o.AllowPrivate = true
		change(&o)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		if f, err := follow.Open(ctx, o); err == nil || f != nil {
			t.Errorf("%s: opened", what)
		}
		cancel()
	}
	if requests.Load() != 0 {
		t.Errorf("%d requests arrived", requests.Load())
	}
}
