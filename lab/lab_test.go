package lab_test

import (
	"errors"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pawlauth/pawl/lab"
)

var update = flag.Bool("update", false, "write the table into testdata and the README")

const (
	golden = "testdata/table.md"
	readme = "../README.md"
)

// longest is how long the whole laboratory may take, on two slow cores that
// look for races at the same time.
const longest = 6 * time.Minute

// run runs the laboratory, or leaves the test out where there is no browser,
// but never where all tests count.
func run(t *testing.T, o lab.Options) *lab.Results {
	t.Helper()
	results, err := lab.Run(t.Context(), o)
	if errors.Is(err, lab.ErrNoBrowser) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// Every cell is what the table says: Pawl's as it is promised, and the others'
// too, so that an attack that has stopped working is noticed before it flatters
// anybody.
//
// Rows: A1, A2, A3, A5, A11, A12, A13, A19, A27, A29, A31, A33, A37, A43, A46, A47, A48, A49, A50, A91, A92
func TestEveryCellIsAsPublished(t *testing.T) {
	began := time.Now()
	results := run(t, lab.Options{})
	if took := time.Since(began); took > longest {
		t.Errorf("it took %v", took)
	}
	got := results.Markdown()
	if *update {
		write(t, golden, got)
		head, _, tail := parts(t)
		write(t, readme, head+got+tail)
		return
	}
	if diff := cmp.Diff(read(t, golden), got); diff != "" {
		t.Errorf("the laboratory and %s differ (- published, + found); if that is right, go test ./lab -run EveryCell -update\n%s", golden, diff)
	}
	for _, row := range results.Cells {
		for _, c := range row {
			checkCell(t, c)
		}
	}
}

// checkCell holds for every cell: it says why, and shows what was done.
func checkCell(t *testing.T, c lab.Cell) {
	name := c.Attack.Name + " against " + c.Way.Name
	if c.Why == "" {
		t.Errorf("%s does not say why", name)
	}
	if (c.Verdict == lab.Detected) != (c.Steps > 0) {
		t.Errorf("%s: %v after %d steps", name, c.Verdict, c.Steps)
	}
	if c.Verdict == lab.NotApplicable {
		return
	}
	exchanges := 0
	for _, step := range c.Seen {
		exchanges += len(step.Exchanges)
	}
	if exchanges == 0 {
		t.Errorf("%s shows no request", name)
	}
}

// What no attack gets from Pawl, and where it is not proof: read from the
// table, which the laboratory is held to.
//
// Rows: A1, A4
func TestPawlInTheTable(t *testing.T) {
	rows := table(t, read(t, golden))
	attacks := lab.Attacks()
	if len(rows) != len(attacks)+1 {
		t.Fatalf("%d rows for %d attacks", len(rows), len(attacks))
	}
	for i, w := range lab.Ways() {
		if rows[0][i+1] != w.Title {
			t.Fatalf("column %d is %q, want %q", i+1, rows[0][i+1], w.Title)
		}
		if !w.Pawl {
			continue
		}
		for j, a := range attacks {
			worst := worstOfPawl[a.Name]
			if cell := rows[j+1][i+1]; strings.Contains(cell, "stolen") && worst[w.Name] != cell || cell == "in place" && worst[w.Name] != cell {
				t.Errorf("%s against %s: %s", a.Name, w.Name, cell)
			}
		}
	}
}

// worstOfPawl are the cells in which an attack on Pawl comes to something, by
// attack and way.
var worstOfPawl = map[string]map[string]string{
	// What is in a page is its script's.
	"script-reads":    {"pawl-bearer": "**stolen**"},
	"script-waits":    {"pawl-bearer": "**stolen**"},
	"script-in-place": {"pawl-bearer": "in place", "pawl-cookies": "in place"},
	// What the application itself must not do.
	"get-pays":        {"pawl-cookies": "in place"},
	"framing-sibling": {"pawl-cookies": "in place"},
}

// An attack that nothing falls to would prove nothing of what stands.
func TestEveryAttackWorksSomewhere(t *testing.T) {
	for _, row := range table(t, read(t, golden))[1:] {
		if !slices.ContainsFunc(row[1:], func(cell string) bool { return cell == "in place" || cell == "**stolen**" }) {
			t.Errorf("%s works nowhere", row[0])
		}
	}
}

// The README shows the table, as it is.
func TestREADMEShowsTheTable(t *testing.T) {
	_, shown, _ := parts(t)
	if diff := cmp.Diff(read(t, golden), shown); diff != "" {
		t.Errorf("README.md and %s differ; go test ./lab -run EveryCell -update\n%s", golden, diff)
	}
}

// What is asked for and is not there is an error, before anything is started.
func TestUnknownNames(t *testing.T) {
	if _, err := lab.Run(t.Context(), lab.Options{Only: []string{"session-id", "no-such-attack"}}); err == nil {
		t.Error("an unknown attack was tried")
	}
}

// Without a browser it says so, and what to install; attacks without one are
// tried all the same.
func TestWithoutABrowser(t *testing.T) {
	o := lab.Options{Browser: "/nowhere/chromium", Only: []string{"session-id", "form-post"}}
	if _, err := lab.Run(t.Context(), o); !errors.Is(err, lab.ErrNoBrowser) {
		t.Errorf("error %v", err)
	}
	o.Only[1] = "logout"
	if results, err := lab.Run(t.Context(), o); err != nil || results.Cells[0][0].Verdict != lab.Refused {
		t.Errorf("error %v", err)
	}
}

// Names are for the command line, and each is one thing.
func TestNames(t *testing.T) {
	seen := make(map[string]bool)
	check := func(name, title, about string) {
		if !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(name) || seen[name] || title == "" || !strings.HasSuffix(about, ".") {
			t.Errorf("name %q, title %q, about %q", name, title, about)
		}
		seen[name] = true
	}
	for _, w := range lab.Ways() {
		check(w.Name, w.Title, w.About)
	}
	for _, a := range lab.Attacks() {
		check(a.Name, a.Title, a.About)
	}
}

// table takes a table in Markdown apart.
func table(t *testing.T, text string) [][]string {
	t.Helper()
	var rows [][]string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|---") {
			cells := strings.Split(strings.TrimSpace(line), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells[1:len(cells)-1])
		}
	}
	if len(rows) < 2 {
		t.Fatal("the table is empty")
	}
	return rows
}

// The table stands between these in the README.
const (
	begin = "<!-- pawl lab -->\n"
	end   = "<!-- end of pawl lab -->"
)

// parts returns the README before the table, the table, and what follows.
func parts(t *testing.T) (head, shown, tail string) {
	t.Helper()
	text := read(t, readme)
	i, j := strings.Index(text, begin), strings.Index(text, end)
	if i < 0 || j < i {
		t.Fatalf("README.md has no place for the table")
	}
	i += len(begin)
	return text[:i], text[i:j], text[j:]
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
