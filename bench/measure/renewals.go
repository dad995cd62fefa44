package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"sync"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
)

// oneEach is a store that gives every change a transaction of its own.
type oneEach struct {
	sqlstore.Store
	mu sync.Mutex // one change at a time, or the store would commit several together
}

func (s *oneEach) Replace(ctx context.Context, changes []session.Change) (errs []error) {
	for _, c := range changes {
		s.mu.Lock()
		errs = append(errs, s.Store.Replace(ctx, []session.Change{c})...)
		s.mu.Unlock()
	}
	return errs
}

// The sides of the section, as the tables name them.
const (
	grouped  = "grouped, as Pawl does it"
	recorded = "grouped, each renewal's event stored and logged"
	singly   = "read and decided together, one transaction each"
	alone    = "nothing shared: each read, decided and committed by itself"
	oneByOne = "one request at a time"
	bare     = "floor: signature, three MACs, row's share of a commit"
)

// renewals measures the engine over SQLite.
func renewals(ctx context.Context, p *plan) (err error) {
	h, err := newHerd(ctx, p.path("engine"), p.small, session.Bearer)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	sides, stop, err := renewalSides(ctx, h, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	samples, err := takeTurns(p, sides)
	if err != nil {
		return err
	}
	taken := make(map[string][]sample)
	rows := [][]string{{"renewals, durable, " + figure(float64(p.workers)) + " at once", "per second", "CPU µs each", "CPU × floor"}}
	for n, s := range sides {
		taken[s.name] = samples[n]
	}
	floorCPU := each(taken[bare], sample.cpuMicros)
	for n, s := range sides {
		cpu := each(samples[n], sample.cpuMicros)
		rows = append(rows, []string{s.name, spread(each(samples[n], sample.rate)), spread(cpu), figure(median(ratios(cpu, floorCPU)))})
	}
	if err := printTable(p.out, "Renewal through the engine on SQLite", rows); err != nil {
		return err
	}
	rate := each(taken[grouped], sample.rate)
	return errors.Join(printTargets(p.out, []target{
		{what: "rate, × one transaction each", values: ratios(rate, each(taken[singly], sample.rate)), bound: 3, atLeast: true},
		{what: "rate, × nothing shared", values: ratios(rate, each(taken[alone], sample.rate)), bound: 3, atLeast: true},
		{what: "CPU, × floor", values: ratios(each(taken[grouped], sample.cpuMicros), floorCPU), bound: 1.5},
	}), profiled(p, "engine.pprof", func() error {
		_, err := sides[0].run(5 * p.each)
		return err
	}))
}

func renewalSides(ctx context.Context, h *herd, p *plan) (sides []side, stop func() error, err error) {
	quiet := func(session.Event) {}
	add := func(name string, engines []*session.Engine) {
		sides = append(sides, side{name, func(d time.Duration) (sample, error) { return h.renew(ctx, engines, d) }})
	}
	// repeated returns n workers' engines: the same one, or one for each.
	repeated := func(n int, store session.Store, record func(session.Event), own bool) []*session.Engine {
		engines := make([]*session.Engine, n)
		for w := range engines {
			if w > 0 && !own {
				engines[w] = engines[0]
			} else if err == nil {
				engines[w], err = h.engine(store, record)
			}
		}
		return engines
	}
	recorder := session.NewRecorder(slog.New(slog.NewJSONHandler(nothing{}, nil)), h.data.Store, time.Now)
	single := &oneEach{Store: h.data.Store}
	add(grouped, repeated(p.workers, h.data.Store, quiet, false))
	add(recorded, repeated(p.workers, h.data.Store, recorder.Record, false))
	add(singly, repeated(p.workers, single, quiet, false))
	add(alone, repeated(p.workers, single, quiet, true))
	add(oneByOne, repeated(1, h.data.Store, quiet, false))
	if err != nil {
		return nil, nil, err
	}
	f, err := newFloors(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	sides = append(sides, side{bare, f.run})
	recording, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { recorder.Run(recording) })
	return slices.Clip(sides), func() error {
		cancel()
		wg.Wait()
		return f.close()
	}, nil
}

// nothing takes in everything. Unlike [io.Discard] it is no reason for a
// logger to leave its work undone.
type nothing struct{}

func (nothing) Write(b []byte) (int, error) { return len(b), nil }

// profiled writes a CPU profile of f, if profiles are wanted.
func profiled(p *plan, name string, f func() error) (err error) {
	if p.profile == "" {
		return nil
	}
	file, err := os.Create(filepath.Join(p.profile, name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return f()
}
