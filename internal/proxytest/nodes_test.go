//go:build linux

package proxytest

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/internal/pgtest"
)

// built is a folder of TestMain's; pawl is built into it once, when it is first
// needed.
var built string

func TestMain(m *testing.M) {
	var err error
	if built, err = os.MkdirTemp("", "pawl-proxy-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(built); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

var pawlBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(built, "pawl")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", path, "github.com/pawlauth/pawl/cmd/pawl").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build pawl: %w\n%s", err, out)
	}
	return path, nil
})

// A node is one "pawl serve". Its public address stays the same when it is
// started again.
type node struct {
	w       *world
	args    []string
	env     []string
	public  string
	ready   string // URL
	process *exec.Cmd
	log     lockedBuffer
}

// start returns when the node serves.
func (n *node) start() {
	n.w.t.Helper()
	n.process = exec.Command(n.args[0], n.args[1:]...)
	n.process.Env, n.process.Stderr = n.env, &n.log
	out, err := n.process.StdoutPipe()
	n.w.must(err)
	n.w.must(n.process.Start())
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if m := regexp.MustCompile(`operations on (\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			n.ready = "http://" + m[1] + "/readyz"
			return
		}
	}
	n.w.t.Fatalf("the node did not start: %v\n%s", n.process.Wait(), n.log.String())
}

// kill ends the process at once, as a power cut does to a machine.
func (n *node) kill() {
	n.process.Process.Kill()
	n.process.Wait()
}

// isReady reports what the node says of itself.
func (n *node) isReady() bool {
	resp, err := http.Get(n.ready)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// renewals is how many the node has logged.
func (n *node) renewals() int { return strings.Count(n.log.String(), "msg=session_renewed") }

// eventually waits for what a process does in its own time.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

var adaptation = regexp.MustCompile(`(?m)^# +(sed -i .* pawl\.conf)$`)

// newNodes is nginx, configured by both files that ship, in front of two
// nodes on one PostgreSQL, each by a way of its own that can be cut.
func newNodes(t *testing.T) (w *world, nodes [2]*node, ways [2]*pgtest.Proxy) {
	nginx := findNginx(t)
	database := pgtest.Database(t)
	w = &world{t: t, data: t.TempDir(), app: &application{}}
	conf := t.TempDir()
	binary, err := pawlBinary()
	w.must(err)
	cert, key, _ := certificate(t, w.data, "pawl.internal")
	env := slices.Clip(append(os.Environ(), "PAWL_DATA="+w.data))
	for _, args := range [][]string{{"migrate", "up"}, {"user", "add", "ada", "--password-stdin"}} {
		cmd := exec.Command(binary, args...)
		cmd.Env, cmd.Stdin = append(env, "PAWL_STORE="+database), strings.NewReader(password)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("pawl %v: %v\n%s", args, err, out)
		}
	}
	for i := range nodes {
		_, at, _ := strings.Cut(database, "@")
		at, _, _ = strings.Cut(at, "/")
		ways[i] = pgtest.NewProxy(t, at)
		n := &node{w: w, public: freeAddress(t), env: append(env, "PAWL_STORE="+ways[i].URL(database))}
		n.args = []string{binary, "serve", "--listen", n.public, "--ops-listen", "127.0.0.1:0", "--origin", origin, "--stale", "5s",
			"--trusted-proxy", "127.0.0.1/32", "--tls-cert", cert, "--tls-key", key, "--strict", "--renewal-rate", "1000000"}
		n.start()
		t.Cleanup(func() {
			n.kill()
			if t.Failed() {
				t.Logf("a node:\n%.4000s", n.log.String())
			}
		})
		nodes[i] = n
	}
	w.shipped(conf, "nodes.conf", "server 10.0.0.11:8080 ", "server "+nodes[0].public+" ", "server 10.0.0.12:8080 ", "server "+nodes[1].public+" ",
		"proxy_ssl_trusted_certificate /etc/ssl/inner-ca.crt", "proxy_ssl_trusted_certificate "+cert)
	w.shipped(conf, "pawl.conf", "127.0.0.1:3000", w.listen(w.app, nil))
	text, err := os.ReadFile(filepath.Join(conf, "nodes.conf"))
	w.must(err)
	adapt := adaptation.FindStringSubmatch(string(text))
	if adapt == nil {
		t.Fatal("docs/nginx/nodes.conf does not say how pawl.conf uses it")
	}
	sed := exec.Command("sh", "-c", adapt[1])
	sed.Dir = conf
	if out, err := sed.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", adapt[1], err, out)
	}
	w.startNginx(nginx, conf)
	return w, nodes, ways
}

// A visitor looks at pages and renews, all the time.
type visitor struct {
	*world
	access, refresh string
	served          atomic.Int64
}

// take keeps the cookies of an answer.
func (v *visitor) take(a answer) {
	for _, c := range a.Cookies() {
		switch c.Name {
		case httpauth.AccessCookie:
			v.access = c.Name + "=" + c.Value
		case httpauth.RefreshCookie:
			v.refresh = c.Name + "=" + c.Value
		}
	}
}

// visit goes on until it is told to stop. Whatever becomes of the nodes, it
// gets the page each time, and each renewal, if asked for with patience where
// the answer says when to come again.
func (v *visitor) visit(stop <-chan struct{}) error {
	for {
		if a, err := v.try("GET", "/", "", "Cookie: "+v.access); err != nil || a.StatusCode != http.StatusOK || !strings.Contains(a.text, "u_") {
			return errors.Join(errors.New("a page: "+a.said()), err)
		}
		key := "Idempotency-Key: " + rand.Text()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			a, err := v.try("POST", "/auth/refresh", "", "Cookie: "+v.access+"; "+v.refresh, key, "Origin: "+origin, "Sec-Fetch-Site: same-origin")
			if err == nil && a.StatusCode == http.StatusOK {
				v.take(a)
				break
			}
			if err != nil || a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || time.Now().After(deadline) {
				return errors.Join(errors.New("a renewal: "+a.said()), err)
			}
		}
		v.served.Add(1)
		select {
		case <-stop:
			return nil
		default:
		}
	}
}

func (a answer) said() string {
	if a.Response == nil {
		return "no answer"
	}
	return a.Status + " " + a.text
}

// While nodes are killed, started and cut off from the database, one at a time,
// nobody behind nginx notices.
//
// Rows: 94, A96
func TestNodesBehindNginx(t *testing.T) {
	w, nodes, ways := newNodes(t)
	var visitors []*visitor
	for range 4 {
		v := &visitor{world: w}
		v.take(w.do("POST", "/auth/login", `{"username":"ada","password":"`+password+`"}`, "Content-Type: application/json", "Origin: "+origin))
		visitors = append(visitors, v)
	}
	stop := make(chan struct{})
	var group sync.WaitGroup
	for _, v := range visitors {
		group.Go(func() {
			if err := v.visit(stop); err != nil {
				t.Error(err)
			}
		})
	}
	more := func(what string) { // everybody has been served ten times more
		t.Helper()
		for _, v := range visitors {
			until := v.served.Load() + 10
			for deadline := time.Now().Add(30 * time.Second); v.served.Load() < until; time.Sleep(5 * time.Millisecond) {
				if t.Failed() || time.Now().After(deadline) {
					t.Fatalf("%s: a visitor is not served any more", what)
				}
			}
		}
	}
	more("two nodes")
	for _, n := range nodes {
		n.kill()
		more("one node is dead")
		before := n.renewals()
		n.start()
		eventually(t, "nginx asks the node again", func() bool { return n.renewals() > before })
	}
	ways[0].Retarget(freeAddress(t))
	ways[0].Cut()
	more("one node is cut off")
	eventually(t, "a node that is cut off says that it is not ready", func() bool { return !nodes[0].isReady() })
	more("it refuses tokens")
	close(stop)
	group.Wait()
	nodes[1].kill() // now nobody can tell who has left
	if a, err := w.try("GET", "/", "", "Cookie: "+visitors[0].access); err == nil && a.StatusCode == http.StatusOK {
		t.Error("a page was served although no node could verify")
	}
}

// nginx gives tokens to nobody but a node.
func TestNginxChecksWhoTheNodesAre(t *testing.T) {
	w, nodes, _ := newNodes(t)
	if a := w.do("GET", "/auth/session", ""); a.StatusCode != http.StatusUnauthorized {
		t.Fatalf("nodes: %s", a.said())
	}
	var asked atomic.Bool
	cert, key, _ := certificate(t, t.TempDir(), "pawl.internal") // of another authority
	pair, err := tls.LoadX509KeyPair(cert, key)
	w.must(err)
	for _, n := range nodes {
		n.kill()
		l, err := tls.Listen("tcp", n.public, &tls.Config{Certificates: []tls.Certificate{pair}})
		w.must(err)
		server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) })}
		go server.Serve(l)
		t.Cleanup(func() { server.Close() })
	}
	if a := w.do("GET", "/auth/session", ""); a.StatusCode != http.StatusBadGateway || asked.Load() {
		t.Errorf("a stranger in a node's place: %s, asked %v", a.said(), asked.Load())
	}
}
