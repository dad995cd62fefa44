package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/internal/pgtest"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/server"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
)

// A running server is [server.Run] with its two listeners on loopback.
type running struct {
	t           *testing.T
	place       pawl.Place
	public, ops string // host:port
	cancel      context.CancelFunc
	ended       chan struct{}
	err         error // of Run; read it after ended

	mu  sync.Mutex
	log bytes.Buffer // guarded by mu
}

// Write takes in the log.
func (s *running) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(b)
}

func (s *running) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// run starts a server behind a proxy on this machine, and waits until it serves.
func run(t *testing.T, changes ...func(*server.Config)) *running {
	t.Helper()
	policy, err := session.Preset("default")
	if err != nil {
		t.Fatal(err)
	}
	c := server.Config{Place: pawl.Place{Directory: filepath.Join(t.TempDir(), "data")}, Listen: "127.0.0.1:0", OpsListen: "127.0.0.1:0",
		Origins: []string{"https://app.example.com"}, TrustedProxies: []string{"127.0.0.1/32"}, Prefix: "/auth", RenewalRate: 120, Home: "/",
		LogFormat: "text", Policy: policy, Keys: keyring.Options{Algorithm: keyring.EdDSA, Rotation: 720 * time.Hour, Publication: time.Hour}}
	for _, change := range changes {
		change(&c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &running{t: t, place: c.Place, cancel: cancel, ended: make(chan struct{})}
	read, write := io.Pipe()
	go func() {
		defer close(s.ended)
		s.err = server.Run(ctx, c, write, s)
		write.Close()
	}()
	t.Cleanup(func() {
		cancel()
		<-s.ended
		if t.Failed() {
			t.Logf("the log:\n%s", s.logged())
		}
	})
	lines := bufio.NewScanner(read)
	for lines.Scan() {
		if m := regexp.MustCompile(` on (\S+), operations on (\S+)$`).FindStringSubmatch(lines.Text()); m != nil {
			s.public, s.ops = m[1], m[2]
			go io.Copy(io.Discard, read)
			return s
		}
	}
	<-s.ended
	t.Fatalf("the server did not start: %v", s.err)
	return nil
}

// addService returns the secret of a new service.
func (s *running) addService(name string, scopes ...service.Scope) string {
	s.t.Helper()
	o, err := server.OpenOperator(s.t.Context(), s.place, false)
	if err != nil {
		s.t.Fatal(err)
	}
	defer o.Close()
	_, secret, err := o.AddService(s.t.Context(), name, scopes)
	if err != nil {
		s.t.Fatal(err)
	}
	return secret.Reveal()
}

// direct follows no redirect, which no service should be sent.
var direct = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// ask sends a request as the proxy does, or to the operations listener as a
// service does, with credentials or without.
func (s *running) ask(c *http.Client, method, url string, credentials ...string) (*http.Response, error) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if len(credentials) == 2 {
		req.SetBasicAuth(credentials[0], credentials[1])
	}
	if strings.HasPrefix(url, "http://"+s.public+"/") {
		req.Host = "app.example.com"
		req.Header.Set("X-Forwarded-Proto", "https")
	}
	return c.Do(req)
}

// status is the status of an answer, 0 if there is none.
func (s *running) status(method, url string, credentials ...string) int {
	s.t.Helper()
	resp, err := s.ask(direct, method, url, credentials...)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// The service API is on the operations listener and nowhere else, and there for
// services only.
//
// Rows: 197, A98
func TestServiceAPIIsOnTheOperationsListenerOnly(t *testing.T) {
	s := run(t)
	secret := s.addService("shop", service.Scopes...)
	// Whoever was right lately is not held up by what others of the network do.
	if got := s.status("GET", "http://"+s.ops+"/v1/events", "shop", secret); got != 200 {
		t.Fatalf("with credentials: %d", got)
	}
	for _, route := range []string{"GET /v1/events", "GET /v1/openapi.yaml", "GET /v1/sessions?user_id=u_x", "POST /v1/users", "POST /v1/end-everyone",
		"DELETE /v1/sessions/7hVbPzq3Rk2u9cJm0sXl4Q", "POST /v1/uses", "GET /v1/revocations"} {
		method, path, _ := strings.Cut(route, " ")
		for what, credentials := range map[string][]string{"without credentials": nil, "with credentials": {"shop", secret}} {
			resp, err := s.ask(direct, method, "http://"+s.public+path, credentials...)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 404 {
				t.Errorf("%s %s on the public listener: %s", route, what, resp.Status)
			}
		}
		for what, credentials := range map[string][]string{"without credentials": nil, "with a wrong secret": {"shop", secret + "x"}, "as another": {"shed", secret}} {
			resp, err := s.ask(direct, method, "http://"+s.ops+path, credentials...)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 401 && resp.StatusCode != 429 || resp.StatusCode == 401 && resp.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s on the operations listener: %s", route, what, resp.Status)
			}
		}
	}
	if got := s.status("GET", "http://"+s.ops+"/v1/events", "shop", secret); got != 200 {
		t.Errorf("with credentials: %d", got)
	}
	for _, path := range []string{"/v1", "/v1/", "/v1/nonesuch", "/v1/../metrics", "//v1/events", "/./v1/events", "/auth/session", "/healthz/"} {
		if got := s.status("GET", "http://"+s.ops+path, "shop", secret); got != 404 {
			t.Errorf("%s: %d", path, got)
		}
	}
}

// With a certificate, the operations listener speaks TLS and nothing else.
//
// Rows: 197
func TestOperationsListenerWithTLS(t *testing.T) {
	cert, key, authority := certificate(t)
	s := run(t, func(c *server.Config) { c.OpsTLSCert, c.OpsTLSKey = cert, key })
	secret := s.addService("shop", service.EventsRead)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority}}}
	t.Cleanup(client.CloseIdleConnections)
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/v1/events": 200} {
		resp, err := s.ask(client, "GET", "https://"+s.ops+path, "shop", secret)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || resp.TLS.Version < tls.VersionTLS12 {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	if got := s.status("GET", "http://"+s.ops+"/v1/events", "shop", secret); got != 400 {
		t.Errorf("plain http: %d", got)
	}
	old := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority, MaxVersion: tls.VersionTLS11}}}
	if resp, err := s.ask(old, "GET", "https://"+s.ops+"/healthz", "shop", secret); err == nil {
		resp.Body.Close()
		t.Error("TLS 1.1 is spoken")
	}
	if got := s.status("GET", "http://"+s.public+"/.well-known/jwks.json"); got != 200 {
		t.Errorf("the public listener, which has no certificate: %d", got)
	}
}

// certificate writes one for 127.0.0.1 and its key.
func certificate(t *testing.T) (cert, key string, authority *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "operations"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	parsed, err := x509.ParseCertificate(signed)
	if err != nil {
		t.Fatal(err)
	}
	authority = x509.NewCertPool()
	authority.AddCert(parsed)
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: signed}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key, authority
}

// A server that stops ends the streams of followers at once, even while a
// request on the public listener hangs.
//
// Rows: 198
func TestStreamsEndWhenTheServerStops(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		t.Run(fmt.Sprintf("hangs=%t", hangs), func(t *testing.T) {
			s := run(t)
			secret := s.addService("gateway", service.RevocationsRead)
			resp, err := s.ask(direct, "GET", "http://"+s.ops+"/v1/revocations", "gateway", secret)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			stream := bufio.NewReader(resp.Body)
			if line, err := stream.ReadString('\n'); err != nil || resp.StatusCode != 200 || !strings.HasPrefix(line, "event: ") {
				t.Fatalf("the stream begins %s %q, %v", resp.Status, line, err)
			}
			if hangs {
				conn, err := net.Dial("tcp", s.public)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				// Its body never comes.
				fmt.Fprintf(conn, "POST /auth/login HTTP/1.1\r\nHost: app.example.com\r\nX-Forwarded-Proto: https\r\nOrigin: https://app.example.com\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
				eventually(t, 5*time.Second, "the request has begun", func() bool { return hanging(conn) })
			}
			stopping := time.Now()
			s.cancel()
			if _, err := io.Copy(io.Discard, stream); err != nil {
				t.Errorf("the stream is cut, not ended: %v", err)
			}
			if took := time.Since(stopping); took > 3*time.Second {
				t.Errorf("the stream ends after %v", took)
			}
			if hangs {
				return // the request has its time; Cleanup waits for it
			}
			<-s.ended
			if took := time.Since(stopping); s.err != nil || took > 5*time.Second {
				t.Errorf("stopping took %v: %v", took, s.err)
			}
		})
	}
}

// hanging reports whether the other side neither answers nor hangs up.
func hanging(conn net.Conn) bool {
	conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	_, err := conn.Read(make([]byte, 1))
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

// While the store is away, what the operations listener tells is true: the age
// of the feed grows, the node is ready for as long as it accepts tokens and not
// longer, and all of it comes back with the store.
//
// Rows: 94, 155, 198
func TestOperationsTellThatTheStoreIsAway(t *testing.T) {
	store := pgtest.Database(t)
	u, err := url.Parse(store)
	if err != nil {
		t.Fatal(err)
	}
	way := pgtest.NewProxy(t, u.Host)
	s := run(t, func(c *server.Config) { c.Place.Store, c.Stale = way.URL(store), 5*time.Second })
	s.place.Store = store // for commands, which the proxy is not in the way of
	secret := s.addService("gateway", service.Scopes...)
	value := func(name string) float64 { return gauge(t, "http://"+s.ops+"/metrics", name) }
	near := func(x, limit float64) bool { return x > -limit && x < limit }
	if age, ahead := value("pawl_feed_age_seconds"), value("pawl_store_clock_ahead_seconds"); !near(age, 2) || !near(ahead, 2) || value("pawl_ready") != 1 {
		t.Errorf("before: age %v, ahead %v", age, ahead)
	}
	way.Retarget("127.0.0.1:1")
	way.Cut()
	eventually(t, 4*time.Second, "the age of the feed grows", func() bool { return value("pawl_feed_age_seconds") > 1 })
	if got := s.status("GET", "http://"+s.ops+"/readyz"); got != 200 || value("pawl_ready") != 1 {
		t.Errorf("before the bound: ready %d", got)
	}
	if got := s.status("GET", "http://"+s.ops+"/v1/events", "gateway", secret); got != 503 {
		t.Errorf("a service is answered by %d", got)
	}
	eventually(t, 15*time.Second, "the node is not ready", func() bool { return s.status("GET", "http://"+s.ops+"/readyz") == 503 })
	if age, ahead := value("pawl_feed_age_seconds"), value("pawl_store_clock_ahead_seconds"); age < 5 || !near(ahead, 2) || value("pawl_ready") != 0 {
		t.Errorf("after the bound: age %v, ahead %v, ready %v", age, ahead, value("pawl_ready"))
	}
	if got := s.status("GET", "http://"+s.ops+"/healthz"); got != 200 {
		t.Errorf("a node that waits for its store is not alive: %d", got)
	}
	way.Retarget(u.Host)
	eventually(t, 10*time.Second, "the node is ready again", func() bool { return s.status("GET", "http://"+s.ops+"/readyz") == 200 })
	if age := value("pawl_feed_age_seconds"); age > 2 || value("pawl_ready") != 1 {
		t.Errorf("afterwards: age %v", age)
	}
	if got := s.status("GET", "http://"+s.ops+"/v1/events", "gateway", secret); got != 200 {
		t.Errorf("afterwards, a service is answered by %d", got)
	}
	password, _ := u.User.Password()
	if log := s.logged(); len(password) >= 8 && strings.Contains(log, password) || !strings.Contains(log, `task="follow revocations"`) {
		t.Errorf("the log does not say it, or says too much: %s", log)
	}
}

// gauge reads a metric.
func gauge(t *testing.T, url, name string) float64 {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			x, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// eventually asks again until it holds, at most for limit.
func eventually(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}
