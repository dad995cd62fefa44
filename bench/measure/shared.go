package main

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/bench/load/cputime"
	"github.com/pawlauth/pawl/bench/load/pgfloor"
	"github.com/pawlauth/pawl/internal/pgtest"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// A shared store is a PostgreSQL of one section's own, on disk, with every
// setting as it is when installed but those that a section names: nothing is
// given up for speed.
type shared struct {
	*pgtest.Cluster
	postmaster cputime.Process // and so all others of the server
}

// newShared starts the server. It ends with the section.
func newShared(p *plan, settings map[string]string) (*shared, error) {
	s := &shared{Cluster: pgtest.NewCluster(p.stage, pgtest.Options{OnDisk: true, Settings: settings})}
	first := s.Exec("postgres", `SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)`)
	pid, err := strconv.Atoi(first)
	s.postmaster = cputime.Process{Name: "PostgreSQL", PID: pid}
	return s, err
}

// counted adds to what a side does the processor time of the server meanwhile.
func (s *shared) counted(run func(time.Duration) (sample, error)) func(time.Duration) (sample, error) {
	return func(d time.Duration) (sample, error) {
		meter, err := cputime.Start(s.postmaster)
		if err != nil {
			return sample{}, err
		}
		out, err := run(d)
		if err != nil {
			return out, err
		}
		used, err := meter.Read()
		if err == nil && used.Processes[0].Gone {
			err = errors.New("PostgreSQL ended meanwhile")
		}
		if err == nil {
			out.stored = used.Processes[0].CPU
		}
		return out, err
	}
}

// floor fills a table with as many rows as the section has sessions.
func (s *shared) floor(ctx context.Context, p *plan) (*pgfloor.Floor, error) {
	f, err := pgfloor.Open(ctx, pgfloor.Options{URL: s.URL("postgres"), Postmaster: s.postmaster.PID, Rows: p.small})
	if err == nil {
		p.stage.Cleanup(func() {
			if err := f.Close(); err != nil {
				p.stage.Error(err)
			}
		})
	}
	return f, err
}

// singleRow is the side on which pgbench updates one row after the other, at
// least for a second.
func singleRow(ctx context.Context, f *pgfloor.Floor, clients int) side {
	return side{fmt.Sprintf("pgbench, one row at a time, clients: %d", clients), func(d time.Duration) (sample, error) {
		r, err := f.Run(ctx, clients, d)
		if err != nil {
			return sample{}, err
		}
		return sample{ops: r.Transactions, wall: time.Duration(float64(r.Transactions) / r.PerSecond * float64(time.Second)),
			stored: r.CPU * time.Duration(r.Transactions)}, nil
	}}
}

// newSharedHerd fills a database of its own with the given number of sessions,
// of which the given number, spread over all of it, will be renewed. It is
// closed at the end of the section.
func newSharedHerd(ctx context.Context, p *plan, s *shared, name string, size, renewed int) (*herd, error) {
	s.Exec("postgres", "CREATE DATABASE "+name)
	renewed = min(renewed, size)
	h := &herd{place: pawl.Place{Directory: p.path(name), Store: s.URL(name)}, audience: origin,
		sessions: make([]session.ID, renewed), tokens: newSlab(renewed)}
	if err := h.open(ctx); err != nil {
		return nil, err
	}
	p.stage.Cleanup(func() {
		if err := h.close(); err != nil {
			p.stage.Error(err)
		}
	})
	conn, err := pgx.Connect(ctx, s.URL(name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := h.multiply(ctx, conn, size); err != nil {
		return nil, err
	}
	codec, apart := token.NewRefreshCodec(h.data.Master.RefreshKeys()...), size/renewed
	for i := range renewed {
		n := i * strideOf(renewed) % renewed * apart // as little in order as requests are
		h.sessions[i] = numbered("session", n)
		raw, err := codec.Seal(h.data.Master.Current(), h.sessions[i], 1, token.Salt(numbered("salt", n)))
		if err != nil {
			return nil, err
		}
		h.tokens.set(i, raw.Reveal())
	}
	return h, warm(ctx, conn)
}

// numbered is md5(what || n), as the database computes it.
func numbered(what string, n int) token.ID { return md5.Sum([]byte(what + strconv.Itoa(n))) }

// copyRows is how many rows one statement adds, so that none takes long.
const copyRows = 100_000

// multiply stores one session as a login would, and then others that differ
// from it in id, salt and user, and live a little longer one after the other,
// as sessions do.
func (h *herd) multiply(ctx context.Context, conn *pgx.Conn, n int) error {
	pattern, err := h.row(userID(0), session.Bearer)
	if err != nil {
		return err
	}
	if err := h.data.Store.Create(ctx, pattern); err != nil {
		return err
	}
	var same, sameOfPattern string
	if err := conn.QueryRow(ctx, `SELECT string_agg(attname, ', '), string_agg('p.' || attname, ', ') FROM pg_attribute
		WHERE attrelid = 'pawl.sessions'::regclass AND attnum > 0 AND NOT attisdropped
			AND attname NOT IN ('id', 'salt', 'user_id', 'absolute_end')`).Scan(&same, &sameOfPattern); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `SET synchronous_commit = off`); err != nil {
		return err
	}
	const (
		user   = `'u_' || left(md5('user' || n / 4), 26)` // has perUser sessions
		id     = `md5('session' || n)::uuid`
		end    = `p.absolute_end + n * interval '1 millisecond'`
		source = ` FROM generate_series($1::bigint, $2) n, pawl.sessions p WHERE p.id = $3`
	)
	steps := []string{
		`INSERT INTO pawl.user_sessions (user_id, session, over_at) SELECT ` + user + `, ` + id + `, ` + end + source,
		`INSERT INTO pawl.sessions (id, salt, user_id, absolute_end, ` + same + `)
			SELECT ` + id + `, decode(md5('salt' || n), 'hex'), ` + user + `, ` + end + `, ` + sameOfPattern + source,
	}
	for from := 0; from < n; from += copyRows {
		for _, step := range steps {
			if _, err := conn.Exec(ctx, step, from, min(n, from+copyRows)-1, [16]byte(pattern.ID)); err != nil {
				return err
			}
		}
	}
	for _, removal := range []string{`DELETE FROM pawl.sessions WHERE id = $1`, `DELETE FROM pawl.user_sessions WHERE session = $1`} {
		if _, err := conn.Exec(ctx, removal, [16]byte(pattern.ID)); err != nil {
			return err
		}
	}
	return nil
}

// warm leaves tables as they are when they have been in use for a while:
// vacuumed, known to the planner, in memory, on disk.
func warm(ctx context.Context, conn *pgx.Conn) error {
	for _, step := range []string{
		`VACUUM (ANALYZE) pawl.sessions`, `VACUUM (ANALYZE) pawl.user_sessions`,
		`CREATE EXTENSION IF NOT EXISTS pg_prewarm`,
		`SELECT pg_prewarm(oid, 'read') FROM pg_class WHERE relnamespace = 'pawl'::regnamespace AND relkind IN ('r', 'i')`,
		`CHECKPOINT`,
	} {
		if _, err := conn.Exec(ctx, step); err != nil {
			return err
		}
	}
	return nil
}
