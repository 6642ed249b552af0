package config

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/strict"
)

// The manual that rpn carries, and the page, are the comments of Config.
//
//	go test ./app/config -run Reference -update
func TestTheReferenceIsOfTheComments(t *testing.T) {
	t.Parallel()
	c := defaults()
	schema, err := strict.Schema(&c, nil, words()...)
	if err != nil {
		t.Fatal(err)
	}
	m := manual{docs: comments(t)}
	m.section(reflect.TypeFor[Config](), schema, "")
	if len(m.fields) < 150 {
		t.Errorf("only %d fields", len(m.fields))
	}
	for _, f := range m.fields {
		if f.Doc == "" {
			t.Errorf("%s has no comment", f.Key)
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(m.fields); err != nil {
		t.Fatal(err)
	}
	const file = "../../docs/configuration.md"
	if *update {
		if err := os.WriteFile("reference.json", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(page(m.fields)), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(reference, b.Bytes()) {
		t.Error("reference.json is not of the comments: go test ./app/config -run Reference -update")
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != page(m.fields) {
		t.Errorf("docs/configuration.md is not of the comments (%v): go test ./app/config -run Reference -update", err)
	}
}

// comments are those of the fields of structs, by "Struct.Field".
func comments(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	var files []string
	for _, dir := range []string{".", "../../register", "../../internal/roc"} {
		of, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, of...)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			s, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range s.Fields.List {
				doc := strings.TrimSpace(field.Doc.Text())
				if doc == "" {
					doc = strings.TrimSpace(field.Comment.Text())
				}
				for _, ident := range field.Names {
					docs[f.Name.Name+"."+spec.Name.Name+"."+ident.Name] = doc
				}
			}
			return true
		})
	}
	return docs
}

// A manual gathers the fields in their order.
type manual struct {
	docs   map[string]string
	fields []Field
}

func (m *manual) section(t reflect.Type, schema map[string]any, path string) {
	properties, _ := schema["properties"].(map[string]any)
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if option == "inline" {
			m.section(f.Type, schema, path)
			continue
		}
		p, ok := properties[name].(map[string]any)
		if name == "" || !ok {
			continue
		}
		at := name
		if path != "" {
			at = path + "." + name
		}
		pkg := t.PkgPath()[strings.LastIndex(t.PkgPath(), "/")+1:]
		doc := m.docs[pkg+"."+t.Name()+"."+f.Name]
		if doc == "" && pkg != "config" { // said where the section is
			doc = "See the section."
		}
		m.fields = append(m.fields, Field{Key: at, Kind: kindOf(p), Doc: doc})
		under := f.Type
		for under.Kind() == reflect.Pointer {
			under = under.Elem()
		}
		if items, ok := p["items"].(map[string]any); ok && under.Kind() == reflect.Slice && under.Elem().Kind() == reflect.Struct && items["properties"] != nil {
			m.section(under.Elem(), items, at+"[]")
		}
		if p["properties"] != nil && under.Kind() == reflect.Struct {
			m.section(under, p, at)
		}
	}
}

// kindOf says what is written for a value.
func kindOf(schema map[string]any) string {
	if words, ok := schema["enum"].([]string); ok {
		return strings.Join(words, ", ")
	}
	switch schema["pattern"] {
	case nil:
	default:
		if schema["type"] == "string" {
			return "a duration: 20s, 5m, 1h30m"
		}
		return "a size: 65536, 512KiB, 2MiB"
	}
	switch kind := schema["type"].(type) {
	case string:
		switch {
		case kind == "array":
			if k := kindOf(schema["items"].(map[string]any)); k != "" {
				return "a list, each " + k
			}
			return "a list of sections"
		case kind == "boolean":
			return "true or false"
		case kind == "integer":
			return "a whole number"
		case kind == "number":
			return "a number"
		case schema["properties"] == nil:
			return "names, each with its value"
		}
		return ""
	case []string:
		if slices.Contains(kind, "string") {
			return "a text"
		}
	}
	return ""
}

// What is asked by a part of its name is found, or the nearest is named.
func TestHelpOfAField(t *testing.T) {
	t.Parallel()
	if f, _ := Help("limits.burst"); len(f) != 1 || !strings.Contains(f[0].String(), "limits.burst: a whole number\n  Burst is ") {
		t.Errorf("got %v", f)
	}
	if f, _ := Help("limits"); len(f) < 10 || f[0].Key != "limits" {
		t.Errorf("got %v", f)
	}
	if f, near := Help("burst"); len(f) != 0 || near != "limits.burst" {
		t.Errorf("got %v, %q", f, near)
	}
	if _, near := Help("anuaire"); near != "annuaire" {
		t.Errorf("got %q", near)
	}
}
