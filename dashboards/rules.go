package dashboards

import (
	"fmt"
	"strings"
	"time"
)

// A Recording is one recording rule: level:metric:operations.
type Recording struct{ Name, Expr string }

// A Severity says who acts on an alert, and when.
type Severity string

// The severities.
const (
	Page   Severity = "page"   // at any hour
	Ticket Severity = "ticket" // on the next working day
	Info   Severity = "info"   // nobody in particular: it explains
)

// A Part is what an alert is about; its French title is in parts.
type Part string

// The parts, in the order of the page.
const (
	OwnPath      Part = "rpn"
	Insurers     Part = "amc"
	Directory    Part = "annuaire"
	Certificates Part = "certificats"
	Limits       Part = "limites"
	Journal      Part = "journal"
)

// Parts lists the parts with their French titles.
func Parts() [][2]string {
	return [][2]string{{string(OwnPath), "Le RPN lui-même"}, {string(Insurers), "Organismes (AMC)"}, {string(Directory), "Annuaire"},
		{string(Certificates), "Certificats, listes de révocation, exclusion"}, {string(Limits), "Limites et équité"}, {string(Journal), "Journal, indicateurs, courriels"}}
}

// An Alert is one alert. Its page is docs/runbooks/NAME.md, its test
// dashboards/promtool/NAME.yaml.
type Alert struct {
	Name     string
	Part     Part
	Severity Severity
	For      time.Duration // how long it must hold; 0: at once
	Expr     string
	Summary  string // French, one sentence; a template of Prometheus
}

// Runbook is the page that says what to do.
func (a Alert) Runbook() string {
	return "https://github.com/piano-roc/rpn/blob/main/docs/runbooks/" + a.Name + ".md"
}

// An Objective is a promise about exchanges: at least Good of 100 are so.
type Objective struct {
	Key   string // of the recording rules
	Good  float64
	Title string // French
	Says  string // French: what counts as good
	bad   string // the part of the exchanges that is not, over %[1]s
	count string // how many are not, over %[1]s
}

// within is the time that the RPN may add to an exchange: a bucket of
// rpn_added_seconds.
const within = "0.05"

// Objectives lists the objectives. Abandoned exchanges are in none: their caller
// left.
func Objectives() []Objective {
	return []Objective{
		{
			Key: "erreurs", Good: 99.9, Title: "Disponibilité du RPN",
			Says:  "échanges qui n'ont pas été refusés par la faute du RPN (`responsable=\"rpn\"`)",
			bad:   `sum(rate(rpn_exchanges_total{responsable="rpn"}[%[1]s])) / sum(rate(rpn_exchanges_total{code!="abandoned"}[%[1]s]))`,
			count: `sum(increase(rpn_exchanges_total{responsable="rpn"}[%[1]s]))`,
		},
		{
			Key: "lenteurs", Good: 99, Title: "Temps ajouté par le RPN",
			Says:  "échanges auxquels le RPN a ajouté au plus 50 ms (`rpn_added_seconds`)",
			bad:   `1 - sum(rate(rpn_added_seconds_bucket{le="` + within + `"}[%[1]s])) / sum(rate(rpn_added_seconds_count[%[1]s]))`,
			count: `sum(increase(rpn_added_seconds_count[%[1]s])) - sum(increase(rpn_added_seconds_bucket{le="` + within + `"}[%[1]s]))`,
		},
	}
}

// Recorded is the name of the rule that holds the part of bad exchanges.
func (o Objective) Recorded(window string) string {
	return "rpn:" + o.Key + "_per_exchange:ratio_rate" + window
}

// A burn is one pair of windows: the budget of 30 days burns factor times too
// fast over both. The short one ends the alert soon after the trouble does.
type burn struct {
	long, short string
	factor      float64
}

// fast and slow are those of the SRE workbook of Google, chapter 5: 2 % of the
// budget in an hour or 5 % in six, then 10 % in a day or in three.
var (
	fast = []burn{{"1h", "5m", 14.4}, {"6h", "30m", 6}}
	slow = []burn{{"1d", "2h", 3}, {"3d", "6h", 1}}
)

// fewest is how many bad exchanges there must be in the long window: a night
// with three calls is no outage.
const fewest = 10

func (o Objective) burns(pairs []burn) string {
	var or []string
	for _, b := range pairs {
		limit := fmt.Sprintf("%.4g", b.factor*(100-o.Good)/100)
		or = append(or, fmt.Sprintf("(%s > %s and %s > %s and %s >= %d)",
			o.Recorded(b.long), limit, o.Recorded(b.short), limit, fmt.Sprintf("("+o.count+")", b.long), fewest))
	}
	return strings.Join(or, "\nor\n")
}

// amcFails is the part of an insurer's exchanges of five minutes that it failed,
// where it had some; alerts ask amcCalls for enough of them.
const (
	amcFails    = "amc:failures_per_exchange:ratio_rate5m"
	amcCalls    = "amc:exchanges:increase5m"
	withAMCName = ` * on (amc) group_left (nom) max by (amc, nom) (rpn_amc_info)`
)

// Recordings lists the recording rules, in order of evaluation.
func Recordings() []Recording {
	var list []Recording
	for _, o := range Objectives() {
		for _, w := range []string{"5m", "30m", "1h", "2h", "6h", "1d", "3d"} {
			list = append(list, Recording{o.Recorded(w), fmt.Sprintf(o.bad, w)})
		}
	}
	return append(list,
		Recording{"rpn:exchanges:rate5m", `sum by (service, responsable) (rate(rpn_exchanges_total[5m]))`},
		Recording{amcCalls, `sum by (amc) (increase(rpn_amc_exchanges_total{amc!~"aucune|autre",outcome=~"answered|far-fault|failed"}[5m]))`},
		Recording{amcFails, `sum by (amc) (increase(rpn_amc_exchanges_total{amc!~"aucune|autre",outcome="failed"}[5m])) / (` + amcCalls + ` > 0)`},
	)
}
