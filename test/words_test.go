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

var (
	smallLarge = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	largeWord  = regexp.MustCompile(`([A-Z])([A-Z][a-z])`)
)

// apart writes the words of a name apart: TestANewFile is Test A New File.
func apart(name string) string {
	return largeWord.ReplaceAllString(smallLarge.ReplaceAllString(name, "$1 $2"), "$1 $2")
}

// patterns find each retired word in a text, in the plural too.
var patterns = func() map[string]*regexp.Regexp {
	words := map[string]*regexp.Regexp{}
	for w := range retired {
		words[w] = regexp.MustCompile(`(?i)\b` + w + `s?\b`)
	}
	return words
}()

// retiredIn is a retired word of a text, and what replaces it. Most texts hold no
// letters of any, which is seen without a regular expression.
func retiredIn(text string) (word, instead string) {
	small := strings.ToLower(text)
	for w, instead := range retired {
		if strings.Contains(small, strings.ToLower(w)) && patterns[w].MatchString(text) {
			return w, instead
		}
	}
	return "", ""
}

func saysBeside(text string) bool {
	return strings.Contains(text, "beside") && beside.MatchString(text)
}

// Pages are held to the same words. The one exception is a French term of the
// field.
func TestRetiredWordsDoNotComeBackInPages(t *testing.T) {
	t.Parallel()
	term := regexp.MustCompile(`(?i)\bclefs? de routage\b`)
	for page, text := range pages(t) {
		for i, line := range strings.Split(text, "\n") {
			line = term.ReplaceAllString(line, "")
			if saysBeside(line) {
				t.Errorf("%s:%d: it says beside; say: in the background, meanwhile", page, i+1)
			}
			if w, instead := retiredIn(line); w != "" {
				t.Errorf("%s:%d: it says %q; say: %s", page, i+1, w, instead)
			}
		}
	}
}

func TestRetiredWordsDoNotComeBack(t *testing.T) {
	t.Parallel()
	known := map[string]bool{} // names that hold none
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
				if saysBeside(group.Text()) {
					t.Errorf("%s: a comment says beside; say: in the background, meanwhile", set.Position(group.Pos()))
				}
				if w, instead := retiredIn(group.Text()); w != "" {
					t.Errorf("%s: a comment says %q; say: %s", set.Position(group.Pos()), w, instead)
				}
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && !known[id.Name] {
					w, instead := retiredIn(apart(id.Name) + " " + id.Name)
					if known[id.Name] = w == ""; w != "" {
						t.Errorf("%s: the name %s holds %q; say: %s", set.Position(id.Pos()), id.Name, w, instead)
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
