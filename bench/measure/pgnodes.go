package main

import (
	"context"
	"fmt"
)

// mostNodes is how many nodes share a database at most.
const mostNodes = 4

// pgNodes measures what a renewal costs with more nodes on one database. All
// share these processors, and PostgreSQL with them, so that rates say nothing
// of what nodes with processors of their own would do; what each renewal takes
// of the processors does.
func pgNodes(ctx context.Context, p *plan) error {
	s, err := newShared(p, nil)
	if err != nil {
		return err
	}
	h, err := newSharedHerd(ctx, p, s, "nodes", p.small, p.small)
	if err != nil {
		return err
	}
	var nodes []*node
	var sides []side
	c := newChains(h)
	for n := range mostNodes {
		node, err := p.startNode(ctx, fmt.Sprint("node", n+1), h.place)
		if err != nil {
			return err
		}
		nodes = append(nodes, node)
		sides = append(sides, c.side(ctx, fmt.Sprintf("%d × %d connections", n+1, p.workers), s, nodes, p.workers*(n+1), 0))
	}
	samples, err := takeTurns(p, sides)
	if err != nil {
		return err
	}
	rows := [][]string{{"nodes, each with its connections", "per second", "CPU µs each, nodes", "PostgreSQL", "both × one node"}}
	one := each(samples[0], sample.bothMicros)
	var targets []target
	for n := range sides {
		times := ratios(each(samples[n], sample.bothMicros), one)
		rows = append(rows, []string{sides[n].name, spread(each(samples[n], sample.rate)), spread(each(samples[n], sample.cpuMicros)),
			spread(each(samples[n], sample.storedMicros)), figure(median(times))})
		if n > 0 {
			// Two nodes that renew 1.6 times as much with twice the processors
			// spend at most 2/1.6 as much on each renewal.
			targets = append(targets, target{what: fmt.Sprintf("CPU of a renewal with %d nodes, × that with one", n+1), values: times, bound: 2 / 1.6})
		}
	}
	if err := printTable(p.out, "Renewal by number of nodes", rows); err != nil {
		return err
	}
	return printTargets(p.out, targets)
}
