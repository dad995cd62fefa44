package main

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/pawlauth/pawl/bench"
)

// micro measures what needs no store on disk.
func micro(_ context.Context, p *plan) error {
	groups, err := bench.Groups()
	if err != nil {
		return err
	}
	taken := make(map[string][]sample)
	for _, g := range groups {
		sides := make([]side, len(g.Sides))
		for n, s := range g.Sides {
			sides[n] = side{name: s.Name, run: func(d time.Duration) (sample, error) { return timed(s, d) }}
		}
		samples, err := takeTurns(p, sides)
		if err != nil {
			return err
		}
		base := each(samples[0], sample.wallEach)
		rows := [][]string{{"side", "ns each", "allocations", "× the first"}}
		for n, s := range g.Sides {
			taken[g.Name+": "+s.Name] = samples[n]
			ns := each(samples[n], sample.wallEach)
			rows = append(rows, []string{s.Name, spread(ns), figure(median(each(samples[n], sample.allocs))), figure(median(ratios(ns, base)))})
		}
		if err := printTable(p.out, g.Name, rows); err != nil {
			return err
		}
	}
	return microTargets(p, taken)
}

func microTargets(p *plan, taken map[string][]sample) error {
	var missing error
	of := func(key string, figure func(sample) float64) []float64 {
		if len(taken[key]) == 0 {
			missing = errors.New("no side is called " + key)
			return []float64{0}
		}
		return each(taken[key], figure)
	}
	const fresh, again, protect, refuse = bench.Fresh + ": ", bench.Again + ": ", bench.Protected + ": ", bench.Refused + ": "
	ns, allocs := sample.wallEach, sample.allocs
	raw := of(fresh+"ed25519.Verify alone", ns)
	above := func(key string) []float64 {
		out := of(key, ns)
		for i, bare := range of(protect+"bare handler", ns) {
			out[i] -= bare
		}
		return out
	}
	targets := []target{
		{what: "token not seen before, × one Ed25519 verification", values: ratios(of(fresh+"pawl", ns), raw), bound: 1.15},
		{what: "the same with a full cache", values: ratios(of(fresh+"pawl, cache full", ns), raw), bound: 1.15},
		{what: "token not seen before, allocations", values: of(fresh+"pawl", allocs), bound: 10},
		{what: "token seen before, ns", values: of(again+"pawl", ns), bound: 1000},
		{what: "token seen before, allocations", values: of(again+"pawl", allocs), bound: 0.5},
		{what: "Protect with a cookie, ns above the bare handler", values: above(protect + "pawl Protect, cookie"), bound: 2000},
		{what: "Protect with a bearer token, ns above the bare handler", values: above(protect + "pawl Protect, bearer"), bound: 2000},
		{what: "forged refresh token refused, ns (and no query)", values: of(refuse+"forged refresh token, engine", ns), bound: 2000},
		{what: "access token with alg none refused, ns", values: of(refuse+"access token, alg none", ns), bound: 500},
		{what: "access token with a foreign key id refused, ns", values: of(refuse+"access token, foreign key id", ns), bound: 500},
	}
	if missing != nil {
		return missing
	}
	return printTargets(p.out, targets)
}

// timed repeats one operation for about the given time.
func timed(s bench.Side, d time.Duration) (out sample, err error) {
	for out.wall < d {
		op, err := s.Prepare()
		if err != nil {
			return out, err
		}
		if err := stretch(&out, op, s.Limit, d); err != nil {
			return out, err
		}
	}
	return out, nil
}

// stretch adds operations after one preparation until the time is up or the
// preparation is used up. The clock is read seldom, so that it costs nothing.
func stretch(out *sample, op func() error, limit int, d time.Duration) error {
	const step = 64
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start, done, wall := time.Now(), 0, out.wall
	for out.wall < d && (limit == 0 || done+step <= limit) {
		for range step {
			if err := op(); err != nil {
				return err
			}
		}
		done += step
		out.wall = wall + time.Since(start)
	}
	runtime.ReadMemStats(&after)
	out.ops += done
	out.mallocs += after.Mallocs - before.Mallocs
	return nil
}
