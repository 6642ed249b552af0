package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// parse reads the text as exactly one YAML document and returns its top value,
// or nil after having said why not.
func (d *Document) parse(data []byte) *yaml.Node {
	if line, column, problem := firstBadText(data); problem != "" {
		d.broken(line, column, problem, "save the file as UTF-8 text, without control characters")
		return nil
	}
	docs, err := documents(data)
	if err != nil {
		d.syntax(err)
		return nil
	}
	if len(docs) == 0 || len(docs[0].Content) == 0 || isBlank(docs[0].Content[0]) && len(docs) == 1 {
		d.broken(1, 1, "the file is empty", "write at least the required fields")
		return nil
	}
	if len(docs) > 1 {
		d.broken(docs[1].Line, docs[1].Column, "a second document starts here", "keep one document per file: remove this --- or ... line and what follows")
		return nil
	}
	return docs[0].Content[0]
}

// documents loads every document of the text as nodes.
func documents(data []byte) (docs []yaml.Node, err error) {
	defer func() { // the file is untrusted, and the YAML reader large
		if p := recover(); p != nil {
			err = fmt.Errorf("the YAML reader gave up: %v", p)
		}
	}()
	l, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	for len(docs) < 2 {
		var n yaml.Node
		if err := l.Load(&n); err != nil {
			if errors.Is(err, io.EOF) {
				return docs, nil
			}
			return nil, err
		}
		docs = append(docs, n)
	}
	return docs, nil
}

// syntax reports an error of the YAML reader, in our words where it has common
// causes.
func (d *Document) syntax(err error) {
	line, column, problem := 1, 1, err.Error()
	var le *yaml.LoadError
	if errors.As(err, &le) {
		line, column, problem = le.Mark.Line, le.Mark.Column, le.Message
		if le.ContextMsg != "" {
			problem = le.ContextMsg + ", " + problem
		}
		if strings.Contains(le.ContextMsg, "quoted scalar") || strings.Contains(le.ContextMsg, "flow") {
			line, column = le.ContextMark.Line, le.ContextMark.Column
		}
	}
	line, column = max(line, 1), max(column, 1)
	if l, c, ok := tabIndent(d.lines, line); ok {
		d.broken(l, c, "a tab is in the indentation", "YAML is indented with spaces only")
		return
	}
	d.broken(line, column, "not readable as YAML: "+problem, syntaxRemedy(problem))
}

func syntaxRemedy(problem string) string {
	switch {
	case strings.Contains(problem, "quoted scalar"):
		return "close the quote that opens here"
	case strings.Contains(problem, "flow sequence"):
		return "close the list that opens here with ], and separate its items with commas"
	case strings.Contains(problem, "flow mapping"):
		return "close the mapping that opens here with }, and separate its fields with commas"
	case strings.Contains(problem, "mapping values are not allowed"):
		return "quote the text that holds a colon, or check the indentation"
	case strings.Contains(problem, "unknown anchor"):
		return "anchors and aliases are not used here: write the value out, or quote a text that starts with *"
	case strings.Contains(problem, "cannot start any token"):
		return "quote the text that starts with this character"
	}
	return "check the indentation and the quotes around this line"
}

// broken reports an error of the file as a whole.
func (d *Document) broken(line, column int, problem, remedy string) {
	d.add(Position{file: d.file, line: line, column: column}, problem, remedy)
}

// tabIndent finds a tab in the indentation of the line or of one just before.
func tabIndent(lines []string, line int) (int, int, bool) {
	for l := min(line, len(lines)); l >= max(1, line-1); l-- {
		text := lines[l-1]
		indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
		if i := strings.IndexByte(indent, '\t'); i >= 0 && len(indent) < len(text) {
			return l, i + 1, true
		}
	}
	return 0, 0, false
}

// firstBadText finds the first byte that is not UTF-8, or a control character.
func firstBadText(data []byte) (line, column int, problem string) {
	line, column = 1, 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && size == 1:
			return line, column, "this byte is not UTF-8"
		case r < ' ' && r != '\n' && r != '\r' && r != '\t', r == 0x7f:
			return line, column, fmt.Sprintf("a control character (0x%02X) is here", r)
		case r == '\n':
			line, column = line+1, 1
		default:
			column++
		}
		data = data[size:]
	}
	return 0, 0, ""
}

func isBlank(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "" && n.Style == 0 && n.Anchor == ""
}
