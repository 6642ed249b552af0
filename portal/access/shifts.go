package access

import (
	"context"
	"sync"
	"time"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/indicators/store"
)

// keptShifts is how many pairs are kept.
const keptShifts = 50

// shifts keeps the pairs of the whole country that changed most between two
// weeks: they change once a day, and reading every pair takes a while.
type shifts struct {
	mu    sync.Mutex
	weeks [3]time.Time
	list  []report.Shift
}

// ShiftedWeeks are the bounds of two weeks: the last seven days that are over,
// and the seven before.
func ShiftedWeeks(now time.Time) [3]time.Time {
	today := store.Day.Begin(now)
	return [3]time.Time{today.AddDate(0, 0, -14), today.AddDate(0, 0, -7), today}
}

// renewShifts makes the list again when its weeks are over, establishment by
// establishment: what is held at once is what one of them has. It rests as long
// as it works, since exchanges go first.
func (d *Data) renewShifts(ctx context.Context) error {
	weeks := ShiftedWeeks(d.o.Now())
	d.shifts.mu.Lock()
	fresh := d.shifts.weeks == weeks
	d.shifts.mu.Unlock()
	if fresh {
		return nil
	}
	st, err := d.store.get(ctx)
	if err != nil {
		return err
	}
	var list []report.Shift
	for e := range d.o.Register().Etablissements() {
		began := time.Now()
		var sides [2][]store.Row
		for i := range sides {
			if sides[i], err = st.Figures(ctx, store.Query{Grain: store.Day, Structures: e.IDs(), From: weeks[i], To: weeks[i+1], By: []store.Dimension{store.ByAMC, store.ByCode}, NoDurations: true}); err != nil {
				return err
			}
		}
		for _, s := range report.Shifts(sides[0], sides[1]) {
			s.Etablissement = e.Structure
			list = append(list, s)
		}
		if len(list) > 10*keptShifts {
			list = report.Largest(list, keptShifts)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Since(began)):
		}
	}
	d.shifts.mu.Lock()
	defer d.shifts.mu.Unlock()
	d.shifts.weeks, d.shifts.list = weeks, report.Largest(list, keptShifts)
	return nil
}

// Shifts are the pairs of an establishment and an insurer whose failures changed
// most between two weeks, for an operator. Ready is false while they are being made.
func (s *Subject) Shifts() (list []report.Shift, ready bool) {
	if s.es != nil || s.numero != "" {
		return nil, false
	}
	k := &s.r.d.shifts
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.list, !k.weeks[0].IsZero()
}
