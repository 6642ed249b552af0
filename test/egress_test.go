package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// leaves are the packages of the RPN in which a connection may be opened, each
// with its reason: everywhere else it would pass no filter of addresses.
var leaves = map[string]string{
	"internal/egress":        "the filter",
	"proxy/http1":            "dials with the filter as its Control",
	"annuaire":               "dials by ClientOptions.Dial, which app makes a filter's",
	"internal/redis":         "go-redis dials what the operator wrote",
	"app/admin":              "speaks to the RPN of this machine",
	"tlsconf/tlstest":        "the clients of tests: it imports testing, and rpn does not link it",
	"portal/login/logintest": "the browsers of tests: it imports testing, and rpn does not link it",
	"cmd/rpn":                "a command of an operator, not the RPN that serves",
}

// opens are the words by which a connection leaves, by package.
var opens = map[string][]string{
	"net":        {"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialIP", "DialUnix", "Dialer"},
	"crypto/tls": {"Dial", "DialWithDialer", "Dialer"},
	"net/http":   {"Get", "Head", "Post", "PostForm", "Client", "DefaultClient", "Transport", "DefaultTransport"},
}

// Every connection leaves by package egress, which is asked at the dial.
func TestEveryConnectionLeavesByTheFilter(t *testing.T) {
	t.Parallel()
	walkSources(t, func(dir, file string, tree *ast.File) {
		if _, may := leaves[dir]; may {
			return
		}
		names := map[string]string{}
		for _, i := range tree.Imports {
			path := strings.Trim(i.Path.Value, `"`)
			if _, known := opens[path]; known {
				name := filepath.Base(path)
				if i.Name != nil {
					name = i.Name.Name
				}
				names[name] = path
			}
		}
		pointers := map[ast.Expr]bool{} // a *http.Client that is given opens nothing
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.StarExpr:
				pointers[n.X] = true
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && !pointers[n] && slices.Contains(opens[names[x.Name]], n.Sel.Name) {
					t.Errorf("%s: %s.%s opens a connection that passes no filter: use internal/egress", file, x.Name, n.Sel.Name)
				}
			}
			return true
		})
	})
}

// Every file is written by package durable, which also synchronizes its folder.
func TestEveryFileIsReplacedByDurable(t *testing.T) {
	t.Parallel()
	byItself := map[string]string{ // why a file writes without it
		"journal/tiles.go": "a tile that a crash spoils is computed again from the records",
	}
	walkSources(t, func(dir, file string, tree *ast.File) {
		if slices.Contains([]string{"internal/durable", "internal/igc", "internal/message/messagetest", "tlsconf/tlstest"}, dir) {
			return // the others write what tests need
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := call.X.(*ast.Ident); !ok || x.Name != "os" {
				return true
			}
			if call.Sel.Name == "Rename" || call.Sel.Name == "WriteFile" && byItself[file] == "" {
				t.Errorf("%s: os.%s alone may leave half a file, or none, after a crash: use internal/durable", file, call.Sel.Name)
			}
			return true
		})
	})
}

// walkSources parses each file of the RPN that is no test, and not of what
// plays what is around it.
func walkSources(t *testing.T, look func(dir, file string, tree *ast.File)) {
	t.Helper()
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		dir, _ := filepath.Rel("..", file)
		if d.IsDir() {
			if slices.Contains([]string{".git", "test", "nation", "tools", "bin", "mutuelle", "deploy", "dashboards"}, dir) || strings.HasPrefix(filepath.Base(dir), "testdata") ||
				slices.Contains([]string{"annuaire/fictif", "cmd/mutuelle", "cmd/annuaire", "cmd/demo", "internal/redis/redistest", "proxy/http1/http1test"}, dir) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		look(filepath.Dir(dir), dir, tree)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
