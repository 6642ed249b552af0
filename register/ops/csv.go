package ops

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/piano-roc/rpn/internal/strict"
)

// A File is a file that was read, with the name used in errors.
type File struct {
	Name string
	Data []byte
}

// A table is a CSV file being read: rows by the names of their columns, and
// everything that is wrong in it.
type table struct {
	name    string
	r       *csv.Reader
	columns map[string]int // by name; set by the header
	row     []string
	errs    strict.Errors
	next    []string // a row already read
}

func openTable(f File) *table {
	text := decode(f.Data)
	t := &table{name: f.Name, r: csv.NewReader(bytes.NewReader(text))}
	t.r.Comma = separator(text)
	t.r.FieldsPerRecord = -1
	t.r.LazyQuotes = true // the extract quotes nothing, and names hold quotes
	return t
}

// decode returns the text in UTF-8, without a byte order mark. A file that is
// not UTF-8 is ISO-8859-1, or what Windows makes of it.
func decode(b []byte) []byte {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if utf8.Valid(b) {
		return b
	}
	out := make([]byte, 0, len(b)+len(b)/16)
	for _, c := range b {
		r := rune(c)
		if c >= 0x80 && c < 0xa0 {
			r = windows1252[c-0x80]
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// windows1252 is what Windows has where ISO-8859-1 has control characters.
var windows1252 = [32]rune{
	'€', utf8.RuneError, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', utf8.RuneError, 'Ž', utf8.RuneError,
	utf8.RuneError, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', utf8.RuneError, 'ž', 'Ÿ',
}

// separator is the one of ; , and tab that the first line holds most.
func separator(text []byte) rune {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	best, count := ';', bytes.Count(line, []byte(";"))
	for _, c := range ",\t" {
		if n := bytes.Count(line, []byte(string(c))); n > count {
			best, count = c, n
		}
	}
	return best
}

// read goes to the next row that holds anything, and reports whether there is
// one.
func (t *table) read() bool {
	if t.next != nil {
		t.row, t.next = t.next, nil
		return true
	}
	for {
		row, err := t.r.Read()
		if errors.Is(err, io.EOF) {
			return false
		}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			t.errs = append(t.errs, strict.Error{File: t.name, Line: bad.Line, Column: bad.Column, Problem: bad.Err.Error(), Remedy: "check the quotes of this line"})
			return false // the rest of the file cannot be separated into values
		}
		if err != nil {
			t.errs = append(t.errs, strict.Error{File: t.name, Line: 1, Column: 1, Problem: err.Error()})
			return false
		}
		if slices.ContainsFunc(row, func(s string) bool { return strings.TrimSpace(s) != "" }) {
			t.row = row
			if first, last := t.line(0), t.line(len(row)-1); first != last {
				t.refuse("", `close the quote, or write "" for a quote inside quotes`, "a quote opens on this line and is not closed on it")
			}
			return true
		}
	}
}

// again makes the next read give the row of this one.
func (t *table) again() { t.next = t.row }

// header takes the current row as the names of the columns, and refuses a
// table that lacks one of those needed.
func (t *table) header(needed ...string) {
	t.columns = map[string]int{}
	for i, name := range t.row {
		name = columnName(name)
		if _, twice := t.columns[name]; twice && name != "" {
			t.refuseAt(i, name, "keep one of the two", "two columns have this name")
			continue
		}
		t.columns[name] = i
	}
	for _, n := range needed {
		if _, ok := t.columns[n]; !ok {
			t.refuseAt(0, "", "name the columns on the first line: "+strings.Join(needed, ", ")+" are needed", "the column %s is missing", n)
		}
	}
}

func columnName(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// unread lists the columns that nobody asks for.
func (t *table) unread(known ...string) []string {
	var names []string
	for name := range t.columns {
		if name != "" && !slices.Contains(known, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// get returns a value of the row, "" when the row or the table has none.
func (t *table) get(column string) string {
	i, ok := t.columns[column]
	if !ok || i >= len(t.row) {
		return ""
	}
	return strings.TrimSpace(t.row[i])
}

// refuse adds an error at a value of the current row; column "" is the row.
func (t *table) refuse(column, remedy, format string, args ...any) {
	i, ok := t.columns[column]
	if !ok || i >= len(t.row) {
		i = 0
	}
	t.refuseAt(i, column, remedy, format, args...)
}

func (t *table) refuseAt(i int, column, remedy, format string, args ...any) {
	line, at := t.r.FieldPos(i)
	t.errs = append(t.errs, strict.Error{File: t.name, Line: line, Column: at, Path: column, Problem: fmt.Sprintf(format, args...), Remedy: remedy})
}

func (t *table) line(i int) int {
	line, _ := t.r.FieldPos(i)
	return line
}

// parse reads a value of the row; an empty one is the zero value. A bad one is
// refused.
func parse[T any](t *table, column string, read func(string) (T, error), example string) (v T) {
	s := t.get(column)
	if s == "" {
		return v
	}
	v, err := read(s)
	if err != nil {
		t.refuse(column, "write it like "+example, "%.60q: %v", s, err)
	}
	return v
}

// need is parse for a value that must be there.
func need[T any](t *table, column string, read func(string) (T, error), example string) (v T) {
	if t.get(column) == "" {
		t.refuse(column, "write it like "+example, "the value of %s is missing", column)
		return v
	}
	return parse(t, column, read, example)
}

// err returns everything that was refused, or nil.
func (t *table) err() error {
	if len(t.errs) == 0 {
		return nil
	}
	return t.errs
}
