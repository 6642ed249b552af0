package store

import (
	"context"
	"database/sql"
	"time"
)

// pruneAtOnce is from how many deleted rows on a transaction of Prune ends, so
// that no other writer waits for all of it. One day of one establishment, or of
// one kind of sums, is never cut.
const pruneAtOnce = 5000

// Prune deletes the figures of the periods that began before an instant, and the
// letters and gaps of before; of PostgreSQL the figures go by whole months, each
// once all of it is that old. Stopped at any point,
// it goes on the next time.
func (s *Store) Prune(ctx context.Context, before time.Time) error {
	if err := s.pruneKept(ctx, before); err != nil {
		return err
	}
	if s.d.postgres {
		return s.dropMonths(ctx, before)
	}
	for _, k := range kinds {
		for structure, more := "", true; more; {
			err := s.change(ctx, func(tx *sql.Tx) (err error) {
				structure, more, err = pruneSome(ctx, tx, k, structure, before.Unix())
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// pruneSome deletes some rows of a kind, from a structure on; it returns where to
// go on. It goes along the key of the table, day after day, so that what is kept
// is not read, and no index is needed beside it.
func pruneSome(ctx context.Context, tx *sql.Tx, k kind, structure string, before int64) (next string, more bool, err error) {
	of := ` FROM cells WHERE kind = '` + string(k) + `' AND structure `
	for deleted := int64(0); deleted < pruneAtOnce; {
		var oldest sql.NullInt64
		if err := tx.QueryRowContext(ctx, `SELECT MIN(begins)`+of+`= $1`, structure).Scan(&oldest); err != nil {
			return structure, false, err
		}
		if !oldest.Valid || oldest.Int64 >= before {
			var following sql.NullString
			if err := tx.QueryRowContext(ctx, `SELECT MIN(structure)`+of+`> $1`, structure).Scan(&following); err != nil || !following.Valid {
				return structure, false, err
			}
			structure = following.String
			continue
		}
		r, err := tx.ExecContext(ctx, `DELETE`+of+`= $1 AND begins < $2`, structure, min(before, oldest.Int64+24*3600))
		if err != nil {
			return structure, false, err
		}
		n, err := r.RowsAffected()
		if err != nil {
			return structure, false, err
		}
		deleted += n
	}
	return structure, true, nil
}

// dropMonths drops the partitions of PostgreSQL of which every row is that old.
func (s *Store) dropMonths(ctx context.Context, before time.Time) error {
	var old []string
	err := query(ctx, s.db, `SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'cells'::regclass`, func(scan func(...any) error) error {
		var name string
		if err := scan(&name); err != nil {
			return err
		}
		if month, err := time.Parse("cells_2006_01", name); err == nil && !month.AddDate(0, 1, 0).After(before) {
			old = append(old, name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range old { // a name that parsed as a month
		if _, err := s.db.ExecContext(ctx, `DROP TABLE IF EXISTS `+name); err != nil {
			return err
		}
	}
	return nil
}
