// Package dashboards lets a real Prometheus scrape a real RPN under the traffic of
// the demonstration, and asks it every query of dashboards/.
package dashboards

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/piano-roc/rpn/dashboards"
	"github.com/piano-roc/rpn/indicators/live"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/redis/redistest"
	"github.com/piano-roc/rpn/nation"
)

// rightlyEmpty are the panels that have nothing to show in the demonstration,
// each with its reason. One that has something must leave the list.
var rightlyEmpty = map[string]string{
	"rpn-certificats, Fin de chaque liste":                      noLists,
	"rpn-certificats, Âge de chaque liste":                      noLists,
	"rpn-certificats, Certificats révoqués":                     noLists,
	"rpn-certificats, Listes en service":                        noLists,
	"rpn-certificats, Liste confirmée il y a le plus longtemps": noLists,
	"rpn-journal, Dernière confirmation":                        nobody,
	"rpn-journal, Confirmations en échec":                       nobody,
	"rpn-instances, Lignes de journal technique perdues":        noSink,
	"rpn-journal, Plus ancien en attente":                       sometimes,
}

const (
	nobody  = "the demonstration has neither witnesses nor an authority of time"
	noLists = "the authorities of the demonstration publish no list: its deny list puts people out"
	// A mail waits for its server, which is none, except on Mondays before six.
	sometimes = "no mail waits on a Monday before six"

	noSink = "in process the log is a file of the demonstration: cmd/rpn has the queue that drops lines"
)

// notThere are the metrics that the demonstration does not export, with the
// reason.
var notThere = map[string]string{
	"rpn_revocation_list_issued_timestamp_seconds":         noLists,
	"rpn_revocation_list_ends_timestamp_seconds":           noLists,
	"rpn_revocation_list_entries":                          noLists,
	"rpn_revocation_list_serves":                           noLists,
	"rpn_revocation_oldest_confirmation_timestamp_seconds": noLists,
	"rpn_journal_confirmed_timestamp_seconds":              nobody,
	"rpn_journal_confirm_failures_total":                   nobody,
	"rpn_log_dropped_lines_total":                          noSink,
	"rpn_mail_oldest_timestamp_seconds":                    sometimes,
}

// Every panel and every alert is asked of a Prometheus that scrapes the running
// nation: no error, no warning, nothing empty that should not be.
func TestEveryQueryAnswersWhileTheNationWorks(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t, "--maxmemory", "64mb", "--maxmemory-policy", "noeviction")
	n, err := nation.New(nation.Options{Version: "test", Sections: map[string]string{
		"redis": "urls: [redis://" + redis.Addr() + "]",
		"mail":  "server: smtp.example:587\nfrom: rpn@rpn.example\nsupervision: [supervision@ans.example]",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	p := startPrometheus(t, strings.TrimPrefix(n.AdminURL(), "http://"))
	p.until("both jobs are scraped", `count(up == 1) == 2`)
	for _, s := range nation.Day() {
		if _, err := n.Play(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	sendMalformed(t, n)
	p.until("what was played is counted", `sum(increase(rpn_exchanges_total{code="answered"}[1m])) > 0 and sum(increase(rpn_exchanges_total{code="RPN404"}[1m])) > 0`)
	p.until("the rules are evaluated", `rpn:erreurs_per_exchange:ratio_rate3d >= 0 and on () count(amc:failures_per_exchange:ratio_rate5m) > 0`)
	p.until("what is malformed is counted", `count_over_time(rpn_malformed_requests_total[1m]) > 3`)
	p.until("the outbox was read", `rpn_mail_letters`)

	everyMetricIsThere(t, p)
	everyPanel(t, p)
	everyAlert(t, p)
}

// sendMalformed sends what no client of the demonstration sends: HTTP with two
// hosts.
func sendMalformed(t *testing.T, n *nation.Nation) {
	t.Helper()
	e := n.Files("chu")
	own, err := tls.LoadX509KeyPair(e.Cert, e.Key)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(n.AuthorityFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	at, err := url.Parse(n.URL())
	if err != nil {
		t.Fatal(err)
	}
	c, err := tls.Dial("tcp", at.Host, &tls.Config{Certificates: []tls.Certificate{own}, RootCAs: roots, ServerName: at.Hostname()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(await.Patience))
	if _, err := io.WriteString(c, "GET /roc HTTP/1.1\r\nHost: un.example\r\nHost: deux.example\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Fatalf("%v %v, want 400", resp, err)
	}
}

func everyPanel(t *testing.T, p *prometheus) {
	choices := strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*",
		"$structure", p.label(`topk(1, sum by (structure) (rpn_etablissement_exchanges_total{responsable="personne"}))`, "structure"),
		"$amc", p.label(`topk(1, sum by (amc) (rpn_amc_exchanges_total{outcome="answered"}))`, "amc"))
	asked := 0
	for _, d := range dashboards.Dashboards() {
		page := readPage(t, d.UID)
		for _, panel := range page.all() {
			at := d.UID + ", " + panel.Title
			shows := false
			for _, q := range panel.Targets {
				asked++
				got, warnings, err := p.ask(choices.Replace(q.Expr), panel.Type == "timeseries")
				if err != nil || len(warnings) > 0 {
					t.Errorf("%s: %v %v\n%s", at, err, warnings, q.Expr)
				}
				if got.shows() {
					shows = true
				} else if _, known := rightlyEmpty[at]; !known {
					t.Errorf("%s is empty\n%s", at, choices.Replace(q.Expr))
				}
			}
			if reason, known := rightlyEmpty[at]; known && shows && reason != sometimes {
				t.Errorf("%s shows something: remove it from rightlyEmpty (%s)", at, reason)
			}
		}
	}
	if asked < 100 {
		t.Errorf("%d queries: are the pages read?", asked)
	}
	t.Logf("%d queries of panels", asked)
}

var (
	selector = regexp.MustCompile(`\b((?:rpn|process|go)_[a-z0-9_]+|up)(\{[^}]*\})?`)
	matcher  = regexp.MustCompile(`(\w+)=~?"([^"]*)"`)
)

// everyAlert runs the expressions of the rules, and looks for each series that an
// alert names: a value of a label that does not exist would never fire.
func everyAlert(t *testing.T, p *prometheus) {
	var rules struct {
		Groups []struct {
			Rules []struct{ Name, Query, Health, LastError, Type string }
		}
	}
	p.get("/api/v1/rules", nil, &rules)
	alerts := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Type == "alerting" {
				alerts++
			}
			if r.Health != "ok" || r.LastError != "" {
				t.Errorf("%s: %s %s", r.Name, r.Health, r.LastError)
			}
			if _, warnings, err := p.ask(r.Query, false); err != nil || len(warnings) > 0 {
				t.Errorf("%s: %v %v", r.Name, err, warnings)
			}
		}
	}
	if alerts != len(dashboards.Alerts()) {
		t.Errorf("Prometheus has %d alerts, want %d", alerts, len(dashboards.Alerts()))
	}
	for _, a := range dashboards.Alerts() {
		for _, m := range selector.FindAllStringSubmatch(a.Expr, -1) {
			if metric, ours := dashboards.Metric(m[1]); ours && notThere[metric.Name] != "" || hidden(m[2]) {
				continue
			}
			if got, _, err := p.ask(m[0], false); err != nil || len(got) == 0 {
				t.Errorf("%s names %s, and there is no such series (%v)", a.Name, m[0], err)
			}
		}
	}
}

// hidden are labels whose value appears with its cause alone.
func hidden(labels string) bool {
	for _, m := range matcher.FindAllStringSubmatch(labels, -1) {
		if m[1] == "level" { // a certificate is there that ends so soon
			return true
		}
	}
	return false
}

// everyMetricIsThere compares what is scraped with the catalogue.
func everyMetricIsThere(t *testing.T, p *prometheus) {
	var names []string
	p.get("/api/v1/label/__name__/values", nil, &names)
	there := map[string]bool{}
	for _, name := range names {
		m, ours := dashboards.Metric(name)
		if strings.HasPrefix(name, "rpn_") && !ours {
			t.Errorf("%s is scraped, and not in the catalogue", name)
		}
		there[m.Name] = true
	}
	for _, m := range live.Catalogue() {
		if there[m.Name] == (notThere[m.Name] != "") && notThere[m.Name] != sometimes {
			t.Errorf("%s: scraped is %v, and the reason why not is %q", m.Name, there[m.Name], notThere[m.Name])
		}
	}
}

// A page is a dashboard as Grafana reads it.
type page struct{ Panels []panel }

type panel struct {
	Title, Type string
	Targets     []struct{ Expr string }
	Panels      []panel // of a row
}

func readPage(t *testing.T, uid string) (p page) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../dashboards/grafana", uid+".json"))
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p page) all() (list []panel) {
	for _, x := range p.Panels {
		if x.Type != "row" {
			list = append(list, x)
		}
		list = append(list, x.Panels...)
	}
	return list
}

// A prometheus is a running one.
type prometheus struct {
	t   *testing.T
	url string
}

// startPrometheus starts Debian's, on a free port, with our rules; it scrapes
// each second. The end of the test ends it.
func startPrometheus(t *testing.T, target string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	rules, err := filepath.Abs("../../dashboards/rules/rpn.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - {job_name: rpn, static_configs: [{targets: [%q]}]}
  - {job_name: rpn-etablissements, metrics_path: /metrics/etablissements, static_configs: [{targets: [%q]}]}
`, rules, target, target)
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("prometheus", "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--log.level=warn")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // should the tests be killed
	if err := cmd.Start(); err != nil {
		t.Fatalf("prometheus (test/deps.sh installs it): %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if b, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("prometheus: %s", b)
		}
	})
	return &prometheus{t, "http://" + address}
}

// A result is the series of an answer, each with its last value.
type result []struct {
	Metric map[string]string
	Value  []any
	Values [][]any
}

// shows reports whether there is a number to see.
func (r result) shows() bool {
	for _, s := range r {
		for _, v := range append(s.Values, s.Value) {
			if len(v) != 2 {
				continue
			}
			if f, err := strconv.ParseFloat(fmt.Sprint(v[1]), 64); err == nil && !math.IsNaN(f) {
				return true
			}
		}
	}
	return false
}

// ask runs one query, now or over the last minute.
func (p *prometheus) ask(expr string, over bool) (r result, warnings []string, err error) {
	at := time.Now()
	path, v := "/api/v1/query", url.Values{"query": {expr}}
	if over {
		path = "/api/v1/query_range"
		v.Set("start", fmt.Sprint(at.Add(-time.Minute).Unix()))
		v.Set("end", fmt.Sprint(at.Unix()))
		v.Set("step", "5")
	}
	var data struct {
		ResultType string
		Result     json.RawMessage
	}
	warnings, err = p.try(path, v, &data)
	if err == nil && data.ResultType != "scalar" {
		err = json.Unmarshal(data.Result, &r)
	}
	return r, warnings, err
}

// try asks the API once. Warnings are with them what newer versions call infos.
func (p *prometheus) try(path string, v url.Values, data any) (warnings []string, err error) {
	resp, err := http.PostForm(p.url+path, v)
	if len(v) == 0 {
		resp, err = http.Get(p.url + path)
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Status, Error   string
		Warnings, Infos []string
		Data            json.RawMessage
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return nil, fmt.Errorf("HTTP %d: %w", resp.StatusCode, err)
	}
	if answer.Status != "success" {
		return nil, errors.New(answer.Error)
	}
	return append(answer.Warnings, answer.Infos...), json.Unmarshal(answer.Data, data)
}

func (p *prometheus) get(path string, v url.Values, data any) {
	p.t.Helper()
	if _, err := p.try(path, v, data); err != nil {
		p.t.Fatalf("%s: %v", path, err)
	}
}

// until waits until a query has an answer.
func (p *prometheus) until(what, expr string) {
	p.t.Helper()
	await.Until(p.t, what, func() bool { r, _, err := p.ask(expr, false); return err == nil && len(r) > 0 })
}

// label is a label of the only series of an answer.
func (p *prometheus) label(expr, name string) string {
	p.t.Helper()
	r, _, err := p.ask(expr, false)
	if err != nil || len(r) == 0 {
		p.t.Fatalf("%s: %v", expr, err)
	}
	return r[0].Metric[name]
}
