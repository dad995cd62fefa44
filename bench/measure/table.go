package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// median of at least one value; of an even number, the mean of the middle two.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// spread writes the median, and the least and greatest value.
func spread(values []float64) string {
	return fmt.Sprintf("%s (%s–%s)", figure(median(values)), figure(slices.Min(values)), figure(slices.Max(values)))
}

// spreadOrNone is spread, and empty for what was not counted.
func spreadOrNone(values []float64) string {
	if slices.Max(values) == 0 {
		return ""
	}
	return spread(values)
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

// printTable writes a table in Markdown. The first row is the head.
func printTable(w io.Writer, title string, rows [][]string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s\n\n", title)
	for i, row := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(&b, "|%s\n", strings.Repeat("---|", len(row)))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// A target is a bound that a figure is to keep.
type target struct {
	what    string
	values  []float64 // of each round
	bound   float64
	atLeast bool // otherwise at most
}

func (t target) holds() bool {
	if m := median(t.values); t.atLeast {
		return m >= t.bound
	} else {
		return m <= t.bound
	}
}

func printTargets(w io.Writer, targets []target) error {
	rows := [][]string{{"target", "measured", "bound", ""}}
	for _, t := range targets {
		kind, verdict := "≤ ", "holds"
		if t.atLeast {
			kind = "≥ "
		}
		if !t.holds() {
			verdict = "**missed**"
		}
		rows = append(rows, []string{t.what, spread(t.values), kind + figure(t.bound), verdict})
	}
	return printTable(w, "Targets", rows)
}
