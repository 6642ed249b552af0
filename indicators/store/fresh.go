package store

import (
	"context"
	"time"
)

// silentAfter is from when on an instance of which nothing is heard is waited for
// no longer: it was taken out of service, or is away for long.
const silentAfter = 24 * time.Hour

// A Freshness says of when the figures are, of all journals in a store.
type Freshness struct {
	// Reached: every record of before is in the figures, of each journal whose
	// instance is not silent. Zero: of one of them it is not known,
	// because it is being counted, or counted again.
	Reached time.Time

	// Silent are the journals whose instances were not heard of for so long, or
	// never: what may still come of them is in no figure.
	Silent []string
}

// Freshness returns it. An instance that was not heard of for longer than silent
// is waited for no longer.
func (s *Store) Freshness(ctx context.Context, now time.Time, silent time.Duration) (f Freshness, err error) {
	unknown := false
	err = query(ctx, s.db, `SELECT origin, reached, heard FROM journals ORDER BY origin`, func(scan func(...any) error) error {
		var origin string
		var reached, heard int64
		if err := scan(&origin, &reached, &heard); err != nil {
			return err
		}
		switch at := time.UnixMicro(reached); {
		case now.Sub(time.UnixMicro(heard)) > silent:
			f.Silent = append(f.Silent, origin)
		case reached == 0:
			unknown = true
		case f.Reached.IsZero() || at.Before(f.Reached):
			f.Reached = at
		}
		return nil
	})
	if unknown {
		f.Reached = time.Time{}
	}
	return f, err
}

// hearOf writes down that the instance of a journal was heard of and, unless that
// is zero, that every record of before reached is in the figures. This one is
// left out when the journal was forgotten since it was found at that position.
func (s *Store) hearOf(ctx context.Context, origin string, at uint64, reached, now time.Time) error {
	micros := int64(0)
	if !reached.IsZero() {
		micros = reached.UnixMicro()
	}
	_, err := s.db.ExecContext(ctx, `UPDATE journals SET heard = $1, reached = CASE WHEN CAST($2 AS BIGINT) > 0 AND next >= $3 THEN CAST($2 AS BIGINT) ELSE reached END WHERE origin = $4`,
		now.UnixMicro(), micros, int64(at), origin)
	return err
}
