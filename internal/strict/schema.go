package strict

import (
	"reflect"
	"strings"
)

// Schema is the JSON Schema (2020-12) of a file that Read reads into that struct,
// for editors. It holds what a schema can say: names, kinds, words, what is
// required. Read checks more. describe gives the description of a field by its
// path, "limits.burst"; it may be nil.
func Schema(into any, describe func(path string) string, opts ...Option) (map[string]any, error) {
	r := newReader(&Document{}, opts)
	v, err := r.target(into)
	if err != nil {
		return nil, err
	}
	if describe == nil {
		describe = func(string) string { return "" }
	}
	s := schemas{r, describe}.of(v.Type(), "", fieldRules{})
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	return s, nil
}

// schemas writes the schema of one type after the other.
type schemas struct {
	*reader
	describe func(path string) string
}

// A duration and a size as a file writes them.
const (
	durationPattern = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`
	sizePattern     = `^[0-9]+ *(KiB|MiB|GiB|kB|MB|GB|B)?$`
)

func (s schemas) of(t reflect.Type, path string, rules fieldRules) map[string]any {
	switch {
	case s.texts[t].words != nil:
		return map[string]any{"enum": s.texts[t].words}
	case s.isText(t):
		text := map[string]any{"type": []string{"string", "number", "boolean"}} // YAML sees numbers where a text has no quotes
		if rules.required {
			text["minLength"] = 1
		}
		if example := s.texts[t].example; example != "" {
			text["examples"] = []string{strings.Trim(example, `"`)}
		}
		return text
	case t == durationType:
		return map[string]any{"type": "string", "pattern": durationPattern}
	case t == sizeType:
		return map[string]any{"type": []string{"string", "integer"}, "pattern": sizePattern, "minimum": 0}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem(), path, rules)
	case reflect.Slice:
		list := map[string]any{"type": "array", "items": s.of(t.Elem(), path+"[]", fieldRules{required: true, positive: rules.positive})}
		if rules.required {
			list["minItems"] = 1
		}
		return list
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem(), path+".*", rules)}
	case reflect.Struct:
		return s.ofStruct(t, path)
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	}
	number := map[string]any{"type": "integer"}
	if t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64 {
		number["type"] = "number"
	}
	if rules.positive {
		number["exclusiveMinimum"] = 0
	}
	return number
}

func (s schemas) ofStruct(t reflect.Type, path string) map[string]any {
	properties := map[string]any{}
	required := []string{}
	st := s.structs[t]
	for _, f := range st.fields {
		at := f.name
		if path != "" {
			at = path + "." + f.name
		}
		p := s.of(fieldType(t, f.index), at, f.rules)
		if d := s.describe(at); d != "" {
			p["description"] = d
		}
		properties[f.name] = p
		if f.rules.required && f.rules.unless == "" {
			required = append(required, f.name)
		}
	}
	all := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		all["required"] = required
	}
	if short, ok := s.short[t]; ok {
		return map[string]any{"anyOf": []any{all, properties[short]}}
	}
	return all
}

// fieldType is the type of the field at an index of a struct.
func fieldType(t reflect.Type, index []int) reflect.Type {
	for _, i := range index {
		t = t.Field(i).Type
	}
	return t
}
