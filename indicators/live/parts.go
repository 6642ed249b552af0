package live

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// CapacityStats is which part of each resource of the instance is taken, 0 to 1.
type CapacityStats struct{ Connections, Exchanges, Memory float64 }

// MailStats is what the outbox holds that was not sent, or not to all.
type MailStats struct {
	Waiting, Doubted, Undelivered int
	Oldest                        time.Time // since when the oldest of Waiting waits; zero: none
}

// A partsCollector reads, when it is scraped, what the limits and the mails know
// of themselves.
type partsCollector struct {
	capacity func() CapacityStats
	resting  func() (addresses int, since time.Time)
	shared   func() RedisState
	mail     func() (MailStats, bool)
}

var partsMetrics = []string{capacityRatio, restingAddresses, restingSince, limitsShared, mailLetters, mailOldest}

// Describe implements prometheus.Collector.
func (c partsCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, name := range partsMetrics {
		ch <- desc(name)
	}
}

// Collect implements prometheus.Collector.
func (c partsCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(name string, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc(name), prometheus.GaugeValue, v, labels...)
	}
	if c.capacity != nil {
		s := c.capacity()
		gauge(capacityRatio, s.Connections, "connections")
		gauge(capacityRatio, s.Exchanges, "exchanges")
		gauge(capacityRatio, s.Memory, "memory")
	}
	if c.resting != nil {
		n, since := c.resting()
		gauge(restingAddresses, float64(n))
		if n > 0 {
			gauge(restingSince, seconds(since))
		}
	}
	if c.shared != nil {
		if s := c.shared(); s != NoRedis {
			gauge(limitsShared, float64(s-RedisLost))
		}
	}
	if c.mail == nil {
		return
	}
	s, read := c.mail()
	if !read {
		return
	}
	gauge(mailLetters, float64(s.Waiting), "waiting")
	gauge(mailLetters, float64(s.Doubted), "doubted")
	gauge(mailLetters, float64(s.Undelivered), "undelivered")
	if !s.Oldest.IsZero() {
		gauge(mailOldest, seconds(s.Oldest))
	}
}
