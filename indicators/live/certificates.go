package live

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A CertificateCount is how many certificates of a kind are at a level of the
// expiry inventory. Kind and Level are of closed lists.
type CertificateCount struct {
	Kind, Level  string
	Count, Calls int
	FirstEnd     time.Time // of those that have not expired; zero: none
}

// A certificateCollector reads the inventory when it is scraped.
type certificateCollector struct {
	counts            func() []CertificateCount
	count, calls, end *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *certificateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.count, c.calls, c.end} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *certificateCollector) Collect(ch chan<- prometheus.Metric) {
	first := map[string]time.Time{}
	for _, n := range c.counts() {
		ch <- prometheus.MustNewConstMetric(c.count, prometheus.GaugeValue, float64(n.Count), n.Kind, n.Level)
		ch <- prometheus.MustNewConstMetric(c.calls, prometheus.GaugeValue, float64(n.Calls), n.Kind, n.Level)
		if end, ok := first[n.Kind]; !n.FirstEnd.IsZero() && (!ok || n.FirstEnd.Before(end)) {
			first[n.Kind] = n.FirstEnd
		}
	}
	for kind, end := range first {
		ch <- prometheus.MustNewConstMetric(c.end, prometheus.GaugeValue, float64(end.Unix()), kind)
	}
}
