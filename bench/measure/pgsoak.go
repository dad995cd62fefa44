package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A look is what the table of sessions holds at one moment.
type look struct {
	at   time.Duration
	done int     // renewals so far
	dead float64 // versions of rows that nobody sees any more, of each session
	size float64 // bytes of the table and its indexes, of each session
	hot  float64 // share of updates that touched no index
}

// looks is how many of them there are; between two, renewals go on.
const looks = 20

// pgSoak renews for long, and watches what that leaves behind. PostgreSQL is
// left to clean up as it does by itself.
func pgSoak(ctx context.Context, p *plan) error {
	s, err := newShared(p, nil)
	if err != nil {
		return err
	}
	h, err := newSharedHerd(ctx, p, s, "soak", p.small, p.small)
	if err != nil {
		return err
	}
	renew, err := h.side(ctx, "", s, p.workers)
	if err != nil {
		return err
	}
	var all []look
	if err := p.alone(fmt.Sprintf("%v of renewals", p.soak), func() error { all, err = s.watch(p, renew); return err }); err != nil {
		return err
	}
	return printLooks(p, all)
}

// watch looks before, in between and after.
func (s *shared) watch(p *plan, renew side) (all []look, err error) {
	begun, done := time.Now(), 0
	for {
		seen, err := s.look("soak", p.small)
		if err != nil {
			return nil, err
		}
		seen.at, seen.done = time.Since(begun), done
		if all = append(all, seen); len(all) > looks {
			return all, nil
		}
		did, err := renew.run(p.soak / looks)
		if err != nil {
			return nil, err
		}
		done += did.ops
	}
}

func printLooks(p *plan, all []look) error {
	rows := [][]string{{"after s", "renewals", "of each session", "dead rows of each session", "bytes of each session", "updates that touched no index, %"}}
	for _, l := range all {
		rows = append(rows, []string{figure(l.at.Seconds()), strconv.Itoa(l.done), figure(float64(l.done) / float64(p.small)),
			figure(l.dead), figure(l.size), figure(100 * l.hot)})
	}
	if err := printTable(p.out, fmt.Sprintf("What renewals of %d sessions leave behind", p.small), rows); err != nil {
		return err
	}
	most := func(of []look, figure func(look) float64) (greatest float64) {
		for _, l := range of {
			greatest = max(greatest, figure(l))
		}
		return greatest
	}
	size := func(l look) float64 { return l.size }
	return printTargets(p.out, []target{
		{what: "dead rows of each session, at most", values: []float64{most(all, func(l look) float64 { return l.dead })}, bound: 1},
		{what: "size in the second half, × that in the first", values: []float64{most(all[looks/2:], size) / most(all[:looks/2], size)}, bound: 1.1},
		{what: "share of updates that touched no index", values: []float64{all[looks].hot}, bound: 0.95, atLeast: true},
	})
}

// look asks PostgreSQL, once its processes have told what they did.
func (s *shared) look(db string, sessions int) (look, error) {
	text := s.Exec(db, `SELECT concat_ws(' ', n_dead_tup, pg_total_relation_size(relid), n_tup_hot_upd::float8 / greatest(n_tup_upd, 1))
		FROM pg_stat_user_tables WHERE relid = 'pawl.sessions'::regclass`)
	var figures []float64
	for field := range strings.FieldsSeq(text) {
		v, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return look{}, err
		}
		figures = append(figures, v)
	}
	if len(figures) != 3 {
		return look{}, fmt.Errorf("PostgreSQL tells %q of its table", text)
	}
	return look{dead: figures[0] / float64(sessions), size: figures[1] / float64(sessions), hot: figures[2]}, nil
}
