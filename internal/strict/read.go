package strict

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A reader walks nodes and Go values side by side.
type reader struct {
	doc     *Document
	texts   map[reflect.Type]textType
	structs map[reflect.Type]*structType
	short   map[reflect.Type]string // the field that a single value is the short form of
	path    []step                  // where it stands
}

// A step of a path is a name, or an index when name is "" and isIndex.
type step struct {
	name    string
	index   int
	isIndex bool
}

func newReader(d *Document, opts []Option) *reader {
	r := &reader{doc: d, texts: map[reflect.Type]textType{}, structs: map[reflect.Type]*structType{}, short: map[reflect.Type]string{}}
	for _, o := range opts {
		o(r)
	}
	return r
}

// refuse adds an error at a node, and marks its value as unusable.
func (r *reader) refuse(n *yaml.Node, remedy, format string, args ...any) {
	r.doc.refused[n] = true
	r.report(n, remedy, format, args...)
}

// report adds an error at a node.
func (r *reader) report(n *yaml.Node, remedy, format string, args ...any) {
	var b strings.Builder
	for _, s := range r.path {
		if s.isIndex {
			writeIndex(&b, s.index)
		} else {
			writeName(&b, s.name)
		}
	}
	p := Position{file: r.doc.file, line: n.Line, column: n.Column, path: b.String()}
	r.doc.add(p, fmt.Sprintf(format, args...), remedy)
}

func (r *reader) down(name string) { r.path = append(r.path, step{name: name}) }
func (r *reader) downTo(i int)     { r.path = append(r.path, step{index: i, isIndex: true}) }
func (r *reader) up()              { r.path = r.path[:len(r.path)-1] }

// value reads a node into v, and reports whether it could.
func (r *reader) value(n *yaml.Node, v reflect.Value, rules fieldRules) bool {
	if !r.ordinary(n) {
		return false
	}
	t := v.Type()
	switch {
	case r.isText(t):
		return r.text(n, v, rules)
	case t == durationType:
		return r.duration(n, v, rules)
	case t == sizeType:
		return r.size(n, v, rules)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return r.pointer(n, v, rules)
	case reflect.Struct:
		return r.mapping(n, v)
	case reflect.Slice:
		return r.list(n, v, rules)
	case reflect.Map:
		return r.textMap(n, v, rules)
	case reflect.Bool:
		return r.boolean(n, v)
	}
	return r.number(n, v, rules)
}

// ordinary refuses what YAML has beyond text, lists and mappings.
func (r *reader) ordinary(n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		r.refuse(n, "write the value out", "an alias (*%s) is not allowed", n.Value)
	case n.Anchor != "":
		r.refuse(n, "write the value out wherever it is needed", "an anchor (&%s) is not allowed", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		r.refuse(n, "remove the tag", "a tag (%s) is not allowed", n.Tag)
	case n.Kind == yaml.ScalarNode && isBlank(n):
		r.refuse(n, "write a value, or remove the line", "nothing is written here")
	default:
		return true
	}
	return false
}

func (r *reader) pointer(n *yaml.Node, v reflect.Value, rules fieldRules) bool {
	p := reflect.New(v.Type().Elem())
	if !v.IsNil() {
		p.Elem().Set(v.Elem()) // keeps defaults
	}
	ok := r.value(n, p.Elem(), rules)
	if ok || n.Kind == yaml.MappingNode {
		v.Set(p)
	}
	return ok
}

// mapping reads the fields of a struct.
func (r *reader) mapping(n *yaml.Node, v reflect.Value) bool {
	st := r.structs[v.Type()]
	if name, ok := r.short[v.Type()]; ok && n.Kind == yaml.ScalarNode {
		f := &st.fields[st.byName[name]]
		return r.value(n, v.FieldByIndex(f.index), f.rules)
	}
	if n.Kind != yaml.MappingNode {
		r.refuse(n, "write its fields: "+enumerate(st.names), "%s is where a mapping is expected", kind(n))
		return false
	}
	first := make([]*yaml.Node, len(st.fields)) // the key of each field, where given
	mistaken := make([]bool, len(st.fields))    // a misspelt key is near it
	ok := true
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		at, known := r.field(st, key, mistaken)
		if !known {
			ok = false
			continue
		}
		f := &st.fields[at]
		r.down(f.name)
		if first[at] != nil {
			ok = r.twice(key, first[at])
		} else {
			first[at] = key
			ok = r.value(val, v.FieldByIndex(f.index), f.rules) && ok
		}
		r.up()
	}
	return r.complete(n, st, first, mistaken) && ok
}

// field finds the field that a key names, or says that there is none.
func (r *reader) field(st *structType, key *yaml.Node, mistaken []bool) (int, bool) {
	if key.Kind == yaml.ScalarNode && key.Style&yaml.TaggedStyle == 0 && key.Anchor == "" {
		if at, ok := st.byName[key.Value]; ok {
			return at, true
		}
	}
	switch {
	case key.Kind != yaml.ScalarNode:
		r.report(key, "write the name of a field: "+enumerate(st.names), "%s is where a name is expected", kind(key))
	case key.Value == "<<" && key.Style == 0:
		r.report(key, "write the fields out", "a merge key (<<) is not allowed")
	case key.Anchor != "" || key.Style&yaml.TaggedStyle != 0:
		r.report(key, "write the name alone", "a name carries an anchor or a tag")
	default:
		if w := nearest(key.Value, st.names); w != "" {
			mistaken[st.byName[w]] = true
		}
		r.down(key.Value)
		r.report(key, "the fields here are "+enumerate(st.names), "unknown field%s", didYouMean(key.Value, st.names))
		if namesSecret(key.Value) {
			r.doc.errs[len(r.doc.errs)-1].Excerpt = ""
		}
		r.up()
	}
	return 0, false
}

// namesSecret reports whether an unknown field name suggests that its value is
// a secret: the author meant the field that takes a file, and the line must not
// reach a terminal or a log.
func namesSecret(field string) bool {
	field = strings.ToLower(field)
	return slices.ContainsFunc([]string{"pass", "secret", "token", "mot_de", "mdp"}, func(s string) bool { return strings.Contains(field, s) })
}

func (r *reader) twice(key, first *yaml.Node) bool {
	r.refuse(key, "keep one of the two", "given twice: first at line %d, column %d", first.Line, first.Column)
	return false
}

// complete refuses a struct whose required fields are not all there. A field
// that a misspelt key probably means is not reported as missing too.
func (r *reader) complete(n *yaml.Node, st *structType, first []*yaml.Node, mistaken []bool) bool {
	ok := true
	for i, f := range st.fields {
		if !f.rules.required || first[i] != nil || mistaken[i] || st.settled(i, first, mistaken) {
			continue
		}
		ok = false
		r.report(n, "add a line `"+f.name+": ...`", "the field %s is missing", f.name)
	}
	return ok
}

// settled reports whether the other field that may replace a field is given, or
// a misspelt one near it; or that its absence was reported already, when each
// of the two may replace the other.
func (st *structType) settled(i int, first []*yaml.Node, mistaken []bool) bool {
	other, ok := st.byName[st.fields[i].rules.unless]
	return ok && (first[other] != nil || mistaken[other] ||
		other < i && st.fields[other].rules.unless == st.fields[i].name)
}

func (r *reader) list(n *yaml.Node, v reflect.Value, rules fieldRules) bool {
	if n.Kind != yaml.SequenceNode {
		remedy := "start each item with a dash"
		if n.Kind == yaml.ScalarNode {
			remedy = "put it between brackets: [" + cut(n.Value) + "]"
		}
		r.refuse(n, remedy, "%s is where a list is expected", kind(n))
		return false
	}
	if rules.required && len(n.Content) == 0 {
		r.refuse(n, "give at least one item", "the list is empty")
		return false
	}
	s := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	ok := true
	for i, item := range n.Content {
		r.downTo(i)
		ok = r.value(item, s.Index(i), fieldRules{required: true, positive: rules.positive}) && ok
		r.up()
	}
	v.Set(s) // with holes where an item was refused: indexes stay those of the file
	return ok
}

// textMap reads a map whose keys are text.
func (r *reader) textMap(n *yaml.Node, v reflect.Value, rules fieldRules) bool {
	if n.Kind != yaml.MappingNode {
		r.refuse(n, "write one `name: value` a line", "%s is where a mapping is expected", kind(n))
		return false
	}
	if rules.required && len(n.Content) == 0 {
		r.refuse(n, "give at least one entry", "the mapping is empty")
		return false
	}
	m := reflect.MakeMapWithSize(v.Type(), len(n.Content)/2)
	first := map[string]*yaml.Node{}
	ok := true
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			ok = r.scalar(key)
			continue
		}
		r.down(key.Value)
		ok = r.entry(key, val, m, first) && ok
		r.up()
	}
	v.Set(m)
	return ok
}

func (r *reader) entry(key, val *yaml.Node, m reflect.Value, first map[string]*yaml.Node) bool {
	if key.Value == "<<" && key.Style == 0 {
		r.refuse(key, "write the entries out", "a merge key (<<) is not allowed")
		return false
	}
	k := reflect.New(m.Type().Key()).Elem()
	if !r.ordinary(key) || !r.text(key, k, fieldRules{required: true}) {
		return false
	}
	if before := first[k.String()]; before != nil {
		return r.twice(key, before)
	}
	first[k.String()] = key
	x := reflect.New(m.Type().Elem()).Elem()
	ok := r.value(val, x, fieldRules{required: true})
	m.SetMapIndex(k, x)
	return ok
}

// kind names what a node is, for people.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	return "the text " + quote(n.Value)
}
