package main

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/pawlauth/pawl/bench/load/renewal"
)

// A report is a result as programs read it. Durations are microseconds.
type report struct {
	Workers    int               `json:"workers"`
	Sessions   int               `json:"sessions"`
	Alive      int               `json:"sessions_alive"`
	Rate       float64           `json:"rate_asked"` // 0: a closed loop
	Seconds    float64           `json:"seconds"`
	PerSecond  float64           `json:"renewals_per_second"`
	Rotated    uint64            `json:"rotated"`
	Repeated   uint64            `json:"repeated"`
	Failed     uint64            `json:"failed"`
	Failures   map[string]uint64 `json:"failures"`
	Unanswered uint64            `json:"unanswered"`
	Took       quantiles         `json:"took_us"`
	Lag        *quantiles        `json:"lag_us,omitzero"` // with a rate
	Processes  []process         `json:"processes"`       // the generator first
	Others     float64           `json:"others_share"`    // of all processors
}

type quantiles struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

type process struct {
	Name    string  `json:"name"`
	Gone    bool    `json:"gone,omitzero"` // ended, so that nothing is known
	CPU     float64 `json:"cpu_seconds"`
	Share   float64 `json:"processors"` // 1: one processor all the time
	PerEach float64 `json:"cpu_us_per_renewal"`
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

func quantilesOf(h *renewal.Histogram) quantiles {
	return quantiles{micros(h.Quantile(0.5)), micros(h.Quantile(0.99)), micros(h.Quantile(0.999)), micros(h.Max())}
}

func reportOf(r *renewal.Result) report {
	out := report{Workers: r.Workers, Sessions: r.Sessions, Alive: len(r.Tokens), Rate: r.Rate, Seconds: r.Wall.Seconds(),
		Rotated: r.Rotated, Repeated: r.Repeated, Failed: r.Failed(), Failures: r.Failures, Unanswered: r.Unanswered, Took: quantilesOf(&r.Took)}
	if r.Renewed() > 0 {
		out.PerSecond = r.PerSecond()
	}
	if r.Rate > 0 {
		lag := quantilesOf(&r.Lag)
		out.Lag = &lag
	}
	for _, u := range r.Processors.Processes {
		p := process{Name: u.Name, Gone: u.Gone, CPU: u.CPU.Seconds(), Share: u.CPU.Seconds() / r.Processors.Wall.Seconds()}
		if r.Renewed() > 0 {
			p.PerEach = micros(u.CPU) / float64(r.Renewed())
		}
		out.Processes = append(out.Processes, p)
	}
	out.Others = r.Processors.Others().Seconds() / r.Processors.Wall.Seconds() / float64(runtime.NumCPU())
	return out
}

func printJSON(w io.Writer, r *renewal.Result) error {
	return json.MarshalWrite(w, reportOf(r), jsontext.WithIndent("  "), json.Deterministic(true))
}

func printReport(w io.Writer, result *renewal.Result) error {
	r := reportOf(result)
	var b strings.Builder
	loop := "closed loop"
	if r.Rate > 0 {
		loop = fmt.Sprintf("%s begun per second", figure(r.Rate))
	}
	fmt.Fprintf(&b, "%s, %d workers, %d sessions (%d alive at the end), %s s; others used %s %% of the processors.\n\n",
		loop, r.Workers, r.Sessions, r.Alive, figure(r.Seconds), figure(100*r.Others))
	b.WriteString("| renewals per second | p50 ms | p99 ms | p99.9 ms | max ms | rotated | repeated | failed | unanswered |\n|" + strings.Repeat("---|", 9) + "\n")
	fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d |\n", figure(r.PerSecond), r.Took, r.Rotated, r.Repeated, r.Failed, r.Unanswered)
	b.WriteString("\n| process | CPU µs per renewal | processors |\n|---|---|---|\n")
	for _, p := range r.Processes {
		if p.Gone {
			fmt.Fprintf(&b, "| %s | ended | |\n", p.Name)
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", p.Name, figure(p.PerEach), figure(p.Share))
	}
	if len(r.Failures) > 0 {
		b.WriteString("\n| failed | times |\n|---|---|\n")
		for _, kind := range slices.Sorted(maps.Keys(r.Failures)) {
			fmt.Fprintf(&b, "| %s | %d |\n", kind, r.Failures[kind])
		}
	}
	if r.Lag != nil {
		fmt.Fprintf(&b, "\n| the generator's own lateness, p50 ms | p99 ms | p99.9 ms | max ms |\n|---|---|---|---|\n| %s |\n", r.Lag)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// String is four cells, in milliseconds.
func (q quantiles) String() string {
	return fmt.Sprintf("%s | %s | %s | %s", figure(q.P50/1e3), figure(q.P99/1e3), figure(q.P999/1e3), figure(q.Max/1e3))
}

// figure writes three significant digits, and all those before the point.
func figure(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
