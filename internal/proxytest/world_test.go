package proxytest

import (
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
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
)

const (
	host     = "app.example.com"
	origin   = "https://" + host
	password = "correct horse battery staple"
)

// A world is nginx, Pawl behind it, and the application behind both.
type world struct {
	t      *testing.T
	pawl   *pawl.Pawl
	data   string
	userID string
	app    *application
	http   string // nginx's plain listener
	https  string
	roots  *x509.CertPool
	client *http.Client // follows nothing, keeps nothing

	// broken, if set, answers the questions of nginx in Pawl's place.
	broken atomic.Pointer[http.HandlerFunc]
}

// newWorld starts everything, on loopback.
func newWorld(t *testing.T) *world {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		if nginx = "/usr/sbin/nginx"; !exists(nginx) {
			if os.Getenv("CI") == "true" {
				t.Fatal("nginx is not installed")
			}
			t.Skip("nginx is not installed")
		}
	}
	w := &world{t: t, data: filepath.Join(t.TempDir(), "data"), app: &application{}}
	w.pawl, err = pawl.Open(t.Context(), pawl.Options{
		Data: w.data, Origins: []string{origin}, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		Clients: []httpapi.Client{{ID: "cli", Scope: "read"}}, Log: slog.New(slog.DiscardHandler),
	})
	w.must(err)
	t.Cleanup(func() { w.pawl.Close() })
	user, err := w.pawl.Accounts().Add(t.Context(), "ada", account.NewPassword(password))
	w.must(err)
	w.userID = user.ID
	handler := w.pawl.Handler()
	pawlAt := w.listen(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if broken := w.broken.Load(); broken != nil && (r.URL.Path == "/auth/verify" || r.URL.Path == "/auth/refusal") {
			(*broken)(rw, r)
			return
		}
		handler.ServeHTTP(rw, r)
	}), nil)
	appAt := w.listen(w.app, w.app.wire)
	w.startNginx(nginx, pawlAt, appAt)
	w.client = &http.Client{
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: w.tls(),
			DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
				to := w.https
				if strings.HasSuffix(address, ":80") {
					to = w.http
				}
				return (&net.Dialer{}).DialContext(ctx, "tcp", to)
			},
		},
	}
	return w
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// listen serves h on a port of its own and returns the address.
func (w *world) listen(h http.Handler, wrap func(net.Conn) net.Conn) string {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	if wrap != nil {
		l = wrapped{l, wrap}
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	go server.Serve(l)
	w.t.Cleanup(func() { server.Close() })
	return l.Addr().String()
}

type wrapped struct {
	net.Listener
	wrap func(net.Conn) net.Conn
}

// Accept implements [net.Listener].
func (l wrapped) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wrap(c), nil
}

// startNginx runs nginx with the shipped file. Only addresses and paths are
// replaced, each of which must be there.
func (w *world) startNginx(nginx, pawlAt, appAt string) {
	w.t.Helper()
	text, err := os.ReadFile("../../docs/nginx/pawl.conf")
	w.must(err)
	dir := w.t.TempDir()
	w.https, w.http = freeAddress(w.t), freeAddress(w.t)
	cert, key := w.certificate(dir)
	conf := string(text)
	for old, now := range map[string]string{
		"127.0.0.1:8080":                 pawlAt,
		"127.0.0.1:3000":                 appAt,
		"listen 443 ":                    "listen " + w.https + " ",
		"listen 80;":                     "listen " + w.http + ";",
		"/etc/ssl/app.example.com.crt":   cert,
		"/etc/ssl/app.example.com.key":   key,
		"ssl_protocols       TLSv1.2 TL": "ssl_protocols       TLSv1.2 TL", // is said
	} {
		if !strings.Contains(conf, old) {
			w.t.Fatalf("docs/nginx/pawl.conf does not contain %q", old)
		}
		conf = strings.ReplaceAll(conf, old, now)
	}
	main := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr warn;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	include %[1]s/pawl.conf;
}
`, dir)
	w.must(os.WriteFile(filepath.Join(dir, "pawl.conf"), []byte(conf), 0o600))
	w.must(os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(main), 0o600))
	log := &lockedBuffer{}
	cmd := exec.Command(nginx, "-p", dir, "-e", "stderr", "-c", filepath.Join(dir, "nginx.conf"))
	cmd.Stderr, cmd.Stdout = log, log
	w.must(cmd.Start())
	w.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if w.t.Failed() {
			w.t.Logf("nginx:\n%s", log.String())
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", w.https)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("nginx does not listen: %v\n%s", err, log.String())
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// certificate makes one for the host, good for an hour.
func (w *world) certificate(dir string) (certFile, keyFile string) {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	w.must(err)
	parsed, err := x509.ParseCertificate(der)
	w.must(err)
	w.roots = x509.NewCertPool()
	w.roots.AddCert(parsed)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	w.must(err)
	certFile, keyFile = filepath.Join(dir, "crt"), filepath.Join(dir, "key")
	w.must(os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	w.must(os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return certFile, keyFile
}

func (w *world) tls(protocols ...string) *tls.Config {
	return &tls.Config{RootCAs: w.roots, ServerName: host, NextProtos: protocols}
}

// dial opens a TLS connection to nginx.
func (w *world) dial(protocols ...string) *tls.Conn {
	w.t.Helper()
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", w.https, w.tls(protocols...))
	w.must(err)
	c.SetDeadline(time.Now().Add(5 * time.Second))
	w.t.Cleanup(func() { c.Close() })
	return c
}

// An answer is what came back, read to its end.
type answer struct {
	*http.Response
	text string
}

// do sends a request through nginx as an ordinary client does. Headers are
// written as "Name: value".
func (w *world) do(method, target, body string, headers ...string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, origin+target, strings.NewReader(body))
	w.must(err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header[name] = append(req.Header[name], value) // as it is written
	}
	resp, err := w.client.Do(req)
	w.must(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	w.must(err)
	return answer{resp, string(text)}
}

// signIn signs in through nginx and returns the Cookie header of the session
// as the application's paths get it, and the whole of it.
func (w *world) signIn() (access, all string) {
	w.t.Helper()
	a := w.do("POST", "/auth/login", `{"username":"ada","password":"`+password+`"}`, "Content-Type: application/json", "Origin: "+origin)
	if a.StatusCode != 200 {
		w.t.Fatalf("sign-in: %s %s", a.Status, a.text)
	}
	pairs := map[string]string{}
	for _, c := range a.Cookies() {
		pairs[c.Name] = c.Name + "=" + c.Value
	}
	access = "Cookie: " + pairs[httpauth.AccessCookie]
	return access, access + "; " + pairs[httpauth.RefreshCookie]
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements [io.Writer].
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lockedBuffer) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}
