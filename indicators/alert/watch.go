package alert

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
)

// current reports whether the figures are of now, and logs, once, that alerts
// wait for them.
func (w *Watcher) current(now time.Time) bool {
	switch {
	case w.o.Reached(now.Add(-late), silent):
		w.waits, w.waited = time.Time{}, false
		return true
	case w.waits.IsZero():
		w.waits = now
	case !w.waited && now.Sub(w.waits) >= late:
		w.waited = true
		w.o.Log.Warn("outages are not told: the figures of this instance, or of another one that shares the store, are late", slog.String("event", "alert_waits"), slog.Time("since", w.waits.UTC()))
	}
	return false
}

// insurers looks at every insurer once.
func (w *Watcher) insurers(ctx context.Context, s *store.Store, known []store.AnnouncedOutage, now time.Time) error {
	if !w.current(now) { // nothing is told of what is not known
		clear(w.down)
		clear(w.up)
		return nil
	}
	states, err := s.States(ctx, now.Add(-lookBack), now)
	if err != nil {
		return err
	}
	by := map[roc.NumeroAMC][]store.ServiceState{}
	for _, st := range states {
		n := w.o.AMC(st.AMC).Numeros[0]
		by[n] = append(by[n], st)
	}
	for _, n := range w.openOf(known) { // that nobody calls any more
		if by[n] == nil {
			by[n] = []store.ServiceState{}
		}
	}
	for n, states := range by {
		if err := w.insurer(ctx, s, n, states, known, now); err != nil {
			return err
		}
	}
	return nil
}

func (w *Watcher) openOf(known []store.AnnouncedOutage) (list []roc.NumeroAMC) {
	for i := range known {
		if known[i].Ended.IsZero() {
			list = append(list, w.o.AMC(known[i].AMC).Numeros[0])
		}
	}
	return list
}

// insurer tells what changed of one insurer, once it has held long enough.
func (w *Watcher) insurer(ctx context.Context, s *store.Store, n roc.NumeroAMC, states []store.ServiceState, known []store.AnnouncedOutage, now time.Time) error {
	var open *store.AnnouncedOutage
	var last time.Time // when the end of the one before was told
	for i := range known {
		switch o := &known[i]; {
		case w.o.AMC(o.AMC).Numeros[0] != n:
		case o.Ended.IsZero():
			open = o
		case o.Ended.After(last):
			last = o.Ended
		}
	}
	out := outNow(states, now)
	if open == nil {
		delete(w.up, n)
		if len(out) == 0 {
			delete(w.down, n)
			return nil
		}
		if !w.goesOn(n, out, now) {
			return nil
		}
		began := out[0].Since
		for _, st := range out {
			if st.Since.Before(began) {
				began = st.Since
			}
		}
		if began.Before(last) {
			began = last
		}
		delete(w.down, n)
		return w.notifyOutage(ctx, s, &store.AnnouncedOutage{AMC: n, Began: began, Services: services(nil, out), Announced: now})
	}
	delete(w.down, n)
	if wider := services(open.Services, out); len(wider) > len(open.Services) {
		open.Services = wider
		if err := s.WidenOutage(ctx, open); err != nil {
			return err
		}
	}
	over, back := backSince(open, states)
	if len(out) > 0 || !back {
		delete(w.up, n)
		return nil
	}
	if w.up[n].IsZero() {
		w.up[n] = now
	}
	if now.Sub(w.up[n]) < w.o.Up {
		return nil
	}
	delete(w.up, n)
	open.Over, open.Ended = over, now
	return w.notifyBack(ctx, s, open)
}

// goesOn reports whether an insurer that is out still fails exchanges so long
// after it was first seen.
func (w *Watcher) goesOn(n roc.NumeroAMC, out []store.ServiceState, now time.Time) bool {
	var sum int64
	for _, st := range out {
		sum += st.Failed
	}
	f := w.down[n]
	if f == nil {
		f = &failing{since: now, last: now, failed: sum}
		w.down[n] = f
	}
	if sum > f.failed {
		f.failed, f.last = sum, now
	}
	return f.last.Sub(f.since) >= w.o.Down
}

// outNow are the services that are out. One that was last measured too long ago
// may be well by now: nobody is told of it, were it not told before.
func outNow(states []store.ServiceState, now time.Time) (list []store.ServiceState) {
	for _, st := range states {
		if st.Out && now.Sub(st.Measured) < 3*store.Window {
			list = append(list, st)
		}
	}
	return list
}

// backSince reports whether one of the services of an outage was measured since,
// and since when it is good. One that nobody calls any more does not keep the
// others from being told.
func backSince(o *store.AnnouncedOutage, states []store.ServiceState) (since time.Time, back bool) {
	for _, st := range states {
		if !slices.Contains(o.Services, st.Service) || st.Out || !st.Measured.After(o.Began) {
			continue
		}
		back = true
		if since.IsZero() || st.Over.After(since) {
			since = st.Over
		}
	}
	if since.IsZero() || since.Before(o.Began) { // its end is no longer in what was read
		for _, st := range states {
			if st.Measured.After(since) {
				since = st.Measured
			}
		}
	}
	return since, back
}

func services(list []roc.Service, states []store.ServiceState) []roc.Service {
	list = slices.Clone(list)
	for _, st := range states {
		if !slices.Contains(list, st.Service) {
			list = append(list, st.Service)
		}
	}
	slices.Sort(list)
	return list
}
