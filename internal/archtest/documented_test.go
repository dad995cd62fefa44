package archtest

import (
	"go/ast"
	"testing"
)

// Every exported name says what it is: where it is declared, beside it, or,
// for the members of a group, above the group. Fields and methods of an
// interface may be plain from their names; the type's comment says what is not.
func TestExportedNamesAreDocumented(t *testing.T) {
	seen := 0
	for _, f := range tree(t) {
		if f.test || f.ast.Name.Name == "main" {
			continue
		}
		for _, d := range f.ast.Decls {
			for name, documented := range exported(d) {
				seen++
				if !documented {
					t.Errorf("%s: %s has no comment", f.path, name)
				}
			}
		}
	}
	if seen < 300 {
		t.Errorf("found only %d exported names; the walk is wrong", seen)
	}
}

// exported returns the exported names of a declaration and whether each is
// documented.
func exported(d ast.Decl) map[string]bool {
	out := make(map[string]bool)
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d.Recv.List[0].Type))) {
			out[d.Name.Name] = d.Doc.Text() != ""
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() {
					out[s.Name.Name] = d.Doc.Text()+s.Doc.Text()+s.Comment.Text() != ""
				}
			case *ast.ValueSpec:
				for _, name := range s.Names {
					if name.IsExported() {
						out[name.Name] = d.Doc.Text()+s.Doc.Text()+s.Comment.Text() != ""
					}
				}
			}
		}
	}
	return out
}

// receiver is the name of a receiver's type.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}
