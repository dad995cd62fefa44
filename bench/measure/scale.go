package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pawlauth/pawl/session"
)

// A crowd is a herd of one size, first renewed within this process and then
// served by another.
type crowd struct {
	herd   *herd
	size   int
	bytes  int64 // of its database, fresh
	filled time.Duration
	server *server
	lists  *generator
}

// scale compares a small database with a large one.
func scale(ctx context.Context, p *plan) (err error) {
	var crowds []*crowd
	defer func() {
		for _, c := range crowds {
			err = errors.Join(err, c.close())
		}
	}()
	for _, n := range []int{p.small, p.sessions} {
		c := &crowd{size: n}
		start := time.Now()
		if c.herd, err = newHerd(ctx, p.path(fmt.Sprintf("scale%d", n)), n, session.Bearer); err != nil {
			return err
		}
		crowds = append(crowds, c)
		c.filled = time.Since(start)
		if err := c.herd.reopen(ctx, func() error { c.bytes, err = c.herd.bytes(); return err }); err != nil {
			return err
		}
	}
	if err := scaleRenewals(ctx, p, crowds); err != nil {
		return err
	}
	for _, c := range crowds {
		if err := c.serve(); err != nil {
			return err
		}
	}
	if err := scaleHTTP(p, crowds); err != nil {
		return err
	}
	return scaleLists(p, crowds)
}

// httpSessions bounds how many sessions of a crowd are renewed over HTTP; they
// are spread over all of its database.
const httpSessions = 200_000

// scaleHTTP renews over HTTP, as clients do.
func scaleHTTP(p *plan, crowds []*crowd) (err error) {
	var sides []side
	for _, c := range crowds {
		r := newRenewals(c.herd, 0, min(c.size, httpSessions), p.workers, c.server.address)
		g, err := newGenerator(c.server, p.workers, r.writeBearer, r.takeBearer)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, g.close()) }()
		sides = append(sides, side{fmt.Sprintf("%d sessions", c.size), g.run})
	}
	samples, err := takeTurns(p, sides)
	if err != nil {
		return err
	}
	rows := [][]string{{"renewals over HTTP, POST /auth/token", "per second", "server CPU µs each", "p50 µs", "p99 µs"}}
	for n := range crowds {
		rows = append(rows, []string{sides[n].name, spread(each(samples[n], sample.rate)), spread(each(samples[n], sample.cpuMicros)),
			figure(median(each(samples[n], p50))), figure(median(each(samples[n], p99)))})
	}
	if err := printTable(p.out, "Renewal over HTTP by number of sessions", rows); err != nil {
		return err
	}
	return printTargets(p.out, []target{
		{what: fmt.Sprintf("time of a renewal over HTTP with %d sessions, × that with %d", crowds[1].size, crowds[0].size),
			values: ratios(each(samples[0], sample.rate), each(samples[1], sample.rate)), bound: 1.3},
	})
}

func scaleRenewals(ctx context.Context, p *plan, crowds []*crowd) error {
	var sides []side
	for _, c := range crowds {
		e, err := c.herd.engine(c.herd.data.Store, func(session.Event) {})
		if err != nil {
			return err
		}
		engines := make([]*session.Engine, p.workers)
		for w := range engines {
			engines[w] = e
		}
		sides = append(sides, side{fmt.Sprintf("%d sessions", c.size), func(d time.Duration) (sample, error) {
			return c.herd.renew(ctx, engines, d)
		}})
	}
	samples, err := takeTurns(p, sides)
	if err != nil {
		return err
	}
	rows := [][]string{{"renewals through the engine", "per second", "CPU µs each", "bytes of database per session", "filled in s"}}
	for n, c := range crowds {
		rows = append(rows, []string{sides[n].name, spread(each(samples[n], sample.rate)), spread(each(samples[n], sample.cpuMicros)),
			figure(float64(c.bytes) / float64(c.size)), figure(c.filled.Seconds())})
	}
	if err := printTable(p.out, "Renewal by number of sessions", rows); err != nil {
		return err
	}
	return errors.Join(printTargets(p.out, []target{
		{what: fmt.Sprintf("time of a renewal with %d sessions, × that with %d", crowds[1].size, crowds[0].size),
			values: ratios(each(samples[0], sample.rate), each(samples[1], sample.rate)), bound: 1.3},
	}), profiled(p, "scale.pprof", func() error {
		_, err := sides[1].run(5 * p.each)
		return err
	}))
}

// scaleLists asks for one user's sessions, one request at a time.
func scaleLists(p *plan, crowds []*crowd) error {
	var sides []side
	for _, c := range crowds {
		if err := c.askLists(); err != nil {
			return err
		}
		sides = append(sides, side{fmt.Sprintf("%d sessions", c.size), c.lists.run})
	}
	samples, err := takeTurns(p, sides)
	if err != nil {
		return err
	}
	rows := [][]string{{fmt.Sprintf("GET /auth/sessions of a user with %d, one at a time", perUser), "p50 µs", "p99 µs"}}
	for n := range crowds {
		rows = append(rows, []string{sides[n].name, spread(each(samples[n], p50)), spread(each(samples[n], p99))})
	}
	if err := printTable(p.out, "List of devices by number of sessions", rows); err != nil {
		return err
	}
	return printTargets(p.out, []target{{what: "p50 of the list of devices, × that of the small database",
		values: ratios(each(samples[1], p50), each(samples[0], p50)), bound: 1.3}})
}

// serve closes the crowd's database and starts a server on it.
func (c *crowd) serve() (err error) {
	if err := c.herd.close(); err != nil {
		return err
	}
	c.server, err = startServer(c.herd.place.Directory, "")
	return err
}

// askLists renews some sessions, for their access tokens, and makes the
// generator that asks for their users' lists.
func (c *crowd) askLists() (err error) {
	const some = 64
	// From the end, which no renewal over HTTP came to if there are many.
	r := newRenewals(c.herd, c.size-min(some, c.size), c.size, 1, c.server.address)
	var access []string
	login, err := newGenerator(c.server, 1, r.writeBearer, r.takeBearer)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, login.close()) }()
	for range r.refresh {
		connection := login.connections[0]
		r.writeBearer(0, connection)
		if err := connection.exchange(); err != nil {
			return err
		}
		raw, err := connection.field("access_token")
		if err != nil {
			return err
		}
		access = append(access, raw)
	}
	next := 0
	c.lists, err = newGenerator(c.server, 1, func(_ int, conn *connection) {
		conn.request = fmt.Appendf(conn.request[:0], "GET /auth/sessions HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n",
			c.server.address, access[next%len(access)])
		next++
	}, func(_ int, conn *connection) error {
		_, err := conn.field("device")
		return err
	})
	return err
}

// close stops what runs. The herd is closed while a server has its database.
func (c *crowd) close() error {
	switch {
	case c.lists != nil:
		return errors.Join(c.lists.close(), c.server.stop())
	case c.server != nil:
		return c.server.stop()
	}
	return c.herd.close()
}
