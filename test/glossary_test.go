package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each `name` that the glossary gives as a name of the code is one: a folder, a
// name that a package declares (roc.Key), or a word that the code uses.
func TestTheGlossaryNamesWhatIsThere(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/glossary.md")
	if err != nil {
		t.Fatal(err)
	}
	declared, words := namesOfTheCode(t)
	named := regexp.MustCompile("`([^`]+)`")
	checked := 0
	for _, line := range strings.Split(string(page), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), "|")
		if !strings.HasPrefix(line, "|") || len(cells) < 3 {
			continue
		}
		for _, m := range named.FindAllStringSubmatch(cells[len(cells)-1], -1) {
			checked++
			info, err := os.Stat(filepath.Join("..", m[1]))
			if !(err == nil && info.IsDir()) && !declared[m[1]] && !words[m[1]] {
				t.Errorf("docs/glossary.md: %q is no folder, and no name of the code", m[1])
			}
		}
	}
	if checked < 40 {
		t.Errorf("only %d names were found in the tables", checked)
	}
}

// namesOfTheCode returns what packages declare (roc.Key), and every name and
// every word of a text or tag that the code uses; tests are no code here.
func namesOfTheCode(t *testing.T) (declared, words map[string]bool) {
	t.Helper()
	declared, words = map[string]bool{}, map[string]bool{}
	word := regexp.MustCompile(`[\pL_]+`)
	for _, folder := range topFolders(t) {
		err := filepath.WalkDir(filepath.Join("..", folder), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					declared[tree.Name.Name+"."+n.Name.Name] = true
				case *ast.TypeSpec:
					declared[tree.Name.Name+"."+n.Name.Name] = true
				case *ast.ValueSpec:
					for _, name := range n.Names {
						declared[tree.Name.Name+"."+name.Name] = true
					}
				case *ast.Ident:
					words[n.Name] = true
				case *ast.BasicLit:
					for _, w := range word.FindAllString(n.Value, -1) {
						words[w] = true
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
	return declared, words
}
