// Command measure times Pawl beside the bare work it cannot do without, in
// turns and in one run, and prints tables of ratios with the bound that each
// ratio is to keep. It refuses nothing and asserts nothing: a machine that is
// busy gives wrong numbers, and says so only in their spread.
//
// It talks to loopback only and keeps its databases in a temporary directory.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	pawlserver "github.com/pawlauth/pawl/server"
)

// A plan is how much is measured.
type plan struct {
	out      io.Writer
	dir      string        // for databases; empty when it begins
	each     time.Duration // of one side in one round
	rounds   int
	patience int           // rounds more, to find quiet ones
	profile  string        // directory
	soak     time.Duration // how long dead rows are watched
	ends     int           // sessions that end to see when that is known elsewhere
	stage    testing.TB    // of the section that runs
	size
}

// A size is how much a section has to do.
type size struct {
	workers  int // requests at once
	small    int // sessions of the small database
	sessions int // of the large one
}

// given overrides what is not 0.
func (s size) given(by size) size {
	return size{cmp.Or(by.workers, s.workers), cmp.Or(by.small, s.small), cmp.Or(by.sessions, s.sessions)}
}

// A section has a size unless it is told another.
type section struct {
	name string
	run  func(context.Context, *plan) error
	size size
}

// sections in the order in which they run. Those on PostgreSQL, whose names
// begin with it, run if they are asked for.
var sections = []section{
	{"micro", micro, size{64, 1000, 1_000_000}},
	{"engine", renewals, size{64, 1000, 1_000_000}},
	{"http", overHTTP, size{64, 1000, 1_000_000}},
	{"scale", scale, size{64, 1000, 1_000_000}},
	{"pgengine", pgEngine, size{256, 20_000, 20_000}},
	{"pghttp", pgHTTP, size{64, 20_000, 20_000}},
	{"pgnodes", pgNodes, size{64, 20_000, 20_000}},
	{"pgfeed", pgFeed, size{4, 1000, 1000}},
	{"pgsoak", pgSoak, size{256, 100_000, 100_000}},
	{"pgscale", pgScale, size{256, 1_000_000, 10_000_000}},
}

const (
	sharedPrefix = "pg"
	sharedAll    = "postgres" // all of them
)

// choose returns the sections with the names, or those without PostgreSQL.
func choose(names string) ([]section, error) {
	wanted := strings.Split(names, ",")
	var chosen []section
	for _, s := range sections {
		if own := strings.HasPrefix(s.name, sharedPrefix); slices.Contains(wanted, s.name) || own && slices.Contains(wanted, sharedAll) || names == "" && !own {
			chosen = append(chosen, s)
		}
	}
	for _, name := range wanted {
		if names != "" && name != sharedAll && !slices.ContainsFunc(chosen, func(s section) bool { return s.name == name }) {
			return nil, fmt.Errorf("section %q is unknown; use some of %s", name, known())
		}
	}
	return chosen, nil
}

func known() string {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ") + ", or " + sharedAll + " for all that begin with " + sharedPrefix
}

func main() {
	pawlserver.HoldHeap() // as pawl serve does; for every side
	if serveIfAsked() {
		return
	}
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) (err error) {
	p := &plan{out: out}
	flags := flag.NewFlagSet("measure", flag.ContinueOnError)
	flags.SetOutput(out)
	seconds := flags.Float64("seconds", 1, "`time` of one side in one round")
	flags.IntVar(&p.rounds, "rounds", 5, "`number` of rounds, in each of which every side has its turn")
	flags.IntVar(&p.patience, "patience", 0, "`number` of rounds more to run while others use the machine; the quietest are kept")
	var given size
	flags.IntVar(&given.workers, "workers", 0, "`number` of requests at once; 0: as each section has it")
	flags.IntVar(&given.sessions, "sessions", 0, "`number` of sessions in the large database; 0: as each section has it, 1,000,000, with PostgreSQL 10,000,000")
	flags.IntVar(&given.small, "small", 0, "`number` of sessions in the small database; 0: as each section has it, 1000, with PostgreSQL up to 1,000,000")
	flags.DurationVar(&p.soak, "soak", time.Minute, "`time` for which dead rows are watched (pgsoak)")
	flags.IntVar(&p.ends, "ends", 200, "`number` of sessions that end (pgfeed)")
	flags.StringVar(&p.profile, "profile", "", "`directory` for CPU profiles of renewals; empty: none are made")
	only := flags.String("only", "", "`sections` to run: "+known()+"; empty: those without PostgreSQL")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *seconds <= 0 || p.rounds < 1 || p.patience < 0 || p.soak <= 0 || p.ends < 1 {
		return errors.New("times, rounds and ends are positive, and patience is not negative")
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	for _, s := range chosen {
		if z := s.size.given(given); z.workers < 1 || z.small < z.workers || z.sessions < z.small {
			return fmt.Errorf("section %s: there is a worker at least, and no fewer sessions than workers, or in the large database than in the small one", s.name)
		}
	}
	p.each = time.Duration(*seconds * float64(time.Second))
	if p.dir, err = os.MkdirTemp("", "pawl-measure-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(p.dir) }()
	for _, s := range chosen {
		p.size = s.size.given(given)
		if err := onStage(func(t testing.TB) error {
			p.stage = t
			return s.run(context.Background(), p)
		}); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// path returns a path in the run's directory.
func (p *plan) path(name string) string { return filepath.Join(p.dir, name) }
