package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Query asks for figures. Zero fields ask for all.
type Query struct {
	Grain      Grain
	From, To   time.Time         // the periods that begin from From on and before To
	Structures []roc.StructureID // of one of them: those of an establishment are all that its certificates may carry
	AMC        roc.NumeroAMC
	Service    roc.Service
	Version    roc.Version

	// NoDurations leaves the durations out, which cost most.
	NoDurations bool

	// By keeps apart what is asked for by nothing else: one row for each.
	By []Dimension
}

// A Dimension is a column of the answer.
type Dimension string

// The dimensions.
const (
	ByPeriod    Dimension = "begins"
	ByStructure Dimension = "structure"
	ByAMC       Dimension = "amc"
	ByService   Dimension = "service"
	ByVersion   Dimension = "version"
	ByCode      Dimension = "code"
	ByOwner     Dimension = "owner"
)

// A Row is one line of an answer: the fields of the Cell that were asked for,
// the others zero, and their counts.
type Row struct {
	Cell
	Counts
}

// Figures sums the cells that a query asks for, in the order of their key.
func (s *Store) Figures(ctx context.Context, q Query) ([]Row, error) {
	by := map[Dimension]bool{}
	for _, d := range q.By {
		by[d] = true
	}
	apartStructure, apartAMC := len(q.Structures) > 0 || by[ByStructure], q.AMC != "" || by[ByAMC]
	f := rowFilter{kind: byDay}
	switch {
	case apartStructure && apartAMC:
		f.kind = pairs
	case q.Grain == Hour:
		f.kind = byHour
	}
	// The sum over all is a row of its own, where nothing asks for its parts.
	f.side("structure", texts(q.Structures), apartStructure)
	var amcs []string
	if q.AMC != "" {
		amcs = []string{string(q.AMC)}
	}
	f.side("amc", amcs, apartAMC)
	from := q.From
	if f.kind == pairs && !from.IsZero() {
		from = Day.Begin(from) // the row is of a day, whatever the grain
	}
	f.period(from, q.To)
	sum := newAdder()
	err := s.packs(ctx, &f, !q.NoDurations, !by[ByPeriod], func(k packKey, e entry) {
		c := Cell{Grain: q.Grain, Begin: k.begins, Structure: k.structure, AMC: k.amc, Service: e.service, Version: e.version}
		if q.Grain == Hour {
			c.Begin += int64(e.slot) * 3600
		}
		if q.Service != roc.NoService && q.Service != c.Service || q.Version != roc.NoVersion && q.Version != c.Version ||
			!q.From.IsZero() && c.Begin < q.From.Unix() || !q.To.IsZero() && c.Begin >= q.To.Unix() {
			return
		}
		c.Code, c.Owner = endOf(e.code), owners[min(int(e.owner), len(owners)-1)]
		sum.add(c.only(by), e.Counts)
	})
	if err != nil {
		return nil, err
	}
	sum.close()
	rows := make([]Row, 0, len(sum.cells))
	for c, n := range sum.cells {
		rows = append(rows, Row{c, *n})
	}
	slices.SortFunc(rows, func(x, y Row) int { return x.compare(&y.Cell) })
	return rows, nil
}

func (c *Cell) compare(o *Cell) int {
	return cmp.Or(cmp.Compare(c.Structure, o.Structure), cmp.Compare(c.AMC, o.AMC), cmp.Compare(c.Begin, o.Begin),
		cmp.Compare(c.Service, o.Service), cmp.Compare(c.Version, o.Version), cmp.Compare(c.Code, o.Code), cmp.Compare(c.Owner, o.Owner))
}

// A rowFilter says which rows are read.
type rowFilter struct {
	kind  kind
	where []string
	args  []any
}

func (f *rowFilter) ask(column, op string, v any) {
	f.args = append(f.args, v)
	f.where = append(f.where, fmt.Sprintf("%s %s $%d", column, op, len(f.args)))
}

func texts(ids []roc.StructureID) (list []string) {
	for _, id := range ids {
		list = append(list, string(id))
	}
	return list
}

func (f *rowFilter) side(column string, values []string, apart bool) {
	switch {
	case len(values) > 0:
		f.in(column, values)
	case apart:
		f.ask(column, "<>", "")
	default:
		f.ask(column, "=", "")
	}
}

// in asks for one of some values.
func (f *rowFilter) in(column string, values []string) {
	var marks []string
	for _, v := range values {
		f.args = append(f.args, v)
		marks = append(marks, fmt.Sprintf("$%d", len(f.args)))
	}
	f.where = append(f.where, column+" IN ("+strings.Join(marks, ", ")+")")
}

func (f *rowFilter) period(from, to time.Time) {
	if !from.IsZero() {
		f.ask("begins", ">=", from.Unix())
	}
	if !to.IsZero() {
		f.ask("begins", "<", to.Unix())
	}
}

// packs calls each for every entry of the rows that a filter lets through. Its
// counts are the entry's until each returns. Together, the rows of an
// establishment and an insurer come one after the other, as far as memory goes.
func (s *Store) packs(ctx context.Context, f *rowFilter, durations, together bool, each func(packKey, entry)) error {
	var room Counts
	scan := func(k packKey, data []byte) error {
		_, err := scanPack(data, durations, func() *Counts { return &room }, func(e entry) { each(k, e) })
		return err
	}
	if !together || f.kind != pairs {
		return s.rows(ctx, f, "", scan)
	}
	h := holder{most: mostHeld, scan: scan}
	if err := s.rows(ctx, f, "", h.add); err != nil {
		return err
	}
	return h.end()
}

// rows calls each for every row that a filter lets through, in an order.
func (s *Store) rows(ctx context.Context, f *rowFilter, order string, each func(packKey, []byte) error) error {
	text := `SELECT structure, begins, amc, data FROM cells WHERE kind = '` + string(f.kind) + `'`
	for _, w := range f.where {
		text += " AND " + w
	}
	return query(ctx, s.db, text+order, func(scan func(...any) error) error {
		var structure, amc string
		var begins int64
		var data []byte
		if err := scan(&structure, &begins, &amc, &data); err != nil {
			return err
		}
		return each(packKey{f.kind, roc.StructureID(structure), begins, roc.NumeroAMC(amc)}, data)
	}, f.args...)
}

// only keeps the fields of some dimensions.
func (c Cell) only(by map[Dimension]bool) (o Cell) {
	if by[ByPeriod] {
		o.Begin = c.Begin
	}
	if by[ByStructure] {
		o.Structure = c.Structure
	}
	if by[ByAMC] {
		o.AMC = c.AMC
	}
	if by[ByService] {
		o.Service = c.Service
	}
	if by[ByVersion] {
		o.Version = c.Version
	}
	if by[ByCode] {
		o.Code = c.Code
	}
	if by[ByOwner] {
		o.Owner = c.Owner
	}
	return o
}
