package strict

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// An Option defines how values of a type are written.
type Option func(*reader)

// Text reads values of type T with parse, from the scalar's source text; what
// parse says of a bad text becomes the problem. The example is a good value,
// for the remedy.
func Text[T any](parse func(string) (T, error), example string) Option {
	return func(r *reader) {
		r.texts[reflect.TypeFor[T]()] = textType{
			parse: func(s string, v reflect.Value) error {
				x, err := parse(s)
				if err == nil {
					v.Set(reflect.ValueOf(x))
				}
				return err
			},
			example: example,
		}
	}
}

// OneOf reads values of type T, which must be one of a closed list. what names
// the kind of thing, with its article: "a state".
func OneOf[T ~string](what string, values ...T) Option {
	return func(r *reader) {
		words := make([]string, len(values))
		for i, v := range values {
			words[i] = string(v)
		}
		r.texts[reflect.TypeFor[T]()] = textType{what: what, words: words}
	}
}

// Short lets a struct T be written as one value alone, which is then that field
// of it: `- roc.amc.example` for `- {nom: roc.amc.example}`.
func Short[T any](field string) Option {
	return func(r *reader) { r.short[reflect.TypeFor[T]()] = field }
}

// A textType is how one type is read from text.
type textType struct {
	parse   func(string, reflect.Value) error
	example string

	what  string // of a closed list
	words []string
}

// A structType is what a struct may hold.
type structType struct {
	fields []field
	byName map[string]int
	names  []string
}

type field struct {
	name  string
	index []int
	rules fieldRules
}

type fieldRules struct {
	required, positive bool
	unless             string // required only where this field is not given
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	sizeType     = reflect.TypeFor[Size]()
	textReader   = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// target checks that into can be read into, and learns its types.
func (r *reader) target(into any) (reflect.Value, error) {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return v, fmt.Errorf("strict: cannot read into a %T: give a pointer to a struct", into)
	}
	return v.Elem(), r.learn(v.Type().Elem(), v.Type().Elem().Name())
}

// learn checks that every type under t can be read. A type that cannot is a
// mistake of the program: it is reported whatever the file holds.
func (r *reader) learn(t reflect.Type, path string) error {
	if r.isText(t) || t == durationType || t == sizeType {
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		return r.learnStruct(t, path)
	case reflect.Pointer, reflect.Slice:
		return r.learn(t.Elem(), path)
	case reflect.Map:
		if t.Key().Kind() != reflect.String || !r.isText(t.Key()) {
			return fmt.Errorf("strict: %s: a map's keys must be text, not %s", path, t.Key())
		}
		return r.learn(t.Elem(), path)
	case reflect.Bool,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64:
		if t.PkgPath() == "" {
			return nil
		}
	}
	return fmt.Errorf("strict: %s: nothing reads a %s: give strict.Text or strict.OneOf for it", path, t)
}

func (r *reader) learnStruct(t reflect.Type, path string) error {
	if r.structs[t] != nil {
		return nil
	}
	st := &structType{byName: map[string]int{}}
	r.structs[t] = st
	if err := r.collect(st, t, nil, path); err != nil {
		return err
	}
	for i, f := range st.fields {
		if _, twice := st.byName[f.name]; twice {
			return fmt.Errorf("strict: %s: two fields are named %q", path, f.name)
		}
		st.byName[f.name] = i
		st.names = append(st.names, f.name)
	}
	if f, ok := r.short[t]; ok {
		if _, known := st.byName[f]; !known {
			return fmt.Errorf("strict: %s: its short form is a field %q that it has not", path, f)
		}
	}
	return nil
}

// collect adds the fields of t, and of the structs inlined in it.
func (r *reader) collect(st *structType, t reflect.Type, at []int, path string) error {
	for i := range t.NumField() {
		sf := t.Field(i)
		name, option, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		index := append(at[:len(at):len(at)], i)
		switch {
		case option == "inline" && sf.Type.Kind() == reflect.Struct:
			if err := r.collect(st, sf.Type, index, path); err != nil {
				return err
			}
			continue
		case name == "" || name == "-":
			continue
		case !sf.IsExported():
			return fmt.Errorf("strict: %s.%s has a yaml tag but is not exported", path, sf.Name)
		}
		rules, err := parseRules(sf.Tag.Get("strict"))
		if err != nil {
			return fmt.Errorf("strict: %s.%s: %w", path, sf.Name, err)
		}
		if err := r.learn(sf.Type, path+"."+sf.Name); err != nil {
			return err
		}
		st.fields = append(st.fields, field{name, index, rules})
	}
	return nil
}

func parseRules(tag string) (rules fieldRules, err error) {
	for w := range strings.SplitSeq(tag, ",") {
		if other, ok := strings.CutPrefix(w, "unless="); ok {
			rules.unless = other
			continue
		}
		switch w {
		case "":
		case "required":
			rules.required = true
		case "positive":
			rules.positive = true
		default:
			return rules, fmt.Errorf("the tag strict:%q holds an unknown rule %q", tag, w)
		}
	}
	return rules, nil
}

// isText reports whether values of the type are read from text.
func (r *reader) isText(t reflect.Type) bool {
	if _, ok := r.texts[t]; ok || t == reflect.TypeFor[string]() {
		return true
	}
	return t != sizeType && reflect.PointerTo(t).Implements(textReader)
}
