package lab

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// WriteText writes the table for people at a terminal.
func (r *Results) WriteText(w io.Writer) error {
	rows := r.rows(Outcome.String)
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, text := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, text := range row {
			line.WriteString(text + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text)+2))
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// Markdown is the table for documents, where what was stolen stands out.
func (r *Results) Markdown() string {
	var out strings.Builder
	for i, row := range r.rows(short) {
		out.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			out.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	return out.String()
}

// short is an outcome where there is little room.
func short(o Outcome) string {
	switch o.Verdict {
	case NotApplicable:
		return "–"
	case InPlace:
		return "in place"
	case Elsewhere:
		return "**stolen**"
	}
	return o.String()
}

// rows are the table, with its heads.
func (r *Results) rows(cell func(Outcome) string) [][]string {
	head := []string{""}
	for _, w := range r.Ways {
		head = append(head, w.Title)
	}
	rows := [][]string{head}
	for i, a := range r.Attacks {
		row := []string{a.Title}
		for _, c := range r.Cells[i] {
			text := cell(c.Outcome)
			if c.Fault != nil {
				text = "broken"
			}
			row = append(row, text)
		}
		rows = append(rows, row)
	}
	return rows
}
