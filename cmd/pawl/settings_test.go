package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// Every setting of the server has a line in its help, a variable that is named
// like the flag, and a line in the operator's handbook that says the same.
//
// Rows: 198
func TestEverySettingIsDocumented(t *testing.T) {
	app, err := kong.New(&cli{}, kong.Vars{"scopes": ""})
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| setting | default | meaning |\n|---|---|---|\n")
	settings := 0
	for _, command := range app.Model.Children {
		for _, f := range command.Flags {
			if command.Name != "serve" || f.Name == "help" {
				continue
			}
			settings++
			if f.Help == "" {
				t.Errorf("--%s has no help", f.Name)
			}
			if want := "PAWL_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")); len(f.Envs) != 1 || f.Envs[0] != want {
				t.Errorf("--%s is read from %q, want %s", f.Name, f.Envs, want)
			}
			name := "--" + f.Name
			if !f.IsBool() {
				name += " " + f.PlaceHolder
			}
			initial := ""
			if f.Default != "" {
				initial = "`" + f.Default + "`"
			}
			fmt.Fprintf(&table, "| `%s` | %s | %s |\n", name, cmp.Or(initial, "–"), strings.ReplaceAll(f.Help, "|", `\|`))
		}
	}
	text, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	if settings < 40 || !strings.Contains(string(text), table.String()) {
		t.Errorf("docs/operating.md does not have this table of %d settings:\n%s", settings, table.String())
	}
}
