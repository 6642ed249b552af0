// Package live holds the metrics of the RPN as it runs. live.go feeds the
// Prometheus metrics that catalogue.go defines.
//
// A label value is always one of a closed list: the services, the codes of
// profile section 7, the insurers of the register (any other is "autre"), by their
// number; rpn_amc_info has their names. An insurer is never multiplied by a
// service or a code: TestSeriesStayWithinTheBudget. An
// establishment is never a label of /metrics (etablissements.go has a page of
// its own, of few series each), nor is a message id, an address or the text
// of an error: those questions are the record's.
package live

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// AnnuaireStats are the directory's own figures since the start.
type AnnuaireStats struct {
	Memory, Asked                              uint64 // lookups answered from memory; that waited for the annuaire
	Answered, Unknown, Silent, Refused, Failed uint64 // questions, by outcome
	Keys                                       int
	LastAnswer                                 time.Time // zero: never

	Stale                             uint64 // of Memory: no longer fresh, while it was revalidated
	Renewals                          uint64 // questions that no exchange waited for
	FromDisk, FromShared, Disbelieved uint64 // answers kept elsewhere that were used; that were not believed
	RolledBack, Damaged, Unstored     uint64 // kept elsewhere of before a move; records unreadable; answers beyond their establishment's share
	Limited                           uint64 // questions that waited for the bound on questions a second
	Held                              int    // keys whose new answer is held back
	Redis                             RedisState
}

// A RedisState is whether Redis is there.
type RedisState uint8

// The states; NoRedis leaves the metric out.
const (
	NoRedis RedisState = iota
	RedisLost
	RedisThere
)

// Options are what New needs. A nil func leaves its metrics out.
type Options struct {
	// AMC returns the label of an insurer, and false when the register does not
	// have it. It is asked at each exchange and must be quick. Required.
	AMC func(roc.NumeroAMC) (label string, ok bool)

	// AMCs gives the label and the name of each insurer of the register. It is
	// asked at each scrape: an insurer has its series before its first exchange,
	// and loses them when it leaves the register.
	AMCs func(yield func(label, nom string))

	InFlight func() int

	// Shed is the share of the messages refused because no processor is free.
	// Optional.
	Shed func() float64
	// Capacity is which part of the instance is taken. Optional.
	Capacity func() CapacityStats
	// Resting says how many addresses of insurers rest, and since when the first of
	// them. Optional.
	Resting func() (addresses int, since time.Time)
	// LimitsShared says whether the limits are held over all instances. Optional.
	LimitsShared func() RedisState
	// Mail is the outbox of the weekly mails; false: there is none. Optional.
	Mail func() (MailStats, bool)

	// LogDropped is how many lines of the log were dropped since the start.
	LogDropped func() uint64
	Annuaire   func() AnnuaireStats

	// Certificates is the expiry inventory, one line for each kind and level.
	// It is called at each scrape.
	Certificates func() []CertificateCount
	Revocation   func() RevocationStats

	// Journal is the state of the journal; false: there is none.
	Journal func() (journal.Stats, bool)

	// Evidence is how those do who confirm the checkpoints of the journal.
	Evidence func() []EvidenceStats

	// Provider is how often the provider of identities failed; nil: no metric.
	Provider func() uint64

	// Figures says how far the figures of the store are; false: there are none.
	Figures func() (FiguresStats, bool)
	Open    func() (etablissements, amc int) // connections

	Version, Revision, GoVersion string // of the build

	// Refusals are the reasons why a peer is refused, or cut later: tlsconf's
	// closed list.
	Refusals []string

	// ReplaysForgotten is how many messages were forgotten within their life.
	ReplaysForgotten func() uint64

	// RSAWay and RSASelfTest say how RSA signatures are verified here.
	RSAWay, RSASelfTest string
}

// Metrics are the metrics of one process, in a registry of their own. Safe for
// concurrent use.
type Metrics struct {
	o        Options
	registry *prometheus.Registry

	exchanges    *prometheus.CounterVec
	steps        *prometheus.HistogramVec
	amcTime      *prometheus.HistogramVec
	amcEnds      *prometheus.CounterVec
	amcInfo      *prometheus.GaugeVec
	added        prometheus.Observer
	requestSize  prometheus.Observer
	answerSize   prometheus.Observer
	answerChecks *prometheus.CounterVec
	replays      prometheus.Counter
	vihf         *prometheus.CounterVec
	opinions     *prometheus.CounterVec
	clockOffset  prometheus.Observer
	malformed    *prometheus.CounterVec
	descriptions prometheus.Counter
	turnedAway   prometheus.Counter
	causes       *prometheus.CounterVec
	unsolicited  *prometheus.CounterVec
	lateAnswers  prometheus.Counter
	overLimit    *prometheus.CounterVec
	handshakes   *prometheus.CounterVec
	failures     *prometheus.CounterVec
	cuts         *prometheus.CounterVec
	reloads      *prometheus.CounterVec
	reloadGood   *prometheus.GaugeVec
	reloadTime   *prometheus.GaugeVec

	// Handles of what is counted on the path of an exchange: looking a series
	// up by its labels costs more than counting.
	counters sync.Map // exchangeLabels -> prometheus.Counter
	amcs     sync.Map // string -> *amcHandles
	stepOf   map[roc.Service]stepHandles

	mu    sync.Mutex // guards rules
	rules map[string]bool

	refreshing sync.Mutex        // guards shown
	shown      map[string]string // the insurers that have their series: label, name
}

// Label values for what has none of its own.
const (
	NoAMC    = "aucune" // the exchange ended before its insurer was known
	OtherAMC = "autre"  // an insurer that the register does not have
	noneLbl  = "aucun"
	other    = "other"
)

// maxRules bounds the labels of malformed requests, whatever a caller of
// Malformed sends.
const maxRules = 64

// New makes the metrics and registers them, with those of the Go runtime and of
// the process.
func New(o Options) *Metrics {
	l := &Metrics{o: o, registry: prometheus.NewRegistry(), rules: map[string]bool{}}
	l.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	l.exchanges = l.counter(exchanges)
	l.steps = l.histogram(steps, stepBuckets)
	l.amcTime = l.histogram(amcTime, amcBuckets)
	l.amcEnds = l.counter(amcExchanges)
	l.amcInfo = l.gauge(amcInfo)
	l.added = l.histogram(added, stepBuckets).WithLabelValues()
	l.requestSize = l.histogram(requestSize, sizeBuckets).WithLabelValues()
	l.answerSize = l.histogram(answerSize, sizeBuckets).WithLabelValues()
	l.answerChecks = l.counter(answerChecks)
	l.replays = l.counter(replays).WithLabelValues()
	l.vihf = l.counter(vihf)
	l.opinions = l.counter(secondOpinions)
	for _, outcome := range []string{"good", "not-covered", "no-conditions", "not-yet", "expired"} { // an alert on an increase needs the zero
		l.vihf.WithLabelValues(outcome)
	}
	for _, result := range []string{"agrees", "disagrees", "cannot"} {
		l.opinions.WithLabelValues(result)
	}
	l.clockOffset = l.histogram(clockOffset, offsetBuckets).WithLabelValues()
	l.malformed = l.counter(malformed)
	l.turnedAway = l.counter(turnedAway).WithLabelValues()
	l.descriptions = l.counter(descriptions).WithLabelValues()
	l.causes = l.counter(causes)
	l.unsolicited = l.counter(unsolicited)
	l.lateAnswers = l.counter(lateAnswers).WithLabelValues()
	l.overLimit = l.counter(overLimit)
	for _, c := range []roc.CauseCode{roc.RateExceeded, roc.ByteRateExceeded} {
		l.overLimit.WithLabelValues(string(c))
	}
	l.handshakes = l.counter(handshakes)
	l.failures = l.counter(handshakeFailures)
	l.cuts = l.counter(connectionsCut)
	l.reloads = l.counter(reloads)
	l.reloadGood = l.gauge(reloadSuccess)
	l.reloadTime = l.gauge(reloadTime)
	l.gauge(buildInfo).WithLabelValues(o.Version, o.Revision, o.GoVersion).Set(1)
	l.gauge(rsaVerify).WithLabelValues(o.RSAWay, o.RSASelfTest).Set(1)
	l.stepOf = l.stepHandles()
	l.zeros()
	if o.Shed != nil {
		l.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: shedRatio, Help: metric(shedRatio).Help}, o.Shed))
	}
	if o.InFlight != nil {
		l.registry.MustRegister(prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: inFlight, Help: metric(inFlight).Help}, func() float64 { return float64(o.InFlight()) }))
	}
	if o.LogDropped != nil {
		l.registry.MustRegister(prometheus.NewCounterFunc(
			prometheus.CounterOpts{Name: logDropped, Help: metric(logDropped).Help}, func() float64 { return float64(o.LogDropped()) }))
	}
	if o.ReplaysForgotten != nil {
		l.registry.MustRegister(prometheus.NewCounterFunc(
			prometheus.CounterOpts{Name: replaysForgotten, Help: metric(replaysForgotten).Help}, func() float64 { return float64(o.ReplaysForgotten()) }))
	}
	l.registry.MustRegister(partsCollector{o.Capacity, o.Resting, o.LimitsShared, o.Mail})
	if o.Revocation != nil {
		l.registry.MustRegister(revocationCollector{o.Revocation})
	}
	if o.Journal != nil {
		l.registry.MustRegister(journalCollector{o.Journal})
	}
	if o.Evidence != nil {
		l.registry.MustRegister(evidenceCollector{o.Evidence})
	}
	if o.Provider != nil {
		l.registry.MustRegister(providerCollector{o.Provider})
	}
	if o.Figures != nil {
		l.registry.MustRegister(figuresCollector{o.Figures})
	}
	if o.Open != nil {
		l.registry.MustRegister(openCollector{o.Open})
	}
	if o.Certificates != nil {
		l.registry.MustRegister(&certificateCollector{o.Certificates, desc(certificates), desc(certificateCalls), desc(certificateEnd)})
	}
	if o.Annuaire != nil {
		l.registry.MustRegister(newAnnuaireCollector(o.Annuaire))
	}
	return l
}

// Handshake counts a TLS handshake that succeeded; version is "TLS 1.3", as
// crypto/tls names it.
func (l *Metrics) Handshake(version string, resumed bool) {
	l.handshakes.WithLabelValues(version, strconv.FormatBool(resumed)).Inc()
}

// HandshakeFailed counts one that failed; reason is of tlsconf's closed list.
func (l *Metrics) HandshakeFailed(reason string) { l.failures.WithLabelValues(reason).Inc() }

// SecondOpinion counts a signature that was verified a second time, by result.
func (l *Metrics) SecondOpinion(result string) { l.opinions.WithLabelValues(result).Inc() }

// UnsolicitedAnswer counts a remote host that sent bytes that answer nothing.
func (l *Metrics) UnsolicitedAnswer() { l.unsolicited.WithLabelValues().Inc() }

// LateAnswer counts an answer that began after the deadline of its exchange.
func (l *Metrics) LateAnswer() { l.lateAnswers.Inc() }

// OverLimit counts one message that passed beyond a limit that is observed.
func (l *Metrics) OverLimit(cause string) { l.overLimit.WithLabelValues(cause).Inc() }

// TurnedAway counts a connection that was closed without an answer.
func (l *Metrics) TurnedAway() { l.turnedAway.Inc() }

// Described counts a description that was answered.
func (l *Metrics) Described() { l.descriptions.Inc() }

// Malformed counts a request refused for its HTTP framing.
func (l *Metrics) Malformed(rule string) {
	l.mu.Lock()
	if !l.rules[rule] {
		if len(l.rules) < maxRules {
			l.rules[rule] = true
		} else {
			rule = other
		}
	}
	l.mu.Unlock()
	l.malformed.WithLabelValues(rule).Inc()
}

// Reloaded counts an attempt to load what ("configuration", "etablissements",
// "certificates": the caller's closed list).
func (l *Metrics) Reloaded(what string, err error, at time.Time) {
	good, bad := l.reloads.WithLabelValues(what, "success"), l.reloads.WithLabelValues(what, "failure") // both are there from the start
	if err != nil {
		bad.Inc()
		l.reloadGood.WithLabelValues(what).Set(0)
		return
	}
	good.Inc()
	l.reloadGood.WithLabelValues(what).Set(1)
	l.reloadTime.WithLabelValues(what).Set(float64(at.UnixNano()) / 1e9)
}

// Gatherer gives the metrics to a test or to another exporter.
func (l *Metrics) Gatherer() prometheus.Gatherer {
	return prometheus.GathererFunc(after(l.refresh, l.registry.Gather))
}

// Handler serves the metrics in the format that is asked for.
func (l *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(l.Gatherer(), promhttp.HandlerOpts{EnableOpenMetrics: true, Registry: l.registry})
}
