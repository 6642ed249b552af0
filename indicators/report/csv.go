package report

import (
	"bufio"
	"io"
	"strconv"
	"strings"
)

// A csvWriter writes CSV as a French spreadsheet opens it: semicolons, CRLF,
// UTF-8 with its mark, decimal comma.
type csvWriter struct {
	w   *bufio.Writer
	err error
}

func newCSV(w io.Writer) *csvWriter {
	c := &csvWriter{w: bufio.NewWriter(w)}
	c.write("\uFEFF")
	return c
}

func (c *csvWriter) write(s string) {
	if c.err == nil {
		_, c.err = c.w.WriteString(s)
	}
}

// row writes one line of cells that are written already as they stand.
func (c *csvWriter) row(cells ...string) {
	c.write(strings.Join(cells, ";") + "\r\n")
}

func (c *csvWriter) end() error {
	if c.err == nil {
		c.err = c.w.Flush()
	}
	return c.err
}

// text is a cell of text. One that a spreadsheet would take for a formula gets
// an apostrophe: a name in the register may come from outside.
func text(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '\r' || r == '\n' || r == '\t' || r == 0 {
			return ' '
		}
		return r
	}, s)
	if s != "" && strings.ContainsRune("=+-@", rune(s[0])) && s != "-" {
		s = "'" + s
	}
	if strings.ContainsAny(s, `;"`) {
		s = `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	return s
}

// digits is a number that is a name, such as a FINESS: a formula of our own
// keeps its zeros in a spreadsheet. What is not made of digits is text.
func digits(s string) string {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return text(s)
	}
	return `"=""` + s + `"""`
}

// number is a value of a unit, with a decimal comma; "" when it is not known.
func number(u Unit, v float64, known bool) string {
	if !known {
		return ""
	}
	decimals := 0
	switch u {
	case Share, PerOther:
		decimals = 4
	case Seconds, PerSecond:
		decimals = 3
	}
	return strings.Replace(strconv.FormatFloat(v, 'f', decimals, 64), ".", ",", 1)
}
