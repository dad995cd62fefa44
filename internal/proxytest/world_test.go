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
	nginx := findNginx(t)
	var err error
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
	dir := t.TempDir()
	w.shipped(dir, "pawl.conf", "127.0.0.1:8080", pawlAt, "127.0.0.1:3000", appAt)
	w.startNginx(nginx, dir)
	return w
}

func findNginx(t *testing.T) string {
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
	return nginx
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

// shipped copies a file that Pawl ships. Only addresses and paths are replaced,
// each of which must be there.
func (w *world) shipped(dir, name string, pairs ...string) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs/nginx", name))
	w.must(err)
	conf := string(text)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(conf, pairs[i]) {
			w.t.Fatalf("docs/nginx/%s does not contain %q", name, pairs[i])
		}
		conf = strings.ReplaceAll(conf, pairs[i], pairs[i+1])
	}
	w.must(os.WriteFile(filepath.Join(dir, name), []byte(conf), 0o600))
}

// startNginx runs nginx with the files of a folder, of which pawl.conf gets its
// addresses and a certificate here, and makes the client.
func (w *world) startNginx(nginx, dir string) {
	w.t.Helper()
	w.https, w.http = freeAddress(w.t), freeAddress(w.t)
	cert, key, roots := certificate(w.t, dir, host)
	w.roots = roots
	text, err := os.ReadFile(filepath.Join(dir, "pawl.conf"))
	w.must(err)
	conf := string(text)
	for old, now := range map[string]string{
		"listen 443 ":                  "listen " + w.https + " ",
		"listen 80;":                   "listen " + w.http + ";",
		"/etc/ssl/app.example.com.crt": cert,
		"/etc/ssl/app.example.com.key": key,
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
	include %[1]s/*.conf;
}
`, dir)
	w.must(os.WriteFile(filepath.Join(dir, "pawl.conf"), []byte(conf), 0o600))
	w.must(os.WriteFile(filepath.Join(dir, "main"), []byte(main), 0o600))
	log := &lockedBuffer{}
	cmd := exec.Command(nginx, "-p", dir, "-e", "stderr", "-c", filepath.Join(dir, "main"))
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
			break
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("nginx does not listen: %v\n%s", err, log.String())
		}
	}
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

// certificate makes one for a name, good for an hour, and the pool that trusts
// it.
func certificate(t *testing.T, dir, name string) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(err)
	parsed, err := x509.ParseCertificate(der)
	must(err)
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	certFile, keyFile = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	must(os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return certFile, keyFile, roots
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
	a, err := w.try(method, target, body, headers...)
	w.must(err)
	return a
}

// try is do from any goroutine.
func (w *world) try(method, target, body string, headers ...string) (answer, error) {
	req, err := http.NewRequestWithContext(w.t.Context(), method, origin+target, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header[name] = append(req.Header[name], value) // as it is written
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp, string(text)}, err
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
