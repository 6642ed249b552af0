package dashboards

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/piano-roc/rpn/indicators/live"
)

// The jobs of Prometheus (deploy/prometheus/prometheus.yml).
const (
	job                = "rpn"
	jobEtablissements  = "rpn-etablissements"
	etablissementNames = "rpn_etablissement_"
)

// foreign are the metrics that are not ours: of Prometheus, of the process and
// of Go.
var foreign = []string{"up", "ALERTS", "scrape_samples_scraped", "process_start_time_seconds", "process_resident_memory_bytes",
	"process_cpu_seconds_total", "process_open_fds", "process_max_fds", "go_goroutines"}

// metricName finds the names of ours, and of the process, in an expression.
var metricName = regexp.MustCompile(`\b(rpn|process|go|scrape)_[a-z0-9_]+\b`)

// scoped limits every metric of an expression to its job: another exporter may
// have the same names.
func scoped(expr string) string {
	var b strings.Builder
	last := 0
	for _, at := range metricName.FindAllStringIndex(expr, -1) {
		name := expr[at[0]:at[1]]
		b.WriteString(expr[last:at[1]])
		last = at[1]
		of := fmt.Sprintf(`job=%q`, job)
		if strings.HasPrefix(name, etablissementNames) {
			of = fmt.Sprintf(`job=%q`, jobEtablissements)
		}
		if strings.HasPrefix(expr[last:], "{") {
			b.WriteString("{" + of + ",")
			last++
		} else {
			b.WriteString("{" + of + "}")
		}
	}
	b.WriteString(expr[last:])
	return b.String()
}

// named returns the metrics of an expression, each once.
func named(expr string) (names []string) {
	for _, n := range metricName.FindAllString(expr, -1) {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// Metric returns the metric of the catalogue that a name of an expression is of:
// a histogram has _bucket, _sum and _count.
func Metric(name string) (live.Metric, bool) {
	for _, m := range live.Catalogue() {
		if m.Name == name && m.Kind != live.Histogram {
			return m, true
		}
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if m.Kind == live.Histogram && name == m.Name+suffix {
				return m, true
			}
		}
	}
	return live.Metric{}, false
}

// inRate is what stands before a counter: nothing else says anything of it.
var inRate = regexp.MustCompile(`\b(rate|increase)\($`)

// Check says what is wrong with an expression: a name that is not exported, a
// counter outside of rate or increase, anything else inside.
func Check(expr string) error {
	for _, at := range metricName.FindAllStringIndex(expr, -1) {
		name := expr[at[0]:at[1]]
		m, ours := Metric(name)
		if !ours && !slices.Contains(foreign, name) {
			return fmt.Errorf("%s: there is no metric %s; indicators/live has the catalogue", expr, name)
		}
		counts := m.Kind == live.Counter || m.Kind == live.Histogram || !ours && strings.HasSuffix(name, "_total")
		switch rated := inRate.MatchString(expr[:at[0]]); {
		case counts && !rated:
			return fmt.Errorf("%s: %s only grows: put it in rate() or increase()", expr, name)
		case !counts && rated:
			return fmt.Errorf("%s: %s is a gauge: rate() and increase() say nothing of it", expr, name)
		}
	}
	return nil
}
