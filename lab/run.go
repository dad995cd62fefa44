package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Options say what to try. The zero value is everything.
type Options struct {
	// Browser is the path of a Chromium; empty: the one on the PATH.
	Browser string
	// Only names ways and attacks to try; empty: all. With names of attacks only
	// all ways are tried, and the other way round.
	Only []string
	// Progress is told of each cell when it is done; nil: nobody. It is called
	// from one goroutine at a time.
	Progress func(Cell)
}

// A Cell is one attack on one way.
type Cell struct {
	Way    Way
	Attack Attack
	Outcome
	Seen []Step // in order
	// Fault is what went wrong with the laboratory; the outcome says nothing
	// then.
	Fault error
}

// Results are all cells that were tried, row by row.
type Results struct {
	Ways    []Way
	Attacks []Attack
	Cells   [][]Cell // by attack, then by way
}

// Run tries all attacks that the options name against all ways that they name.
// It speaks to nothing but loopback. [ErrNoBrowser] says that an attack needs a
// browser, and none is there. A cell whose laboratory broke makes it fail, after
// all others were tried.
func Run(ctx context.Context, o Options) (*Results, error) {
	results, err := o.chosen()
	if err != nil {
		return nil, err
	}
	n, err := newInternet()
	if err != nil {
		return nil, err
	}
	defer n.close()
	var b *browser
	if slices.ContainsFunc(results.Attacks, func(a Attack) bool { return a.Browser }) {
		path, err := findBrowser(o.Browser)
		if err != nil {
			return nil, err
		}
		if b, err = startBrowser(ctx, path, n); err != nil {
			return nil, err
		}
		defer b.close()
	}
	results.fill(ctx, n, b, o.Progress)
	return results, results.faults()
}

// chosen makes the empty table of what the options name.
func (o Options) chosen() (*Results, error) {
	r := &Results{Ways: Ways(), Attacks: Attacks()}
	named := func(name string) bool { return slices.Contains(o.Only, name) }
	for _, name := range o.Only {
		if !slices.ContainsFunc(r.Ways, func(w Way) bool { return w.Name == name }) && !slices.ContainsFunc(r.Attacks, func(a Attack) bool { return a.Name == name }) {
			return nil, fmt.Errorf("there is neither a way nor an attack %q", name)
		}
	}
	if ways := slices.DeleteFunc(Ways(), func(w Way) bool { return !named(w.Name) }); len(ways) > 0 {
		r.Ways = ways
	}
	if attacks := slices.DeleteFunc(Attacks(), func(a Attack) bool { return !named(a.Name) }); len(attacks) > 0 {
		r.Attacks = attacks
	}
	for range r.Attacks {
		r.Cells = append(r.Cells, make([]Cell, len(r.Ways)))
	}
	return r, nil
}

// hands is how many cells are tried at a time.
const hands = 3

func (r *Results) fill(ctx context.Context, n *internet, b *browser, progress func(Cell)) {
	var group sync.WaitGroup
	var telling sync.Mutex
	numbers := make(chan int)
	for range hands {
		group.Go(func() {
			for number := range numbers {
				row, column := number/len(r.Ways), number%len(r.Ways)
				cell := try(ctx, n, b, r.Ways[column], r.Attacks[row], number+1)
				r.Cells[row][column] = cell
				if progress != nil {
					telling.Lock()
					progress(cell)
					telling.Unlock()
				}
			}
		})
	}
	for number := range len(r.Ways) * len(r.Attacks) {
		numbers <- number
	}
	close(numbers)
	group.Wait()
}

// try fills a cell.
func try(ctx context.Context, n *internet, b *browser, w Way, a Attack, number int) (cell Cell) {
	cell = Cell{Way: w, Attack: a}
	s, err := newStage(ctx, n, b, w, number)
	if err != nil {
		cell.Fault = err
		return cell
	}
	defer func() {
		if fault := recover(); fault != nil {
			stopped, ok := fault.(broken)
			if !ok {
				panic(fault)
			}
			cell.Fault = stopped.err
		}
		cell.Fault = errors.Join(cell.Fault, s.close())
		cell.Seen = s.seen()
	}()
	cell.Outcome = a.run(s)
	return cell
}

func (r *Results) faults() error {
	var faults []error
	for _, row := range r.Cells {
		for _, c := range row {
			if c.Fault != nil {
				faults = append(faults, fmt.Errorf("%s against %s: %w", c.Attack.Name, c.Way.Name, c.Fault))
			}
		}
	}
	return errors.Join(faults...)
}
