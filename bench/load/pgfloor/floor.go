package pgfloor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pawlauth/pawl/bench/load/cputime"
)

// schema is what the floor makes and drops.
const schema = "pawl_floor"

// table has eight columns, as rows of sessions at least have, and no index
// besides its primary key, so that updates may stay on their page. It is full
// to nine tenths, for room to do so.
const table = `
CREATE SCHEMA ` + schema + `;
CREATE TABLE ` + schema + `.sessions (id bigint PRIMARY KEY, user_id bigint NOT NULL, counter bigint NOT NULL, token_hash bytea NOT NULL,
	created_at timestamptz NOT NULL, refreshed_at timestamptz NOT NULL, expires_at timestamptz NOT NULL, client text NOT NULL) WITH (fillfactor = 90);
INSERT INTO ` + schema + `.sessions SELECT n, n / 4, 0, sha256(int8send(n)), now(), now(), now() + interval '90 days', 'app' FROM generate_series(1, %d) n;
VACUUM ANALYZE ` + schema + `.sessions;
CHECKPOINT;`

// script is what each client does over and over.
const script = `\set id random(1, %d)
UPDATE ` + schema + `.sessions SET counter = counter + 1, token_hash = '\x00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff', refreshed_at = now() WHERE id = :id RETURNING user_id, counter, refreshed_at;
`

// Options say where the floor is measured. The zero value of a field is an
// error unless its comment says otherwise.
type Options struct {
	// URL of a database, postgres://user:password@host:port/name, whose user
	// may make a schema; host, or the parameter of that name, may be the
	// directory of a Unix socket. Besides, it may have the parameter sslmode.
	URL string
	// Postmaster is the server's first process, the parent of all others.
	Postmaster int
	// Rows of the table.
	Rows int
	// Programs is the directory of psql and pgbench; empty: they are found as
	// any command is.
	Programs string
}

// A Floor is a filled table. Close it.
type Floor struct {
	options Options
	env     []string
	script  string // path
}

// A Result is what pgbench found with one number of clients.
type Result struct {
	Clients      int
	PerSecond    float64       // transactions, connecting excluded
	Latency      time.Duration // mean
	CPU          time.Duration // of all of the server's processes, of each transaction; connecting included
	Transactions int
}

// Open makes and fills the table, and reads it once, so that it is in memory.
func Open(ctx context.Context, o Options) (*Floor, error) {
	if o.Rows < 1 || o.Postmaster < 1 {
		return nil, errors.New("a floor has rows, and a postmaster")
	}
	env, err := environment(o.URL)
	if err != nil {
		return nil, err
	}
	f := &Floor{options: o, env: env}
	there, err := f.psql(ctx, "SELECT count(*) FROM pg_namespace WHERE nspname = '"+schema+"';")
	if err != nil {
		return nil, err
	}
	if there != "0" {
		return nil, fmt.Errorf("the database has a schema %s: drop it if it is left from a run that was broken off", schema)
	}
	if _, err = f.psql(ctx, fmt.Sprintf(table, o.Rows)+"SELECT sum(counter + id) FROM "+schema+".sessions;"); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	file, err := os.CreateTemp("", "pawl-floor-*.sql")
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	f.script = file.Name()
	_, err = fmt.Fprintf(file, script, o.Rows)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Close drops the schema.
func (f *Floor) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // also when the run was broken off
	defer cancel()
	_, err := f.psql(ctx, "DROP SCHEMA IF EXISTS "+schema+" CASCADE;")
	if f.script != "" {
		err = errors.Join(err, os.Remove(f.script))
	}
	return err
}

// errNothing: the clients were not connected before the time was over, which
// pgbench counts from before that.
var errNothing = errors.New("pgbench had no time for a transaction")

// mostSeconds is how long a run is made at most, for clients to get connected.
const mostSeconds = 16

// Run has the given number of clients, each with a connection and one
// transaction at a time, work for d, which pgbench takes in whole seconds, at
// least one. They connect first, within that time; if that takes all of it, it
// is doubled.
func (f *Floor) Run(ctx context.Context, clients int, d time.Duration) (r Result, err error) {
	if clients < 1 {
		return Result{}, errors.New("there are no clients")
	}
	for seconds := max(1, int(math.Round(d.Seconds()))); ; seconds *= 2 {
		if r, err = f.runFor(ctx, clients, seconds); !errors.Is(err, errNothing) || seconds >= mostSeconds {
			return r, err
		}
	}
}

func (f *Floor) runFor(ctx context.Context, clients, seconds int) (Result, error) {
	meter, err := cputime.Start(cputime.Process{Name: "PostgreSQL", PID: f.options.Postmaster})
	if err != nil {
		return Result{}, err
	}
	text, err := f.run(ctx, "", "pgbench", "-n", "-M", "prepared", "-j", "1", "-c", strconv.Itoa(clients), "-T", strconv.Itoa(seconds), "-f", f.script)
	if err != nil {
		return Result{}, err
	}
	used, err := meter.Read()
	if err != nil {
		return Result{}, err
	}
	if used.Processes[0].Gone {
		return Result{}, errors.New("the server's first process ended meanwhile")
	}
	r, err := parse(text)
	if err != nil {
		return Result{}, err
	}
	r.Clients, r.CPU = clients, used.Processes[0].CPU/time.Duration(r.Transactions)
	return r, nil
}

// parse reads pgbench's report.
func parse(text string) (r Result, err error) {
	number := func(before, after string) float64 {
		_, rest, _ := strings.Cut(text, before)
		value, _, found := strings.Cut(rest, after)
		n, e := strconv.ParseFloat(value, 64)
		if e != nil || !found {
			err = fmt.Errorf("pgbench's report has no number between %q and %q", before, after)
		}
		return n
	}
	r.Transactions = int(number("\nnumber of transactions actually processed: ", "\n"))
	if err == nil && r.Transactions < 1 {
		return r, errNothing
	}
	r.PerSecond = number("\ntps = ", " (without initial connection time)")
	r.Latency = time.Duration(number("\nlatency average = ", " ms\n") * float64(time.Millisecond))
	if failed := number("\nnumber of failed transactions: ", " ("); err == nil && failed > 0 {
		err = fmt.Errorf("of pgbench's transactions %v failed and %d did not", failed, r.Transactions)
	}
	return r, err
}

// psql runs SQL and returns the last line of its output.
func (f *Floor) psql(ctx context.Context, sql string) (string, error) {
	text, err := f.run(ctx, sql, "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1], err
}

func (f *Floor) run(ctx context.Context, in, name string, args ...string) (string, error) {
	path := name
	if f.options.Programs != "" {
		path = filepath.Join(f.options.Programs, name)
	}
	c := exec.CommandContext(ctx, path, args...)
	c.Env, c.Stdin = append(os.Environ(), f.env...), strings.NewReader(in)
	var said strings.Builder
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(said.String()))
	}
	return string(out), nil
}

// environment is how libpq's programs are told where to connect, so that no
// password is seen in a list of processes.
func environment(raw string) ([]string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, errors.New("the database's URL is not of the form postgres://user:password@host:port/name")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("the parameters of the database's URL cannot be read")
	}
	env := []string{"LC_ALL=C"}
	set := func(name, value string) {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	set("PGHOST", u.Hostname())
	set("PGPORT", u.Port())
	set("PGDATABASE", strings.TrimPrefix(u.Path, "/"))
	set("PGUSER", u.User.Username())
	password, _ := u.User.Password()
	set("PGPASSWORD", password)
	for name, values := range query {
		variable, known := map[string]string{"host": "PGHOST", "port": "PGPORT", "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}[name]
		if !known || len(values) != 1 {
			return nil, fmt.Errorf("the database's URL has the parameter %q, which cannot be passed on", name)
		}
		set(variable, values[0])
	}
	return env, nil
}
