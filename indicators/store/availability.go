package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// An Availability is how one service of an insurer did, by the definition of an
// outage (Window).
type Availability struct {
	Service roc.Service

	Windows       int   // with an exchange
	Measured, Out int   // of them
	Sent, Failed  int64 // exchanges, in every window
	FailedOut     int64 // of Failed, those in windows that are out
	Peak          int64 // the most exchanges sent in one window

	Outages []Outage // in their order
}

// An Outage goes from the first window that is out to the next measured one
// that is not. A window with too few exchanges to be measured changes nothing.
type Outage struct {
	From   time.Time
	To     time.Time // zero: it is not over
	Failed int64     // exchanges that failed meanwhile
}

// Share is the share of the measured windows that are not out; false: none was
// measured.
func (a *Availability) Share() (float64, bool) {
	if a.Measured == 0 {
		return 0, false
	}
	return 1 - float64(a.Out)/float64(a.Measured), true
}

// Minutes is how long the service was out.
func (a *Availability) Minutes() float64 { return float64(a.Out) * Window.Minutes() }

// Availability returns how each service of an insurer did in the windows that
// begin from from on and before to. The figures of several instances add up,
// except that the rule of five looks at the exchanges of one.
func (s *Store) Availability(ctx context.Context, amc roc.NumeroAMC, from, to time.Time) ([]Availability, error) {
	all, err := s.windowsOf(ctx, amc, from, to)
	if err != nil {
		return nil, err
	}
	var list []Availability
	for key, each := range all {
		list = append(list, availabilityOf(key.service, each))
	}
	slices.SortFunc(list, func(x, y Availability) int { return cmp.Compare(x.Service, y.Service) })
	return list, nil
}

// windowsOf returns the windows of each service of an insurer, or of every insurer
// (""), that begin from from on and before to, by when they do.
func (s *Store) windowsOf(ctx context.Context, amc roc.NumeroAMC, from, to time.Time) (map[serviceKey]map[int64]*Counts, error) {
	f := rowFilter{kind: windows}
	f.side("structure", nil, false)
	var one []string
	if amc != "" {
		one = []string{string(amc)}
	}
	f.side("amc", one, true)
	f.period(Day.Begin(from), to)
	all := map[serviceKey]map[int64]*Counts{}
	err := s.packs(ctx, &f, false, false, func(k packKey, e entry) {
		at := k.begins + int64(e.slot)*int64(Window/time.Second)
		if at < from.Unix() || at >= to.Unix() {
			return
		}
		key := serviceKey{k.amc, e.service}
		if all[key] == nil {
			all[key] = map[int64]*Counts{}
		}
		w := all[key][at]
		if w == nil {
			w = &Counts{}
			all[key][at] = w
		}
		w.Add(e.Counts)
	})
	return all, err
}

// Peak returns the most exchanges that were sent to an insurer in one window, all
// services and instances together.
func (s *Store) Peak(ctx context.Context, amc roc.NumeroAMC, from, to time.Time) (most int64, err error) {
	all, err := s.windowsOf(ctx, amc, from, to)
	sent := map[int64]int64{}
	for _, each := range all {
		for at, w := range each {
			sent[at] += w.Sent
		}
	}
	for _, n := range sent {
		most = max(most, n)
	}
	return most, err
}

// availabilityOf goes through the windows of a service, by when they begin.
func availabilityOf(service roc.Service, all map[int64]*Counts) Availability {
	a := Availability{Service: service}
	begins := make([]int64, 0, len(all))
	for at := range all {
		begins = append(begins, at)
	}
	slices.Sort(begins)
	var open *Outage
	for _, at := range begins {
		w := all[at]
		a.Windows++
		a.Sent += w.Sent
		a.Failed += w.Failed
		a.Peak = max(a.Peak, w.Sent)
		measured, out := w.window()
		if measured {
			a.Measured++
		}
		switch {
		case out:
			a.Out++
			a.FailedOut += w.Failed
			if open == nil {
				a.Outages = append(a.Outages, Outage{From: time.Unix(at, 0)})
				open = &a.Outages[len(a.Outages)-1]
			}
		case measured && open != nil:
			open.To = time.Unix(at, 0)
			open = nil
		}
		if open != nil {
			open.Failed += w.Failed
		}
	}
	return a
}

// window applies the definition of an outage to the counts of a window.
func (c *Counts) window() (measured, out bool) {
	out = c.unanswered > 0 || c.Sent >= fiveCalls && c.Failed*outOf >= c.Sent
	return out || c.Sent >= fiveCalls, out
}
