// Package reconcile compares what an establishment or an insurer has counted
// itself with the sealed trace: what one side has and the other has not, by day
// and service.
package reconcile

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
)

// How much is read of a file, and how many of its errors are given.
const (
	MostBytes  = 256 << 20
	mostLine   = 64 << 10
	mostErrors = 20
	mostText   = 100 // of a cell, in an error
)

// A Claim is what the other side hands in: a count, or a list.
type Claim struct {
	Counts map[Cell]int64 // of a count; nil: it is a list
	Lines  []Line         // of a list
}

// A Cell is a day, in Paris, and a service.
type Cell struct {
	Day     string      // "2026-11-23"
	Service roc.Service // roc.NoService: refused before it was known
}

// A Line is one exchange of a list. It has one id at least.
type Line struct {
	Number    int // in the file, from 1
	ID        roc.ExchangeID
	MessageID string
	Day       string      // ""; not given
	Service   roc.Service // roc.NoService: not given
}

// Errors is everything that is wrong in a file, a line each.
type Errors []string

func (e Errors) Error() string { return strings.Join(e, "\n") }

// columns are the names that a column may have.
var columns = map[string]string{
	"jour": "jour", "date": "jour", "instant": "jour", "service": "service", "echanges": "echanges", "échanges": "echanges", "nombre": "echanges",
	"echange": "echange", "échange": "echange", "rpn-echange": "echange", "message_id": "message_id", "messageid": "message_id",
}

// Read reads a CSV: its first line names the columns, separated by ; or , and a
// mark of UTF-8 may stand before them. A count has jour, service and echanges, and
// its service is empty or - for exchanges that were refused before their service
// was known; a list has echange or message_id, and may have jour and service. Other
// columns are not read. The error is Errors, or that of the file.
func Read(file io.Reader) (*Claim, error) {
	data, err := lines(file)
	if err != nil {
		return nil, err
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	r := &reader{csv: csv.NewReader(bytes.NewReader(data)), at: map[string]int{}}
	if !utf8.Valid(data) {
		return nil, Errors{fmt.Sprintf("ligne %d : le fichier n'est pas en UTF-8 : enregistrez-le en « CSV UTF-8 »", lineOfBadByte(data))}
	}
	head, _, _ := bytes.Cut(data, []byte("\n"))
	r.csv.Comma = ';'
	if bytes.Count(head, []byte(",")) > bytes.Count(head, []byte(";")) {
		r.csv.Comma = ','
	}
	r.csv.FieldsPerRecord, r.csv.ReuseRecord = -1, true
	if !r.head() {
		return nil, r.errs
	}
	c := r.rows()
	if len(r.errs) > 0 {
		return nil, r.errs
	}
	return c, nil
}

// lines reads a file, and nothing behind a line that is too long. One that goes on
// inside quotes is one line: the cells that it may have are bounded too.
func lines(file io.Reader) ([]byte, error) {
	r := bufio.NewReaderSize(file, mostLine)
	var data []byte
	begins, line, quoted := 0, 1, false
	for number := 1; ; number++ {
		part, err := r.ReadSlice('\n')
		data = append(data, part...)
		if bytes.Count(part, []byte{'"'})%2 == 1 {
			quoted = !quoted
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull) || len(data)-begins > mostLine:
			return nil, Errors{fmt.Sprintf("ligne %d : plus de %d Kio : un guillemet y est peut-être ouvert, ou des fins de ligne manquent", line, mostLine>>10)}
		case len(data) > MostBytes:
			return nil, Errors{fmt.Sprintf("ligne %d : le fichier dépasse %d Mio : donnez une période plus courte", number, MostBytes>>20)}
		case errors.Is(err, io.EOF):
			return data, nil
		case err != nil:
			return nil, err
		}
		if !quoted {
			begins, line = len(data), number+1
		}
	}
}

func lineOfBadByte(data []byte) int {
	for i := 0; i < len(data); {
		_, n := utf8.DecodeRune(data[i:])
		if n == 1 && data[i] >= utf8.RuneSelf {
			return 1 + bytes.Count(data[:i], []byte("\n"))
		}
		i += n
	}
	return 1
}

type reader struct {
	csv  *csv.Reader
	at   map[string]int // column by name
	row  []string
	line int
	errs Errors
}

func (r *reader) refuse(format string, args ...any) {
	switch {
	case len(r.errs) < mostErrors:
		r.errs = append(r.errs, fmt.Sprintf("ligne %d : ", r.line)+fmt.Sprintf(format, args...))
	case len(r.errs) == mostErrors:
		r.errs = append(r.errs, "et d'autres erreurs plus loin")
	}
}

// next reads a line that holds anything; false: there is none, or no way to go on.
func (r *reader) next() bool {
	for len(r.errs) <= mostErrors {
		row, err := r.csv.Read()
		if errors.Is(err, io.EOF) {
			return false
		}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			r.line = bad.Line
			r.refuse("guillemets mal placés (colonne %d) : un texte entre guillemets se ferme, et double les siens", bad.Column)
			return false
		}
		if err != nil {
			r.refuse("le fichier ne se lit pas : %v", err)
			return false
		}
		r.line, _ = r.csv.FieldPos(0)
		if slices.ContainsFunc(row, func(s string) bool { return strings.TrimSpace(s) != "" }) {
			r.row = row
			return true
		}
	}
	return false
}

// head reads the names of the columns.
func (r *reader) head() bool {
	if !r.next() {
		if len(r.errs) == 0 {
			r.line = 1
			r.refuse("le fichier est vide : sa première ligne nomme les colonnes")
		}
		return false
	}
	for i, name := range r.row {
		known, ok := columns[strings.ToLower(strings.TrimSpace(name))]
		if !ok {
			continue
		}
		if _, twice := r.at[known]; twice {
			r.refuse("deux colonnes sont la colonne %s : gardez-en une", known)
			return false
		}
		r.at[known] = i
	}
	count := r.has("jour") && r.has("service") && r.has("echanges")
	if list := r.has("echange") || r.has("message_id"); !count && !list {
		r.refuse("il manque des colonnes : un compte a jour, service et echanges ; une liste a echange ou message_id")
		return false
	}
	return true
}

func (r *reader) has(column string) bool { _, ok := r.at[column]; return ok }

func (r *reader) cell(column string) string {
	i, ok := r.at[column]
	if !ok || i >= len(r.row) {
		return ""
	}
	return strings.TrimSpace(r.row[i])
}

// rows reads what follows.
func (r *reader) rows() *Claim {
	c := &Claim{}
	list := r.has("echange") || r.has("message_id")
	if !list {
		c.Counts = map[Cell]int64{}
	}
	for r.next() {
		cell := Cell{r.day(!list), r.service()}
		if !list {
			r.count(c, cell)
			continue
		}
		l := Line{Number: r.line, ID: roc.ExchangeID(r.uuid("echange")), MessageID: r.uuid("message_id"), Day: cell.Day, Service: cell.Service}
		if l.ID == "" && l.MessageID == "" {
			r.refuse("ni echange ni message_id")
			continue
		}
		c.Lines = append(c.Lines, l)
	}
	return c
}

func (r *reader) count(c *Claim, cell Cell) {
	text := strings.NewReplacer(" ", "", "\u00a0", "", "\u202f", "").Replace(r.cell("echanges"))
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		r.refuse("echanges : %s n'est pas un nombre entier", quoted(text))
		return
	}
	if _, twice := c.Counts[cell]; twice {
		r.refuse("%s %s est déjà plus haut : une ligne par jour et par service", cell.Day, cmp.Or(cell.Service.String(), "-"))
		return
	}
	c.Counts[cell] = n
}

// day reads 2026-11-23, 23/11/2026, or an instant, whose day is that of Paris.
func (r *reader) day(needed bool) string {
	text := r.cell("jour")
	if text == "" && !needed {
		return ""
	}
	for _, form := range []string{"2006-01-02", "02/01/2006"} {
		if t, err := time.Parse(form, text); err == nil && t.Year() > 0 {
			return t.Format(time.DateOnly)
		}
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return dayOf(t)
	}
	r.refuse("jour : %s n'est pas un jour : écrivez 2026-11-23 ou 23/11/2026", quoted(text))
	return ""
}

func dayOf(t time.Time) string { return t.In(store.Paris).Format(time.DateOnly) }

func (r *reader) service() roc.Service {
	text := r.cell("service")
	if text == "" || text == "-" {
		return roc.NoService
	}
	s, err := roc.ParseService(strings.ToUpper(text))
	if err != nil {
		r.refuse("service : %s n'en est pas un : écrivez %s, ou - s'il n'est pas connu", quoted(text), roc.OneOf(roc.Services))
	}
	return s
}

// uuid reads an id, in any of its usual forms.
func (r *reader) uuid(column string) string {
	text := strings.ToLower(r.cell(column))
	text = strings.TrimPrefix(strings.TrimPrefix(text, "urn:"), "uuid:")
	if text != "" && !roc.IsUUID(text) {
		r.refuse("%s : %s n'est pas un identifiant : 8-4-4-4-12 chiffres hexadécimaux", column, quoted(text))
		return ""
	}
	return text
}

// quoted shows a cell in an error, cut short.
func quoted(s string) string {
	if r := []rune(s); len(r) > mostText {
		s = string(r[:mostText]) + "..."
	}
	return strconv.Quote(s)
}
