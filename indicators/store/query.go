package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Query asks for figures. Zero fields ask for all.
type Query struct {
	Grain     Grain
	From, To  time.Time // the periods that begin from From on and before To
	Structure roc.StructureID
	AMC       roc.NumeroAMC
	Service   roc.Service
	Version   roc.Version

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
	var where []string
	var args []any
	ask := func(column string, v any, op string) {
		args = append(args, v)
		where = append(where, fmt.Sprintf("%s %s $%d", column, op, len(args)))
	}
	ask("grain", string(q.Grain), "=")
	// The sum over all is a cell of its own, where nothing asks for its parts.
	side := func(column, value string, apart bool) {
		switch {
		case value != "":
			ask(column, value, "=")
		case apart:
			ask(column, "", "<>")
		default:
			ask(column, "", "=")
		}
	}
	apartAMC, apartStructure := by[ByAMC], by[ByStructure]
	if q.Grain == Hour { // by the hour, an establishment has no sum over the insurers
		apartAMC = apartAMC || q.Structure != "" || apartStructure
	}
	side("structure", string(q.Structure), apartStructure)
	side("amc", string(q.AMC), apartAMC)
	if !q.From.IsZero() {
		ask("begins", q.From.Unix(), ">=")
	}
	if !q.To.IsZero() {
		ask("begins", q.To.Unix(), "<")
	}
	if q.Service != roc.NoService {
		ask("service", int64(q.Service), "=")
	}
	if q.Version != roc.NoVersion {
		ask("version", int64(q.Version), "=")
	}
	rows, err := s.db.QueryContext(ctx, `SELECT begins, structure, amc, service, version, code, owner, `+strings.Join(columns, ", ")+`, durations
		FROM cells WHERE `+strings.Join(where, " AND "), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	sum := newSums()
	for rows.Next() {
		var c Cell
		var n Counts
		var structure, amc, owner string
		var service, version int64
		if err := scan(rows, &n, &c.Begin, &structure, &amc, &service, &version, &c.Code, &owner); err != nil {
			return nil, err
		}
		c.Structure, c.AMC, c.Service, c.Version, c.Owner = roc.StructureID(structure), roc.NumeroAMC(amc), roc.Service(service), roc.Version(version), roc.Responsable(owner)
		if err := sum.of(c.only(by)).Add(&n); err != nil {
			return nil, err
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return sum.rows(), nil
}

// only keeps the fields of some dimensions.
func (c Cell) only(by map[Dimension]bool) Cell {
	var o Cell
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
