package live

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// EvidenceStats is the state of one of those who confirm the checkpoints of the
// journal.
type EvidenceStats struct {
	By       string    // who: timestamp, witnesses
	At       time.Time // when it last did; zero: never yet
	Failures uint64
}

// An evidenceCollector reads it when it is scraped.
type evidenceCollector struct {
	stats func() []EvidenceStats
}

// Describe implements prometheus.Collector.
func (c evidenceCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- desc(evidenceAt)
	ch <- desc(evidenceFailures)
}

// Collect implements prometheus.Collector.
func (c evidenceCollector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.stats() {
		if !s.At.IsZero() {
			ch <- prometheus.MustNewConstMetric(desc(evidenceAt), prometheus.GaugeValue, seconds(s.At), s.By)
		}
		ch <- prometheus.MustNewConstMetric(desc(evidenceFailures), prometheus.CounterValue, float64(s.Failures), s.By)
	}
}

// A providerCollector reads how often the provider of identities failed.
type providerCollector struct {
	failures func() uint64
}

// Describe implements prometheus.Collector.
func (c providerCollector) Describe(ch chan<- *prometheus.Desc) { ch <- desc(providerFailures) }

// Collect implements prometheus.Collector.
func (c providerCollector) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(desc(providerFailures), prometheus.CounterValue, float64(c.failures()))
}
