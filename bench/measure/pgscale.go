package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// sharedSessions bounds how many sessions of a database are renewed; they are
// spread over all of it.
const sharedSessions = 200_000

// manySessions are the settings that docs/operating.md gives to a database of
// millions of sessions. With those of the installation each page is written
// whole into the log again and again: every gigabyte begins it anew.
var manySessions = map[string]string{
	"shared_buffers":     "6GB",
	"max_wal_size":       "16GB",
	"checkpoint_timeout": "30min",
	"wal_compression":    "lz4",
}

// pgScale compares a database with many sessions with one with more.
func pgScale(ctx context.Context, p *plan) error {
	s, err := newShared(p, manySessions)
	if err != nil {
		return err
	}
	var sides []side
	var bytes, filled []float64
	sizes := []int{p.small, p.sessions}
	for i, n := range sizes {
		start, name := time.Now(), "scale"+strconv.Itoa(i)
		h, err := newSharedHerd(ctx, p, s, name, n, min(sharedSessions, p.small))
		if err != nil {
			return err
		}
		filled = append(filled, time.Since(start).Seconds())
		total, err := strconv.ParseFloat(s.Exec(name, `SELECT pg_total_relation_size('pawl.sessions') + pg_total_relation_size('pawl.user_sessions')`), 64)
		if err != nil {
			return err
		}
		bytes = append(bytes, total/float64(n))
		side, err := h.side(ctx, fmt.Sprintf("%d sessions", n), s, p.workers)
		if err != nil {
			return err
		}
		sides = append(sides, side)
	}
	s.Exec("postgres", "CHECKPOINT") // what filling left to write is not the renewals'
	samples, err := takeTurns(p, sides)
	if err != nil {
		return err
	}
	rows := [][]string{{fmt.Sprintf("renewals through the engine, %d at once", p.workers), "per second", "p50 µs", "p99 µs", "CPU µs each, this process", "PostgreSQL", "bytes of a session, indexes included", "filled in s"}}
	for n := range sides {
		rows = append(rows, []string{sides[n].name, spread(each(samples[n], sample.rate)), figure(median(each(samples[n], p50))), spread(each(samples[n], p99)),
			spread(each(samples[n], sample.cpuMicros)), spread(each(samples[n], sample.storedMicros)), figure(bytes[n]), figure(filled[n])})
	}
	if err := printTable(p.out, "Renewal on PostgreSQL by number of sessions", rows); err != nil {
		return err
	}
	compared := fmt.Sprintf(" with %d sessions, × that with %d", sizes[1], sizes[0])
	return printTargets(p.out, []target{
		{what: "time of a renewal" + compared, values: ratios(each(samples[0], sample.rate), each(samples[1], sample.rate)), bound: 1.3},
		{what: "p99" + compared, values: ratios(each(samples[1], p99), each(samples[0], p99)), bound: 1.3},
	})
}
