package live

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// FiguresStats says how far the figures of the store are.
type FiguresStats struct {
	Behind   uint64        // records of the journal that are in none yet
	Lag      time.Duration // for how long one of them has been missing at most
	Failures uint64        // times that they could not be brought up to date
}

// A figuresCollector reads it when it is scraped.
type figuresCollector struct {
	stats func() (FiguresStats, bool)
}

// Describe implements prometheus.Collector.
func (c figuresCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, name := range []string{figuresBehind, figuresLag, figuresFailures} {
		ch <- desc(name)
	}
}

// Collect implements prometheus.Collector.
func (c figuresCollector) Collect(ch chan<- prometheus.Metric) {
	s, kept := c.stats()
	if !kept {
		return
	}
	ch <- prometheus.MustNewConstMetric(desc(figuresBehind), prometheus.GaugeValue, float64(s.Behind))
	ch <- prometheus.MustNewConstMetric(desc(figuresLag), prometheus.GaugeValue, s.Lag.Seconds())
	ch <- prometheus.MustNewConstMetric(desc(figuresFailures), prometheus.CounterValue, float64(s.Failures))
}
