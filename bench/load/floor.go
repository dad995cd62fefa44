package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/pawlauth/pawl/bench/load/pgfloor"
)

// A floorReport is pgfloor's result as programs read it.
type floorReport struct {
	Clients   int     `json:"clients"`
	PerSecond float64 `json:"transactions_per_second"`
	Latency   float64 `json:"latency_mean_us"`
	CPU       float64 `json:"cpu_us_per_transaction"`
}

// floor measures PostgreSQL's own floor for each number of clients.
func floor(ctx context.Context, args []string, out, notes io.Writer) (err error) {
	var o pgfloor.Options
	f := flag.NewFlagSet("load pgbench", flag.ContinueOnError)
	f.SetOutput(notes)
	f.StringVar(&o.URL, "url", "", "`URL` of a database, postgres://user:password@host:port/name")
	f.IntVar(&o.Postmaster, "pid", 0, "`PID` of the server's first process")
	f.IntVar(&o.Rows, "rows", 1_000_000, "`number` of rows in the table")
	f.StringVar(&o.Programs, "programs", "", "`directory` of psql and pgbench; empty: that of any command")
	clients := f.String("clients", "1,8,32", "`numbers` of clients")
	each := f.Duration("duration", 6*time.Second, "`time` for each of them, in whole seconds")
	asJSON := f.Bool("json", false, "print JSON")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 || *each <= 0 {
		return errors.New("there are only flags, and a duration is positive")
	}
	var numbers []int
	for text := range strings.SplitSeq(*clients, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-clients %q: numbers, separated by commas", *clients)
		}
		numbers = append(numbers, n)
	}
	table, err := pgfloor.Open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, table.Close()) }()
	var reports []floorReport
	for _, n := range numbers {
		r, err := table.Run(ctx, n, *each)
		if err != nil {
			return err
		}
		reports = append(reports, floorReport{r.Clients, r.PerSecond, micros(r.Latency), micros(r.CPU)})
	}
	if *asJSON {
		return json.MarshalWrite(out, reports, jsontext.WithIndent("  "))
	}
	var b strings.Builder
	b.WriteString("| clients | updates per second | mean ms | PostgreSQL CPU µs each |\n|---|---|---|---|\n")
	for _, r := range reports {
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", r.Clients, figure(r.PerSecond), figure(r.Latency/1e3), figure(r.CPU))
	}
	_, err = io.WriteString(out, b.String())
	return err
}
