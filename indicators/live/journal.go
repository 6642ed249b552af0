package live

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/piano-roc/rpn/journal"
)

// A journalCollector reads the figures of the journal when it is scraped.
type journalCollector struct {
	stats func() (journal.Stats, bool)
}

var journalMetrics = []string{journalRecords, journalUnsealed, journalSealed, journalRoom, journalBytes, journalSegments, journalGaps, journalErrors, journalDamaged}

// Describe implements prometheus.Collector.
func (c journalCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, name := range journalMetrics {
		ch <- desc(name)
	}
}

// Collect implements prometheus.Collector.
func (c journalCollector) Collect(ch chan<- prometheus.Metric) {
	s, kept := c.stats()
	if !kept {
		return
	}
	gauge := func(name string, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc(name), prometheus.GaugeValue, v, labels...)
	}
	count := func(name string, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc(name), prometheus.CounterValue, float64(v), labels...)
	}
	count(journalRecords, s.Records)
	gauge(journalUnsealed, float64(s.Records-min(s.Sealed, s.Records)))
	if !s.SealedAt.IsZero() {
		gauge(journalSealed, seconds(s.SealedAt))
	}
	gauge(journalRoom, float64(s.RoomLeft))
	gauge(journalBytes, float64(s.Bytes))
	gauge(journalSegments, float64(s.Segments), "closed")
	gauge(journalSegments, float64(s.WaitClose), "waiting")
	count(journalGaps, s.NotRecorded, "not-recorded")
	count(journalGaps, s.TurnedAway, "turned-away")
	count(journalGaps, s.NotAmended, "not-amended")
	for step, n := range map[string]uint64{"write": s.Faults, "sync": s.SyncErrors, "seal": s.SealErrors, "close": s.CloseErrors, "room": s.RoomErrors, "read": s.ReadErrors} {
		count(journalErrors, n, step)
	}
	gauge(journalDamaged, float64(s.Damaged))
}
