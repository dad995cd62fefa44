//go:build linux

package faulttest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	// What the command is made of: when that changes, these tests have to run
	// again, which the tool does not know of a command that they build.
	_ "github.com/pawlauth/pawl/server"
)

// What the nodes are told, and what their proxy would tell them.
const (
	host   = "app.example.com"
	origin = "https://" + host
	app    = "app" // the client of bearer sessions
)

// built is where TestMain's folder is; pawl is built into it once, when it is
// first needed.
var built string

func TestMain(m *testing.M) {
	var err error
	if built, err = os.MkdirTemp("", "pawl-fault-"); err != nil {
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

// pawlBinary is the command, with the race detector if the test has it.
var pawlBinary = sync.OnceValues(func() (string, error) {
	args := []string{"build", "-buildvcs=false", "-o", filepath.Join(built, "pawl")}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "github.com/pawlauth/pawl/cmd/pawl")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go %v: %w\n%s", args, err, out)
	}
	return filepath.Join(built, "pawl"), nil
})

// A node is one "pawl serve". Its addresses stay the same when it is started
// again.
type node struct {
	w       *world
	name    string
	store   string // the URL that it is given
	args    []string
	public  string // host:port
	process *exec.Cmd

	mu  sync.Mutex
	ops string       // guarded by mu: http://host:port
	log bytes.Buffer // guarded by mu
}

// Write takes in what the process prints.
func (n *node) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.Write(b)
}

// output is what the node has printed, its end if it is long.
func (n *node) output() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	text := n.log.String()
	return text[max(0, len(text)-4<<10):]
}

// printed reports whether the node has printed a text.
func (n *node) printed(text string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Contains(n.log.String(), text)
}

// command prepares a command on the data of the world.
func (w *world) command(ctx context.Context, store string, args ...string) *exec.Cmd {
	w.t.Helper()
	path, err := pawlBinary()
	w.must(err)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "PAWL_STORE="+store, "PAWL_MASTER_KEY_FILE="+filepath.Join(w.dir, "master.key"), "PAWL_DATA="+w.dir)
	return cmd
}

// pawl runs a command to its end and returns what it printed.
func (w *world) pawl(args ...string) string {
	w.t.Helper()
	out, err := w.try(args...)
	if err != nil {
		w.t.Fatalf("pawl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (w *world) try(args ...string) (string, error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 60*time.Second)
	defer cancel()
	cmd := w.command(ctx, w.store(), args...)
	cmd.Stdin = strings.NewReader(password)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// freePort is one that nobody listens on at this moment.
func (w *world) freePort() string {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	defer l.Close()
	return l.Addr().String()
}

// addNode starts a node that is to use a URL.
func (w *world) addNode(store string, args ...string) *node {
	w.t.Helper()
	n := &node{w: w, name: string(rune('A' + len(w.nodes))), store: store, args: args, public: w.freePort()}
	w.nodes = append(w.nodes, n)
	w.t.Cleanup(func() {
		n.end()
		if n.printed("DATA RACE") {
			w.t.Errorf("node %s: the race detector found something", n.name)
		}
		if w.t.Failed() {
			w.t.Logf("the log of node %s ends:\n%s", n.name, n.output())
		}
	})
	w.must(n.start())
	return n
}

// start starts the node and waits until it serves.
func (n *node) start() error {
	args := append([]string{"serve", "--listen", n.public, "--ops-listen", "127.0.0.1:0", "--origin", origin,
		"--trusted-proxy", "127.0.0.1/32", "--bearer-client", app, "--renewal-rate", "1000000"}, n.args...)
	cmd := n.w.command(context.Background(), n.store, args...)
	cmd.Stderr = n
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	n.process = cmd
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := regexp.MustCompile(`operations on (\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			n.mu.Lock()
			n.ops = "http://" + m[1]
			n.mu.Unlock()
			go io.Copy(n, out)
			return nil
		}
	}
	return fmt.Errorf("node %s did not start: %w\n%s", n.name, cmd.Wait(), n.output())
}

// kill ends the process at once, as a power cut does to a machine.
func (n *node) kill() {
	n.w.t.Helper()
	n.w.must(n.process.Process.Kill())
	n.process.Wait()
}

// end is kill for a process that may have ended.
func (n *node) end() {
	if n.process != nil {
		n.process.Process.Kill()
		n.process.Wait()
	}
}

// signal sends a signal to the process.
func (n *node) signal(s syscall.Signal) {
	n.w.t.Helper()
	n.w.must(n.process.Process.Signal(s))
}

// freeze stops the process and returns when it stands still.
func (n *node) freeze() {
	n.w.t.Helper()
	n.signal(syscall.SIGSTOP)
	eventually(n.w.t, 5*time.Second, "node "+n.name+" stands still", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.process.Process.Pid))
		return err == nil && bytes.Contains(stat, []byte(") T "))
	})
}

// ready asks the node whether it is.
func (n *node) ready() bool {
	n.mu.Lock()
	at := n.ops
	n.mu.Unlock()
	resp, err := n.w.http.Get(at + "/readyz")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode == http.StatusOK
}

// An answer is what came back.
type answer struct {
	status int
	header http.Header
	raw    string
	tokens
}

type tokens struct{ access, refresh string }

// patience bounds one request. It is above what the server needs to say that
// it cannot decide, so that no request is given up that may still be decided.
const patience = 15 * time.Second

// send sends a request as the proxy in front of the nodes would.
func (n *node) send(ctx context.Context, method, path, contentType, body string, headers ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+n.public+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Host = host
	req.Header.Set("X-Forwarded-Proto", "https")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := n.w.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	a := answer{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	if err == nil && a.status == http.StatusOK {
		a.tokens = tokensOf(resp, raw)
	}
	return a, err
}

// eventually asks again until it holds, at most for limit.
func eventually(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	if err := poll(limit, holds); err != nil {
		t.Fatalf("not within %v: %s", limit, what)
	}
}

var errTooLate = errors.New("too late")

func poll(limit time.Duration, holds func() bool) error {
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return errTooLate
		}
	}
	return nil
}
