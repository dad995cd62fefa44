package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pawlauth/pawl/bench/load/cputime"
	"github.com/pawlauth/pawl/bench/load/renewal"
)

// A connection speaks HTTP/1.1 by hand, so that the generator costs little
// beside what it measures.
type connection struct {
	net.Conn
	read    *bufio.Reader
	request []byte
	body    []byte
	cookies []string // values of Set-Cookie of the last answer, up to the first semicolon
}

func dial(address string) (*connection, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c, read: bufio.NewReaderSize(c, 8<<10)}, nil
}

// exchange sends c.request and reads the answer, which must have status 200
// and say how long it is.
func (c *connection) exchange() error {
	if err := c.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write(c.request); err != nil {
		return err
	}
	status, err := c.read.ReadString('\n')
	if err != nil {
		return err
	}
	size := -1
	c.cookies = c.cookies[:0]
	for {
		line, err := c.read.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) {
		case "Content-Length":
			if size, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		case "Set-Cookie":
			pair, _, _ := bytes.Cut(value, []byte(";"))
			c.cookies = append(c.cookies, string(pair))
		}
	}
	if size < 0 || size > 1<<20 {
		return errors.New("the answer does not say its length")
	}
	c.body = slices.Grow(c.body[:0], size)[:size]
	if _, err := io.ReadFull(c.read, c.body); err != nil {
		return err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200 ") {
		return fmt.Errorf("answer %q: %s", strings.TrimSpace(status), c.body)
	}
	return nil
}

// field returns the text of a member of the JSON object in the body; it looks
// for the name only.
func (c *connection) field(name string) (string, error) {
	_, rest, ok := bytes.Cut(c.body, []byte(`"`+name+`":"`))
	text, _, more := bytes.Cut(rest, []byte(`"`))
	if !ok || !more {
		return "", fmt.Errorf("the answer has no %s", name)
	}
	return string(text), nil
}

// A generator keeps a number of connections busy, each with one request at a
// time.
type generator struct {
	server      *server
	connections []*connection
	// write writes the next request of a worker; take takes its answer in.
	write func(worker int, c *connection)
	take  func(worker int, c *connection) error
}

func newGenerator(s *server, workers int, write func(int, *connection), take func(int, *connection) error) (*generator, error) {
	g := &generator{server: s, write: write, take: take}
	for range workers {
		c, err := dial(s.address)
		if err != nil {
			return nil, errors.Join(err, g.close())
		}
		g.connections = append(g.connections, c)
	}
	return g, nil
}

func (g *generator) close() error {
	var errs []error
	for _, c := range g.connections {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// run sends requests for the given time. The sample's processor time is the
// server's.
func (g *generator) run(d time.Duration) (sample, error) {
	meter, err := cputime.Start(g.server.counted())
	if err != nil {
		return sample{}, err
	}
	took, errs := make([]renewal.Histogram, len(g.connections)), make([]error, len(g.connections))
	start := time.Now()
	var wg sync.WaitGroup
	for w, c := range g.connections {
		wg.Go(func() {
			for errs[w] == nil && time.Since(start) < d {
				g.write(w, c)
				sent := time.Now()
				if errs[w] = c.exchange(); errs[w] == nil {
					took[w].Add(time.Since(sent))
					errs[w] = g.take(w, c)
				}
			}
		})
	}
	wg.Wait()
	out := sample{wall: time.Since(start), took: merged(took)}
	used, err := meter.Read()
	if err == nil {
		out.cpu, out.ops = used.Processes[0].CPU, int(out.took.Count())
	}
	return out, errors.Join(append(errs, err)...)
}

func merged(parts []renewal.Histogram) *renewal.Histogram {
	all := new(renewal.Histogram)
	for i := range parts {
		all.Merge(&parts[i])
	}
	return all
}
