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
	type whose struct {
		amc     roc.NumeroAMC
		service roc.Service
	}
	f := rowFilter{kind: windows}
	f.side("structure", nil, false)
	f.side("amc", nil, true)
	f.period(Day.Begin(from), to)
	all := map[whose]map[int64]*Counts{}
	err := s.packs(ctx, &f, func(k packKey, e entry) {
		at := k.begins + int64(e.slot)*int64(Window/time.Second)
		if at < from.Unix() || at >= to.Unix() {
			return
		}
		w := whose{k.amc, e.service}
		if all[w] == nil {
			all[w] = map[int64]*Counts{}
		}
		if all[w][at] == nil {
			all[w][at] = &Counts{}
		}
		all[w][at].Add(e.Counts)
	})
	if err != nil {
		return nil, err
	}
	list := map[roc.NumeroAMC][]Recent{}
	for w, windows := range all {
		r := Recent{Availability: availabilityOf(w.service, windows)}
		for at, c := range windows {
			if t := time.Unix(at, 0); t.After(r.Last) {
				r.Last = t
			}
			if at >= now.Unix() {
				r.SentNow, r.FailNow = r.SentNow+c.Sent, r.FailNow+c.Failed
			}
		}
		list[w.amc] = append(list[w.amc], r)
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
