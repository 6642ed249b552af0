package live

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/piano-roc/rpn/internal/roc"
)

// Buckets, in seconds. Classic ones for every Prometheus, aligned on the
// service objectives; the native histogram of the same name is finer (factor
// 1.1).
var (
	stepBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 10, 30}
	amcBuckets  = []float64{.025, .1, .25, .5, 1, 2, 5, 10, 30} // multiplied by the insurers
	// Seconds of a clock that is ahead or behind; 300 is the tolerance.
	offsetBuckets = []float64{.5, 1, 5, 30, 60, 120, 300, 600, 3600}
	sizeBuckets   = []float64{1 << 10, 4 << 10, 8 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 2 << 20, 8 << 20}
)

func (l *Metrics) counter(name string) *prometheus.CounterVec {
	m := metric(name)
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.Name, Help: m.Help}, m.Labels)
	l.registry.MustRegister(v)
	return v
}

func (l *Metrics) gauge(name string) *prometheus.GaugeVec {
	m := metric(name)
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: m.Name, Help: m.Help}, m.Labels)
	l.registry.MustRegister(v)
	return v
}

func (l *Metrics) histogram(name string, buckets []float64) *prometheus.HistogramVec {
	m := metric(name)
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: m.Name, Help: m.Help, Buckets: buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}, m.Labels)
	l.registry.MustRegister(v)
	return v
}

// zeros makes the series of a closed list before their first event: an alert on
// an increase needs the value before it.
func (l *Metrics) zeros() {
	for _, s := range append([]roc.Service{roc.NoService}, roc.Services...) {
		for _, v := range []roc.Version{roc.NoVersion, roc.V1, roc.V2} {
			if (s == roc.NoService) != (v == roc.NoVersion) && s != roc.Annuaire {
				continue
			}
			for _, r := range roc.Reasons() {
				l.counterOf(exchangeLabels{s, v, r.Meaning().Code, r.Meaning().Responsable})
			}
			l.counterOf(exchangeLabels{s, v, string(roc.Answered), roc.NoOne})
		}
	}
	for _, c := range roc.Causes() {
		l.causes.WithLabelValues(string(c))
	}
	for _, v := range []string{"TLS 1.2", "TLS 1.3"} {
		for _, resumed := range []string{"false", "true"} {
			l.handshakes.WithLabelValues(v, resumed)
		}
	}
	for _, reason := range l.o.Refusals {
		l.failures.WithLabelValues(reason)
		for _, side := range []string{"etablissements", "amc"} {
			l.cuts.WithLabelValues(side, reason)
		}
	}
	l.answerChecks.WithLabelValues("good")
	for _, r := range roc.Reasons() {
		if r == roc.Revoked || strings.HasPrefix(r.Meaning().Code, "RPN2") { // of a message: what a check finds
			l.answerChecks.WithLabelValues(string(r))
		}
	}
	l.unsolicited.WithLabelValues()
	l.amcHandle(NoAMC)
	l.amcHandle(OtherAMC)
}

// refresh makes the series of the insurers of the register, and removes those of
// insurers that left it.
func (l *Metrics) refresh() {
	if l.o.AMCs == nil {
		return
	}
	l.refreshing.Lock()
	defer l.refreshing.Unlock()
	now := make(map[string]string, len(l.shown))
	l.o.AMCs(func(label, nom string) { now[label] = nom })
	for label, nom := range l.shown {
		is, there := now[label]
		if there && is == nom {
			continue
		}
		l.amcInfo.DeleteLabelValues(label, nom)
		if !there {
			l.amcs.Delete(label)
			l.amcTime.DeleteLabelValues(label)
			l.amcEnds.DeletePartialMatch(prometheus.Labels{"amc": label})
		}
	}
	for label, nom := range now {
		if was, there := l.shown[label]; !there || was != nom {
			l.amcInfo.WithLabelValues(label, nom).Set(1)
			l.amcHandle(label)
		}
	}
	l.shown = now
}

// after is g once first is done.
func after[T any](first func(), g func() (T, error)) func() (T, error) {
	return func() (T, error) { first(); return g() }
}

// stepHandles makes every series of the steps at the start: there are few.
func (l *Metrics) stepHandles() map[roc.Service]stepHandles {
	all := map[roc.Service]stepHandles{}
	for _, s := range append([]roc.Service{roc.NoService}, roc.Services...) {
		of := func(step string) prometheus.Observer { return l.steps.WithLabelValues(orNone(s.String()), step) }
		all[s] = stepHandles{of("read"), of("check"), of("annuaire"), of("connect"), of("amc"), of("total")}
	}
	return all
}
