package live

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/piano-roc/rpn/internal/roc"
)

// Etablissements are the metrics of each establishment, on a page of their own
// (/metrics/etablissements): about ten series for each of thousands, to be
// scraped less often, and only where they are used. Its labels are the
// structures of the register: a caller that is not there adds no series, and no
// series is of an establishment and an insurer or a service. Safe for concurrent
// use.
type Etablissements struct {
	label func(roc.StructureID) (string, bool)
	all   func(yield func(label, nom string))
	by    sync.Map // label -> *etablissementCounts
	page  *prometheus.Registry
}

// responsables are the label values of who must act, in order.
var responsables = roc.Responsables()

type etablissementCounts struct {
	ends              [6]atomic.Uint64 // by responsables
	limited           atomic.Uint64
	total, amc, added atomic.Int64 // nanoseconds
}

// NewEtablissements makes them. label gives the label of a structure of the
// register, and all yields those of the register with their names.
func NewEtablissements(label func(roc.StructureID) (string, bool), all func(yield func(label, nom string))) *Etablissements {
	e := &Etablissements{label: label, all: all, page: prometheus.NewRegistry()}
	e.page.MustRegister(e)
	return e
}

// Observe counts one exchange that ended.
func (e *Etablissements) Observe(rec *roc.Record) {
	label, ok := e.label(rec.From)
	if !ok {
		return
	}
	c, there := e.by.Load(label)
	if !there {
		c, _ = e.by.LoadOrStore(label, &etablissementCounts{})
	}
	n := c.(*etablissementCounts)
	for i, r := range responsables {
		if r == rec.Responsable() {
			n.ends[i].Add(1)
		}
	}
	if rec.Reason == roc.TooMany {
		n.limited.Add(1)
	}
	n.total.Add(int64(rec.Total()))
	n.amc.Add(int64(rec.AMC))
	n.added.Add(int64(rec.Added()))
}

// Describe implements prometheus.Collector.
func (e *Etablissements) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range etablissementMetrics {
		ch <- desc(m.Name)
	}
}

// Collect implements prometheus.Collector. Those of the register have their
// series, before their first exchange too; those that left it have none.
func (e *Etablissements) Collect(ch chan<- prometheus.Metric) {
	ends, limited, spent, info := desc(etablissementExchanges), desc(etablissementLimited), desc(etablissementSeconds), desc(etablissementInfo)
	there := map[string]bool{}
	nothing := &etablissementCounts{}
	e.all(func(label, nom string) {
		if there[label] {
			return
		}
		there[label] = true
		n := nothing
		if c, ok := e.by.Load(label); ok {
			n = c.(*etablissementCounts)
		}
		count := func(d *prometheus.Desc, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
		}
		for i, r := range responsables {
			count(ends, float64(n.ends[i].Load()), label, orNobody(r))
		}
		count(limited, float64(n.limited.Load()), label)
		count(spent, time.Duration(n.total.Load()).Seconds(), label, "total")
		count(spent, time.Duration(n.amc.Load()).Seconds(), label, "amc")
		count(spent, time.Duration(n.added.Load()).Seconds(), label, "rpn")
		ch <- prometheus.MustNewConstMetric(info, prometheus.GaugeValue, 1, label, nom)
	})
	e.by.Range(func(label, _ any) bool {
		if !there[label.(string)] {
			e.by.Delete(label)
		}
		return true
	})
}

// Gatherer gives the metrics to a test or to another exporter.
func (e *Etablissements) Gatherer() prometheus.Gatherer { return e.page }

// Handler serves the page.
func (e *Etablissements) Handler() http.Handler {
	return promhttp.HandlerFor(e.page, promhttp.HandlerOpts{EnableOpenMetrics: true})
}
