package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// overHTTP measures renewals through all of Pawl, in a process of its own.
func overHTTP(ctx context.Context, p *plan) (err error) {
	// The first half of the sessions travels in bodies, the second in cookies.
	// They are so many that none of them renews more often than is allowed.
	n := 4 * p.small
	h, err := newHerd(ctx, p.path("http"), n, session.Bearer, session.Cookie)
	if err != nil {
		return err
	}
	if err := h.close(); err != nil {
		return err
	}
	profile := ""
	if p.profile != "" {
		profile = filepath.Join(p.profile, "http.pprof")
	}
	var closers []func() error
	defer func() {
		for i := len(closers) - 1; i >= 0; i-- {
			err = errors.Join(err, closers[i]())
		}
	}()
	start := func(what, profile string) *server {
		if err != nil {
			return nil
		}
		var s *server
		if s, err = startServer(what, profile); err == nil {
			closers = append(closers, s.stop)
		}
		return s
	}
	sign, full := start(signing, ""), start(h.place.Directory, profile)
	if err != nil {
		return err
	}
	var sides []side
	add := func(name string, s *server, write func(int, *connection), take func(int, *connection) error) {
		if err != nil {
			return
		}
		var g *generator
		if g, err = newGenerator(s, p.workers, write, take); err == nil {
			closers = append(closers, g.close)
			sides = append(sides, side{name, g.run})
		}
	}
	// The signing server gets requests of the same form; the tokens in them
	// mean nothing to it.
	nothing := func(int, *connection) error { return nil }
	add("sign one message, request as POST /auth/token", sign, newRenewals(h, 0, n, p.workers, sign.address).writeBearer, nothing)
	add("sign one message, request as POST /auth/refresh", sign, newRenewals(h, n, 2*n, p.workers, sign.address).writeCookie, nothing)
	bearer := newRenewals(h, 0, n, p.workers, full.address)
	add("renewal, POST /auth/token", full, bearer.writeBearer, bearer.takeBearer)
	cookie := newRenewals(h, n, 2*n, p.workers, full.address)
	add("renewal, POST /auth/refresh with cookies", full, cookie.writeCookie, cookie.takeCookie)
	if err != nil {
		return err
	}
	samples, err := takeTurns(p, sides)
	if err != nil {
		return err
	}
	return printHTTP(p, sides, samples)
}

func printHTTP(p *plan, sides []side, samples [][]sample) error {
	cpu := func(n int) []float64 { return each(samples[n], sample.cpuMicros) }
	rows := [][]string{{fmt.Sprintf("requests over loopback, %d connections", p.workers), "per second", "server CPU µs each", "× what only signs", "p50 µs", "p99 µs"}}
	for n, s := range sides {
		// The sides that only sign come first, in the order of the requests.
		rows = append(rows, []string{s.name, spread(each(samples[n], sample.rate)), spread(cpu(n)), figure(median(ratios(cpu(n), cpu(n%2)))),
			figure(median(each(samples[n], p50))), figure(median(each(samples[n], p99)))})
	}
	if err := printTable(p.out, "Renewal over HTTP on SQLite", rows); err != nil {
		return err
	}
	return printTargets(p.out, []target{
		{what: "CPU of a bearer renewal, × one that only signs", values: ratios(cpu(2), cpu(0)), bound: 2},
		{what: "CPU of a cookie renewal, × one that only signs", values: ratios(cpu(3), cpu(1)), bound: 2},
	})
}

func p50(s sample) float64 { return s.quantile(0.5) }
func p99(s sample) float64 { return s.quantile(0.99) }

// renewalsOverHTTP are the requests that renew a range of a herd's sessions.
// Each worker has sessions of its own and carries their newest tokens.
type renewalsOverHTTP struct {
	herd    *herd
	address string
	workers int
	first   int
	refresh []string // by session, from first
	access  []string // value of the access cookie
	next    []int    // by worker
	current []int    // by worker: the session of the request on its way
}

func newRenewals(h *herd, first, end, workers int, address string) *renewalsOverHTTP {
	r := &renewalsOverHTTP{herd: h, address: address, workers: workers, first: first,
		next: make([]int, workers), current: make([]int, workers)}
	for i := first; i < end; i++ {
		r.refresh = append(r.refresh, h.tokens.get(i))
		// A renewal reads no more of the access cookie than whose it is.
		claims := fmt.Sprintf(`{"sid":%q}`, h.sessions[i].String())
		r.access = append(r.access, "e30."+string(token.AppendBase64URL(nil, []byte(claims)))+".e30")
	}
	return r
}

// turn chooses the worker's next session.
func (r *renewalsOverHTTP) turn(w int) int {
	i := r.next[w]*r.workers + w
	if i >= len(r.refresh) {
		r.next[w], i = 0, w
	}
	r.next[w]++
	r.current[w] = i
	return i
}

const formHead = "grant_type=refresh_token&client_id=" + appClient + "&refresh_token="

func (r *renewalsOverHTTP) writeBearer(w int, c *connection) {
	raw := r.refresh[r.turn(w)]
	c.request = fmt.Appendf(c.request[:0], "POST /auth/token HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s%s",
		r.address, userAgent, len(formHead)+len(raw), formHead, raw)
}

func (r *renewalsOverHTTP) takeBearer(w int, c *connection) error {
	raw, err := c.field("refresh_token")
	if err != nil {
		return err
	}
	return r.turned(w, raw)
}

func (r *renewalsOverHTTP) turned(w int, refresh string) error {
	old := &r.refresh[r.current[w]]
	if *old == refresh {
		return errors.New("the session did not turn")
	}
	*old = refresh
	r.herd.tokens.set(r.first+r.current[w], refresh)
	return nil
}

func (r *renewalsOverHTTP) writeCookie(w int, c *connection) {
	i := r.turn(w)
	c.request = fmt.Appendf(c.request[:0], "POST /auth/refresh HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nAccept: */*\r\n"+
		"Origin: http://%s\r\nSec-Fetch-Site: same-origin\r\nCookie: %s=%s; %s=%s\r\nContent-Length: 0\r\n\r\n",
		r.address, userAgent, r.address, httpauth.AccessCookie, r.access[i], httpauth.RefreshCookie, r.refresh[i])
}

func (r *renewalsOverHTTP) takeCookie(w int, c *connection) error {
	access, err := cookieOf(c, httpauth.AccessCookie)
	if err != nil {
		return err
	}
	refresh, err := cookieOf(c, httpauth.RefreshCookie)
	if err != nil {
		return err
	}
	r.access[r.current[w]] = access
	return r.turned(w, refresh)
}

func cookieOf(c *connection, name string) (string, error) {
	for _, pair := range c.cookies {
		if len(pair) > len(name) && pair[:len(name)] == name && pair[len(name)] == '=' {
			return pair[len(name)+1:], nil
		}
	}
	return "", fmt.Errorf("the answer sets no %s", name)
}
