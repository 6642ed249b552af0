package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// write adds a batch to the rows of its journal.
func (s *Store) write(ctx context.Context, tx *sql.Tx, origin string, h had, b *sums) error {
	merge := s.mergeSQLite
	if s.d.postgres {
		merge = s.mergePostgres
	}
	if err := merge(ctx, tx, h, b); err != nil {
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

// sameGroup reports whether one question finds what the store has of both rows.
func sameGroup(x, y *row) bool { return x.structure == y.structure && x.begins == y.begins }

// A rowWriter writes many rows of SQLite in one statement: what a statement costs
// is mostly the way to it.
type rowWriter struct {
	tx   *sql.Tx
	id   any // of the journal
	many *sql.Stmt
	args []any
	data []byte // of the rows in args
}

// sqliteAtOnce is how many rows one statement of SQLite writes.
const sqliteAtOnce = 64

const writeSQLite = `INSERT OR REPLACE INTO cells (kind, structure, begins, amc, journal, data) VALUES `

func sqliteValues(rows int) string {
	return strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?, ?), ", rows), ", ")
}

// add writes a row whose bytes stand from an index of data on, now or later.
func (w *rowWriter) add(ctx context.Context, r *row, from int) error {
	w.args = append(w.args, string(r.kind), string(r.structure), r.begins, string(r.amc), w.id, w.data[from:len(w.data):len(w.data)])
	if len(w.args) < 6*sqliteAtOnce {
		return nil
	}
	_, err := w.many.ExecContext(ctx, w.args...)
	w.args, w.data = w.args[:0], w.data[:0]
	return err
}

// end writes what is left.
func (w *rowWriter) end(ctx context.Context) error {
	if len(w.args) == 0 {
		return nil
	}
	_, err := w.tx.ExecContext(ctx, writeSQLite+sqliteValues(len(w.args)/6), w.args...)
	return err
}

// mergeSQLite asks for the rows of a group together, where the store may have any.
func (s *Store) mergeSQLite(ctx context.Context, tx *sql.Tx, h had, b *sums) error {
	// The driver guards each statement of a context that can end by a goroutine.
	inner := context.WithoutCancel(ctx)
	many, err := tx.PrepareContext(inner, writeSQLite+sqliteValues(sqliteAtOnce))
	if err != nil {
		return err
	}
	defer many.Close()
	w := &rowWriter{tx: tx, id: h.id, many: many}
	for _, k := range kinds {
		if err := w.kind(ctx, h, b, k); err != nil {
			return err
		}
	}
	return w.end(inner)
}

// kind writes the rows of a kind.
func (w *rowWriter) kind(ctx context.Context, h had, b *sums, k kind) error {
	inner := context.WithoutCancel(ctx)
	// The kind is no parameter: SQLite would plan again for each value, for the
	// sake of the index of one kind.
	read, err := w.tx.PrepareContext(inner, `SELECT amc, data FROM cells WHERE kind = '`+string(k)+`' AND structure = $1 AND begins = $2 AND journal = $3 AND amc BETWEEN $4 AND $5`)
	if err != nil {
		return err
	}
	defer read.Close()
	there := map[roc.NumeroAMC][]byte{}
	var room pack
	for rows := b.rows(k); len(rows) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := 1
		for n < len(rows) && sameGroup(&rows[0], &rows[n]) {
			n++
		}
		group := rows[:n]
		rows = rows[n:]
		clear(there)
		if group[0].begins <= h.newest {
			found, err := read.QueryContext(inner, string(group[0].structure), group[0].begins, h.id, string(group[0].amc), string(group[n-1].amc))
			if err != nil {
				return err
			}
			err = each(found, func(scan func(...any) error) error {
				var amc string
				var data []byte
				err := scan(&amc, &data)
				there[roc.NumeroAMC(amc)] = data
				return err
			})
			if err != nil {
				return err
			}
		}
		for i := range group {
			r := &group[i]
			from := len(w.data)
			if w.data, err = b.bytes(w.data, r, there[r.amc], &room); err != nil {
				return err
			}
			if err := w.add(inner, r, from); err != nil {
				return err
			}
		}
	}
	return nil
}

// rowsAtOnce is how many rows one statement of PostgreSQL takes.
const rowsAtOnce = 500

const (
	keysPostgres  = `unnest($1::text[], $2::text[], $3::bigint[], $4::text[])`
	readPostgres  = `SELECT k.n, c.data FROM ` + keysPostgres + ` WITH ORDINALITY AS k (kind, structure, begins, amc, n) JOIN cells c ON c.kind = k.kind AND c.structure = k.structure AND c.begins = k.begins AND c.amc = k.amc AND c.journal = $5`
	writePostgres = `INSERT INTO cells (kind, structure, begins, amc, journal, data) SELECT kind, structure, begins, amc, $6::smallint, data FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bytea[]) AS k (kind, structure, begins, amc, data)
		ON CONFLICT (kind, structure, begins, amc, journal) DO UPDATE SET data = excluded.data`
)

// mergePostgres does many rows in one statement: each one goes over the
// network.
func (s *Store) mergePostgres(ctx context.Context, tx *sql.Tx, h had, b *sums) error {
	made := map[time.Time]bool{}
	var room pack
	for _, k := range kinds {
		for some := range slices.Chunk(b.rows(k), rowsAtOnce) {
			if err := writeChunk(ctx, tx, h, b, some, made, &room); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeChunk writes some rows of PostgreSQL, in the partitions of their months.
func writeChunk(ctx context.Context, tx *sql.Tx, h had, b *sums, some []row, made map[time.Time]bool, room *pack) error {
	n := len(some)
	kinds, structures, begins, amcs := make([]string, n), make([]string, n), make([]int64, n), make([]string, n)
	ask := false
	for i := range some {
		r := &some[i]
		if m := monthOf(r.begins); !made[m] {
			made[m] = true
			if err := partition(ctx, tx, m); err != nil {
				return err
			}
		}
		kinds[i], structures[i], begins[i], amcs[i] = string(r.kind), string(r.structure), r.begins, string(r.amc)
		ask = ask || r.begins <= h.newest
	}
	data := make([][]byte, n)
	if ask {
		err := query(ctx, tx, readPostgres, func(scan func(...any) error) error {
			var i int
			var there []byte
			err := scan(&i, &there)
			if err == nil {
				data[i-1] = there
			}
			return err
		}, kinds, structures, begins, amcs, h.id)
		if err != nil {
			return err
		}
	}
	for i := range some {
		var err error
		if data[i], err = b.bytes(nil, &some[i], data[i], room); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, writePostgres, kinds, structures, begins, amcs, data, h.id)
	return err
}
