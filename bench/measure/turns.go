package main

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/pawlauth/pawl/bench/load/cputime"
	"github.com/pawlauth/pawl/bench/load/renewal"
)

// A sample is what one side did in one round.
type sample struct {
	ops     int
	wall    time.Duration
	cpu     time.Duration      // user and system, of the process that did it
	stored  time.Duration      // the same of PostgreSQL, if there is one
	mallocs uint64             // 0 if they were not counted
	took    *renewal.Histogram // of each operation; nil if not noted
	lag     *renewal.Histogram // of those at a rate: how late the generator itself was
}

func (s sample) rate() float64      { return float64(s.ops) / s.wall.Seconds() }
func (s sample) wallEach() float64  { return float64(s.wall.Nanoseconds()) / float64(s.ops) }
func (s sample) cpuMicros() float64 { return float64(s.cpu.Nanoseconds()) / 1e3 / float64(s.ops) }
func (s sample) allocs() float64    { return float64(s.mallocs) / float64(s.ops) }

// bothMicros is the processor time of one operation, PostgreSQL's included.
func (s sample) bothMicros() float64 { return s.cpuMicros() + s.storedMicros() }
func (s sample) storedMicros() float64 {
	return float64(s.stored.Nanoseconds()) / 1e3 / float64(s.ops)
}

// quantile returns how many microseconds the given share of operations took at
// most.
func (s sample) quantile(q float64) float64 {
	return float64(s.took.Quantile(q).Nanoseconds()) / 1e3
}

// A side is one of the things that are compared.
type side struct {
	name string
	run  func(time.Duration) (sample, error)
}

// takeTurns runs every side once in each round, so that whatever else the
// machine does meets all of them, after one short round that is not counted. It
// returns the samples by side and round. Each round begins with another side.
//
// If others use the machine meanwhile, up to p.patience more rounds are run,
// and the quietest are kept: they are chosen by what others did, not by what
// was measured.
func takeTurns(p *plan, sides []side) ([][]sample, error) {
	if _, err := takeRound(sides, 0, min(p.each, 300*time.Millisecond)); err != nil {
		return nil, err
	}
	var rounds []round
	for n, quiet := 1, 0; quiet < p.rounds && n <= p.rounds+p.patience; n++ {
		meter, err := cputime.Start(self)
		if err != nil {
			return nil, err
		}
		samples, err := takeRound(sides, n, p.each)
		if err != nil {
			return nil, err
		}
		used, err := meter.Read()
		if err != nil {
			return nil, err
		}
		rounds = append(rounds, round{samples, shareOfOthers(used)})
		if rounds[len(rounds)-1].others <= quietShare {
			quiet++
		}
	}
	slices.SortStableFunc(rounds, func(a, b round) int { return cmp.Compare(a.others, b.others) })
	out := make([][]sample, len(sides))
	var others []float64
	for _, r := range rounds[:p.rounds] {
		others = append(others, 100*r.others)
		for n := range sides {
			out[n] = append(out[n], r.samples[n])
		}
	}
	_, err := fmt.Fprintf(p.out, "\n%d of %d rounds; others used %s %% of the processors.\n", p.rounds, len(rounds), spread(others))
	return out, err
}

// self is this process and all that it started.
var self = cputime.Process{Name: "measure", PID: os.Getpid()}

// shareOfOthers is which share of all processors others used.
func shareOfOthers(used cputime.Reading) float64 {
	return float64(used.Others()) / float64(used.Wall) / float64(runtime.NumCPU())
}

// alone does something that takes no turns, and tells what others did meanwhile.
func (p *plan) alone(what string, f func() error) error {
	meter, err := cputime.Start(self)
	if err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	used, err := meter.Read()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "\n%s; others used %s %% of the processors.\n", what, figure(100*shareOfOthers(used)))
	return err
}

// quietShare is the share of the processors that others may use in a round
// that counts as quiet.
const quietShare = 0.1

// A round has one sample of each side.
type round struct {
	samples []sample
	others  float64 // share of the processors that other processes used
}

func takeRound(sides []side, number int, d time.Duration) ([]sample, error) {
	samples := make([]sample, len(sides))
	for n := range sides {
		n = (n + number) % len(sides)
		runtime.GC() // pays for its own garbage only
		s, err := sides[n].run(d)
		if err == nil && s.ops == 0 {
			err = fmt.Errorf("nothing was done within %v", d)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", sides[n].name, err)
		}
		samples[n] = s
	}
	return samples, nil
}

// spent is the processor time of this process so far, of all its threads.
func spent() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic("getrusage of the own process failed: " + err.Error())
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// each applies one figure to every sample.
func each(samples []sample, figure func(sample) float64) []float64 {
	out := make([]float64, len(samples))
	for i, s := range samples {
		out[i] = figure(s)
	}
	return out
}

// ratios divides round by round, so that what slows down a whole round cancels
// out.
func ratios(above, below []float64) []float64 {
	out := make([]float64, len(above))
	for i := range above {
		out[i] = above[i] / below[i]
	}
	return out
}
