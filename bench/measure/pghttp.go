package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

// pgHTTP measures a node beside one signature, and then beside one commit.
func pgHTTP(ctx context.Context, p *plan) error {
	s, err := newShared(p, nil)
	if err != nil {
		return err
	}
	h, err := newSharedHerd(ctx, p, s, "http", p.small, p.small)
	if err != nil {
		return err
	}
	n, err := p.startNode(ctx, "node", h.place)
	if err != nil {
		return err
	}
	c := newChains(h)
	most, err := pgCost(ctx, p, s, n, c)
	if err != nil {
		return err
	}
	f, err := s.floor(ctx, p)
	if err != nil {
		return err
	}
	// Begun evenly, whatever becomes of the earlier ones.
	half := c.side(ctx, fmt.Sprintf("renewals, %s a second", figure(most/2)), s, []*node{n}, p.workers, most/2)
	return pgLatency(p, half, singleRow(ctx, f, 1))
}

// pgCost compares what renewals cost with a signature, and returns how many
// there were a second.
func pgCost(ctx context.Context, p *plan, s *shared, n *node, c *chains) (float64, error) {
	sides := []side{c.side(ctx, fmt.Sprintf("renewals, POST /auth/token, %d connections", p.workers), s, []*node{n}, p.workers, 0), signatures()}
	samples, err := takeTurns(p, sides)
	if err != nil {
		return 0, err
	}
	renewal, rate := samples[0], each(samples[0], sample.rate)
	times := ratios(each(renewal, sample.bothMicros), each(samples[1], sample.bothMicros))
	return median(rate), errors.Join(printTable(p.out, "Renewal over HTTP on PostgreSQL", [][]string{
		{"", "per second", "CPU µs each, node", "PostgreSQL", "both × one signature", "p50 µs", "p99 µs"},
		{sides[0].name, spread(rate), spread(each(renewal, sample.cpuMicros)), spread(each(renewal, sample.storedMicros)),
			spread(times), figure(median(each(renewal, p50))), figure(median(each(renewal, p99)))},
		{sides[1].name, "", spread(each(samples[1], sample.cpuMicros)), "", "1.00", "", ""},
	}), printTargets(p.out, []target{
		{what: "CPU of a renewal, node and PostgreSQL, × one Ed25519 signature", values: times, bound: 6},
	}))
}

// pgLatency compares how long renewals take, at half of the greatest rate, with
// how long one client waits for its commit.
func pgLatency(p *plan, half, commits side) error {
	samples, err := takeTurns(p, []side{half, commits})
	if err != nil {
		return err
	}
	// One client is always waiting, so that the mean is all the time there was.
	commit := each(samples[1], func(s sample) float64 { return s.wallEach() / 1e3 })
	return errors.Join(printTable(p.out, "Latency at half of that rate", [][]string{
		{"", "p50 µs", "p99 µs", "the generator's own lateness, p99 µs", "mean µs"},
		{half.name, spread(each(samples[0], p50)), spread(each(samples[0], p99)), spread(each(samples[0], ownP99)), ""},
		{commits.name, "", "", "", spread(commit)},
	}), printTargets(p.out, []target{
		{what: "p99 at half of the greatest rate, × the mean latency of a commit", values: ratios(each(samples[0], p99), commit), bound: 5},
	}))
}

func ownP99(s sample) float64 { return float64(s.lag.Quantile(0.99).Nanoseconds()) / 1e3 }

// signatures is the side that makes Ed25519 signatures of 400 bytes, on every
// processor at once, since processors share caches and more.
func signatures() side {
	return side{"one Ed25519 signature", func(d time.Duration) (sample, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return sample{}, err
		}
		var made atomic.Int64
		cpu, start := spent(), time.Now()
		err = inParallel(runtime.GOMAXPROCS(0), runtime.GOMAXPROCS(0), func(int) error {
			message := make([]byte, 400)
			for time.Since(start) < d {
				message[0] ^= ed25519.Sign(key, message)[0]
				made.Add(1)
			}
			return nil
		})
		return sample{ops: int(made.Load()), wall: time.Since(start), cpu: spent() - cpu}, err
	}}
}
