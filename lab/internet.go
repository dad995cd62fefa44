package lab

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"
)

// An internet is one listener on loopback that is every host of the lab, by
// https, as browsers keep cookies differently for anything else. Names below
// "test" belong to nobody (RFC 6761 §6.2).
type internet struct {
	address  string // of the listener
	pin      string // of the certificates' key, as Chromium wants it
	roots    *x509.CertPool
	key      crypto.Signer
	root     *x509.Certificate
	server   *http.Server
	listener net.Listener

	pawlData func() (seed, error) // made when it is first needed

	mu    sync.Mutex
	hosts map[string]http.Handler     // guarded by mu
	certs map[string]*tls.Certificate // guarded by mu
}

// longest is how long any one thing in the lab may take.
const longest = time.Minute

func newInternet() (*internet, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key of the test authority: %w", err)
	}
	n := &internet{key: key, hosts: make(map[string]http.Handler), certs: make(map[string]*tls.Certificate), roots: x509.NewCertPool(),
		pawlData: sync.OnceValues(newSeed)}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("key of the test authority: %w", err)
	}
	sum := sha256.Sum256(spki)
	n.pin = base64.StdEncoding.EncodeToString(sum[:])
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Pawl's laboratory"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("test authority: %w", err)
	}
	if n.root, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("test authority: %w", err)
	}
	n.roots.AddCert(n.root)
	if n.listener, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("listen on loopback: %w", err)
	}
	n.address = n.listener.Addr().String()
	n.server = &http.Server{Handler: n, ReadHeaderTimeout: longest, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{GetCertificate: n.certificate, MinVersion: tls.VersionTLS13}}
	go n.server.ServeTLS(n.listener, "", "")
	return n, nil
}

// close ends the internet and every connection in it.
func (n *internet) close() { n.server.Close() }

// certificate makes the certificate of a name when it is first asked for.
func (n *internet) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if have := n.certs[hello.ServerName]; have != nil {
		return have, nil
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(int64(len(n.certs)) + 2), Subject: pkix.Name{CommonName: hello.ServerName},
		DNSNames: []string{hello.ServerName}, NotBefore: n.root.NotBefore, NotAfter: n.root.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, n.root, n.key.Public(), n.key)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", hello.ServerName, err)
	}
	n.certs[hello.ServerName] = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: n.key}
	return n.certs[hello.ServerName], nil
}

// host puts a host into the internet, or takes it out with nil.
func (n *internet) host(name string, h http.Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h == nil {
		delete(n.hosts, name)
		return
	}
	n.hosts[name] = h
}

// ServeHTTP is whatever host the request is for.
func (n *internet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	h := n.hosts[r.Host]
	n.mu.Unlock()
	if h == nil {
		http.Error(w, "there is no such host", http.StatusMisdirectedRequest)
		return
	}
	h.ServeHTTP(w, r)
}

// client is how programs reach the hosts. It follows no redirect and keeps no
// cookie: a [device] does what it needs of that.
func (n *internet) client() *http.Client {
	return &http.Client{
		Timeout:       longest,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: n.roots, MinVersion: tls.VersionTLS13},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, n.address)
			},
		},
	}
}
