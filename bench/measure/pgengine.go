package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pawlauth/pawl/session"
)

// pgEngine measures the engine over PostgreSQL beside pgbench.
func pgEngine(ctx context.Context, p *plan) error {
	s, err := newShared(p, nil)
	if err != nil {
		return err
	}
	h, err := newSharedHerd(ctx, p, s, "engine", p.small, p.small)
	if err != nil {
		return err
	}
	f, err := s.floor(ctx, p)
	if err != nil {
		return err
	}
	grouped, err := h.side(ctx, fmt.Sprintf("renewals through the engine, %d at once", p.workers), s, p.workers)
	if err != nil {
		return err
	}
	sides := []side{grouped}
	for _, clients := range clientsFor(p.workers) {
		sides = append(sides, singleRow(ctx, f, clients))
	}
	samples, err := takeTurns(p, sides)
	if err != nil {
		return err
	}
	rows := [][]string{{"durable, in turns", "per second", "CPU µs each, this process", "PostgreSQL"}}
	for n, side := range sides { // what pgbench itself takes is not counted
		rows = append(rows, []string{side.name, spread(each(samples[n], sample.rate)), spreadOrNone(each(samples[n], sample.cpuMicros)),
			spreadOrNone(each(samples[n], sample.storedMicros))})
	}
	if err := printTable(p.out, "Renewal through the engine on PostgreSQL", rows); err != nil {
		return err
	}
	best := make([]float64, p.rounds) // of pgbench, in each round
	for _, of := range samples[1:] {
		for i, rate := range each(of, sample.rate) {
			best[i] = max(best[i], rate)
		}
	}
	if err := printTargets(p.out, []target{
		{what: "rate, × pgbench's best of each round", values: ratios(each(samples[0], sample.rate), best), bound: 1.3, atLeast: true},
	}); err != nil {
		return err
	}
	return profiled(p, "pgengine.pprof", func() error {
		_, err := sides[0].run(5 * p.each)
		return err
	})
}

// clientsFor are the numbers of pgbench's clients: its best is 8 to 64 here,
// where more wait for one another.
func clientsFor(workers int) []int {
	var clients []int
	for _, share := range []int{32, 16, 8, 4} {
		clients = append(clients, max(1, workers/share))
	}
	return slices.Compact(clients)
}

// side renews the herd through one engine, with that many callers.
func (h *herd) side(ctx context.Context, name string, s *shared, workers int) (side, error) {
	e, err := h.engine(h.data.Store, func(session.Event) {})
	if err != nil {
		return side{}, err
	}
	engines := slices.Repeat([]*session.Engine{e}, workers)
	return side{name, s.counted(func(d time.Duration) (sample, error) { return h.renew(ctx, engines, d) })}, nil
}
