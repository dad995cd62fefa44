// Command measure times Pawl beside the bare work it cannot do without, in
// turns and in one run, and prints tables of ratios with the bound that each
// ratio is to keep. It refuses nothing and asserts nothing: a machine that is
// busy gives wrong numbers, and says so only in their spread.
//
// It talks to loopback only and keeps its databases in a temporary directory.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	pawlserver "github.com/pawlauth/pawl/server"
)

// A plan is how much is measured.
type plan struct {
	out      io.Writer
	dir      string        // for databases; empty when it begins
	each     time.Duration // of one side in one round
	rounds   int
	workers  int    // requests at once
	sessions int    // of the large database
	small    int    // of the small one
	patience int    // rounds more, to find quiet ones
	profile  string // directory
	servers  []*server
}

// sections in the order in which they run.
var sections = []struct {
	name string
	run  func(context.Context, *plan) error
}{
	{"micro", micro},
	{"engine", renewals},
	{"http", overHTTP},
	{"scale", scale},
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
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	p := &plan{out: out}
	flags := flag.NewFlagSet("measure", flag.ContinueOnError)
	flags.SetOutput(out)
	seconds := flags.Float64("seconds", 1, "`time` of one side in one round")
	flags.IntVar(&p.rounds, "rounds", 5, "`number` of rounds, in each of which every side has its turn")
	flags.IntVar(&p.patience, "patience", 0, "`number` of rounds more to run while others use the machine; the quietest are kept")
	flags.IntVar(&p.workers, "workers", 64, "`number` of requests at once")
	flags.IntVar(&p.sessions, "sessions", 1_000_000, "`number` of sessions in the large database")
	flags.IntVar(&p.small, "small", 1000, "`number` of sessions in the small database")
	flags.StringVar(&p.profile, "profile", "", "`directory` for CPU profiles of renewals; empty: none are made")
	only := flags.String("only", strings.Join(names, ","), "`sections` to run")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *seconds <= 0 || p.rounds < 1 || p.patience < 0 || p.workers < 1 || p.small < p.workers || p.sessions < p.small {
		return fmt.Errorf("time and rounds are positive, and there are at least as many sessions as workers")
	}
	p.each = time.Duration(*seconds * float64(time.Second))
	if p.dir, err = os.MkdirTemp("", "pawl-measure-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(p.dir) }()
	wanted := strings.Split(*only, ",")
	for _, name := range wanted {
		if !slices.Contains(names, name) {
			return fmt.Errorf("section %q is unknown; use some of %s", name, strings.Join(names, ","))
		}
	}
	for _, s := range sections {
		if !slices.Contains(wanted, s.name) {
			continue
		}
		if err := s.run(context.Background(), p); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// path returns a path in the run's directory.
func (p *plan) path(name string) string { return filepath.Join(p.dir, name) }
