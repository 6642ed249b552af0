package access

import (
	"context"
	"slices"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/portal/incident"
)

// The bounds of what is shown of incidents.
const (
	incidentsOf     = 60 * 24 * time.Hour // to operators
	incidentsPublic = 7 * 24 * time.Hour  // to everybody, after their end
	maxIncidents    = 50                  // to everybody
)

// outages are those that alerts have told, as incidents: the one place that decides
// when an outage begins and ends is that of the alerts.
func outages(ctx context.Context, st *store.Store, now time.Time) (list []incident.Incident, err error) {
	all, err := st.Outages(ctx, now.Add(-incidentsOf))
	for _, o := range all {
		i := incident.Incident{ID: incident.MeasuredID(o.AMC, o.Began), AMC: o.AMC, Measured: true, Opened: o.Began, Closed: o.Over, Changed: o.Announced}
		if !o.Ended.IsZero() {
			i.Changed = o.Ended
		}
		list = append(list, i)
	}
	return list, err
}

func (r *Reader) incidents(ctx context.Context) ([]incident.Incident, error) {
	sky, err := r.Sky(ctx)
	if err != nil {
		return nil, err
	}
	if r.d.o.Incidents == nil {
		return sky.outages, nil
	}
	return r.d.o.Incidents(sky.outages), nil
}

// Incidents are what everybody reads of: those that go on, and those of the last week.
// Who wrote them is not told.
func (r *Reader) Incidents(ctx context.Context) ([]incident.Incident, error) {
	all, err := r.incidents(ctx)
	if err != nil {
		return nil, err
	}
	list := slices.DeleteFunc(slices.Clone(all), func(i incident.Incident) bool { return !i.Closed.IsZero() && r.Now().Sub(i.Closed) > incidentsPublic })
	list = list[:min(len(list), maxIncidents)]
	for k := range list {
		list[k].By = ""
	}
	return list, nil
}

// Incidents are all of them, of the last weeks, for an operator who asks about the
// nation.
func (s *Subject) Incidents(ctx context.Context) ([]incident.Incident, error) {
	if s.es != nil || s.numero != "" || s.r.v.kind != Operator {
		return nil, ErrHidden
	}
	return s.r.incidents(ctx)
}
