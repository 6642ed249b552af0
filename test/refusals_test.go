package test

import (
	"go/ast"
	"testing"
)

// Each refusal names its cause (profile section 7): a call of roc.Refuse is
// followed by Because, in the same chain or by the variable that it is kept in.
func TestEveryRefusalNamesItsCause(t *testing.T) {
	t.Parallel()
	refusals := 0
	walkSources(t, func(dir, file string, tree *ast.File) {
		if dir == "internal/roc" {
			return
		}
		for _, d := range tree.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			n := unnamed(f.Body)
			refusals += n.all
			for range n.without {
				t.Errorf("%s: %s refuses without a cause: add .Because(roc....)", file, f.Name.Name)
			}
		}
	})
	if refusals < 50 {
		t.Errorf("%d refusals were seen", refusals)
	}
}

type refusals struct {
	all     int
	without []ast.Node
}

// unnamed finds the calls of roc.Refuse below n that no Because follows.
func unnamed(n ast.Node) (r refusals) {
	named, later := map[ast.Node]bool{}, map[string]bool{} // calls; variables on which Because is called
	ast.Inspect(n, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && method(call) == "Because" {
			for x := call; x != nil; x = receiver(x) {
				named[x] = true
				if id, ok := x.Fun.(*ast.SelectorExpr).X.(*ast.Ident); ok {
					later[id.Name] = true
				}
			}
		}
		return true
	})
	ast.Inspect(n, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == 1 {
			if id, ok := a.Lhs[0].(*ast.Ident); ok && later[id.Name] {
				for x, ok := a.Rhs[0].(*ast.CallExpr); ok && x != nil; x = receiver(x) {
					named[x] = true
				}
			}
		}
		return true
	})
	ast.Inspect(n, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && method(call) == "Refuse" {
			if id, ok := call.Fun.(*ast.SelectorExpr).X.(*ast.Ident); ok && id.Name == "roc" {
				if r.all++; !named[call] {
					r.without = append(r.without, call)
				}
			}
		}
		return true
	})
	return r
}

func method(c *ast.CallExpr) string {
	if s, ok := c.Fun.(*ast.SelectorExpr); ok {
		return s.Sel.Name
	}
	return ""
}

// receiver is the call on whose result c is called, or nil.
func receiver(c *ast.CallExpr) *ast.CallExpr {
	if s, ok := c.Fun.(*ast.SelectorExpr); ok {
		if x, ok := s.X.(*ast.CallExpr); ok {
			if _, ok := x.Fun.(*ast.SelectorExpr); ok {
				return x
			}
		}
	}
	return nil
}
