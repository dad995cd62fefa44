package archtest

import (
	"go/ast"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ladder lists the packages from the ground up: each may import only those
// before it. Data flows down the same way.
var ladder = []string{
	"docs", "browser",
	"token", "keyring", "keyring/keyringtest", "verify",
	"session", "session/memstore", "session/storetest", "session/explore",
	"dpop", "dpop/client", "dbsc", "dbsc/dbsctest",
	"account", "account/accounttest",
	"service", "service/servicetest",
	"sqlstore", "sqlstore/sqlstoretest", "sqlstore/sqlite", "sqlstore/postgres", "verify/follow", "httpauth", "httpapi", "serviceapi", "pages", ".", "server/devapp", "server", "lab", "cmd/pawl",
	"examples/internal/visitor", "examples/quickstart", "examples/ownlogin", "examples/apionly", "examples/handoff", "examples/spa",
	"internal/archtest", "internal/dpoptest", "internal/bidi", "internal/browsertest", "internal/faulttest", "internal/opstest", "internal/pgtest", "internal/proxytest",
}

// core knows neither HTTP nor SQL nor the clock nor the file system.
var core = []string{"token", "keyring", "verify", "session", "session/memstore", "session/explore", "service", "dpop", "dbsc"}

func TestImportsFollowTheLadder(t *testing.T) {
	for _, f := range tree(t) {
		from := slices.Index(ladder, f.dir())
		if from < 0 {
			t.Errorf("%s: package %q has no place on the ladder; give it one", f.path, f.dir())
			continue
		}
		if f.test {
			continue // a test may look up, e.g. at a store's conformance suite
		}
		for _, imported := range f.imports() {
			rel, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			rel = strings.TrimPrefix(rel, "/")
			if rel == "" {
				rel = "."
			}
			if to := slices.Index(ladder, rel); to < 0 || to >= from {
				t.Errorf("%s imports %q, which is not below it", f.path, imported)
			}
		}
	}
}

// Rows: 190, 194, 200
func TestCoreIsFreeOfTheOutside(t *testing.T) {
	forbidden := map[string]string{
		"net/http":     "the core knows no HTTP",
		"database/sql": "the core knows no SQL",
		"testing":      "test code does not ship",
	}
	for _, pkg := range core {
		cmd := exec.Command("go", "list", "-deps", "./"+pkg)
		cmd.Dir = root(t)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list -deps ./%s: %v", pkg, err)
		}
		deps := strings.Fields(string(out))
		if len(deps) < 10 {
			t.Fatalf("%s: go list names only %d dependencies", pkg, len(deps))
		}
		for _, dep := range deps {
			if why, bad := forbidden[dep]; bad {
				t.Errorf("%s depends on %q: %s", pkg, dep, why)
			}
		}
	}
	for _, f := range tree(t) {
		if f.test || !slices.Contains(core, f.dir()) {
			continue
		}
		for _, imported := range f.imports() {
			if imported == "os" || imported == "io/fs" || imported == "net" {
				t.Errorf("%s imports %q: the core reads no file and no network", f.path, imported)
			}
		}
	}
}

// clockCalls read or wait for the machine's clock. context.WithTimeout is not
// among them: it bounds work and decides nothing.
var clockCalls = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep"}

// Rows: 1, 190, 193, 196, 200
func TestForbiddenCalls(t *testing.T) {
	for _, f := range tree(t) {
		for _, imported := range f.imports() {
			switch {
			case imported == "math/rand" || imported == "math/rand/v2":
				t.Errorf("%s imports %q: random values come from crypto/rand", f.path, imported)
			case imported == "encoding/json" && !f.test:
				t.Errorf("%s imports encoding/json, which accepts duplicate names", f.path)
			case imported == "crypto/sha1" && f.path == "lab/socket.go": // the handshake of WebSockets (RFC 6455 §4.2.2), which protects nothing
			case imported == "unsafe" || imported == "crypto/md5" || imported == "crypto/sha1":
				t.Errorf("%s imports %q", f.path, imported)
			}
		}
		if f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			pkg, name := selector(n)
			at := func() string { return f.fset.Position(n.Pos()).String() }
			switch {
			case pkg == "time" && slices.Contains(clockCalls, name) && slices.Contains(core, f.dir()):
				t.Errorf("%s: time.%s in the core; take the time as an argument", at(), name)
			case pkg == "http" && (name == "SetCookie" || name == "Cookie") && !cookieReader(f, n):
				t.Errorf("%s: http.%s outside httpapi/cookie.go, the only place that writes cookies", at(), name)
			case name == "InsecureSkipVerify" && f.path != "sqlstore/postgres/config.go": // which refuses it
				t.Errorf("%s: certificates are always checked", at())
			}
			if lit, ok := n.(*ast.BasicLit); ok && strings.Contains(strings.ToLower(lit.Value), `"set-cookie"`) && f.path != "httpapi/cookie.go" && f.dir() != "lab" {
				t.Errorf("%s: names Set-Cookie outside httpapi/cookie.go", at())
			}
			return true
		})
	}
}

// cookieReader: httpapi/cookie.go writes, httpauth reads what came in.
func cookieReader(f *file, n ast.Node) bool {
	if f.path == "httpapi/cookie.go" || f.dir() == "lab" { // whose careless banks write them as others do
		return true
	}
	_, name := selector(n)
	return f.dir() == "httpauth" && name == "Cookie"
}

func selector(n ast.Node) (pkg, name string) {
	s, ok := n.(*ast.SelectorExpr)
	if !ok {
		if id, ok := n.(*ast.Ident); ok && id.Name == "InsecureSkipVerify" {
			return "", id.Name
		}
		return "", ""
	}
	if id, ok := s.X.(*ast.Ident); ok {
		return id.Name, s.Sel.Name
	}
	return "", s.Sel.Name
}

func TestEveryPackageSaysWhatItOwns(t *testing.T) {
	comments := make(map[string]int)
	for _, f := range tree(t) {
		if f.test {
			continue
		}
		comments[f.dir()] += 0
		if f.ast.Doc != nil {
			comments[f.dir()]++
			text := f.ast.Doc.Text()
			if want := "Package " + f.ast.Name.Name + " "; f.ast.Name.Name != "main" && !strings.HasPrefix(text, want) {
				t.Errorf("%s: the package comment does not begin with %q", f.path, want)
			}
		}
	}
	for dir, n := range comments {
		if n != 1 {
			t.Errorf("package %s has %d package comments, want one", dir, n)
		}
	}
}

// The budgets of the house. Lines of a file, and of a function from "func" to
// its closing brace.
const (
	maxFile = 400
	maxFunc = 80
)

func TestSizes(t *testing.T) {
	for _, f := range tree(t) {
		if f.test {
			continue
		}
		if f.size > maxFile {
			t.Errorf("%s has %d lines, at most %d", f.path, f.size, maxFile)
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1; n > maxFunc {
				t.Errorf("%s: %s has %d lines, at most %d", f.path, fn.Name.Name, n, maxFunc)
			}
		}
	}
}

func TestNoOpenEndsInTheTree(t *testing.T) {
	words := []string{"TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"}
	for _, f := range tree(t) {
		for _, group := range f.ast.Comments {
			for _, word := range words {
				if strings.Contains(group.Text(), word) {
					t.Errorf("%s: a comment says %s", f.fset.Position(group.Pos()), word)
				}
			}
		}
	}
}

// dependencies are the modules that may be required directly; docs/decisions
// says why each is there.
var dependencies = []string{
	"github.com/BurntSushi/toml",
	"github.com/alecthomas/kong",
	"github.com/chromedp/cdproto",
	"github.com/chromedp/chromedp",
	"github.com/coder/websocket",
	"github.com/go-jose/go-jose/v4",
	"github.com/go-json-experiment/json",
	"github.com/google/go-cmp",
	"github.com/jackc/pgx/v5",
	"github.com/maypok86/otter/v2",
	"github.com/mileusna/useragent",
	"github.com/pressly/goose/v3",
	"github.com/prometheus/client_golang",
	"github.com/rogpeppe/go-internal",
	"github.com/rs/cors",
	"golang.org/x/crypto",
	"golang.org/x/text",
	"golang.org/x/time",
	"modernc.org/sqlite",
	"pgregory.net/rapid",
}

// Rows: 194, 199
func TestDependenciesAreTheChosenOnes(t *testing.T) {
	cmd := exec.Command("go", "list", "-m", "-f", "{{if not (or .Indirect .Main)}}{{.Path}}{{end}}", "all")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list -m all: %v", err)
	}
	got := strings.Fields(string(out))
	if len(got) == 0 {
		t.Fatal("go list names no direct dependency")
	}
	for _, module := range got {
		if !slices.Contains(dependencies, module) {
			t.Errorf("%s is required but not among the chosen dependencies", module)
		}
	}
}

// The oldest Go that every module allows has the mends that Pawl rests on:
// cross-origin protection (1.25.1) and strict chunks (1.24.2, CVE-2025-22871).
//
// Rows: 199
func TestOldGoIsRefused(t *testing.T) {
	oldest := "go1.25.1"
	files, err := exec.Command("git", "-C", root(t), "ls-files", "*go.mod").Output()
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(string(files))
	if len(names) < 2 {
		t.Fatalf("only %d modules found", len(names))
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(root(t), name))
		if err != nil {
			t.Fatal(err)
		}
		directive := regexp.MustCompile(`(?m)^go (\S+)$`).FindSubmatch(text)
		if directive == nil || version.Compare("go"+string(directive[1]), oldest) < 0 {
			t.Errorf("%s allows a Go older than %s", name, oldest)
		}
	}
}

func TestLicenceIsThere(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(t), "LICENSE"))
	if err != nil || !strings.Contains(string(text), "Apache License") {
		t.Errorf("LICENSE: %v", err)
	}
}
