package main

import (
	"fmt"
	"runtime"
	"syscall"
	"time"
)

// A sample is what one side did in one round.
type sample struct {
	ops     int
	wall    time.Duration
	cpu     time.Duration   // user and system, of the process that did it
	mallocs uint64          // 0 if they were not counted
	took    []time.Duration // of each operation, sorted; nil if not noted
}

func (s sample) rate() float64      { return float64(s.ops) / s.wall.Seconds() }
func (s sample) wallEach() float64  { return float64(s.wall.Nanoseconds()) / float64(s.ops) }
func (s sample) cpuMicros() float64 { return float64(s.cpu.Nanoseconds()) / 1e3 / float64(s.ops) }
func (s sample) allocs() float64    { return float64(s.mallocs) / float64(s.ops) }

// quantile returns how many microseconds the given share of operations took at
// most.
func (s sample) quantile(q float64) float64 {
	return float64(s.took[min(len(s.took)-1, int(q*float64(len(s.took))))].Nanoseconds()) / 1e3
}

// A side is one of the things that are compared.
type side struct {
	name string
	run  func(time.Duration) (sample, error)
}

// takeTurns runs every side once in each round, so that whatever else the
// machine does meets all of them, after one short turn that is not counted. It
// returns the samples by side and round. Each round begins with another side.
func takeTurns(p *plan, sides []side) ([][]sample, error) {
	samples := make([][]sample, len(sides))
	for round := range p.rounds + 1 {
		d := p.each
		if round == 0 {
			d = min(d, 300*time.Millisecond)
		}
		for n := range sides {
			n = (n + round) % len(sides)
			runtime.GC() // pays for its own garbage only
			s, err := sides[n].run(d)
			if err == nil && s.ops == 0 {
				err = fmt.Errorf("nothing was done within %v", d)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", sides[n].name, err)
			}
			if round > 0 {
				samples[n] = append(samples[n], s)
			}
		}
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
