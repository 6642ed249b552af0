package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/journal"
)

// A Journal is what is projected: a *journal.Log.
type Journal interface {
	Bounds() (first, end uint64)
	Checkpoint() (*journal.Checkpoint, error)
	Entries(from uint64) iter.Seq2[journal.Entry, error]
	Entry(i uint64) (journal.Entry, error)
}

// recordsAtOnce is how many records one transaction takes.
const recordsAtOnce = 20_000

// ErrOtherJournal is why a journal is not projected: the record before the
// position is not the one that was counted.
var ErrOtherJournal = errors.New("this is not the journal that was projected under its name: `rpn indicators rebuild` forgets the former one")

// ErrBusy is why a projection ends: another process projects this journal.
var ErrBusy = errors.New("another process projects this journal too")

// A Position says how far a journal was projected.
type Position struct {
	Next       uint64    // index of the next record to project
	Newest     time.Time // instant of the newest exchange projected; zero: none
	Unreadable uint64    // records that were damaged: in no figure
	Pruned     uint64    // records that were deleted before they were projected: in no figure

	leaf []byte // of the last record projected
}

// Position returns how far the journal of that name was projected.
func (s *Store) Position(ctx context.Context, origin string) (Position, error) {
	return s.position(ctx, s.db, origin)
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (s *Store) position(ctx context.Context, q querier, origin string) (p Position, err error) {
	var newest int64
	err = q.QueryRowContext(ctx, `SELECT next, last_leaf, newest, unreadable, pruned FROM journals WHERE origin = $1`, origin).
		Scan(&p.Next, &p.leaf, &newest, &p.Unreadable, &p.Pruned)
	if errors.Is(err, sql.ErrNoRows) {
		return Position{}, nil
	}
	if newest != 0 {
		p.Newest = time.UnixMicro(newest)
	}
	return p, err
}

// Project brings the figures up to the last checkpoint of a journal: what is
// sealed is never taken back, and neither are figures. progress, which may be
// nil, is told how many records are done of how many. When it fails, or is
// killed, what was committed stands with its position and the rest is projected
// by the next call. journal.ErrNotSealed: there is nothing to project yet.
func (s *Store) Project(ctx context.Context, j Journal, progress func(done, total uint64)) error {
	sealed, err := j.Checkpoint()
	if err != nil {
		return err
	}
	origin := sealed.Origin
	p, err := s.Position(ctx, origin)
	if err != nil {
		return err
	}
	if err := same(j, p, sealed.Size); err != nil {
		return fmt.Errorf("%s: %w", origin, err)
	}
	_, end := j.Bounds()
	end = min(end, sealed.Size)
	for start := p.Next; ; {
		if progress != nil {
			progress(p.Next-start, max(end, p.Next)-start)
		}
		if p.Next >= end {
			return nil
		}
		if p, err = s.projectBatch(ctx, origin, j, p, end); err != nil {
			return err
		}
	}
}

// same checks that the record before the position is the one that was counted.
// It cannot be checked once that record is deleted.
func same(j Journal, p Position, sealed uint64) error {
	if p.Next > sealed {
		return ErrOtherJournal
	}
	first, end := j.Bounds()
	if p.Next == 0 || p.Next-1 < first || p.Next > end || len(p.leaf) == 0 {
		return nil
	}
	e, err := j.Entry(p.Next - 1)
	if err != nil {
		return nil // damaged since: rpn journal verify tells it
	}
	if e.Leaf != journal.Hash(p.leaf) {
		return ErrOtherJournal
	}
	return nil
}

// projectBatch adds the next records and their position in one transaction.
func (s *Store) projectBatch(ctx context.Context, origin string, j Journal, p Position, end uint64) (Position, error) {
	b := newSums()
	next, err := b.read(ctx, j, p, end, s.atOnce)
	if err != nil {
		return p, err
	}
	err = s.change(ctx, func(tx *sql.Tx) error {
		// Another process may have projected this journal meanwhile.
		now, err := s.position(ctx, tx, origin)
		if err != nil {
			return err
		}
		if now.Next != p.Next {
			return ErrBusy
		}
		if err := s.write(ctx, tx, origin, b); err != nil {
			return err
		}
		newest := int64(0)
		if !next.Newest.IsZero() {
			newest = next.Newest.UnixMicro()
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO journals (origin, next, last_leaf, newest, unreadable, pruned) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (origin) DO UPDATE SET next = excluded.next, last_leaf = excluded.last_leaf, newest = excluded.newest,
			unreadable = excluded.unreadable, pruned = excluded.pruned`,
			origin, int64(next.Next), next.leaf, newest, int64(next.Unreadable), int64(next.Pruned))
		return err
	})
	if err != nil {
		return p, fmt.Errorf("%s: records %d to %d: %w", origin, p.Next, next.Next-1, err)
	}
	return next, nil
}

// Sums are what a batch adds.
type sums struct {
	cells map[Cell]*Counts
	gaps  []gap
}

// A gap is a mark of the journal: what has no record in it.
type gap struct {
	index uint64
	journal.Mark
}

func newSums() *sums { return &sums{cells: map[Cell]*Counts{}} }

func (b *sums) of(c Cell) *Counts {
	n := b.cells[c]
	if n == nil {
		n = &Counts{}
		b.cells[c] = n
	}
	return n
}

// read adds the records from a position on, atOnce of them at most, and
// returns the position behind them.
func (b *sums) read(ctx context.Context, j Journal, p Position, end, atOnce uint64) (Position, error) {
	first, _ := j.Bounds()
	if p.Next < first {
		p.Pruned += first - p.Next
		p.Next = first
	}
	until := max(p.Next, min(end, p.Next+atOnce))
	for e, err := range j.Entries(p.Next) {
		if e.Index >= until || ctx.Err() != nil {
			break
		}
		p.Unreadable += e.Index - p.Next // an error stands for all records of its bundle
		p.Next = e.Index + 1
		if err != nil {
			p.Unreadable++
			p.leaf = nil
			continue
		}
		p.leaf = slices.Clone(e.Leaf[:])
		switch {
		case e.Exchange != nil:
			for _, c := range cellsOf(e.Exchange) {
				b.of(c).add(e.Exchange)
			}
			if e.Exchange.RequestIn.After(p.Newest) {
				p.Newest = e.Exchange.RequestIn
			}
		case e.Amendment != nil:
			b.amend(j, e.Amendment)
		case e.Mark != nil:
			b.gaps = append(b.gaps, gap{e.Index, *e.Mark})
		}
	}
	if ctx.Err() != nil {
		return p, ctx.Err()
	}
	if p.Next < until { // the last bundle is unreadable
		p.Unreadable += until - p.Next
		p.Next, p.leaf = until, nil
	}
	return p, nil
}

// amend counts an amending record in the cells of the exchange that it amends.
// Where that one cannot be read it is in no figure, and neither is this.
func (b *sums) amend(j Journal, a *journal.Amendment) {
	e, err := j.Entry(a.Of)
	if err != nil || e.Exchange == nil || e.Exchange.ID != a.Exchange {
		return
	}
	for _, c := range cellsOf(e.Exchange) {
		b.of(c).amend(a)
	}
}

var (
	readCell  = `SELECT ` + strings.Join(columns, ", ") + `, durations FROM cells WHERE grain = $1 AND begins = $2 AND structure = $3 AND amc = $4 AND service = $5 AND version = $6 AND code = $7 AND owner = $8 AND origin = $9`
	writeCell = writeCellQuery()
)

func writeCellQuery() string {
	var values, set []string
	n := len(strings.Split(cellColumns, ","))
	for i := range n + len(columns) + 1 {
		values = append(values, fmt.Sprintf("$%d", i+1))
	}
	for _, c := range slices.Concat(columns, []string{"durations"}) {
		set = append(set, c+" = excluded."+c)
	}
	return `INSERT INTO cells (` + cellColumns + `, ` + strings.Join(columns, ", ") + `, durations) VALUES (` + strings.Join(values, ", ") + `)
		ON CONFLICT (` + cellKey + `) DO UPDATE SET ` + strings.Join(set, ", ")
}

func (c *Cell) args(origin string) []any {
	return []any{string(c.Grain), c.Begin, string(c.Structure), string(c.AMC), int64(c.Service), int64(c.Version), c.Code, string(c.Owner), origin}
}

// write adds a batch to the cells, in the order of their key.
func (s *Store) write(ctx context.Context, tx *sql.Tx, origin string, b *sums) error {
	rows := b.rows()
	if s.d.postgres {
		made := map[time.Time]bool{}
		for i := range rows {
			if m := monthOf(rows[i].Begin); !made[m] {
				made[m] = true
				if err := partition(ctx, tx, m); err != nil {
					return err
				}
			}
		}
	}
	read, err := tx.PrepareContext(ctx, readCell)
	if err != nil {
		return err
	}
	defer read.Close()
	write, err := tx.PrepareContext(ctx, writeCell)
	if err != nil {
		return err
	}
	defer write.Close()
	for i := range rows {
		c, n := rows[i].Cell, &rows[i].Counts
		var had Counts
		switch err := scan(read.QueryRowContext(ctx, c.args(origin)...), &had); {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return err
		default:
			if err := n.Add(&had); err != nil {
				return err
			}
		}
		args := c.args(origin)
		for _, x := range n.numbers() {
			args = append(args, *x)
		}
		if _, err := write.ExecContext(ctx, append(args, n.durations())...); err != nil {
			return err
		}
	}
	for _, g := range b.gaps {
		_, err := tx.ExecContext(ctx, `INSERT INTO gaps (origin, idx, event, n, since, until) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (origin, idx) DO NOTHING`,
			origin, int64(g.index), g.Event.String(), int64(g.Count), g.From.UnixMicro(), g.To.UnixMicro())
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Cell) compare(o *Cell) int {
	return cmp.Or(cmp.Compare(c.Grain, o.Grain), cmp.Compare(c.Structure, o.Structure), cmp.Compare(c.AMC, o.AMC), cmp.Compare(c.Begin, o.Begin),
		cmp.Compare(c.Service, o.Service), cmp.Compare(c.Version, o.Version), cmp.Compare(c.Code, o.Code), cmp.Compare(c.Owner, o.Owner))
}

// scan reads the counts of a row, after dest.
func scan(row interface{ Scan(...any) error }, c *Counts, dest ...any) error {
	for _, n := range c.numbers() {
		dest = append(dest, n)
	}
	var b []byte
	if err := row.Scan(append(dest, &b)...); err != nil {
		return err
	}
	return c.readDurations(b)
}

// Forget deletes all that comes from one journal, for it to be projected again.
func (s *Store) Forget(ctx context.Context, origin string) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		for _, table := range []string{"cells", "gaps", "journals"} {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE origin = $1`, origin); err != nil {
				return err
			}
		}
		return nil
	})
}

// rows are the cells in the order of their key.
func (b *sums) rows() []Row {
	rows := make([]Row, 0, len(b.cells))
	for c, n := range b.cells {
		rows = append(rows, Row{c, *n})
	}
	slices.SortFunc(rows, func(x, y Row) int { return x.compare(&y.Cell) })
	return rows
}

// A Gap is how many exchanges of a journal are in no figure, because they have
// no record in it.
type Gap struct {
	NotRecorded int64 // they were carried
	TurnedAway  int64 // they were refused
}

// Gaps returns what the journal of that name says of exchanges without a record.
func (s *Store) Gaps(ctx context.Context, origin string) (g Gap, err error) {
	for event, n := range map[journal.Event]*int64{journal.NotRecorded: &g.NotRecorded, journal.TurnedAway: &g.TurnedAway} {
		if err := s.db.QueryRowContext(ctx, `SELECT COALESCE(SUM(n), 0) FROM gaps WHERE origin = $1 AND event = $2`, origin, event.String()).Scan(n); err != nil {
			return g, err
		}
	}
	return g, nil
}
