package archtest

import (
	"flag"
	"fmt"
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tests that name a row into docs/standards.md")

// A tableRow is one requirement in docs/standards.md: its number, what it
// asks, and the tests that prove it or the reason why it does not apply.
var tableRow = regexp.MustCompile(`^\| (A?\d+) \| (.*) \| (.*) \|$`)

// reason begins the last column of a row that no test proves.
const reason = "*"

// TestStandardsMapIsTrue holds docs/standards.md against the tests: each test
// says in its comment which rows it proves ("Rows: 24, A11"), the map lists
// exactly those, and a row without a test has a reason.
func TestStandardsMapIsTrue(t *testing.T) {
	proofs := provenRows(t)
	path := filepath.Join(root(t), "docs", "standards.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	seen := 0
	for i, line := range lines {
		m := tableRow.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		seen++
		number, requirement, column := m[1], m[2], m[3]
		tests := proofs[number]
		delete(proofs, number)
		want := strings.Join(tests, ", ")
		if len(tests) == 0 && strings.HasPrefix(column, reason) {
			continue
		}
		if *update {
			lines[i] = fmt.Sprintf("| %s | %s | %s |", number, requirement, want)
		} else if len(tests) == 0 {
			t.Errorf("row %s: no test names it, and no reason is given", number)
		} else if column != want {
			t.Errorf("row %s lists %q, the tests say %q; run go test ./internal/archtest -update", number, column, want)
		}
	}
	if seen < 100 {
		t.Errorf("docs/standards.md has %d rows; the table was not read", seen)
	}
	for number, tests := range proofs {
		t.Errorf("row %s is named by %v and is not in docs/standards.md", number, tests)
	}
	if *update {
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var rowNumber = regexp.MustCompile(`\bA?\d+(-A?\d+)?\b`)

// provenRows returns the tests that name each row, sorted; those of nested
// modules count.
func provenRows(t *testing.T) map[string][]string {
	t.Helper()
	out := make(map[string][]string)
	for _, f := range parsed(t, func(string) bool { return false }) {
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !f.test || fn.Doc == nil || fn.Recv != nil {
				continue
			}
			name := fn.Name.Name
			if !strings.HasPrefix(name, "Test") && !strings.HasPrefix(name, "Fuzz") {
				continue
			}
			_, rows, found := strings.Cut(fn.Doc.Text(), "Rows:")
			if !found {
				continue
			}
			rows, _, _ = strings.Cut(rows, "\n")
			for _, number := range expand(t, rowNumber.FindAllString(rows, -1)) {
				entry := fmt.Sprintf("`%s` %s", f.dir(), name)
				if !slices.Contains(out[number], entry) {
					out[number] = append(out[number], entry)
				}
			}
		}
	}
	for _, tests := range out {
		slices.Sort(tests)
	}
	return out
}

// expand turns "5-8" into its members.
func expand(t *testing.T, numbers []string) []string {
	t.Helper()
	var out []string
	for _, n := range numbers {
		first, last, isRange := strings.Cut(n, "-")
		if !isRange {
			out = append(out, n)
			continue
		}
		var from, to int
		attack := strings.HasPrefix(first, "A")
		if _, err := fmt.Sscanf(strings.TrimPrefix(first, "A")+" "+strings.TrimPrefix(last, "A"), "%d %d", &from, &to); err != nil || from > to {
			t.Fatalf("row range %q makes no sense", n)
		}
		for i := from; i <= to; i++ {
			if attack {
				out = append(out, fmt.Sprintf("A%d", i))
			} else {
				out = append(out, fmt.Sprint(i))
			}
		}
	}
	return out
}

var markdownLink = regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)

// TestDocumentLinksResolve follows every relative link of every document.
func TestDocumentLinksResolve(t *testing.T) {
	base := root(t)
	documents, err := filepath.Glob(filepath.Join(base, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md", "bench/*.md", "vectors/*.md"} {
		more, err := filepath.Glob(filepath.Join(base, pattern))
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, more...)
	}
	if len(documents) < 5 {
		t.Fatalf("found only %d documents", len(documents))
	}
	for _, document := range documents {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range markdownLink.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(document), filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s links to %s, which is not there", document, m[1])
			}
		}
	}
}
