package live

import "github.com/prometheus/client_golang/prometheus"

// An annuaireCollector reads the directory's figures at each scrape: the
// directory counts them itself.
type annuaireCollector struct {
	stats                           func() AnnuaireStats
	lookups, asks, keys, lastAnswer *prometheus.Desc

	stale, renewals, kept, held, redis *prometheus.Desc
	unstored, limited                  *prometheus.Desc
}

func newAnnuaireCollector(stats func() AnnuaireStats) *annuaireCollector {
	return &annuaireCollector{stats, desc(annuaireLookups), desc(annuaireAsks), desc(annuaireKeys), desc(annuaireLastAnswer),
		desc(annuaireStale), desc(annuaireRenewals), desc(annuaireKept), desc(annuaireHeld), desc(redisUp),
		desc(annuaireUnstored), desc(annuaireLimited)}
}

func desc(name string) *prometheus.Desc {
	m := metric(name)
	return prometheus.NewDesc(m.Name, m.Help, m.Labels, nil)
}

// Describe implements prometheus.Collector.
func (c *annuaireCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.lookups, c.asks, c.keys, c.lastAnswer, c.stale, c.renewals, c.kept, c.held, c.redis, c.unstored, c.limited} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *annuaireCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.stats()
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	count(c.stale, s.Stale)
	count(c.renewals, s.Renewals)
	count(c.kept, s.FromDisk, "disk", "used")
	count(c.kept, s.FromShared, "redis", "used")
	count(c.kept, s.Disbelieved, "any", "disbelieved")
	count(c.kept, s.RolledBack, "redis", "rolled-back")
	count(c.kept, s.Damaged, "disk", "damaged")
	count(c.unstored, s.Unstored)
	count(c.limited, s.Limited)
	gauge(c.held, float64(s.Held))
	if s.Redis != NoRedis {
		gauge(c.redis, float64(s.Redis-RedisLost))
	}
	count(c.lookups, s.Memory, "memory")
	count(c.lookups, s.Asked, "annuaire")
	count(c.asks, s.Answered, "answered")
	count(c.asks, s.Unknown, "unknown")
	count(c.asks, s.Silent, "silent")
	count(c.asks, s.Refused, "refused")
	count(c.asks, s.Failed, "failed")
	ch <- prometheus.MustNewConstMetric(c.keys, prometheus.GaugeValue, float64(s.Keys))
	if !s.LastAnswer.IsZero() {
		ch <- prometheus.MustNewConstMetric(c.lastAnswer, prometheus.GaugeValue, float64(s.LastAnswer.UnixNano())/1e9)
	}
}
