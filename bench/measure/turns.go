package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
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
		before, err := p.loadOfOthers()
		if err != nil {
			return nil, err
		}
		samples, err := takeRound(sides, n, p.each)
		if err != nil {
			return nil, err
		}
		after, err := p.loadOfOthers()
		if err != nil {
			return nil, err
		}
		rounds = append(rounds, round{samples, after.since(before)})
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

// A load is what the processors did so far.
type load struct{ total, others time.Duration }

// since returns the share of all processors that others used meanwhile.
func (l load) since(before load) float64 {
	return max(0, float64(l.others-before.others)/float64(max(1, l.total-before.total)))
}

// loadOfOthers is what processes other than this one and its servers did.
func (p *plan) loadOfOthers() (load, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return load{}, err
	}
	l, err := loadOf(string(text))
	l.others -= spent()
	for _, s := range p.servers {
		own, e := s.spent()
		l.others -= own
		err = errors.Join(err, e)
	}
	return l, err
}

// loadOf reads the first line of /proc/stat (proc(5)): user, nice, system,
// idle, iowait and the rest, summed over processors.
func loadOf(stat string) (load, error) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return load{}, errors.New("/proc/stat does not begin as it should")
	}
	var l load
	for i, text := range fields[1:9] { // guest time is in user time already
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return load{}, err
		}
		l.total += time.Duration(n) * tick
		if i != 3 && i != 4 {
			l.others += time.Duration(n) * tick
		}
	}
	return l, nil
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
