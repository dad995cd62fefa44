package archtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// A fragment stands in the body of this function. Everything that the
// documents speak of is there.
const around = `package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/pawlauth/pawl"
)

func fragment(ctx context.Context, app http.Handler, mux *http.ServeMux, p *pawl.Pawl, w http.ResponseWriter, r *http.Request, userID string) error {
%s
	return nil
}

func main() {
	_, _, _ = fmt.Sprint, log.Print, time.Now
	_ = fragment
}
`

// TestDocumentsCompile compiles what the documents show in Go: whole programs
// as they are, fragments in the body of a function.
func TestDocumentsCompile(t *testing.T) {
	base := root(t)
	dir := t.TempDir()
	for _, document := range []string{"README.md", "docs/guide.md"} {
		text, err := os.ReadFile(filepath.Join(base, document))
		if err != nil {
			t.Fatal(err)
		}
		blocks := goBlock.FindAllStringSubmatch(string(text), -1)
		if len(blocks) == 0 {
			t.Errorf("%s shows no Go", document)
		}
		for i, block := range blocks {
			source := block[1]
			if !strings.HasPrefix(source, "package ") {
				// In a block of its own, so that a fragment may declare what
				// the function is given.
				source = fmt.Sprintf(around, "{\n"+source+"}\n")
			}
			file := filepath.Join(dir, fmt.Sprintf("%s_%d.go", strings.NewReplacer("/", "_", ".", "_").Replace(document), i+1))
			if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("go", "vet", file)
			cmd.Dir = base // so that the imports are this module's
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s, Go block %d: %v\n%s\n%s", document, i+1, err, out, source)
			}
		}
	}
}

// TestComparisonCellsLink: every cell of the comparison with others leads to
// the test or the source that shows it. Links within the repository are
// followed by TestDocumentLinksResolve.
func TestComparisonCellsLink(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| | Pawl |")
	if !found {
		t.Fatal("README.md compares nothing")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")[2:]
	if len(rows) < 8 {
		t.Fatalf("the comparison has %d rows", len(rows))
	}
	cell := regexp.MustCompile(`^\[[^\]]+\]\([^)]+\)$`)
	for _, row := range rows {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		if len(cells) != 7 {
			t.Errorf("%q has %d cells", row, len(cells))
		}
		for i, c := range cells[1:] {
			if !cell.MatchString(c) {
				t.Errorf("%s: cell %d is no link: %q", cells[0], i+1, c)
			} else if i == 0 && !strings.Contains(c, ".go)") {
				t.Errorf("%s: our cell leads to no test: %q", cells[0], c)
			}
		}
	}
}
