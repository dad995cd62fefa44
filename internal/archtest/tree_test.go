package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/pawlauth/pawl"

// A file is one Go file of the module, parsed with its comments.
type file struct {
	path string // slash-separated, from the root of the module
	test bool
	fset *token.FileSet
	ast  *ast.File
	size int // lines
}

// dir is the folder of the file; "." is the root.
func (f *file) dir() string { return path.Dir(f.path) }

// imports returns the paths that the file imports.
func (f *file) imports() []string {
	var out []string
	for _, spec := range f.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			panic(err)
		}
		out = append(out, p)
	}
	return out
}

// root returns the folder of go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// tree parses every Go file of this module; nested modules are their own.
func tree(t *testing.T) []*file {
	t.Helper()
	return parsed(t, func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, "go.mod"))
		return err == nil
	})
}

// parsed parses every Go file, but not those below folders to leave out.
func parsed(t *testing.T, leaveOut func(dir string) bool) []*file {
	t.Helper()
	base := root(t)
	var files []*file
	err := filepath.WalkDir(base, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != base && (leaveOut(p) || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		rel, err := filepath.Rel(base, p)
		if err != nil {
			return err
		}
		f := &file{path: filepath.ToSlash(rel), test: strings.HasSuffix(p, "_test.go"), fset: token.NewFileSet()}
		f.ast, err = parser.ParseFile(f.fset, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		f.size = f.fset.File(f.ast.FileStart).LineCount()
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("found only %d Go files; the walk is wrong", len(files))
	}
	return files
}
