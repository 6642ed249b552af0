package dashboards

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/indicators/live"
)

// What is committed is what the tables give, and there is nothing else.
func TestTheGeneratedFilesAreThoseOfTheTables(t *testing.T) {
	t.Parallel()
	files, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the tables give (%v): go generate ./dashboards", name, err)
		}
	}
	for _, dir := range []string{"grafana", "rules"} {
		for _, name := range listed(t, dir) {
			if files["dashboards/"+dir+"/"+name] == nil {
				t.Errorf("dashboards/%s/%s is of no table: remove it", dir, name)
			}
		}
	}
}

func listed(t *testing.T, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}

// sections are the five parts of the page of an alert.
var sections = []string{"Ce que cela veut dire", "Qui est touché", "Que regarder", "Que faire", "Qui prévenir"}

// Each alert has its page, of five parts, and its tests: one in which it fires
// and one in which it does not. There is no page and no test of anything else.
func TestEveryAlertHasItsPageAndItsTests(t *testing.T) {
	t.Parallel()
	var pages, tests []string
	for _, a := range Alerts() {
		pages, tests = append(pages, a.Name+".md"), append(tests, a.Name+".yaml")
		text, err := os.ReadFile(filepath.Join("../docs/runbooks", a.Name+".md"))
		if err != nil {
			t.Errorf("%s has no page: %v", a.Name, err)
			continue
		}
		if !strings.HasPrefix(string(text), "# "+a.Name+" : ") {
			t.Errorf("the title of docs/runbooks/%s.md does not begin with its name", a.Name)
		}
		var titles []string
		for _, m := range regexp.MustCompile(`(?m)^## (.*)\n\n\S`).FindAllStringSubmatch(string(text), -1) {
			titles = append(titles, m[1])
		}
		if !slices.Equal(titles, sections) {
			t.Errorf("docs/runbooks/%s.md has the parts %q, want %q", a.Name, titles, sections)
		}
		for _, m := range regexp.MustCompile(`\]\((\w+)\.md\)`).FindAllStringSubmatch(string(text), -1) {
			if !slices.ContainsFunc(Alerts(), func(a Alert) bool { return a.Name == m[1] }) {
				t.Errorf("docs/runbooks/%s.md leads to %s, which is no alert", a.Name, m[1])
			}
		}
		test, err := os.ReadFile(filepath.Join("promtool", a.Name+".yaml"))
		if err != nil {
			t.Errorf("%s has no test: %v", a.Name, err)
			continue
		}
		of := strings.Count(string(test), "alertname: "+a.Name+"\n")
		quiet := strings.Count(string(test), "exp_alerts: []\n")
		if of != strings.Count(string(test), "alertname: ") || quiet == 0 || of-quiet == 0 || strings.Count(string(test), "- exp_labels:") == 0 {
			t.Errorf("dashboards/promtool/%s.yaml: %d tests, %d of them quiet; want one in which it fires and one in which it does not", a.Name, of, quiet)
		}
	}
	slices.Sort(pages)
	slices.Sort(tests)
	if got := listed(t, "../docs/runbooks"); !slices.Equal(got, pages) {
		t.Errorf("docs/runbooks has %v, want %v", got, pages)
	}
	if got := listed(t, "promtool"); !slices.Equal(got, tests) {
		t.Errorf("dashboards/promtool has %v, want %v", got, tests)
	}
}

// Prometheus itself says when each alert fires, and when it does not.
func TestAlertsFireAndStayQuiet(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command("promtool", "check", "rules", "rules/rpn.rules.yaml").CombinedOutput(); err != nil {
		t.Fatalf("promtool (package prometheus; test/deps.sh installs it): %v\n%s", err, out)
	}
	tests, err := filepath.Glob("promtool/*.yaml")
	if err != nil || len(tests) != len(Alerts()) {
		t.Fatalf("%d tests of %d alerts, %v", len(tests), len(Alerts()), err)
	}
	if out, err := exec.Command("promtool", append([]string{"test", "rules"}, tests...)...).CombinedOutput(); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
}

// A name appears once, and every alert says who acts.
func TestAlertsAreWellFormed(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, a := range Alerts() {
		if seen[a.Name] || !regexp.MustCompile(`^[A-Z][A-Za-z]+$`).MatchString(a.Name) {
			t.Errorf("%s: the name is there twice, or no name of a file", a.Name)
		}
		seen[a.Name] = true
		if !slices.Contains([]Severity{Page, Ticket, Info}, a.Severity) || !strings.HasSuffix(a.Summary, ".") && !strings.HasSuffix(a.Summary, "{{ end }}") {
			t.Errorf("%s: severity %q, summary %q", a.Name, a.Severity, a.Summary)
		}
		if !slices.ContainsFunc(Parts(), func(p [2]string) bool { return p[0] == string(a.Part) }) {
			t.Errorf("%s is of part %q, which is none", a.Name, a.Part)
		}
	}
}

// What the linter of Grafana demands of a dashboard, as far as our tables leave
// it open.
func TestEveryPanelSaysWhatItShows(t *testing.T) {
	t.Parallel()
	pages, panels := map[string]bool{}, 0
	for _, d := range Dashboards() {
		if pages[d.UID] || pages[d.Title] || d.Description == "" {
			t.Errorf("%s: twice, or without a description", d.UID)
		}
		pages[d.UID], pages[d.Title] = true, true
		for _, r := range d.Rows {
			seen := map[string]bool{}
			for _, p := range r.Panels {
				panels++
				at := d.UID + ", " + p.Title
				if seen[p.Title] || p.Title == "" || !strings.HasSuffix(p.Description, ".") || p.Unit == "" || len(p.Queries) == 0 {
					t.Errorf("%s: a panel has a title of its own in its row, a sentence, a unit and a query", at)
				}
				seen[p.Title] = true
				if p.Low && p.Warn < p.Bad || !p.Low && p.Bad != 0 && p.Warn > p.Bad {
					t.Errorf("%s: thresholds %v, %v", at, p.Warn, p.Bad)
				}
				for _, q := range p.Queries {
					if p.Kind == Lines && q.Legend == "" {
						t.Errorf("%s: a line without a name", at)
					}
					if fixed := regexp.MustCompile(`\[\d+[smhd]\]`).MatchString(q.Expr); p.Kind == Lines && fixed || p.Kind != Lines && strings.Contains(q.Expr, "$__rate_interval") {
						t.Errorf("%s: a line is over $__rate_interval, a number or a table over a time that its description says: %s", at, q.Expr)
					}
				}
			}
		}
	}
	if panels < 80 {
		t.Errorf("%d panels: are they read?", panels)
	}
}

// notShown are the metrics that are on no panel, each with its reason.
var notShown = map[string]string{}

func TestEveryMetricIsOnAPanelOrHasAReason(t *testing.T) {
	t.Parallel()
	shown := map[string]bool{}
	for _, d := range Dashboards() {
		for _, r := range d.Rows {
			for _, p := range r.Panels {
				for _, q := range p.Queries {
					for _, n := range named(q.Expr) {
						if m, ok := Metric(n); ok {
							shown[m.Name] = true
						}
					}
				}
			}
		}
	}
	for _, m := range live.Catalogue() {
		if reason := notShown[m.Name]; shown[m.Name] == (reason != "") {
			t.Errorf("%s: on a panel is %v, and the reason why not is %q", m.Name, shown[m.Name], reason)
		}
		delete(notShown, m.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(notShown)) {
		t.Errorf("%s is no metric", name)
	}
}

func TestAnExpressionThatSaysNothingIsRefused(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		`rate(rpn_exchanges_total[5m])`:                                "",
		`time() - rpn_annuaire_last_answer_timestamp_seconds > 3600`:   "",
		`sum(up{job="rpn"})`:                                           "",
		`rate(process_cpu_seconds_total[5m])`:                          "",
		`rate(rpn_echanges_total[5m])`:                                 "there is no metric",
		`rate(rpn_added_seconds[5m])`:                                  "there is no metric",
		`rpn_exchanges_total > 5`:                                      "only grows",
		`sum by (le) (rpn_added_seconds_bucket)`:                       "only grows",
		`increase(rpn_redis_up[5m])`:                                   "is a gauge",
		`rate(rpn_exchanges_total[5m]) / on (instance) node_load1 > 1`: "", // of another exporter: the tests against a real Prometheus find it empty
	} {
		err := Check(expr)
		if got := ""; err != nil {
			got = err.Error()
			if want == "" || !strings.Contains(got, want) {
				t.Errorf("%s: %v, want %q", expr, err, want)
			}
		} else if want != "" {
			t.Errorf("%s passes, want %q", expr, want)
		}
	}
}

func TestEachMetricIsOfItsJob(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		`rpn_redis_up == 0`: `rpn_redis_up{job="rpn"} == 0`,
		`sum(rate(rpn_exchanges_total{code="RPN500"}[5m])) + rate(rpn_etablissement_limited_total[5m])`: `sum(rate(rpn_exchanges_total{job="rpn",code="RPN500"}[5m])) + rate(rpn_etablissement_limited_total{job="rpn-etablissements"}[5m])`,
		`rpn:exchanges:rate5m`: `rpn:exchanges:rate5m`,
	} {
		if got := scoped(expr); got != want {
			t.Errorf("%s\nis %s\nwant %s", expr, got, want)
		}
	}
}
