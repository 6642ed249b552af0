package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
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

// had is what the store has of a journal: of its rows none that begins later.
type had struct {
	id     int64
	newest int64
}

// since is what the store has of a journal that has that id.
func (p *Position) since(id int64) had {
	if p.Newest.IsZero() {
		return had{id, math.MinInt64}
	}
	return had{id, p.Newest.Unix()}
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
		if err := s.write(ctx, tx, origin, now.since(next.id), b); err != nil {
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
	var leaf journal.Hash
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
		leaf = e.Leaf
		p.leaf = leaf[:]
		switch {
		case e.Exchange != nil:
			b.take(e.Exchange, factOf(e.Exchange), false)
			b.watch(runs, e.Exchange)
			p.see(e.Exchange)
		case e.Amendment != nil:
			if err := b.amend(j, e.Amendment, &p); err != nil {
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

// see notes that an exchange counts in the rows of its time.
func (p *Position) see(x *journal.Exchange) {
	if x.RequestIn.After(p.Newest) {
		p.Newest = x.RequestIn
	}
}

// amend counts an amending record where the exchange that it amends counts. Where
// that one can never be read it is in no figure, and neither is this.
func (b *sums) amend(j Journal, a *journal.Amendment, p *Position) error {
	e, err := j.Entry(a.Of)
	switch {
	case err != nil && !neverRead(err) && !errors.Is(err, io.EOF): // beyond the end: no record of ours says so
		return fmt.Errorf("record %d: %w", a.Of, err)
	case err == nil && e.Exchange != nil && e.Exchange.ID == a.Exchange:
		b.take(e.Exchange, amendmentOf(a), a.Change == journal.WriteFailed || a.Change == journal.CallerLeft)
		p.see(e.Exchange)
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
