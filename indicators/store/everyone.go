package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Recent is how one service of an insurer did, and does now.
type Recent struct {
	Availability

	Last             time.Time // when the last window with an exchange begins
	SentNow, FailNow int64     // exchanges in the windows that begin from an instant on
}

// Availabilities returns what Availability does, of every insurer at once; now is
// from when on exchanges are of now.
func (s *Store) Availabilities(ctx context.Context, from, now, to time.Time) (map[roc.NumeroAMC][]Recent, error) {
	all, err := s.windowsOf(ctx, "", from, to)
	if err != nil {
		return nil, err
	}
	list := map[roc.NumeroAMC][]Recent{}
	for key, each := range all {
		r := Recent{Availability: availabilityOf(key.service, each)}
		for at, c := range each {
			if t := time.Unix(at, 0); t.After(r.Last) {
				r.Last = t
			}
			if at >= now.Unix() {
				r.SentNow, r.FailNow = r.SentNow+c.Sent, r.FailNow+c.Failed
			}
		}
		list[key.amc] = append(list[key.amc], r)
	}
	for _, services := range list {
		slices.SortFunc(services, func(x, y Recent) int { return cmp.Compare(x.Service, y.Service) })
	}
	return list, nil
}

// Callers are the structures that have called an insurer since.
func (s *Store) Callers(ctx context.Context, amc roc.NumeroAMC, since time.Time) (list []roc.StructureID, err error) {
	err = query(ctx, s.db, `SELECT DISTINCT structure FROM cells WHERE kind = 'p' AND amc = $1 AND begins >= $2`, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		list = append(list, roc.StructureID(id))
		return err
	}, string(amc), since.Unix())
	slices.Sort(list)
	return list, err
}
