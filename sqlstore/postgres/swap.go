package postgres

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pawlauth/pawl/session"
)

// A swap is a kind of change of sessions: a compare-and-swap on the generation
// and on a condition. A row that somebody else has locked is left alone. It has
// two forms, made of the same words: one for many sessions at once, and one for
// one session, whose id is an argument, for engines that must know the machine
// on which the rows are; see [Options.Sharded].
type swap struct {
	many, one string
	clocked   bool                         // the first argument is the store's clock
	argsOfOne *pgconn.StatementDescription // what the arguments of one are
}

// newSwap makes both forms. fields are those of the change v: "name type, …",
// of which the first are id and was, the generation that is expected. when and
// set speak of them, and of the row s.
func newSwap(fields, when, set string) *swap {
	w := &swap{clocked: strings.Contains(set, sqlNow), argsOfOne: &pgconn.StatementDescription{}}
	types, n := pgtype.NewMap(), 1
	add := func(kind string) string {
		known, ok := types.TypeForName(kind)
		if !ok {
			panic("postgres: no type " + kind)
		}
		w.argsOfOne.ParamOIDs = append(w.argsOfOne.ParamOIDs, known.OID)
		n++
		return fmt.Sprintf("$%d::%s", n-1, kind)
	}
	if w.clocked {
		add("timestamptz")
	}
	var names, arrays, places []string
	for field := range strings.SplitSeq(fields, ",") {
		name, kind, _ := strings.Cut(strings.TrimSpace(field), " ")
		place := add(kind)
		names, arrays, places = append(names, name), append(arrays, place+"[]"), append(places, "v."+name, place)
	}
	when = `s.generation = v.was AND ` + when
	// The changes go through the lock with their rows: joined to them afterwards,
	// each would be compared with each.
	w.many = `WITH v AS (SELECT * FROM unnest(` + strings.Join(arrays, ", ") + `) AS v (` + strings.Join(names, ", ") + `)),
		mine AS (SELECT v.* FROM pawl.sessions s JOIN v USING (id) WHERE ` + when + ` ORDER BY id FOR UPDATE OF s SKIP LOCKED)
		UPDATE pawl.sessions s SET ` + set + ` FROM mine v WHERE s.id = v.id RETURNING s.id`
	// What is locked names no other table, and nothing is locked in a WITH:
	// engines that shard are particular about both.
	w.one = strings.NewReplacer(places...).Replace(`UPDATE pawl.sessions s SET ` + set + ` WHERE s.id = v.id AND ` + when + `
		AND s.id = (SELECT id FROM pawl.sessions WHERE id = v.id FOR UPDATE SKIP LOCKED)`)
	return w
}

// Changes are some of one kind, no two of one session: a column, which is a
// slice, for each field of the swap, in its order.
type changes struct {
	*swap
	ids     [][16]byte
	columns []any
}

// swap makes the changes and returns what became of each: nil,
// [session.ErrConflict], or why it is not known.
func (s *Store) swap(ctx context.Context, what string, all ...changes) map[session.ID]error {
	outcome := make(map[session.ID]error)
	if s.sharded {
		s.swapEach(ctx, what, all, outcome)
		return outcome
	}
	var done []session.ID
	err := s.do(ctx, what, writes, func(ctx context.Context, p *pool) (err error) {
		done, err = swapMany(ctx, p, s.batch(all))
		return err
	})
	for _, c := range all {
		for _, id := range c.ids {
			if outcome[id] = session.ErrConflict; err != nil {
				outcome[id] = err
			}
		}
	}
	if err == nil {
		for _, id := range done {
			outcome[id] = nil
		}
	}
	return outcome
}

// batch has one statement for each kind of change. They travel together, and
// are one transaction.
func (s *Store) batch(all []changes) *pgx.Batch {
	b := &pgx.Batch{}
	for _, c := range all {
		b.Queue(c.many, s.withClock(c.swap, c.columns)...)
	}
	return b
}

func (s *Store) withClock(w *swap, args []any) []any {
	if !w.clocked {
		return args
	}
	return append([]any{s.clock()}, args...)
}

// swapMany returns the sessions that were changed.
func swapMany(ctx context.Context, p *pool, b *pgx.Batch) (done []session.ID, err error) {
	results := p.SendBatch(ctx, b)
	for range b.Len() {
		rows, err := results.Query()
		if err != nil {
			results.Close()
			return nil, err
		}
		if done, err = pgx.AppendRows(done, rows, scanID); err != nil {
			results.Close()
			return nil, err
		}
	}
	return done, results.Close()
}

func scanID(row pgx.CollectableRow) (id session.ID, err error) {
	return id, row.Scan((*[16]byte)(&id))
}

// Changes of one session each are transactions of their own: none needs more
// than one machine. They are committed one after the other on each connection,
// so a few connections share them.
const (
	lanes   = 4
	perLane = 64
)

// A line is a change of one session.
type line struct {
	*swap
	id   session.ID
	args []any
	err  error
}

// swapEach makes the changes one by one. They travel together all the same.
func (s *Store) swapEach(ctx context.Context, what string, all []changes, outcome map[session.ID]error) {
	var lines []*line
	for _, c := range all {
		for i, id := range c.ids {
			args := make([]any, len(c.columns))
			for k, column := range c.columns {
				args[k] = reflect.ValueOf(column).Index(i).Interface()
			}
			lines = append(lines, &line{swap: c.swap, id: id, args: s.withClock(c.swap, args)})
		}
	}
	for some := range slices.Chunk(lines, lanes*perLane) {
		var wait sync.WaitGroup
		for few := range slices.Chunk(some, perLane) {
			wait.Go(func() { s.sendLines(ctx, what, few) })
		}
		wait.Wait()
	}
	for _, l := range lines {
		outcome[l.id] = l.err
	}
}

// sendLines makes changes over one connection. What the database undid is sent
// again, and nothing else.
func (s *Store) sendLines(ctx context.Context, what string, left []*line) {
	err := s.do(ctx, what, writes, func(ctx context.Context, p *pool) error {
		conn, err := p.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		left, err = transact(ctx, conn.Conn(), left)
		return err
	})
	for _, l := range left {
		l.err = err
	}
}

// transact sends changes in one go, each a transaction of its own, and returns
// those that were not made, or of which it is not known, and why: if any of
// them may work when it is sent again, that one's reason.
func transact(ctx context.Context, conn *pgx.Conn, lines []*line) (left []*line, err error) {
	prepared := make(map[*swap]*pgconn.StatementDescription)
	if conn.Config().DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		for _, l := range lines {
			if prepared[l.swap] == nil {
				if prepared[l.swap], err = conn.Prepare(ctx, l.one, l.one); err != nil {
					return lines, err
				}
			}
		}
	}
	p := conn.PgConn().StartPipeline(ctx)
	defer p.Close() // which breaks the connection if not all was read
	var args pgx.ExtendedQueryBuilder
	for _, l := range lines {
		if err := args.Build(conn.TypeMap(), l.argsOfOne, l.args); err != nil {
			return lines, err
		}
		if statement := prepared[l.swap]; statement != nil {
			p.SendQueryStatement(statement, args.ParamValues, args.ParamFormats, nil)
		} else {
			p.SendQueryParams(l.one, args.ParamValues, l.argsOfOne.ParamOIDs, args.ParamFormats, nil)
		}
		p.SendPipelineSync()
	}
	if err := p.Flush(); err != nil {
		return lines, err
	}
	for i, l := range lines {
		changed, failed := transacted(p)
		switch {
		case failed == nil && changed:
			l.err = nil
		case failed == nil:
			l.err = session.ErrConflict
		case state(failed) == "":
			// Of the connection: the rest is not known. The driver's own error may
			// say that it is safe to try again, which is true of its last call only.
			return append(left, lines[i:]...), fmt.Errorf("%w: %v", errPipeline, failed)
		default:
			left = append(left, l)
			if err == nil || isContention(failed) {
				err = failed
			}
		}
	}
	return left, err
}

var errPipeline = errors.New("the database did not answer all statements")

// transacted reads what became of one transaction: of its statement, and of
// its commit.
func transacted(p *pgconn.Pipeline) (changed bool, err error) {
	for {
		result, failed := p.GetResults()
		switch r := result.(type) {
		case *pgconn.ResultReader:
			var tag pgconn.CommandTag
			tag, failed = r.Close()
			changed = tag.RowsAffected() > 0
		case *pgconn.PipelineSync:
			return changed, err
		default:
			if failed == nil {
				failed = errPipeline
			}
		}
		if failed != nil && state(failed) == "" {
			return false, failed
		}
		if err == nil {
			err = failed
		}
	}
}
