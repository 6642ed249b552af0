package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// A Journal is what is projected: a *journal.Log.
type Journal interface {
	Bounds() (first, end uint64)
	Checkpoint() (*journal.Checkpoint, error)
	Entries(from uint64) iter.Seq2[journal.Entry, error]
	Entry(i uint64) (journal.Entry, error)
}

// recordsAtOnce is how many records one transaction takes: a large one after an
// outage writes each row once. weightAtOnce ends it earlier, where they are of so
// many cells that they would take more memory (sums.weight).
const (
	recordsAtOnce = 200_000
	weightAtOnce  = 128 << 20
)

// ErrNoRoom is why nothing is added to the figures: their disk is nearly full. The
// position stays, and they catch up from the journal once there is room.
var ErrNoRoom = errors.New("the disk of the figures is nearly full")

// room is nil when the disk has room for more figures. It fails closed: the disk
// may be that of the journal, which needs it more.
func (s *Store) room() error {
	if s.minFree == 0 {
		return nil
	}
	free, err := s.free(s.dir)
	if err != nil {
		return err
	}
	if free < s.minFree {
		return fmt.Errorf("%w: %s has %d MiB left, and figures are added from %d MiB on: make room there, or move indicators.store", ErrNoRoom, s.dir, free>>20, s.minFree>>20)
	}
	return nil
}

// ErrOtherJournal is why a journal is not projected: the record before the
// position is not the one that was counted.
var ErrOtherJournal = errors.New("this is not the journal that was projected under its name: `rpn indicators rebuild` forgets the former one")

// ErrBusy is why a projection ends: another process projects this journal.
var ErrBusy = errors.New("another process projects this journal too")

// A Position says how far a journal was projected.
type Position struct {
	Next       uint64    // index of the next record to project
	Newest     time.Time // instant of the newest exchange projected; zero: none
	Unreadable uint64    // records that are damaged (journal.ErrDamaged): in no figure
	Pruned     uint64    // records that were deleted before they were projected: in no figure

	id   int64  // of the journal in the rows of cells; 0: none yet
	leaf []byte // of the last record projected
	runs []byte // what the rule of five goes on from
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
	err = q.QueryRowContext(ctx, `SELECT id, next, last_leaf, runs, newest, unreadable, pruned FROM journals WHERE origin = $1`, origin).
		Scan(&p.id, &p.Next, &p.leaf, &p.runs, &newest, &p.Unreadable, &p.Pruned)
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
	if neverRead(err) {
		return nil // damaged or deleted since: rpn journal verify reports it
	}
	if err != nil {
		return err
	}
	if e.Leaf != journal.Hash(p.leaf) {
		return ErrOtherJournal
	}
	return nil
}

// projectBatch adds the next records and their position in one transaction.
func (s *Store) projectBatch(ctx context.Context, origin string, j Journal, p Position, end uint64) (Position, error) {
	if err := s.room(); err != nil {
		return p, err
	}
	b := newSums()
	next, err := b.read(ctx, j, p, end, s.atOnce, s.weight)
	if err != nil {
		return p, err
	}
	err = s.change(ctx, func(tx *sql.Tx) error {
		// Another version may have made the tables again meanwhile.
		var v string
		if err := tx.QueryRowContext(ctx, readSchema).Scan(&v); err != nil {
			return err
		}
		if v != schemaVersion {
			return ErrSchema
		}
		// Another process may have projected this journal meanwhile.
		now, err := s.position(ctx, tx, origin)
		if err != nil {
			return err
		}
		if now.Next != p.Next {
			return ErrBusy
		}
		if next.id = now.id; next.id == 0 {
			if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(id), 0) + 1 FROM journals`).Scan(&next.id); err != nil {
				return err
			}
		}
		if err := s.write(ctx, tx, origin, next.id, b); err != nil {
			return err
		}
		newest := int64(0)
		if !next.Newest.IsZero() {
			newest = next.Newest.UnixMicro()
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO journals (origin, id, next, last_leaf, runs, newest, unreadable, pruned, reached, heard) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0)
			ON CONFLICT (origin) DO UPDATE SET next = excluded.next, last_leaf = excluded.last_leaf, runs = excluded.runs, newest = excluded.newest,
			unreadable = excluded.unreadable, pruned = excluded.pruned`,
			origin, next.id, int64(next.Next), next.leaf, next.runs, newest, int64(next.Unreadable), int64(next.Pruned))
		return err
	})
	if err != nil {
		return p, fmt.Errorf("%s: records %d to %d: %w", origin, p.Next, next.Next-1, err)
	}
	return next, nil
}

// A gap is a mark of the journal: what has no record in it.
type gap struct {
	index uint64
	journal.Mark
}

// neverRead reports whether a record can never be read. What the disk or the system
// says otherwise may pass, and then the record counts after all.
func neverRead(err error) bool {
	return errors.Is(err, journal.ErrDamaged) || errors.Is(err, journal.ErrPruned)
}

// read adds the records from a position on, atOnce of them at most and as many as
// take that much memory, and returns the position behind them. It fails where a record cannot be read for
// now: nothing of the batch is written, and a later call reads it again.
func (b *sums) read(ctx context.Context, j Journal, p Position, end, atOnce uint64, weight int) (Position, error) {
	runs, err := readRuns(p.runs)
	if err != nil {
		return p, err
	}
	first, _ := j.Bounds()
	if p.Next < first {
		p.Pruned += first - p.Next
		p.Next = first
	}
	until := max(p.Next, min(end, p.Next+atOnce))
	for e, err := range j.Entries(p.Next) {
		if b.weight >= weight {
			until = p.Next
		}
		if e.Index >= until || ctx.Err() != nil {
			break
		}
		if err != nil && !errors.Is(err, journal.ErrDamaged) {
			return p, fmt.Errorf("record %d: %w", e.Index, err)
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
			c := cellOf(e.Exchange)
			b.of(c).add(e.Exchange)
			b.touch(e.Exchange, &c, false)
			b.weight += weightOfExchange
			b.watch(runs, e.Exchange)
			if e.Exchange.RequestIn.After(p.Newest) {
				p.Newest = e.Exchange.RequestIn
			}
		case e.Amendment != nil:
			if err := b.amend(j, e.Amendment); err != nil {
				return p, err
			}
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
	p.runs = appendRuns(nil, runs)
	return p, nil
}

// amend counts an amending record in the cells of the exchange that it amends.
// Where that one can never be read it is in no figure, and neither is this.
func (b *sums) amend(j Journal, a *journal.Amendment) error {
	e, err := j.Entry(a.Of)
	switch {
	case err != nil && !neverRead(err) && !errors.Is(err, io.EOF): // beyond the end: no record of ours says so
		return fmt.Errorf("record %d: %w", a.Of, err)
	case err == nil && e.Exchange != nil && e.Exchange.ID == a.Exchange:
		c := cellOf(e.Exchange)
		b.of(c).amend(a)
		if a.Change == journal.WriteFailed || a.Change == journal.CallerLeft {
			b.touch(e.Exchange, &c, true)
		}
	}
	return nil
}

// rowsAtOnce is how many rows one statement of PostgreSQL takes.
const rowsAtOnce = 500

// write adds a batch to the rows of its journal.
func (s *Store) write(ctx context.Context, tx *sql.Tx, origin string, id int64, b *sums) error {
	rows := b.rows()
	merge := s.mergeSQLite
	if s.d.postgres {
		merge = s.mergePostgres
	}
	if err := merge(ctx, tx, id, rows); err != nil {
		return err
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

// joined is the row with what the store has of it, as bytes.
func (r *row) joined(had []byte) ([]byte, error) {
	if had == nil {
		return r.append(nil), nil
	}
	p, err := readPack(had)
	if err != nil {
		return nil, err
	}
	p.add(r.pack)
	return p.append(nil), nil
}

// sameGroup reports whether one question finds what the store has of both rows.
func sameGroup(x, y row) bool {
	return x.kind == y.kind && x.structure == y.structure && x.begins == y.begins
}

// mergeSQLite asks for the rows of a group together, and writes many in one
// statement: what a statement costs is mostly the way to it.
func (s *Store) mergeSQLite(ctx context.Context, tx *sql.Tx, id int64, rows []row) error {
	// The driver guards each statement of a context that can end by a goroutine.
	inner := context.WithoutCancel(ctx)
	read := map[kind]*sql.Stmt{}
	for _, k := range kinds {
		// The kind is no parameter: SQLite would plan again for each value, for the
		// sake of the index of one kind.
		st, err := tx.PrepareContext(inner, `SELECT amc, data FROM cells WHERE kind = '`+string(k)+`' AND structure = $1 AND begins = $2 AND journal = $3 AND amc BETWEEN $4 AND $5`)
		if err != nil {
			return err
		}
		defer st.Close()
		read[k] = st
	}
	const write = `INSERT OR REPLACE INTO cells (kind, structure, begins, amc, journal, data) VALUES `
	many, err := tx.PrepareContext(inner, write+strings.Repeat("(?, ?, ?, ?, ?, ?), ", sqliteAtOnce-1)+"(?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer many.Close()
	args := make([]any, 0, 6*sqliteAtOnce)
	had := map[roc.NumeroAMC][]byte{}
	for len(rows) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := 1
		for n < len(rows) && sameGroup(rows[0], rows[n]) {
			n++
		}
		group := rows[:n]
		rows = rows[n:]
		clear(had)
		found, err := read[group[0].kind].QueryContext(inner, string(group[0].structure), group[0].begins, id, string(group[0].amc), string(group[n-1].amc))
		if err != nil {
			return err
		}
		err = each(found, func(scan func(...any) error) error {
			var amc string
			var data []byte
			err := scan(&amc, &data)
			had[roc.NumeroAMC(amc)] = data
			return err
		})
		if err != nil {
			return err
		}
		for i := range group {
			r := &group[i]
			data, err := r.joined(had[r.amc])
			if err != nil {
				return err
			}
			args = append(args, string(r.kind), string(r.structure), r.begins, string(r.amc), id, data)
			if len(args) == cap(args) {
				if _, err := many.ExecContext(inner, args...); err != nil {
					return err
				}
				args = args[:0]
			}
		}
	}
	if len(args) == 0 {
		return nil
	}
	_, err = tx.ExecContext(inner, write+strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?, ?), ", len(args)/6), ", "), args...)
	return err
}

// sqliteAtOnce is how many rows one statement of SQLite writes.
const sqliteAtOnce = 64

const (
	keysPostgres  = `unnest($1::text[], $2::text[], $3::bigint[], $4::text[])`
	readPostgres  = `SELECT k.n, c.data FROM ` + keysPostgres + ` WITH ORDINALITY AS k (kind, structure, begins, amc, n) JOIN cells c ON c.kind = k.kind AND c.structure = k.structure AND c.begins = k.begins AND c.amc = k.amc AND c.journal = $5`
	writePostgres = `INSERT INTO cells (kind, structure, begins, amc, journal, data) SELECT kind, structure, begins, amc, $6::smallint, data FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bytea[]) AS k (kind, structure, begins, amc, data)
		ON CONFLICT (kind, structure, begins, amc, journal) DO UPDATE SET data = excluded.data`
)

// mergePostgres does many rows in one statement: each one goes over the
// network.
func (s *Store) mergePostgres(ctx context.Context, tx *sql.Tx, id int64, rows []row) error {
	made := map[time.Time]bool{}
	for i := range rows {
		if m := monthOf(rows[i].begins); !made[m] {
			made[m] = true
			if err := partition(ctx, tx, m); err != nil {
				return err
			}
		}
	}
	for some := range slices.Chunk(rows, rowsAtOnce) {
		n := len(some)
		kinds, structures, begins, amcs := make([]string, n), make([]string, n), make([]int64, n), make([]string, n)
		for i, r := range some {
			kinds[i], structures[i], begins[i], amcs[i] = string(r.kind), string(r.structure), r.begins, string(r.amc)
		}
		had := make([][]byte, n)
		err := query(ctx, tx, readPostgres, func(scan func(...any) error) error {
			var i int
			var data []byte
			if err := scan(&i, &data); err != nil {
				return err
			}
			had[i-1] = data
			return nil
		}, kinds, structures, begins, amcs, id)
		if err != nil {
			return err
		}
		for i := range some {
			if had[i], err = some[i].joined(had[i]); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, writePostgres, kinds, structures, begins, amcs, had, id); err != nil {
			return err
		}
	}
	return nil
}

// query calls row for every row of an answer.
func query(ctx context.Context, q interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}, text string, row func(scan func(...any) error) error, args ...any) error {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	return each(rows, row)
}

// each calls do for every row, and closes them.
func each(rows *sql.Rows, do func(scan func(...any) error) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := do(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Forget deletes all that comes from one journal, for it to be projected again.
// That the journal is there stays: until it is counted again, the figures are not
// whole (Freshness).
func (s *Store) Forget(ctx context.Context, origin string) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		for _, q := range []string{`DELETE FROM cells WHERE journal = (SELECT id FROM journals WHERE origin = $1)`, `DELETE FROM gaps WHERE origin = $1`,
			`UPDATE journals SET next = 0, last_leaf = NULL, runs = NULL, newest = 0, unreadable = 0, pruned = 0, reached = 0 WHERE origin = $1`} {
			if _, err := tx.ExecContext(ctx, q, origin); err != nil {
				return err
			}
		}
		return nil
	})
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
