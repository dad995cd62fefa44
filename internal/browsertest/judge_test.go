package browsertest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// languages are those of the pages.
var languages = []string{"en", "ar"}

var (
	schemes = []string{"light", "dark"}
	widths  = []int64{360, 1280}
)

// Every page in every state can be used by people who see badly, or not at
// all, as far as a program can judge: in each language, scheme and width. And
// none is wider than a narrow window.
//
// Rows: 52
func TestPagesAreAccessible(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		axe, err := os.ReadFile(tool(t, "axe-core/axe.min.js"))
		if err != nil {
			t.Fatal(err)
		}
		judge := func(b *tab, scheme string, width int64) []string {
			b.look(scheme, width)
			if !eval[bool](b, "'axe' in window") {
				eval[any](b, string(axe)+"\n;0")
			}
			faults := eval[[]string](b, judgement)
			if over := eval[int](b, overflow); over > 0 {
				faults = append(faults, fmt.Sprintf("the page is %d px too wide", over))
			}
			return faults
		}
		for _, language := range languages {
			t.Run(language, func(t *testing.T) {
				walk(t, in, language, func(t *testing.T, _ *site, b *tab, _ state) {
					for i, scheme := range schemes {
						for j, width := range widths {
							if in.kind != chromiumKind && i == j {
								continue // each scheme and each width once, in another browser
							}
							for _, fault := range judge(b, scheme, width) {
								t.Errorf("%s, %d px: %s", scheme, width, fault)
							}
						}
					}
				})
			})
		}
		t.Run("a bad page is found bad", func(t *testing.T) {
			s := newSite(t)
			b := s.newTab(t, in)
			for _, bad := range []string{`<main><h1>T</h1><p style="color:#aaa;background:#fff">pale</p></main>`,
				`<main><h1>T</h1><input name="unlabelled"></main>`, `<main><h1>T</h1><p style="width:500px">wide</p></main>`} {
				b.visit(s.stranger.page(bad))
				if len(judge(b, "light", 360)) == 0 {
					t.Errorf("nothing is wrong with %s", bad)
				}
			}
		})
	})
}

// judgement is what axe finds wrong by the rules of WCAG 2.2, levels A and AA,
// and by good practice. What it cannot decide about a page counts as wrong.
const judgement = `axe.run(document, {
	runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
	resultTypes: ["violations", "incomplete"],
}).then((found) => {
	if (found.passes.length < 10) return ["only " + found.passes.length + " rules applied"];
	return [...found.violations, ...found.incomplete].flatMap((rule) =>
		rule.nodes.map((node) => rule.id + " at " + node.target.join(" ") + ": " + node.failureSummary));
})`

// overflow is by how many pixels the page is wider than the window.
const overflow = `Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) - document.documentElement.clientWidth`

// What is served is HTML by the rules, in every state and language.
func TestPagesAreValidHTML(t *testing.T) {
	dir := t.TempDir()
	for _, language := range languages {
		t.Run(language, func(t *testing.T) {
			walk(t, inChromium(t), language, func(t *testing.T, s *site, _ *tab, st state) {
				write(t, filepath.Join(dir, st.name+"-"+language+".html"), s.lastPage().answer.body)
			})
		})
	}
	write(t, filepath.Join(dir, "bad.html"), []byte(`<!DOCTYPE html><html lang="en"><head><title>T</title></head><body><p><div></p></body></html>`))
	files, err := filepath.Glob(filepath.Join(dir, "*.html"))
	if err != nil || len(files) != len(states)*len(languages)+1 {
		t.Fatalf("%d pages: %v", len(files), err)
	}
	faults := validate(t, files)
	if len(faults["bad.html"]) == 0 {
		t.Error("nothing is wrong with a bad page")
	}
	delete(faults, "bad.html")
	for file, list := range faults {
		for _, fault := range list {
			t.Errorf("%s:%s", file, fault)
		}
	}
}

// validate returns what html-validate finds wrong, by the name of the file.
func validate(t *testing.T, files []string) map[string][]string {
	t.Helper()
	arguments := []string{tool(t, "html-validate/bin/html-validate.mjs"), "--config", "npm/.htmlvalidate.json", "--formatter", "json"}
	out, failed := exec.CommandContext(t.Context(), nodejs(t), append(arguments, files...)...).Output()
	var reports []struct {
		FilePath string
		Messages []struct {
			RuleID, Message string
			Line            int
		}
	}
	if err := json.Unmarshal(out, &reports); err != nil {
		t.Fatalf("html-validate: %v, %v: %s", failed, err, out)
	}
	faults := make(map[string][]string)
	for _, report := range reports {
		name := filepath.Base(report.FilePath)
		for _, m := range report.Messages {
			faults[name] = append(faults[name], fmt.Sprintf("%d: %s: %s", m.Line, m.RuleID, m.Message))
		}
	}
	return faults
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}
