package opstest

import (
	"bytes"
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/server"
	"github.com/pawlauth/pawl/session"
)

// exposed runs a server, makes it count something, and returns its metrics.
func exposed(t *testing.T) string {
	t.Helper()
	policy, err := session.Preset("default")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out, done := &output{}, make(chan error, 1)
	go func() {
		done <- server.Run(ctx, server.Config{Dev: true, Place: pawl.Place{Directory: filepath.Join(t.TempDir(), "data")}, Listen: "localhost:0", OpsListen: "localhost:0",
			Origins: []string{"http://localhost:8080"}, Prefix: "/auth", LogFormat: "text", Home: "/", Policy: policy,
			Keys: keyring.Options{Algorithm: keyring.EdDSA, Rotation: 720 * time.Hour, Publication: time.Hour}}, out, io.Discard)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	addresses := regexp.MustCompile(`on (\S+), operations on (\S+)`)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if m := addresses.FindStringSubmatch(out.String()); m != nil {
			get(t, "http://"+m[1]+"/auth/session", "localhost:8080")
			return get(t, "http://"+m[2]+"/metrics", "")
		}
		select {
		case err := <-done:
			t.Fatalf("the server stopped: %v\n%s", err, out)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server did not start:\n%s", out)
		}
	}
}

func get(t *testing.T, url, host string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements [io.Writer].
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String returns what was written so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// expressions are all queries of the board and the alerts, by where they are.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	text, err := os.ReadFile("../../docs/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	for _, panel := range board.Panels {
		for i, target := range panel.Targets {
			found["board: "+panel.Title+" "+strconv.Itoa(i+1)] = target.Expr
		}
	}
	if len(found) < 10 {
		t.Fatalf("the board has %d queries", len(found))
	}
	text, err = os.ReadFile("../../docs/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	alerts := regexp.MustCompile(`(?m)- alert: (\w+)\n +expr: (.*)$`).FindAllStringSubmatch(string(text), -1)
	if len(alerts) < 8 || len(alerts) != strings.Count(string(text), "alert:") {
		t.Fatalf("%d alerts were read", len(alerts))
	}
	for _, alert := range alerts {
		found["alert: "+alert[1]] = alert[2]
	}
	return found
}

var (
	metricName = regexp.MustCompile(`\b(pawl|go|process)_[a-z0-9_]+`)
	selector   = regexp.MustCompile(`\b(pawl_[a-z0-9_]+)\{([^}]*)\}`)
	matcher    = regexp.MustCompile(`(\w+)(=~?)"([^"]*)"`)
	sampleLine = regexp.MustCompile(`(?m)^(\w+)(?:\{(.*)\})? \S+$`)
)

// TestBoardAndAlertsNameWhatThereIs: every metric and every label that a query
// names is exposed by a running server, and every type and reason of an event
// is one that can occur.
func TestBoardAndAlertsNameWhatThereIs(t *testing.T) {
	labels := map[string]map[string]bool{} // of each metric
	for _, line := range sampleLine.FindAllStringSubmatch(exposed(t), -1) {
		if labels[line[1]] == nil {
			labels[line[1]] = map[string]bool{"instance": true, "job": true} // Prometheus adds these
		}
		for _, m := range matcher.FindAllStringSubmatch(line[2], -1) {
			labels[line[1]][m[1]] = true
		}
	}
	if len(labels) < 10 {
		t.Fatalf("the server exposes %d metrics", len(labels))
	}
	types, reasons := constants(t, "EventType"), constants(t, "Reason")
	used := map[string]bool{}
	for where, query := range expressions(t) {
		for _, name := range metricName.FindAllString(query, -1) {
			used[name] = true
			if labels[name] == nil {
				t.Errorf("%s: the server exposes no %s", where, name)
			}
		}
		for _, s := range selector.FindAllStringSubmatch(query, -1) {
			for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
				if labels[s[1]] != nil && !labels[s[1]][m[1]] {
					t.Errorf("%s: %s has no label %s", where, s[1], m[1])
				}
				for value := range strings.SplitSeq(m[3], "|") {
					if m[1] == "type" && !types[value] || m[1] == "reason" && value != "" && !reasons[value] {
						t.Errorf("%s: no event has the %s %q", where, m[1], value)
					}
				}
			}
		}
	}
	for name := range maps.Keys(labels) {
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if strings.HasPrefix(name, "pawl_") && !slices.ContainsFunc(slices.Collect(maps.Keys(used)), func(u string) bool { return strings.HasPrefix(u, base) }) {
			t.Errorf("%s is exposed and neither on the board nor in an alert", name)
		}
	}
}

// constants are the values of the constants of a type of package session.
func constants(t *testing.T, typeName string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../../session/*.go")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]bool{}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			if id, ok := spec.Type.(*ast.Ident); !ok || id.Name != typeName {
				return true
			}
			if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
				text, _ := strconv.Unquote(literal.Value)
				values[text] = true
			}
			return true
		})
	}
	if len(values) < 5 {
		t.Fatalf("package session has %d constants of type %s", len(values), typeName)
	}
	return values
}
