package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Letter is a mail about the week of an establishment. The outbox holds one
// for each of them, whatever the number of instances, and keeps it after it was
// sent: it is never sent twice. A process that dies between the sending and the
// writing down of it leaves a letter in doubt, which is not sent again.
type Letter struct {
	Structure roc.StructureID
	Week      string // "2026-S47"
	Attempts  int    // this one included
}

// The states of a letter.
const (
	due     = "due"
	sending = "sending" // claimed by an instance
	gone    = "sent"
	doubted = "doubted" // nobody knows whether it was sent
	dropped = "dropped" // it cannot be sent
)

// abandonedAfter is from when on nobody is sending a claimed letter any more.
const abandonedAfter = 15 * time.Minute

// PutLetters adds the letters of a week that are not there yet. An establishment
// that has one already gets no other.
func (s *Store) PutLetters(ctx context.Context, week string, structures []roc.StructureID, now time.Time) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		for _, id := range structures {
			_, err := tx.ExecContext(ctx, `INSERT INTO outbox (structure, week, state, next, attempts, error) VALUES ($1, $2, $3, $4, 0, '') ON CONFLICT (structure, week) DO NOTHING`,
				string(id), week, due, now.Unix())
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// ClaimLetter takes the next letter that is due, for this instance alone; nil:
// there is none.
func (s *Store) ClaimLetter(ctx context.Context, now time.Time) (l *Letter, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		var structure string
		l = &Letter{}
		err := tx.QueryRowContext(ctx, `SELECT structure, week, attempts + 1 FROM outbox WHERE state = $1 AND next <= $2 ORDER BY next, structure LIMIT 1`, due, now.Unix()).
			Scan(&structure, &l.Week, &l.Attempts)
		if errors.Is(err, sql.ErrNoRows) {
			l = nil
			return nil
		}
		if err != nil {
			return err
		}
		l.Structure = roc.StructureID(structure)
		return s.settle(ctx, tx, l, sending, now, "")
	})
	return l, err
}

// settle writes the state of a letter, and when it is next looked at.
func (s *Store) settle(ctx context.Context, on interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}, l *Letter, state string, next time.Time, why string) error {
	_, err := on.ExecContext(ctx, `UPDATE outbox SET state = $1, next = $2, attempts = $3, error = $4 WHERE structure = $5 AND week = $6`,
		state, next.Unix(), l.Attempts, why, string(l.Structure), l.Week)
	return err
}

// SentLetter writes down that a claimed letter was sent.
func (s *Store) SentLetter(ctx context.Context, l *Letter, now time.Time) error {
	return s.settle(ctx, s.db, l, gone, now, "")
}

// RetryLetter gives a claimed letter back, that was certainly not sent.
func (s *Store) RetryLetter(ctx context.Context, l *Letter, at time.Time, why string) error {
	return s.settle(ctx, s.db, l, due, at, why)
}

// DropLetter writes down that a claimed letter cannot be sent.
func (s *Store) DropLetter(ctx context.Context, l *Letter, now time.Time, why string) error {
	return s.settle(ctx, s.db, l, dropped, now, why)
}

// DoubtLetter writes down that nobody knows whether a claimed letter was sent.
func (s *Store) DoubtLetter(ctx context.Context, l *Letter, now time.Time, why string) error {
	return s.settle(ctx, s.db, l, doubted, now, why)
}

// DoubtAbandoned does so for the letters of instances that died while they were
// sending; it returns how many.
func (s *Store) DoubtAbandoned(ctx context.Context, now time.Time) (int64, error) {
	r, err := s.db.ExecContext(ctx, `UPDATE outbox SET state = $1, error = 'the instance ended while it was sending' WHERE state = $2 AND next < $3`,
		doubted, sending, now.Add(-abandonedAfter).Unix())
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Outbox counts the letters of a week by their state.
func (s *Store) Outbox(ctx context.Context, week string) (map[string]int, error) {
	counts := map[string]int{}
	err := query(ctx, s.db, `SELECT state, COUNT(*) FROM outbox WHERE week = $1 GROUP BY state`, func(scan func(...any) error) error {
		var state string
		var n int
		err := scan(&state, &n)
		counts[state] = n
		return err
	}, week)
	return counts, err
}
