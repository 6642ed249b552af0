package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// retired are words that the code used and that a non-native reader had to
// look up, each with the word that replaces it. docs/glossary.md has the words
// in use.
var retired = map[string]string{
	"horizon":   "inventory, expiries",
	"posture":   "FailureMode, open or closed",
	"stance":    "NewcomerPolicy",
	"lobby":     "handshake queue, pending",
	"brisk":     "fast path",
	"whence":    "from where",
	"learnt":    "learned",
	"farAnswer": "upstream response",
	"telling":   "publication, notification",
	"world":     "nation, or what it is: keys, a setting",
	"anew":      "again",
	"clef":      "address token; in a page, clef de routage",
	"dearest":   "most expensive",
	"judge":     "verify, decide, compare",
	"judged":    "verified, decided, compared",
	"judging":   "verifying, deciding",
	"judgement": "verdict",
}

// verbs begin no name of a function: what writes a log line is logX, what
// calls somebody is notifyX, what writes for a person is printX. A client of a
// test that only says what is on its line may.
var verbs = regexp.MustCompile(`^([Ss]ay|[Tt]ell)($|[A-Z])`)

// beside for "in the background" is retired: what has a thing next to it may be
// beside it.
var beside = regexp.MustCompile(`(?i)\b(asked|goes on|happens?|sends?|works?|served?|verified|written|once)( \w+){0,2} beside([.,:;\n]|$)`)

// apart writes the words of a name apart: TestANewFile is Test A New File.
func apart(name string) string {
	name = regexp.MustCompile(`([a-z0-9])([A-Z])`).ReplaceAllString(name, "$1 $2")
	return regexp.MustCompile(`([A-Z])([A-Z][a-z])`).ReplaceAllString(name, "$1 $2")
}

// patterns are the retired words as a text has them, in the plural too.
func patterns() map[string]*regexp.Regexp {
	words := map[string]*regexp.Regexp{}
	for w := range retired {
		words[w] = regexp.MustCompile(`(?i)\b` + w + `s?\b`)
	}
	return words
}

// Pages are held to the same words. The one exception is a French term of the
// field.
func TestRetiredWordsDoNotComeBackInPages(t *testing.T) {
	t.Parallel()
	words := patterns()
	term := regexp.MustCompile(`(?i)\bclefs? de routage\b`)
	for page, text := range pages(t) {
		for i, line := range strings.Split(text, "\n") {
			line = term.ReplaceAllString(line, "")
			if beside.MatchString(line) {
				t.Errorf("%s:%d: it says beside; say: in the background, meanwhile", page, i+1)
			}
			for w, re := range words {
				if re.MatchString(line) {
					t.Errorf("%s:%d: it says %q; say: %s", page, i+1, w, retired[w])
				}
			}
		}
	}
}

func TestRetiredWordsDoNotComeBack(t *testing.T) {
	t.Parallel()
	words := patterns()
	for _, folder := range topFolders(t) {
		err := filepath.WalkDir(filepath.Join("..", folder), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || d.Name() == "words_test.go" {
				return err
			}
			set := token.NewFileSet()
			tree, err := parser.ParseFile(set, file, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, group := range tree.Comments {
				if beside.MatchString(group.Text()) {
					t.Errorf("%s: a comment says beside; say: in the background, meanwhile", set.Position(group.Pos()))
				}
				for w, re := range words {
					if re.MatchString(group.Text()) {
						t.Errorf("%s: a comment says %q; say: %s", set.Position(group.Pos()), w, retired[w])
					}
				}
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok {
					name := apart(id.Name)
					for w, re := range words {
						if re.MatchString(name) || w == id.Name {
							t.Errorf("%s: the name %s holds %q; say: %s", set.Position(id.Pos()), id.Name, w, retired[w])
						}
					}
				}
				if f, ok := n.(*ast.FuncDecl); ok && verbs.MatchString(f.Name.Name) && !(f.Name.Name == "say" && strings.HasSuffix(file, "_test.go")) {
					t.Errorf("%s: the function %s: name it logX, notifyX or printX", set.Position(f.Pos()), f.Name.Name)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
