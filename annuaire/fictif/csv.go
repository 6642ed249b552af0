package fictif

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/roc"
)

// ParseCSV reads rows separated by ';' under a header line that names the
// columns, in any order; a column that is not needed may be left out. The
// error is a joined one: everything that is wrong, each with file and line.
func ParseCSV(file string, data []byte) (*Rows, error) {
	c := csvFile{name: file, said: claims{}, r: csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))}
	c.r.Comma, c.r.ReuseRecord, c.r.FieldsPerRecord = ';', true, -1
	if err := c.header(); err != nil {
		return nil, err
	}
	for {
		record, err := c.r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, c.unreadable(err)
		}
		c.line(record)
	}
	if len(c.errs) > 0 {
		return nil, errors.Join(c.errs...)
	}
	if len(c.rows) == 0 {
		return nil, fmt.Errorf("%s: no row under the header", file)
	}
	return index(c.rows), nil
}

type csvFile struct {
	name    string
	r       *csv.Reader
	columns []string
	rows    []Row
	lines   []int // where each row stands
	said    claims
	errs    []error
}

func (c *csvFile) unreadable(err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return fmt.Errorf("%s:%d: %w", c.name, p.Line, p.Err)
	}
	return fmt.Errorf("%s: %w", c.name, err)
}

func (c *csvFile) refuse(line int, format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("%s:%d: %s", c.name, line, fmt.Sprintf(format, args...)))
}

func (c *csvFile) header() error {
	record, err := c.r.Read()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: empty; the first line names the columns: %s", c.name, strings.Join(columns, ";"))
	}
	if err != nil {
		return c.unreadable(err)
	}
	c.columns = slices.Clone(record)
	for i, name := range c.columns {
		if !slices.Contains(columns, name) {
			c.refuse(1, "unknown column %q: the columns are %s", name, strings.Join(columns, ";"))
		} else if slices.Contains(c.columns[:i], name) {
			c.refuse(1, "column %s stands twice", name)
		}
	}
	for _, name := range []string{"numero_amc", "nom", "debut", "fin"} {
		if !slices.Contains(c.columns, name) {
			c.refuse(1, "column %s is missing", name)
		}
	}
	return errors.Join(c.errs...)
}

func (c *csvFile) line(record []string) {
	at, _ := c.r.FieldPos(0)
	if len(record) != len(c.columns) {
		c.refuse(at, "%d fields under %d columns", len(record), len(c.columns))
		return
	}
	row, before := Row{ROC: true}, len(c.errs)
	for i, text := range record {
		if err := row.set(c.columns[i], text); err != nil {
			c.refuse(at, "%s: %s", c.columns[i], err)
		}
	}
	if len(c.errs) > before {
		return
	}
	if field, problem := row.complete(); problem != "" {
		c.refuse(at, "%s: %s", field, problem)
		return
	}
	c.rows, c.lines = append(c.rows, row), append(c.lines, at)
	if twin := c.said.add(c.rows, len(c.rows)-1); twin >= 0 {
		c.refuse(at, "this row says the same as the one of line %d; remove one of them, or make their days differ", c.lines[twin])
	}
}

// set reads one field; an empty one is left as it is, unless it is required.
func (r *Row) set(column, text string) (err error) {
	if text == "" {
		switch column {
		case "numero_amc", "nom", "debut", "fin":
			return errors.New("is required")
		}
		return nil
	}
	switch column {
	case "numero_amc":
		r.AMC, err = roc.ParseNumeroAMC(text)
	case "nom":
		r.Nom = text
	case "roc":
		r.ROC, err = parseBool(text)
	case "convention":
		r.Convention, err = roc.ParseConvention(text)
	case "csr":
		r.CSR, err = annuaire.ParseCSRPattern(text)
	case "domaine":
		r.Domaine, err = roc.ParseDomaine(text)
	case "service":
		r.Service = text
	case "version":
		r.Version = text
	case "url":
		r.URL = text
	case "mel":
		r.MEL = text
	case "debut":
		r.Debut, err = ParseDay(text)
	case "fin":
		r.Fin, err = ParseDay(text)
	}
	return err
}

func parseBool(s string) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errors.New("is true or false")
}
