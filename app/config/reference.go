package config

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/piano-roc/rpn/internal/strict"
)

// A Field is what the manual says of one field of the configuration.
type Field struct {
	Key  string `json:"key"`  // "limits.burst"; of an item of a list "alerts.webhooks[]"
	Kind string `json:"kind"` // what is written there: "a duration", "production or test"
	Doc  string `json:"doc"`  // its comment in Config
}

// reference is the manual, made of the comments of Config by
// go test ./app/config -run Reference -update.
//
//go:embed reference.json
var reference []byte

// Reference is the manual of the file, field by field, in its order.
var Reference = sync.OnceValue(func() []Field {
	var all []Field
	if err := json.Unmarshal(reference, &all); err != nil {
		panic(err) // the file is ours, and a test reads it
	}
	return all
})

// Help is what the manual says of a field and of those under it; nil: there is
// none of that name. near is then the nearest one, or "".
func Help(key string) (fields []Field, near string) {
	for _, f := range Reference() {
		if rest, under := strings.CutPrefix(f.Key, key); under && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			fields = append(fields, f)
		}
	}
	if len(fields) > 0 {
		return fields, ""
	}
	var last []string // keys whose last name is that one, first
	var all []string
	for _, f := range Reference() {
		if strings.HasSuffix(f.Key, "."+key) {
			last = append(last, f.Key)
		}
		all = append(all, f.Key)
	}
	if len(last) > 0 {
		return nil, strings.Join(last, ", ")
	}
	return nil, strict.Nearest(key, all)
}

// Schema is the JSON Schema of the file, for editors.
func Schema() ([]byte, error) {
	docs := map[string]string{}
	for _, f := range Reference() {
		docs[f.Key] = f.Doc
	}
	c := defaults()
	s, err := strict.Schema(&c, func(path string) string { return docs[path] }, words()...)
	if err != nil {
		return nil, err
	}
	s["title"] = "rpn.yaml"
	return json.MarshalIndent(s, "", "  ")
}

// page is the manual as docs/configuration.md.
func page(fields []Field) string {
	var b strings.Builder
	b.WriteString("# The configuration, field by field\n\n")
	b.WriteString("Made of the comments of `app/config` (`go test ./app/config -run Reference -update`); `rpn help config KEY` shows the same. `rpn config schema` writes a JSON\n")
	b.WriteString("Schema for editors: put `# yaml-language-server: $schema=rpn.schema.json` on the first line of `rpn.yaml`.\n")
	for _, f := range fields {
		level := "###"
		if !strings.Contains(f.Key, ".") {
			level = "##"
		}
		fmt.Fprintf(&b, "\n%s `%s`\n\n", level, f.Key)
		if f.Kind != "" {
			fmt.Fprintf(&b, "_%s_\n\n", f.Kind)
		}
		b.WriteString(cmp.Or(f.Doc, "See above.") + "\n")
	}
	return b.String()
}

// String writes a field for a terminal.
func (f Field) String() string {
	lines := []string{f.Key}
	if f.Kind != "" {
		lines[0] += ": " + f.Kind
	}
	for line := range strings.Lines(f.Doc) {
		lines = append(lines, strings.TrimRight("  "+line, " \n"))
	}
	return strings.Join(slices.Clip(lines), "\n") + "\n"
}
