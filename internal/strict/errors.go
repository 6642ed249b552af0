package strict

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// An Error is one thing that is wrong in a file.
type Error struct {
	File         string
	Line, Column int    // from 1; Column counts characters
	Path         string // "amcs[3].domaines[0]"; "" for the file as a whole
	Problem      string // what is wrong
	Remedy       string // what to do, or ""
	Excerpt      string // the line, and a caret under the place; two lines, or ""
}

// Error writes the error on one line, without the excerpt.
func (e Error) Error() string {
	s := e.headline()
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

func (e Error) headline() string {
	s := fmt.Sprintf("%s:%d:%d: ", e.File, e.Line, e.Column)
	if e.Path != "" {
		s += e.Path + ": "
	}
	return s + e.Problem
}

// Long writes the error on several lines: what and where, the excerpt with its
// caret, and what to do.
func (e Error) Long() string {
	s := e.headline()
	if e.Excerpt != "" {
		s += "\n" + e.Excerpt
	}
	if e.Remedy != "" {
		s += "\n      = " + e.Remedy
	}
	return s
}

// Errors is everything that is wrong in a file, in the order of the file.
type Errors []Error

// maxPrinted is how many errors are written out: a person reads no more, and
// a log line stays bounded.
const maxPrinted = 100

// Error writes every error in its long form, the first 100 of them.
func (l Errors) Error() string {
	var b strings.Builder
	for i, e := range l {
		if i == maxPrinted {
			fmt.Fprintf(&b, "\n... and %d more errors", len(l)-i)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.Long())
	}
	return b.String()
}

func (l Errors) sort() {
	slices.SortStableFunc(l, func(a, b Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}

// excerptWidth is how much of a long line is shown, in characters.
const excerptWidth = 100

// excerpt shows a line and a caret under its column; "" when there is no such
// line or nothing on it.
func excerpt(lines []string, line, column int) string {
	if line < 1 || line > len(lines) || strings.TrimSpace(lines[line-1]) == "" {
		return ""
	}
	text := []rune(printable(lines[line-1]))
	at := min(max(column-1, 0), len(text))
	from := 0
	if at > excerptWidth*3/4 {
		from = at - excerptWidth/2
	}
	to := min(len(text), from+excerptWidth)
	lead, tail := "", ""
	if from > 0 {
		lead = "..."
	}
	if to < len(text) {
		tail = "..."
	}
	pad := strings.Repeat(" ", len(lead)+at-from)
	shown := strings.TrimRight(lead+string(text[from:to])+tail, " ")
	return fmt.Sprintf("%5d | %s\n      | %s^", line, shown, pad)
}

// printable replaces what would break a terminal or the caret's alignment.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == utf8.RuneError || !strconv.IsPrint(r):
			return '?'
		}
		return r
	}, strings.TrimPrefix(s, "\ufeff"))
}

// splitLines cuts at the line breaks of YAML.
func splitLines(data []byte) []string {
	s := strings.ReplaceAll(string(data), "\r\n", "\n")
	s = strings.ReplaceAll(s, "\r", "\n")
	return strings.Split(s, "\n")
}

// maxQuoted is how much of a value an error quotes, in characters.
const maxQuoted = 60

// quote quotes a value for an error: escaped, cut when long.
func quote(s string) string {
	r := []rune(s)
	if len(r) > maxQuoted {
		return strconv.Quote(string(r[:maxQuoted])) + "..."
	}
	return strconv.Quote(s)
}

// enumerate writes "a, b or c".
func enumerate(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
