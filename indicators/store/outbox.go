package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Letter is one message to somebody outside: the files of a week by mail, or
// the notice of an outage by mail or webhook. The outbox holds one for each ID,
// whatever the number of instances, and keeps it after it was sent: it is never
// sent twice.
type Letter struct {
	ID      string // "semaine/2026-S47/1010003812"
	Kind    string // who composes it
	For     string // whom it is for: a structure id, or what Kind says
	About   string // "2026-S47", or what Kind says
	Expires time.Time

	State    LetterState
	Attempts int        // since it was put, or put back by an operator
	Done     []Delivery // the addresses for which there is nothing left to do
	Next     time.Time  // when it is tried, or since when it is in its state
	Error    string     // of the last attempt

	claim int // which claim this is: an earlier one no longer counts
}

// A Delivery is what became of a letter at one address.
type Delivery struct {
	Address string `json:"adresse"`
	Refused string `json:"refus,omitzero"` // why; "": the address has the letter
}

// A LetterState is what became of a letter.
type LetterState string

// The states of a letter. Only a letter that was being sent when its instance
// ended is in doubt: one that was merely claimed is due again.
const (
	Due         LetterState = "due"
	Claimed     LetterState = "claimed" // by an instance; nothing of it was sent yet
	Sending     LetterState = "sending" // the server may have it
	Sent        LetterState = "sent"
	Partly      LetterState = "partly"      // sent, and refused for some of its addresses
	Undelivered LetterState = "undelivered" // refused for all of them, or too late
	Doubted     LetterState = "doubted"     // nobody knows whether it was sent
)

// Nobody is sending a letter any more, whose instance claimed it, or began to
// send it, so long ago. What sends has to give up earlier.
const (
	ClaimEnds   = 15 * time.Minute
	SendingEnds = 30 * time.Minute
)

// ErrClaimLost is why a letter is not sent: another instance has it by now.
var ErrClaimLost = errors.New("the letter was claimed too long ago: another instance may be sending it")

// letterTables makes the outbox.
func (d dialect) letterTables() []string {
	return []string{
		`CREATE TABLE IF NOT EXISTS letters (id TEXT PRIMARY KEY, kind TEXT NOT NULL, recipient TEXT NOT NULL, about TEXT NOT NULL, state TEXT NOT NULL, next BIGINT NOT NULL,
		 made BIGINT NOT NULL, expires BIGINT NOT NULL, claims INTEGER NOT NULL, attempts INTEGER NOT NULL, done TEXT NOT NULL, error TEXT NOT NULL)` + d.keyed,
	}
}

// PutLetters adds the letters that are not there yet, due at their Next. One
// that is there already, in whatever state, stays as it is.
func (s *Store) PutLetters(ctx context.Context, letters []Letter, now time.Time) error {
	if len(letters) == 0 {
		return nil
	}
	return s.change(ctx, func(tx *sql.Tx) error { return putLetters(ctx, tx, letters, now) })
}

func putLetters(ctx context.Context, tx *sql.Tx, letters []Letter, now time.Time) error {
	for i := range letters {
		l := &letters[i]
		_, err := tx.ExecContext(ctx, `INSERT INTO letters (id, kind, recipient, about, state, next, made, expires, claims, attempts, done, error)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, '[]', '') ON CONFLICT (id) DO NOTHING`,
			l.ID, l.Kind, l.For, l.About, string(Due), max(now.Unix(), l.Next.Unix()), now.Unix(), l.Expires.Unix())
		if err != nil {
			return err
		}
	}
	return nil
}

const letterColumns = `id, kind, recipient, about, state, next, expires, claims, attempts, done, error`

func scanLetter(scan func(...any) error) (l Letter, err error) {
	var state, done string
	var next, expires int64
	if err := scan(&l.ID, &l.Kind, &l.For, &l.About, &state, &next, &expires, &l.claim, &l.Attempts, &done, &l.Error); err != nil {
		return l, err
	}
	l.State, l.Next, l.Expires = LetterState(state), time.Unix(next, 0), time.Unix(expires, 0)
	if err := json.Unmarshal([]byte(done), &l.Done); err != nil {
		return l, fmt.Errorf("letter %s: %w", l.ID, err)
	}
	return l, nil
}

// ClaimLetter takes the next letter of a kind that is due, for this instance
// alone; nil: there is none.
func (s *Store) ClaimLetter(ctx context.Context, kinds []string, now time.Time) (l *Letter, err error) {
	f := rowFilter{}
	f.in("kind", kinds)
	f.ask("state", "=", string(Due))
	f.ask("next", "<=", now.Unix())
	f.ask("expires", ">", now.Unix())
	text := `SELECT ` + letterColumns + ` FROM letters WHERE ` + strings.Join(f.where, " AND ") + ` ORDER BY next, id LIMIT 1`
	// Mostly there is none, and nobody has to wait for that.
	if _, err := scanLetter(s.db.QueryRowContext(ctx, text, f.args...).Scan); errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	err = s.change(ctx, func(tx *sql.Tx) error {
		found, err := scanLetter(tx.QueryRowContext(ctx, text, f.args...).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		found.claim++
		found.Attempts++
		found.State = Claimed
		if _, err := tx.ExecContext(ctx, `UPDATE letters SET state = $1, next = $2, claims = $3, attempts = $4 WHERE id = $5`,
			string(Claimed), now.Unix(), found.claim, found.Attempts, found.ID); err != nil {
			return err
		}
		l = &found
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// BeginSending writes down that from now on the server may have a claimed
// letter. After an error, of which one is ErrClaimLost, it must not be sent.
func (s *Store) BeginSending(ctx context.Context, l *Letter, now time.Time) error {
	r, err := s.db.ExecContext(ctx, `UPDATE letters SET state = $1, next = $2 WHERE id = $3 AND claims = $4 AND state = $5`,
		string(Sending), now.Unix(), l.ID, l.claim, string(Claimed))
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, ErrClaimLost)
	}
	return nil
}

// SettleLetter writes down what became of a claimed letter: its State, Next,
// Done, Attempts and Error. One that somebody else has taken over meanwhile
// stays as they left it.
func (s *Store) SettleLetter(ctx context.Context, l *Letter) error {
	done, err := json.Marshal(append([]Delivery{}, l.Done...))
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, `UPDATE letters SET state = $1, next = $2, attempts = $3, done = $4, error = $5 WHERE id = $6 AND claims = $7 AND state IN ($8, $9, $10)`,
		string(l.State), l.Next.Unix(), l.Attempts, string(done), l.Error, l.ID, l.claim, string(Claimed), string(Sending), string(Doubted))
	return err
}

// Swept says how many letters a sweep found.
type Swept struct {
	Doubted int64 // their instance ended while it was sending
	Late    int64 // they could not be sent in time
}

// SweepLetters takes up what instances that ended have left, and gives up what
// is too late.
func (s *Store) SweepLetters(ctx context.Context, now time.Time) (n Swept, err error) {
	change := func(text string, args ...any) int64 {
		if err != nil {
			return 0
		}
		var r sql.Result
		if r, err = s.db.ExecContext(ctx, text, args...); err != nil {
			return 0
		}
		var rows int64
		rows, err = r.RowsAffected()
		return rows
	}
	n.Doubted = change(`UPDATE letters SET state = $1, error = 'the instance ended while it was sending' WHERE state = $2 AND next < $3`,
		string(Doubted), string(Sending), now.Add(-SendingEnds).Unix())
	// Nothing of a letter that was only claimed has left.
	change(`UPDATE letters SET state = $1, error = 'the instance ended before it sent' WHERE state = $2 AND next < $3`,
		string(Due), string(Claimed), now.Add(-ClaimEnds).Unix())
	n.Late = change(`UPDATE letters SET state = CASE done WHEN '[]' THEN $1 ELSE $2 END, next = $3, error = CASE error WHEN '' THEN 'it is too late to send it' ELSE error END
		WHERE state = $4 AND expires <= $3`, string(Undelivered), string(Partly), now.Unix(), string(Due))
	return n, err
}

// Letters lists the letters in some states, or all, in the order of their last
// change.
func (s *Store) Letters(ctx context.Context, states ...LetterState) (list []Letter, err error) {
	f := rowFilter{}
	text := `SELECT ` + letterColumns + ` FROM letters`
	if len(states) > 0 {
		f.in("state", stateTexts(states))
		text += ` WHERE ` + f.where[0]
	}
	err = query(ctx, s.db, text+` ORDER BY next, id`, func(scan func(...any) error) error {
		l, err := scanLetter(scan)
		list = append(list, l)
		return err
	}, f.args...)
	return list, err
}

func stateTexts(states []LetterState) (list []string) {
	for _, st := range states {
		list = append(list, string(st))
	}
	return list
}

// An OutboxState counts the letters that were not sent, or not to all.
type OutboxState struct {
	Waiting, Doubted, Undelivered int
	Oldest                        time.Time // when the oldest of Waiting was put; zero: none
}

// OutboxState counts the letters that the outbox keeps.
func (s *Store) OutboxState(ctx context.Context) (o OutboxState, err error) {
	err = query(ctx, s.db, `SELECT state, COUNT(*), MIN(made) FROM letters WHERE state <> $1 GROUP BY state`, func(scan func(...any) error) error {
		var state string
		var n int
		var oldest int64
		if err := scan(&state, &n, &oldest); err != nil {
			return err
		}
		switch LetterState(state) {
		case Due, Claimed, Sending:
			o.Waiting += n
			if at := time.Unix(oldest, 0); o.Oldest.IsZero() || at.Before(o.Oldest) {
				o.Oldest = at
			}
		case Doubted:
			o.Doubted += n
		case Partly, Undelivered:
			o.Undelivered += n
		}
		return nil
	}, string(Sent))
	return o, err
}

// RetryLetter puts a letter back that is Undelivered, Partly or Doubted: the
// addresses that refused it are tried again, those that have it are not. It
// reports whether it was in one of those states.
func (s *Store) RetryLetter(ctx context.Context, id string, now, expires time.Time) (was bool, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		l, err := scanLetter(tx.QueryRowContext(ctx, `SELECT `+letterColumns+` FROM letters WHERE id = $1`, id).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if was = l.State == Undelivered || l.State == Partly || l.State == Doubted; !was {
			return nil
		}
		have := []Delivery{}
		for _, d := range l.Done {
			if d.Refused == "" {
				have = append(have, d)
			}
		}
		done, err := json.Marshal(have)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE letters SET state = $1, next = $2, expires = $3, attempts = 0, done = $4 WHERE id = $5`,
			string(Due), now.Unix(), max(expires.Unix(), l.Expires.Unix()), string(done), id)
		return err
	})
	return was, err
}

// pruneKept deletes the letters that nobody can send since before an instant, and
// the gaps and outages that are older. A letter that expired is not put again: its week, or
// its outage, is over.
func (s *Store) pruneKept(ctx context.Context, before time.Time) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM letters WHERE expires < $1`, before.Unix()); err != nil {
		return err
	}
	if _, err := s.db.ExecContext(ctx, `DELETE FROM gaps WHERE until < $1`, before.UnixMicro()); err != nil {
		return err
	}
	return s.pruneOutages(ctx, before)
}
