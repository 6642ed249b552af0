package live

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/piano-roc/rpn/internal/roc"
)

// amcHandles are the series of one insurer.
type amcHandles struct {
	time prometheus.Observer
	ends map[string]prometheus.Counter
}

// How an exchange with an insurer ended: few values, because each insurer has a
// series for each of them.
const (
	failed = "failed" // no answer, and the insurer is at fault
	turned = "refused"
)

var amcOutcomes = []string{string(roc.Answered), string(roc.FarFault), string(roc.Abandoned), failed, turned}

type exchangeLabels struct {
	service roc.Service
	version roc.Version
	code    string
	whom    roc.Responsable
}

type stepHandles struct{ read, check, annuaire, connect, amc, total prometheus.Observer }

// Observe counts one exchange that ended. It keeps nothing of the record.
func (l *Metrics) Observe(rec *roc.Record) {
	l.counterOf(exchangeLabels{rec.Service, rec.Version, rec.End(), rec.Responsable()}).Inc()
	amc := l.amcHandle(l.amcLabel(rec.To.AMC))
	amc.ends[amcOutcome(rec)].Inc()
	h, ok := l.stepOf[rec.Service]
	if !ok {
		h = l.stepOf[roc.NoService]
	}
	observe(h.read, rec.Read)
	observe(h.check, rec.Check)
	observe(h.annuaire, rec.Annuaire)
	observe(h.connect, rec.Connect)
	observe(h.amc, rec.AMC)
	observe(h.total, rec.Total())
	if rec.Outcome != roc.Abandoned {
		l.added.Observe(rec.Added().Seconds())
	}
	if rec.AMC > 0 {
		observe(amc.time, rec.AMC)
	}
	if rec.RequestBytes > 0 {
		l.requestSize.Observe(float64(rec.RequestBytes))
	}
	if rec.AnswerBytes > 0 {
		l.answerSize.Observe(float64(rec.AnswerBytes))
	}
	if rec.AnswerCheck != "" {
		l.answerChecks.WithLabelValues(rec.AnswerCheck).Inc()
	}
	if rec.CauseCode != "" {
		l.causes.WithLabelValues(string(rec.CauseCode)).Inc()
	}
	if rec.Replayed {
		l.replays.Inc()
	}
	if rec.VIHF != "" {
		l.vihf.WithLabelValues(rec.VIHF).Inc()
	}
	if rec.ClockOffset != nil {
		l.clockOffset.Observe(rec.ClockOffset.Abs().Seconds())
	}
}

// observe leaves out a step that the exchange did not reach.
func observe(o prometheus.Observer, d time.Duration) {
	if d > 0 {
		o.Observe(d.Seconds())
	}
}

func (l *Metrics) amcLabel(n roc.NumeroAMC) string {
	if n == "" {
		return NoAMC
	}
	if label, ok := l.o.AMC(n); ok {
		return label
	}
	return OtherAMC
}

func amcOutcome(rec *roc.Record) string {
	switch {
	case rec.Outcome != roc.Refused:
		return string(rec.Outcome)
	case rec.Responsable() == roc.ByAMC:
		return failed
	}
	return turned
}

func (l *Metrics) counterOf(k exchangeLabels) prometheus.Counter {
	c, ok := l.counters.Load(k)
	if !ok {
		c, _ = l.counters.LoadOrStore(k, l.exchanges.WithLabelValues(
			orNone(k.service.String()), orNone(k.version.String()), k.code, orNobody(k.whom)))
	}
	return c.(prometheus.Counter)
}

func (l *Metrics) amcHandle(amc string) *amcHandles {
	if h, ok := l.amcs.Load(amc); ok {
		return h.(*amcHandles)
	}
	h := &amcHandles{l.amcTime.WithLabelValues(amc), map[string]prometheus.Counter{}}
	for _, o := range amcOutcomes {
		h.ends[o] = l.amcEnds.WithLabelValues(amc, o)
	}
	is, _ := l.amcs.LoadOrStore(amc, h)
	return is.(*amcHandles)
}

func orNone(s string) string {
	if s == "" {
		return noneLbl
	}
	return s
}

func orNobody(r roc.Responsable) string {
	if r == roc.NoOne {
		return "personne"
	}
	return string(r)
}
