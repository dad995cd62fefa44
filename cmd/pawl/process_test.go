package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A process is a running "pawl serve --dev" of the test binary.
type process struct {
	t        *testing.T
	cmd      *exec.Cmd
	data     string
	base     string // http://localhost:PORT
	ops      string
	password string // of the user demo; empty if it was there before

	mu   sync.Mutex
	logs bytes.Buffer // guarded by mu: standard output and error
}

// serve starts a server on free ports and waits until it serves.
func serve(t *testing.T, data string, args ...string) *process {
	t.Helper()
	return serveAt(t, freePort(t), data, args...)
}

// serveAt is serve on a port: where it was is in every token.
func serveAt(t *testing.T, port, data string, args ...string) *process {
	t.Helper()
	p := &process{t: t, data: data}
	p.base = fmt.Sprintf("http://localhost:%s", port)
	args = append([]string{"serve", "--dev", "--data", data, "--listen", "localhost:" + port,
		"--ops-listen", "localhost:0", "--origin", p.base}, args...)
	p.cmd = exec.Command("pawl", args...)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		fmt.Fprintln(p, lines.Text())
		if password, ok := strings.CutPrefix(lines.Text(), "password: "); ok {
			p.password = password
		}
		if m := regexp.MustCompile(`operations on (\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			p.ops = "http://" + m[1]
			go io.Copy(p, out)
			return p
		}
	}
	p.cmd.Wait()
	t.Fatalf("the server did not start:\n%s", p.output())
	return nil
}

// Write takes in what the process prints.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.logs.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.logs.String()
}

// kill ends the process at once, as a power cut would.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// stop ends the process in an orderly way.
func (p *process) stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	return p.cmd.Wait()
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// pawl runs a command on the process's data and returns what it printed.
func (p *process) pawl(args ...string) string {
	p.t.Helper()
	return command(p.t, append(args, "--data", p.data)...)
}

func command(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "pawl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("pawl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// An answer is what came back: status and body.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (a answer) text(name string) string { s, _ := a.body[name].(string); return s }

// client keeps connections; every test has a few.
var client = &http.Client{Timeout: 20 * time.Second}

func (p *process) do(method, path, contentType, body string, headers ...string) (answer, error) {
	req, err := http.NewRequest(method, p.base+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	a := answer{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	json.Unmarshal(raw, &a.body)
	return a, err
}

// must is do for requests that reach the server.
func (p *process) must(method, path, contentType, body string, headers ...string) answer {
	p.t.Helper()
	a, err := p.do(method, path, contentType, body, headers...)
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

func (p *process) login(user, password string) answer {
	p.t.Helper()
	body, _ := json.Marshal(map[string]string{"username": user, "password": password, "transport": "bearer", "client_id": "dev"})
	return p.must("POST", "/auth/login", "application/json", string(body))
}

func (p *process) renew(refresh string) answer {
	p.t.Helper()
	return p.must("POST", "/auth/token", "application/x-www-form-urlencoded", renewal(refresh))
}

func renewal(refresh string) string {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}.Encode()
}

func (p *process) session(access string) answer {
	p.t.Helper()
	return p.must("GET", "/auth/session", "", "", "Authorization", "Bearer "+access)
}

// eventually asks again until it holds, at most for limit.
func eventually(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within %v: %s", limit, what)
}

// eventTypes reads the types and reasons of all events.
func (p *process) eventTypes() []string {
	p.t.Helper()
	var out []string
	for line := range strings.Lines(p.pawl("events", "--json")) {
		var e struct{ Type, Reason string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			p.t.Fatalf("event %q: %v", line, err)
		}
		out = append(out, strings.TrimSuffix(e.Type+" "+e.Reason, " "))
	}
	return out
}

// everything returns whatever the process wrote: log, database, events.
func (p *process) everything() string {
	p.t.Helper()
	var all strings.Builder
	all.WriteString(p.output())
	files, err := filepath.Glob(filepath.Join(p.data, "pawl.db*"))
	if err != nil || len(files) == 0 {
		p.t.Fatalf("no database: %v", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			p.t.Fatal(err)
		}
		all.Write(text)
	}
	all.WriteString(p.pawl("events"))
	resp, err := client.Get(p.ops + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(&all, resp.Body)
	return all.String()
}
