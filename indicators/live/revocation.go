package live

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// RevocationStats are the revocation lists and their state.
type RevocationStats struct {
	Lists                []RevocationList // one for each CA
	Good, Failing, Never int              // where they are downloaded from
	OldestConfirmation   time.Time        // zero: one never gave anything, or there is none
	Deny                 bool             // there is an emergency deny list
	DenySequence         uint64
	DenyEntries          int
	DenyGood             bool
}

// A RevocationList is that of one CA.
type RevocationList struct {
	CA           string // its common name: those of the trust stores, a closed list
	Issued, Ends time.Time
	Entries      int
	Serves       bool
}

// A revocationCollector reads the figures when it is scraped.
type revocationCollector struct{ stats func() RevocationStats }

var revocationMetrics = []string{listIssued, listEnds, listEntries, listServes, listSources, listConfirmed, denySequence, denyEntries, denyGood}

// Describe implements prometheus.Collector.
func (c revocationCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, name := range revocationMetrics {
		ch <- desc(name)
	}
}

// Collect implements prometheus.Collector.
func (c revocationCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.stats()
	gauge := func(name string, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc(name), prometheus.GaugeValue, v, labels...)
	}
	yes := map[bool]float64{true: 1}
	for _, l := range s.Lists {
		gauge(listIssued, seconds(l.Issued), l.CA)
		gauge(listEnds, seconds(l.Ends), l.CA)
		gauge(listEntries, float64(l.Entries), l.CA)
		gauge(listServes, yes[l.Serves], l.CA)
	}
	gauge(listSources, float64(s.Good), "good")
	gauge(listSources, float64(s.Failing), "failing")
	gauge(listSources, float64(s.Never), "never")
	if !s.OldestConfirmation.IsZero() {
		gauge(listConfirmed, seconds(s.OldestConfirmation))
	}
	if s.Deny {
		gauge(denySequence, float64(s.DenySequence))
		gauge(denyEntries, float64(s.DenyEntries))
		gauge(denyGood, yes[s.DenyGood])
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }

// An openCollector counts connections when it is scraped.
type openCollector struct {
	open func() (etablissements, amc int)
}

// Describe implements prometheus.Collector.
func (c openCollector) Describe(ch chan<- *prometheus.Desc) { ch <- desc(connectionsOpen) }

// Collect implements prometheus.Collector.
func (c openCollector) Collect(ch chan<- prometheus.Metric) {
	es, amc := c.open()
	ch <- prometheus.MustNewConstMetric(desc(connectionsOpen), prometheus.GaugeValue, float64(es), "etablissements")
	ch <- prometheus.MustNewConstMetric(desc(connectionsOpen), prometheus.GaugeValue, float64(amc), "amc")
}

// Cut counts connections closed because their peer is no longer accepted; side
// is "etablissements" or "amc", reason is of tlsconf's closed list.
func (l *Metrics) Cut(side, reason string, connections int) {
	l.cuts.WithLabelValues(side, reason).Add(float64(connections))
}
