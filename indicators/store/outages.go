package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A ServiceState is how one service of an insurer does now, by the definition of
// an outage (Window).
type ServiceState struct {
	AMC      roc.NumeroAMC
	Service  roc.Service
	Out      bool
	Since    time.Time // when the outage began, or the last one; zero: none did
	Over     time.Time // when the last one ended; zero: none did, or it is not over
	Measured time.Time // when the last measured window began; zero: none was
	Failed   int64     // exchanges that failed in the outage, or the last one
}

// States returns the services that were called in the windows that begin from
// from on and before to.
func (s *Store) States(ctx context.Context, from, to time.Time) ([]ServiceState, error) {
	all, err := s.windowsOf(ctx, "", from, to)
	if err != nil {
		return nil, err
	}
	list := make([]ServiceState, 0, len(all))
	for key, each := range all {
		st := ServiceState{AMC: key.amc, Service: key.service}
		if a := availabilityOf(key.service, each); len(a.Outages) > 0 {
			last := a.Outages[len(a.Outages)-1]
			st.Out, st.Since, st.Over, st.Failed = last.To.IsZero(), last.From, last.To, last.Failed
		}
		for at, w := range each {
			if measured, _ := w.window(); measured && time.Unix(at, 0).After(st.Measured) {
				st.Measured = time.Unix(at, 0)
			}
		}
		list = append(list, st)
	}
	slices.SortFunc(list, func(x, y ServiceState) int {
		return cmp.Or(cmp.Compare(x.AMC, y.AMC), cmp.Compare(x.Service, y.Service))
	})
	return list, nil
}

// An AnnouncedOutage is an outage of an insurer that was announced to its
// subscribers, even where there are none.
type AnnouncedOutage struct {
	AMC       roc.NumeroAMC
	Began     time.Time // of its first window
	Services  []roc.Service
	Announced time.Time
	Over      time.Time // of its first window that is good
	Ended     time.Time // when its end was announced; zero: it is not over
}

// outageTables makes the tables of the outages. Like the letters they outlive
// the figures: what was announced is not announced again.
func (d dialect) outageTables() []string {
	return []string{
		`CREATE TABLE IF NOT EXISTS outages (amc TEXT, began BIGINT, services TEXT NOT NULL, told BIGINT NOT NULL, back BIGINT NOT NULL, ended BIGINT NOT NULL, PRIMARY KEY (amc, began))` + d.keyed,
		`CREATE TABLE IF NOT EXISTS replays (amc TEXT, began BIGINT, origin TEXT, recipient TEXT, missed BIGINT NOT NULL, rows TEXT NOT NULL, PRIMARY KEY (amc, began, origin, recipient))` + d.keyed,
	}
}

// Outages returns the outages that are not over, and those that ended since an
// instant.
func (s *Store) Outages(ctx context.Context, since time.Time) (list []AnnouncedOutage, err error) {
	err = query(ctx, s.db, `SELECT amc, began, services, told, back, ended FROM outages WHERE ended = 0 OR ended >= $1 ORDER BY amc, began`, func(scan func(...any) error) error {
		o, err := scanOutage(scan)
		list = append(list, o)
		return err
	}, since.Unix())
	return list, err
}

// Outage returns one of them; false: there is none.
func (s *Store) Outage(ctx context.Context, amc roc.NumeroAMC, began time.Time) (o AnnouncedOutage, known bool, err error) {
	o, err = scanOutage(s.db.QueryRowContext(ctx, `SELECT amc, began, services, told, back, ended FROM outages WHERE amc = $1 AND began = $2`, string(amc), began.Unix()).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return o, false, nil
	}
	return o, err == nil, err
}

func scanOutage(scan func(...any) error) (o AnnouncedOutage, err error) {
	var amc, services string
	var began, told, over, ended int64
	if err := scan(&amc, &began, &services, &told, &over, &ended); err != nil {
		return o, err
	}
	o = AnnouncedOutage{AMC: roc.NumeroAMC(amc), Began: time.Unix(began, 0), Announced: time.Unix(told, 0)}
	if ended != 0 {
		o.Over, o.Ended = time.Unix(over, 0), time.Unix(ended, 0)
	}
	for name := range strings.SplitSeq(services, ",") {
		if v, err := roc.ParseService(name); err == nil {
			o.Services = append(o.Services, v)
		}
	}
	return o, nil
}

// BeginOutage writes an outage down with its letters, in one transaction. It does
// nothing, and reports false, when the insurer has one already that is not over:
// of several instances one tells it.
func (s *Store) BeginOutage(ctx context.Context, o *AnnouncedOutage, letters []Letter) (begun bool, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `INSERT INTO outages (amc, began, services, told, back, ended) SELECT $1, $2, $3, $4, 0, 0
			WHERE NOT EXISTS (SELECT 1 FROM outages WHERE amc = $1 AND (ended = 0 OR began = $2 OR ended > $2))`,
			string(o.AMC), o.Began.Unix(), strings.Join(roc.Texts(o.Services), ","), o.Announced.Unix())
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		if err != nil || n == 0 {
			return err
		}
		begun = true
		return putLetters(ctx, tx, letters, o.Announced)
	})
	return begun && err == nil, err
}

// WidenOutage adds services to an outage that is not over.
func (s *Store) WidenOutage(ctx context.Context, o *AnnouncedOutage) error {
	_, err := s.db.ExecContext(ctx, `UPDATE outages SET services = $1 WHERE amc = $2 AND began = $3 AND ended = 0`, strings.Join(roc.Texts(o.Services), ","), string(o.AMC), o.Began.Unix())
	return err
}

// EndOutage writes down that an outage is over, with the letters that tell it.
// Of several instances one does.
func (s *Store) EndOutage(ctx context.Context, o *AnnouncedOutage, letters []Letter) (ended bool, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `UPDATE outages SET back = $1, ended = $2 WHERE amc = $3 AND began = $4 AND ended = 0`, o.Over.Unix(), o.Ended.Unix(), string(o.AMC), o.Began.Unix())
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		if err != nil || n == 0 {
			return err
		}
		ended = true
		return putLetters(ctx, tx, letters, o.Ended)
	})
	return ended && err == nil, err
}

// A Replay is the exchanges of one recipient that failed in an outage, as the
// journal of one instance has them.
type Replay struct {
	Recipient string
	Rows      string // lines of CSV, each with its line end
	Missed    int64  // exchanges that are in no line: there were too many
}

// PutReplays adds what the journal of an instance has of an outage. An instance
// that has nothing says so too: nobody waits for it.
func (s *Store) PutReplays(ctx context.Context, o *AnnouncedOutage, origin string, list []Replay) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		for _, r := range append([]Replay{{}}, list...) {
			_, err := tx.ExecContext(ctx, `INSERT INTO replays (amc, began, origin, recipient, missed, rows) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (amc, began, origin, recipient) DO NOTHING`,
				string(o.AMC), o.Began.Unix(), origin, r.Recipient, r.Missed, r.Rows)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Contributed reports whether PutReplays was called for an outage by an instance.
func (s *Store) Contributed(ctx context.Context, o *AnnouncedOutage, origin string) (bool, error) {
	var n int
	err := s.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM replays WHERE amc = $1 AND began = $2 AND origin = $3 AND recipient = ''`, string(o.AMC), o.Began.Unix(), origin).Scan(&n)
	return n > 0, err
}

// Replays returns what all instances have of an outage for a recipient, and how
// many of those that had exchanges since it began have not said so yet.
func (s *Store) Replays(ctx context.Context, o *AnnouncedOutage, recipient string) (list []Replay, waited int, err error) {
	err = query(ctx, s.db, `SELECT missed, rows FROM replays WHERE amc = $1 AND began = $2 AND recipient = $3 ORDER BY origin`, func(scan func(...any) error) error {
		r := Replay{Recipient: recipient}
		err := scan(&r.Missed, &r.Rows)
		list = append(list, r)
		return err
	}, string(o.AMC), o.Began.Unix(), recipient)
	if err != nil {
		return nil, 0, err
	}
	err = s.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM journals WHERE newest >= $1 AND origin NOT IN (SELECT origin FROM replays WHERE amc = $2 AND began = $3)`,
		o.Began.UnixMicro(), string(o.AMC), o.Began.Unix()).Scan(&waited)
	return list, waited, err
}

// pruneOutages deletes the outages that ended before an instant, and their
// exchanges.
func (s *Store) pruneOutages(ctx context.Context, before time.Time) error {
	for _, text := range []string{`DELETE FROM outages WHERE ended <> 0 AND ended < $1`,
		`DELETE FROM replays WHERE NOT EXISTS (SELECT 1 FROM outages o WHERE o.amc = replays.amc AND o.began = replays.began) AND began < $1`} {
		if _, err := s.db.ExecContext(ctx, text, before.Unix()); err != nil {
			return err
		}
	}
	return nil
}
