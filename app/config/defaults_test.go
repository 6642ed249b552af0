package config

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/strict"
)

// The manual says the defaults that hold: a field of which defaults has a value
// says that value, and a field that says a value has it.
func TestTheManualSaysTheDefaultsThatHold(t *testing.T) {
	t.Parallel()
	manual, held := manualOf(t), 0
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			said, ok := manual[v.Type().Name()+"."+f.Name]
			if !f.IsExported() || !ok {
				continue // of another package: register.Bounds, in the text of its field
			}
			name := path + f.Tag.Get("yaml")
			if f.Type.Kind() == reflect.Struct && f.Type.PkgPath() == v.Type().PkgPath() {
				walk(name+".", v.Field(i))
				continue
			}
			has, isZero := written(v.Field(i)), v.Field(i).IsZero()
			switch {
			case !isZero && said != has:
				t.Errorf("%s: the manual says %q, and its default is %s", name, said, has)
			case isZero && value.MatchString(said) && said != has:
				t.Errorf("%s: the manual says %q, and it has no default", name, said)
			case !isZero:
				held++
			}
		}
	}
	walk("", reflect.ValueOf(defaults()))
	if held < 50 {
		t.Errorf("only %d defaults were compared", held)
	}
}

// value is what a default looks like that is no sentence.
var value = regexp.MustCompile(`^([0-9].*|true|false|open|closed|[a-z]+-[a-z]+)$`)

// told finds the default of a field, in the text of its comment.
var told = regexp.MustCompile(`(?s)Default:\s+(\{[^}]*\}|[^\s,;]+)`)

// manualOf returns what the comment of each field says its default is.
func manualOf(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if of, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range of.Fields.List {
					for _, name := range f.Names {
						said[spec.Name.Name+"."+name.Name] = ""
						if m := told.FindStringSubmatch(f.Doc.Text()); m != nil {
							said[spec.Name.Name+"."+name.Name] = strings.TrimSuffix(m[1], ".")
						}
					}
				}
			}
			return true
		})
	}
	return said
}

// written is a value as the manual writes it.
func written(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		s := x.String()
		for _, zero := range []string{"m0s", "h0m"} {
			if strings.HasSuffix(s, zero) {
				s = s[:len(s)-2]
			}
		}
		return s
	case strict.Size:
		for _, unit := range []struct {
			bytes strict.Size
			name  string
		}{{1 << 20, "MiB"}, {1 << 10, "KiB"}} {
			if x >= unit.bytes && x%unit.bytes == 0 {
				return fmt.Sprint(int64(x/unit.bytes), unit.name)
			}
		}
		return strconv.FormatInt(int64(x), 10)
	}
	if v.Kind() == reflect.Struct { // register.Bounds: every one of it is the same
		b := defaults().RegisterLosses.Sites
		return fmt.Sprintf("{share: %g, least: %d}", b.Share, b.Least)
	}
	return fmt.Sprint(v.Interface())
}
