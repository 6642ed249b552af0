package live

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

// register is a closed list of n insurers.
func register(n int) func(roc.NumeroAMC) (string, bool) {
	known := map[roc.NumeroAMC]string{}
	for i := range n {
		known[numero(i)] = string(numero(i))
	}
	return func(a roc.NumeroAMC) (string, bool) { l, ok := known[a]; return l, ok }
}

func numero(i int) roc.NumeroAMC { return roc.NumeroAMC(fmt.Sprintf("%010d", 75_500_000+i)) }

func full(t testing.TB, amcs int) *Metrics {
	t.Helper()
	return New(Options{
		AMC: register(amcs),
		AMCs: func(yield func(label, nom string)) {
			for i := range amcs {
				yield(string(numero(i)), fmt.Sprint("Mutuelle ", i))
			}
		},
		InFlight:     func() int { return 3 },
		Shed:         func() float64 { return 0.25 },
		Capacity:     func() CapacityStats { return CapacityStats{0.1, 0.2, 0.3} },
		Resting:      func() (int, time.Time) { return 1, noon },
		LimitsShared: func() RedisState { return RedisThere },
		Mail:         func() (MailStats, bool) { return MailStats{Waiting: 1, Oldest: noon}, true },
		LogDropped:   func() uint64 { return 2 },
		Refusals:     []string{"expired", "unknown-ca"}, ReplaysForgotten: func() uint64 { return 0 },
		Certificates: func() []CertificateCount {
			return []CertificateCount{{Kind: "rpn-serveur", Level: "30j", Count: 1, Calls: 12, FirstEnd: noon}}
		},
		Annuaire: func() AnnuaireStats {
			return AnnuaireStats{Memory: 9, Asked: 1, Answered: 1, Keys: 1, LastAnswer: noon, Redis: RedisThere}
		},
		Figures:  func() (FiguresStats, bool) { return FiguresStats{Behind: 1}, true },
		Journal:  func() (journal.Stats, bool) { return journal.Stats{Records: 1, SealedAt: time.Unix(1, 0)}, true },
		Provider: func() uint64 { return 1 },
		Evidence: func() []EvidenceStats { return []EvidenceStats{{By: "timestamp", At: noon, Failures: 1}} },
		Revocation: func() RevocationStats {
			return RevocationStats{Lists: []RevocationList{{CA: "AC", Issued: noon, Ends: noon, Entries: 3, Serves: true}}, Good: 1, OldestConfirmation: noon, Deny: true, DenySequence: 4, DenyEntries: 1}
		},
		Open:    func() (int, int) { return 2, 1 },
		Version: "0.1.0", Revision: "abc", GoVersion: "go1.26",
	})
}

func record(outcome roc.Outcome, reason roc.Reason, amc roc.NumeroAMC) *roc.Record {
	return &roc.Record{
		Service: roc.IDB, Version: roc.V2, To: roc.Key{AMC: amc},
		Outcome: outcome, Reason: reason, Origin: roc.FromAMC,
		RequestIn: noon, AnswerOut: noon.Add(100 * time.Millisecond),
		Read: time.Millisecond, Check: 50 * time.Microsecond, Annuaire: time.Microsecond, AMC: 90 * time.Millisecond,
		RequestBytes: 5300, AnswerBytes: 5100, AnswerCheck: "good", CauseCode: roc.FarEndFault,
	}
}

// everything makes each metric appear.
func everything(l *Metrics) {
	l.Observe(record(roc.Answered, "", numero(0)))
	l.Malformed("two-lengths")
	l.UnsolicitedAnswer()
	l.LateAnswer()
	l.Handshake("TLS 1.3", true)
	l.HandshakeFailed("no-certificate")
	l.Cut("etablissements", "revoked", 2)
	l.Reloaded("etablissements", nil, noon)
}

func TestMetricsPassTheLinter(t *testing.T) {
	t.Parallel()
	l := full(t, 1)
	everything(l)
	problems, err := testutil.GatherAndLint(l.Gatherer())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestWhatIsExportedIsTheCatalogue(t *testing.T) {
	t.Parallel()
	l := full(t, 1)
	everything(l)
	families, err := l.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]*dto.MetricFamily{}
	ofEtablissements, err := NewEtablissements(structure, structures).Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(families, ofEtablissements...) {
		if strings.HasPrefix(f.GetName(), "rpn_") {
			seen[f.GetName()] = f
		}
	}
	for _, m := range Catalogue() {
		f := seen[m.Name]
		if f == nil {
			t.Errorf("%s is in the catalogue and not exported", m.Name)
			continue
		}
		if kind := strings.ToLower(f.GetType().String()); kind != string(m.Kind) {
			t.Errorf("%s is a %s, the catalogue says %s", m.Name, kind, m.Kind)
		}
		if f.GetHelp() != m.Help || !strings.HasSuffix(m.Help, ".") {
			t.Errorf("%s: HELP is %q", m.Name, f.GetHelp())
		}
		if n := len(f.GetMetric()[0].GetLabel()); n != len(m.Labels) {
			t.Errorf("%s has %d labels, the catalogue says %v", m.Name, n, m.Labels)
		}
		delete(seen, m.Name)
	}
	for name := range seen {
		t.Errorf("%s is exported and not in the catalogue", name)
	}
}

func TestExchangesAreCountedByTheirEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		rec  *roc.Record
		want string
		amc  string
	}{
		{"answered", record(roc.Answered, "", numero(0)), `code="answered",responsable="personne",service="IDB",version="V2"`, `amc="0075500000",outcome="answered"`},
		{"the insurer's fault", record(roc.FarFault, "", numero(0)), `code="far-fault",responsable="amc",service="IDB",version="V2"`, `amc="0075500000",outcome="far-fault"`},
		{"ours", record(roc.Refused, roc.AMCSilent, numero(0)), `code="RPN402",responsable="amc",service="IDB",version="V2"`, `amc="0075500000",outcome="failed"`},
		{"the caller left", record(roc.Abandoned, "", numero(0)), `code="abandoned",responsable="etablissement",service="IDB",version="V2"`, `amc="0075500000",outcome="abandoned"`},
		{"an insurer outside the register", record(roc.Refused, roc.UnknownAMC, "0099999999"), `code="RPN301",responsable="etablissement",service="IDB",version="V2"`, `amc="autre",outcome="refused"`},
		{"refused before anything is known", &roc.Record{Outcome: roc.Refused, Reason: roc.UnknownStructure, RequestIn: noon, AnswerOut: noon}, `code="RPN101",responsable="etablissement",service="aucun",version="aucun"`, `amc="aucune",outcome="refused"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := full(t, 1)
			l.Observe(c.rec)
			text := scrape(l)
			if want := "rpn_exchanges_total{" + c.want + "} 1\n"; !strings.Contains(text, want) {
				t.Errorf("want %s", want)
			}
			if want := "rpn_amc_exchanges_total{" + c.amc + "} 1\n"; !strings.Contains(text, want) {
				t.Errorf("want %s", want)
			}
		})
	}
}

func TestAStepThatWasNotReachedIsNotATimeOfZero(t *testing.T) {
	t.Parallel()
	l := full(t, 1)
	l.Observe(&roc.Record{Service: roc.CLC, Outcome: roc.Refused, Reason: roc.BadSignature, RequestIn: noon, AnswerOut: noon.Add(time.Millisecond), Read: time.Microsecond, Check: time.Microsecond})
	families, _ := l.Gatherer().Gather()
	for _, f := range families {
		if f.GetName() != steps {
			continue
		}
		for _, m := range f.GetMetric() {
			service, step := m.GetLabel()[0].GetValue(), m.GetLabel()[1].GetValue()
			want := uint64(0)
			if service == "CLC" && (step == "read" || step == "check" || step == "total") {
				want = 1
			}
			if got := m.GetHistogram().GetSampleCount(); got != want {
				t.Errorf("%s/%s: %d samples, want %d", service, step, got, want)
			}
		}
	}
}

// The policy of cardinality: a national load stays within what one Prometheus
// scrapes without noticing, and callers cannot add series.
func TestSeriesStayWithinTheBudget(t *testing.T) {
	t.Parallel()
	const amcs, budget = 2000, 40_000
	l := full(t, amcs)
	everything(l)
	for i := range amcs {
		for n, r := range roc.Reasons() {
			rec := record(roc.Refused, r, numero(i))
			rec.Service, rec.Version = roc.Services[n%len(roc.Services)], roc.V2
			l.Observe(rec)
		}
		l.Observe(record(roc.Answered, "", numero(i)))
	}
	if n := lines(l); n > budget {
		t.Errorf("%d series, the budget is %d", n, budget)
	} else {
		t.Logf("%d series for %d insurers", n, amcs)
	}
	// What one establishment can add: one line for each service, version, code
	// and who must act, of closed lists; nothing for what it invents.
	for range 2 {
		before := lines(l)
		for i := range 500 {
			for _, s := range roc.Services {
				for _, r := range roc.Reasons() {
					rec := record(roc.Refused, r, numero(amcs+i))
					rec.Service = s
					l.Observe(rec)
				}
			}
			l.Malformed(fmt.Sprintf("rule-%d", i))
		}
		if added := lines(l) - before; added > 2*len(roc.Reasons())*len(roc.Services)+maxRules+1 {
			t.Errorf("one establishment added %d series", added)
		}
	}
	if n := testutil.CollectAndCount(l.malformed); n > maxRules+1 {
		t.Errorf("%d rules are labels, at most %d", n, maxRules+1)
	}
	if n := testutil.CollectAndCount(l.amcTime); n != amcs+2 {
		t.Errorf("%d insurers are labels, want those of the register, %q and %q", n, OtherAMC, NoAMC)
	}
}

// The series of an insurer are there before its first exchange, carry its
// number, and go when it leaves the register.
func TestAnInsurerHasItsSeriesAsLongAsItIsRegistered(t *testing.T) {
	t.Parallel()
	registered := map[string]string{"0075500000": "Mutuelle Bleue"}
	l := New(Options{AMC: register(2), AMCs: func(yield func(label, nom string)) {
		for label, nom := range registered {
			yield(label, nom)
		}
	}})
	text := scrape(l)
	for _, want := range []string{
		`rpn_amc_info{amc="0075500000",nom="Mutuelle Bleue"} 1`, `rpn_amc_exchanges_total{amc="0075500000",outcome="failed"} 0`,
		`rpn_amc_seconds_count{amc="0075500000"} 0`, `rpn_exchanges_total{code="RPN402",responsable="amc",service="IDB",version="V2"} 0`,
		`rpn_causes_total{cause="` + string(roc.AMCBusy) + `"} 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("before the first event there is no %s", want)
		}
	}
	l.Observe(record(roc.Answered, "", numero(0)))
	registered["0075500000"] = "Mutuelle Azur" // another name, the same insurer
	text = scrape(l)
	if !strings.Contains(text, `nom="Mutuelle Azur"`) || strings.Contains(text, "Mutuelle Bleue") || !strings.Contains(text, `rpn_amc_exchanges_total{amc="0075500000",outcome="answered"} 1`+"\n") {
		t.Error("a new name loses what was counted, or leaves the old one")
	}
	delete(registered, "0075500000")
	if strings.Contains(scrape(l), "0075500000") {
		t.Error("an insurer that left the register keeps its series")
	}
}

// Who alerts on a rise needs the zero that it rises from: what may happen has its
// series before it does.
func TestWhatMayHappenHasItsSeriesBefore(t *testing.T) {
	t.Parallel()
	l := full(t, 1)
	l.Reloaded("register", nil, noon)
	text := scrape(l)
	for _, want := range []string{
		`rpn_tls_handshake_failures_total{reason="unknown-ca"} 0`,
		`rpn_connections_closed_total{reason="expired",side="amc"} 0`, `rpn_connections_closed_total{reason="expired",side="etablissements"} 0`,
		`rpn_reloads_total{result="failure",what="register"} 0`,
		`rpn_answer_checks_total{outcome="good"} 0`, `rpn_answer_checks_total{outcome="` + string(roc.BadSignature) + `"} 0`,
		`rpn_replays_forgotten_total 0`, `rpn_replays_total 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("before the first event there is no %s", want)
		}
	}
}

func BenchmarkGatherOf2000Insurers(b *testing.B) {
	l := full(b, 2000)
	everything(l)
	for i := range 2000 {
		l.Observe(record(roc.Answered, "", numero(i)))
	}
	for b.Loop() {
		scrape(l)
	}
}

func scrape(l *Metrics) string {
	w := httptest.NewRecorder()
	l.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// lines is what a scrape without native histograms stores.
func lines(l *Metrics) (n int) {
	for line := range strings.Lines(scrape(l)) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}

func TestAFailedReloadKeepsTheTimeOfTheLastGoodOne(t *testing.T) {
	t.Parallel()
	l := full(t, 1)
	l.Reloaded("etablissements", nil, noon)
	l.Reloaded("etablissements", errors.New("line 3"), noon.Add(time.Hour))
	if v := testutil.ToFloat64(l.reloadGood); v != 0 {
		t.Errorf("last successful is %v, want 0", v)
	}
	if v := testutil.ToFloat64(l.reloadTime); v != float64(noon.Unix()) {
		t.Errorf("last success at %v, want noon", v)
	}
}

func TestObserveIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	l := full(t, 2)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 100 {
				l.Observe(record(roc.Answered, "", numero(i%3)))
				l.Malformed("fold")
			}
		})
	}
	wg.Wait()
	if v := testutil.ToFloat64(l.malformed); v != 800 {
		t.Errorf("%v counted, want 800", v)
	}
}

func BenchmarkObserve(b *testing.B) {
	l := full(b, 300)
	rec := record(roc.Answered, "", numero(7))
	b.ReportAllocs()
	for b.Loop() {
		l.Observe(rec)
	}
}
