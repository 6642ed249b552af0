package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A test that waits for something to happen asks internal/await, which has one
// time-out and says what was awaited: no test polls by itself. It may sleep in
// a loop that it does not leave early, under the clock of a synctest, and as a
// peer that takes its time: the line of the sleep then says that "nothing is
// awaited".
func TestNoTestPollsByItself(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("git", "ls-files", "-co", "--exclude-standard", "*.go")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	read := 0
	for _, name := range strings.Fields(string(out)) {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, filepath.Join("..", name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			continue
		}
		if !importsTesting(file) || strings.HasPrefix(name, "internal/await/") {
			continue
		}
		read++
		for _, n := range polls(set, file) {
			t.Errorf("%s: polls: use internal/await", set.Position(n.Pos()))
		}
	}
	if read < 100 {
		t.Errorf("%d files import testing", read)
	}
}

// Each way to poll is seen, and what is not one is not.
func TestWhatPollsIsSeen(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		`for !ready() { time.Sleep(d) }`:                                        1,
		`for range 100 { if ready() { return }; time.Sleep(d) }`:                1,
		`for ; !ready(); time.Sleep(d) {}`:                                      1,
		`for { if ready() { break }; time.Sleep(d) }`:                           1,
		`for { select { case <-ready: return; case <-time.After(d): look() } }`: 1,
		`go func() { for !ready() { time.Sleep(d) } }()`:                        1,
		`for _, c := range all { for !c.ready() { time.Sleep(d) } }`:            1,
		"for !end() { write()\ntime.Sleep(d) // nothing is awaited\n}":          0,
		"for !ready() { // nothing is awaited\ntime.Sleep(d) }":                 1,
		`time.Sleep(d)`: 0,
		`for range 100 { write(); time.Sleep(d) }`:                                      0,
		`for i := 0; i < 100; i++ { write(); time.Sleep(d) }`:                           0,
		`for _, part := range parts { write(part); time.Sleep(d) }`:                     0,
		`for range 100 { go func() { time.Sleep(d); if stop() { return } }() }`:         0,
		`synctest.Test(t, func(t *testing.T) { for !ready() { time.Sleep(d) } })`:       0,
		`select { case <-ready: return; case <-time.After(d): t.Fatal("not in time") }`: 0,
	} {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, "", "package p; func f() {"+text+"}", parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(polls(set, file)); got != want {
			t.Errorf("%s: %d loops poll, want %d", text, got, want)
		}
	}
}

func importsTesting(file *ast.File) bool {
	return slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing"` })
}

// polls are the loops of a file that sleep between two looks at something.
func polls(set *token.FileSet, file *ast.File) (loops []ast.Node) {
	paced := map[int]bool{} // the lines that say so
	for _, group := range file.Comments {
		for _, c := range group.List {
			paced[set.Position(c.Pos()).Line] = strings.Contains(c.Text, "nothing is awaited")
		}
	}
	sleeps := func(n ast.Node) bool {
		return (isCall(n, "time", "Sleep") || isCall(n, "time", "After")) && !paced[set.Position(n.Pos()).Line]
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if isCall(n, "synctest", "Test") {
			return false
		}
		if poll(n, sleeps) {
			loops = append(loops, n)
		}
		return true
	})
	return loops
}

// poll tells of a loop that waits for a change: it sleeps, and it goes on while
// something is asked or leaves early.
func poll(n ast.Node, sleeps func(ast.Node) bool) bool {
	var body *ast.BlockStmt
	leaves := false
	switch n := n.(type) {
	case *ast.ForStmt:
		if e, ok := n.Post.(*ast.ExprStmt); ok && sleeps(e.X) {
			return true
		}
		leaves = n.Post == nil && n.Cond != nil
		body = n.Body
	case *ast.RangeStmt:
		body = n.Body
	default:
		return false
	}
	slept := false
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit, *ast.ForStmt, *ast.RangeStmt:
			return false
		case *ast.ReturnStmt:
			leaves = true
		case *ast.BranchStmt:
			leaves = leaves || n.Tok == token.BREAK
		}
		slept = slept || sleeps(n)
		return true
	})
	return slept && leaves
}

func isCall(n ast.Node, pkg, name string) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return false
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || f.Sel.Name != name {
		return false
	}
	x, ok := f.X.(*ast.Ident)
	return ok && x.Name == pkg
}
