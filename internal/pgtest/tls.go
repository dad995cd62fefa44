package pgtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"time"
)

// certificates are PEM texts: an authority of our own, and what it gave a
// server that is reached as localhost or 127.0.0.1.
type certificates struct{ authority, server, key []byte }

func newCertificates() (certificates, error) {
	caKey, errCA := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	key, errKey := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := errors.Join(errCA, errKey); err != nil {
		return certificates{}, err
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	caDER, errCA := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	serverDER, errServer := x509.CreateCertificate(rand.Reader, server, ca, &key.PublicKey, caKey)
	keyDER, errKey := x509.MarshalPKCS8PrivateKey(key)
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	return certificates{
		authority: block("CERTIFICATE", caDER), server: block("CERTIFICATE", serverDER), key: block("PRIVATE KEY", keyDER),
	}, errors.Join(errCA, errServer, errKey)
}
