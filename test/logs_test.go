package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Every line of the log has a stable key "event", each event its line in
// docs/logs.md, and an error its key "error": alerts match those, never a
// sentence.
func TestEveryLogLineHasAnEventThatIsDocumented(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|").FindAllStringSubmatch(page(t, "logs.md"), -1) {
		documented[m[1]] = true
	}
	used := map[string]bool{
		"log_dropped": true, // the sink writes this line itself: it cannot log
	}
	calls := 0
	for _, folder := range topFolders(t) {
		if folder == "test" || folder == "cmd" || folder == "mutuelle" {
			continue // the programs around: their words are for who started them
		}
		err := filepath.WalkDir(filepath.Join("..", folder), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			set := token.NewFileSet()
			tree, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				if method := kept(n); method != "" {
					at := set.Position(n.Pos())
					t.Errorf("%s:%d: %s is kept in a variable: call Log with a level, so that the line is seen here", at.Filename, at.Line, method)
				}
				call, ok := n.(*ast.CallExpr)
				if !ok || !logs(call) {
					return true
				}
				calls++
				at := set.Position(call.Pos())
				found := eventsOf(call)
				if len(found) == 0 {
					t.Errorf("%s:%d: a log line without its event: add slog.String(\"event\", \"what_happened\")", at.Filename, at.Line)
				}
				for _, e := range found {
					used[e] = true
					if !documented[e] {
						t.Errorf("%s:%d: the event %q has no line in docs/logs.md", at.Filename, at.Line, e)
					}
				}
				for _, key := range errorKeys(call) {
					if key != "error" {
						t.Errorf("%s:%d: an error under the key %q: its key is \"error\"", at.Filename, at.Line, key)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if calls < 40 {
		t.Errorf("only %d log calls were found", calls)
	}
	for _, e := range slices.Sorted(maps.Keys(documented)) {
		if !used[e] {
			t.Errorf("docs/logs.md has a line of the event %q, which nothing logs", e)
		}
	}
}

// kept is the method of a log that a statement keeps in a variable, or "".
func kept(n ast.Node) string {
	assigned, ok := n.(*ast.AssignStmt)
	if !ok {
		return ""
	}
	for _, x := range assigned.Rhs {
		if method, ok := x.(*ast.SelectorExpr); ok && logs(&ast.CallExpr{Fun: method, Args: []ast.Expr{method}}) {
			return method.Sel.Name
		}
	}
	return ""
}

// logs reports whether a call writes a line: log.Info, a.log.Warn,
// s.o.Log.Error, logger.Log, LogAttrs...
func logs(call *ast.CallExpr) bool {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains([]string{"Debug", "Info", "Warn", "Error", "Log", "LogAttrs", "DebugContext", "InfoContext", "WarnContext", "ErrorContext"}, method.Sel.Name) {
		return false
	}
	if len(call.Args) == 0 {
		return false
	}
	var name string
	switch on := method.X.(type) {
	case *ast.Ident:
		name = on.Name
	case *ast.SelectorExpr:
		name = on.Sel.Name
	}
	return slices.Contains([]string{"log", "Log", "logger", "slog"}, name)
}

// eventsOf are the events that a call writes: a text in the source, never a
// variable, so that a search for it finds its place.
func eventsOf(call *ast.CallExpr) (found []string) {
	row := func(items []ast.Expr) {
		for i := range items[:max(0, len(items)-1)] {
			if text(items[i]) == "event" && text(items[i+1]) != "" {
				found = append(found, text(items[i+1]))
			}
		}
	}
	ast.Inspect(call, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr: // slog.String("event", "x"), or "event", "x" in a row
			row(n.Args)
		case *ast.CompositeLit: // append([]any{"event", "x"}, more...)
			row(n.Elts)
		}
		return true
	})
	return found
}

// errorKeys are the keys under which a call writes the text of an error.
func errorKeys(call *ast.CallExpr) (keys []string) {
	isError := func(e ast.Expr) bool {
		if c, ok := e.(*ast.CallExpr); ok {
			if m, ok := c.Fun.(*ast.SelectorExpr); ok && m.Sel.Name == "Error" && len(c.Args) == 0 {
				return true
			}
		}
		id, ok := e.(*ast.Ident)
		return ok && id.Name == "err"
	}
	for i, arg := range call.Args {
		if attr, ok := arg.(*ast.CallExpr); ok && len(attr.Args) == 2 && text(attr.Args[0]) != "" && isError(attr.Args[1]) {
			keys = append(keys, text(attr.Args[0]))
		}
		if i > 0 && text(call.Args[i-1]) != "" && isError(arg) {
			keys = append(keys, text(call.Args[i-1]))
		}
	}
	return keys
}

func text(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	s, _ := strconv.Unquote(lit.Value)
	return s
}
