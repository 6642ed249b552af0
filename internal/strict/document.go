package strict

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Decode reads data, one YAML document, into the struct that into points to.
// The error is an [Errors] holding everything that is wrong. Fields that the
// file does not give keep the value they had.
func Decode(file string, data []byte, into any, opts ...Option) error {
	return Read(file, data, into, opts...).Err()
}

// A Document is a file that was read. It remembers the position of each value,
// so that rules about the meaning of values can be refused at their position.
// It is for one goroutine.
type Document struct {
	file  string
	lines []string
	root  *yaml.Node // nil: not readable as YAML
	errs  Errors
	warns Errors
	fault error // a mistake of the program

	refused map[*yaml.Node]bool // values refused while decoding
}

// Read reads like [Decode], and returns the document, with its errors inside,
// for more checks with At and Refuse. A value that could not be read is left
// as it was in into, and a second refusal of the same value is dropped: checks
// need not care whether decoding succeeded.
func Read(file string, data []byte, into any, opts ...Option) *Document {
	d := &Document{file: file, lines: splitLines(data), refused: map[*yaml.Node]bool{}}
	r := newReader(d, opts)
	v, err := r.target(into)
	if err != nil {
		d.fault = err
		return d
	}
	d.root = d.parse(data)
	if d.root == nil {
		return d
	}
	r.value(d.root, v, fieldRules{})
	return d
}

// Err returns everything that was refused, in the order of the file, as an
// [Errors], or nil.
func (d *Document) Err() error {
	if d.fault != nil {
		return d.fault
	}
	if len(d.errs) == 0 {
		return nil
	}
	d.errs.sort()
	return d.errs
}

// Readable reports whether the file could be read as YAML at all. When it
// could not, checks on the content are pointless.
func (d *Document) Readable() bool { return d.fault == nil && d.root != nil }

// A Position is where a value is in a document.
type Position struct {
	file         string
	line, column int
	path         string
	node         *yaml.Node
}

// Line is the line of the value, from 1.
func (p Position) Line() int { return p.line }

// String writes the position as file:line:column.
func (p Position) String() string { return fmt.Sprintf("%s:%d:%d", p.file, p.line, p.column) }

// At returns the position of a value: names of fields and indexes of lists,
// from the top: At("amcs", 3, "domaines", 0). If the file does not go that
// deep, it is the position of the innermost value that exists.
func (d *Document) At(path ...any) Position {
	n := d.root
	var b strings.Builder
	for _, step := range path {
		switch s := step.(type) {
		case int:
			writeIndex(&b, s)
		case string:
			writeName(&b, s)
		default:
			writeName(&b, fmt.Sprint(s))
		}
		if c := child(n, step); c != nil {
			n = c
		}
	}
	p := Position{file: d.file, line: 1, column: 1, path: b.String(), node: n}
	if n != nil {
		p.line, p.column = n.Line, n.Column
	}
	return p
}

// Refuse adds an error at a place: what is wrong (format and args), and what
// to do about it (remedy; "" when the problem says it). It is dropped when
// that very value was already refused while decoding.
func (d *Document) Refuse(p Position, remedy, format string, args ...any) {
	if p.node == nil || d.refused[p.node] {
		return
	}
	d.add(p, fmt.Sprintf(format, args...), remedy)
}

// Warn notes at a place what is allowed and looks wrong: what Refuse takes. A
// value that was refused is not warned about.
func (d *Document) Warn(p Position, remedy, format string, args ...any) {
	if p.node == nil || d.refused[p.node] {
		return
	}
	e := Error{File: d.file, Line: p.line, Column: p.column, Path: p.path, Problem: fmt.Sprintf(format, args...), Remedy: remedy}
	if p.node != d.root { // else it is about a line that is not there
		e.Excerpt = excerpt(d.lines, p.line, p.column)
	}
	d.warns = append(d.warns, e)
}

// Warnings are those of Warn, in the order of the file.
func (d *Document) Warnings() Errors {
	d.warns.sort()
	return d.warns
}

// RefuseSecret is Refuse without the excerpt: for a value that may hold a
// secret, which must not reach a terminal or a log. Nor may the message.
func (d *Document) RefuseSecret(p Position, remedy, format string, args ...any) {
	before := len(d.errs)
	d.Refuse(p, remedy, format, args...)
	for i := before; i < len(d.errs); i++ {
		d.errs[i].Excerpt = ""
	}
}

func (d *Document) add(p Position, problem, remedy string) {
	d.errs = append(d.errs, Error{
		File: d.file, Line: p.line, Column: p.column, Path: p.path,
		Problem: problem, Remedy: remedy, Excerpt: excerpt(d.lines, p.line, p.column),
	})
}

// child returns the value of a key or of an index of n, or nil.
func child(n *yaml.Node, step any) *yaml.Node {
	if n == nil {
		return nil
	}
	switch s := step.(type) {
	case int:
		if n.Kind == yaml.SequenceNode && s >= 0 && s < len(n.Content) {
			return n.Content[s]
		}
	default:
		if n.Kind != yaml.MappingNode {
			return nil
		}
		name := reflect.ValueOf(step)
		if name.Kind() != reflect.String {
			return nil
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name.String() {
				return n.Content[i+1]
			}
		}
	}
	return nil
}

func writeIndex(b *strings.Builder, i int) {
	b.WriteByte('[')
	b.WriteString(strconv.Itoa(i))
	b.WriteByte(']')
}

func writeName(b *strings.Builder, s string) {
	if b.Len() > 0 {
		b.WriteByte('.')
	}
	if len(s) > maxQuoted || strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) || r == ' ' || r == '.' }) {
		s = quote(s)
	}
	b.WriteString(s)
}
