package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/bench/load/cputime"
	"github.com/pawlauth/pawl/bench/load/renewal"
)

// buildNode builds the command, once for a run of the program.
func (p *plan) buildNode(ctx context.Context) (string, error) {
	path := p.path("pawl")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	// In Pawl's module: this one lacks what only the command needs.
	module, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/pawlauth/pawl").Output()
	if err != nil {
		return "", fmt.Errorf("looking for Pawl's source, which is found from the folder bench: %w", err)
	}
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", path, "./cmd/pawl")
	build.Dir = strings.TrimSpace(string(module))
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building pawl: %w\n%s", err, out)
	}
	return path, nil
}

// A node is a "pawl serve", strict, with all else as it is by default, behind
// a proxy that is imagined.
type node struct {
	public  string // host:port
	target  *renewal.Target
	process cputime.Process
}

// startNode starts a node on a place, and returns when it serves. It ends with
// the section.
func (p *plan) startNode(ctx context.Context, name string, place pawl.Place) (*node, error) {
	path, err := p.buildNode(ctx)
	if err != nil {
		return nil, err
	}
	n := &node{}
	if n.public, err = freeAddress(); err != nil {
		return nil, err
	}
	if n.target, err = renewal.ParseTarget(ctx, "http://"+n.public+"/auth/token", nil, false); err != nil {
		return nil, err
	}
	n.target.Host = strings.TrimPrefix(origin, "https://")
	log, err := os.Create(p.path("node-" + name + ".log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(path, "serve", "--strict", "--listen", n.public, "--ops-listen", "127.0.0.1:0", "--origin", origin,
		"--trusted-proxy", "127.0.0.1/32", "--bearer-client", appClient, "--renewal-rate", "1000000")
	cmd.Env = append(os.Environ(), "PAWL_DATA="+place.Directory, "PAWL_STORE="+place.Store)
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.stage.Cleanup(func() { stopNode(cmd) })
	n.process = cputime.Process{Name: name, PID: cmd.Process.Pid}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "operations on") { // the last of what it says when it serves
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return n, nil
		}
	}
	said, err := os.ReadFile(filepath.Clean(log.Name()))
	return nil, fmt.Errorf("node %s did not start: %w\n%s", name, err, said)
}

// stopNode ends a node, in order if it can.
func stopNode(cmd *exec.Cmd) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(15*time.Second, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	_ = cmd.Wait()
}

// freeAddress is one that nobody listens on at this moment.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// chains are sessions that are renewed over HTTP, by [renewal.Run].
type chains struct {
	newest []string // tokens
}

func newChains(h *herd) *chains {
	c := &chains{}
	for i := range h.tokens.len() {
		c.newest = append(c.newest, h.tokens.get(i))
	}
	return c
}

// run renews for the given time: at the rate, or if that is 0 as fast as it
// goes. Every renewal must be answered, and must turn its session. Processor
// time is that of the nodes.
func (c *chains) run(ctx context.Context, nodes []*node, workers int, rate float64, d time.Duration) (sample, error) {
	o := renewal.Options{Tokens: c.newest, Workers: workers, Rate: rate, Duration: d, Timeout: 15 * time.Second,
		// From the device that signed in: another one would be an event more.
		Request: renewal.Request{Parameters: [][2]string{{"client_id", appClient}},
			Fields: "X-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.1\r\nUser-Agent: " + userAgent + "\r\n"}}
	for _, n := range nodes {
		o.Targets, o.Processes = append(o.Targets, n.target), append(o.Processes, n.process)
	}
	r, err := renewal.Run(ctx, o)
	if err != nil {
		return sample{}, err
	}
	if r.Failed() > 0 || r.Repeated > 0 {
		return sample{}, fmt.Errorf("%d renewals failed, %v, and %d did not turn", r.Failed(), r.Failures, r.Repeated)
	}
	c.newest = r.Tokens
	out := sample{ops: int(r.Rotated), wall: r.Wall, took: &r.Took, lag: &r.Lag}
	for _, use := range r.Processors.Processes[1:] { // the first is this one
		if use.Gone {
			return sample{}, fmt.Errorf("node %s ended meanwhile", use.Name)
		}
		out.cpu += use.CPU
	}
	return out, nil
}

// side is such renewals, with PostgreSQL's processor time.
func (c *chains) side(ctx context.Context, name string, s *shared, nodes []*node, workers int, rate float64) side {
	nodes = slices.Clone(nodes)
	return side{name, s.counted(func(d time.Duration) (sample, error) { return c.run(ctx, nodes, workers, rate, d) })}
}
