package browsertest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// The names of the test's sites. All lead to this machine: the browsers are
// started so, and so is [loopback].
const (
	appHost      = "app.pawl.test"  // the application, and Pawl
	siblingHost  = "evil.pawl.test" // the same site for a browser, in other hands
	strangerHost = "stranger.test"
	trustedHost  = "trusted.test"
	plainHost    = "localhost" // without TLS, where browsers make an exception
)

// An authority vouches for the names of the test's sites. Browsers are told to
// trust it; then its sites are secure contexts without any error.
type authority struct {
	certificate *x509.Certificate
	server      tls.Certificate
}

var ca = sync.OnceValues(newAuthority)

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	from, until := time.Now().Add(-48*time.Hour), time.Now().Add(30*24*time.Hour)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Authority of a test"}, NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if root, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"pawl.test", appHost, siblingHost, strangerHost, trustedHost}}, root, own.Public(), key)
	if err != nil {
		return nil, err
	}
	return &authority{root, tls.Certificate{Certificate: [][]byte{leaf, der}, PrivateKey: own}}, nil
}

// pin is the hash of the authority's key, as chromium takes it.
func (a *authority) pin() string {
	sum := sha256.Sum256(a.certificate.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// loopback is how tests themselves ask the sites.
var loopback = sync.OnceValue(func() *http.Transport {
	roots := x509.NewCertPool()
	if a, err := ca(); err == nil {
		roots.AddCert(a.certificate)
	}
	return &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
	}
})

// place listens for the requests to a host, and tells its origin.
func place(t *testing.T, host string) (net.Listener, string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	scheme := "https"
	if host == plainHost || net.ParseIP(host) != nil {
		scheme = "http"
	}
	return l, fmt.Sprintf("%s://%s:%d", scheme, host, l.Addr().(*net.TCPAddr).Port)
}

// serve answers what comes to a place until the returned function is called.
func serve(t *testing.T, l net.Listener, origin string, handler http.Handler) (stop func()) {
	t.Helper()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: patience}
	if origin[:5] != "https" {
		go server.Serve(l)
		return func() { server.Close() }
	}
	a, err := ca()
	if err != nil {
		t.Fatal(err)
	}
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{a.server}, MinVersion: tls.VersionTLS12}
	go server.ServeTLS(l, "", "")
	return func() { server.Close() }
}
