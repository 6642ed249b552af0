package dashboards

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The example of Prometheus is accepted by it, with the rules, and has the jobs
// that the rules name.
func TestTheExampleOfPrometheusIsAccepted(t *testing.T) {
	t.Parallel()
	const file = "../../deploy/prometheus/prometheus.yml"
	if out, err := exec.Command("promtool", "check", "config", file).CombinedOutput(); err != nil || !strings.Contains(string(out), "rules found") {
		t.Errorf("%v\n%s", err, out)
	}
	example, rules := read(t, file), read(t, "../../dashboards/rules/rpn.rules.yaml")
	for _, m := range regexp.MustCompile(`job="([^"]+)"`).FindAllStringSubmatch(rules, -1) {
		if !strings.Contains(example, "job_name: "+m[1]+"\n") {
			t.Errorf("the rules name the job %s, which the example does not have", m[1])
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// make grafana tells a Grafana where the dashboards, its source and its address
// are, and leaves nothing; where there is none, it says what to do. The Grafana is
// a script that says what it was told: Debian has none.
func TestGrafanaIsToldWhereEverythingIs(t *testing.T) {
	t.Parallel()
	tmp, bin := t.TempDir(), t.TempDir()
	run := func(path string) (string, error) {
		cmd := exec.Command("../../deploy/grafana/run.sh")
		cmd.Env = []string{"PATH=" + path, "TMPDIR=" + tmp, "PORT=3001", "PROMETHEUS=http://127.0.0.1:9099"}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("/usr/bin:/bin"); err == nil || !strings.Contains(out, "Install the package grafana") {
		t.Errorf("without Grafana: %v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(bin, "grafana-server"), []byte("#!/bin/sh\nenv; echo \"args $*\"; ls \"$RPN_DASHBOARDS\" \"$GF_PATHS_PROVISIONING\"/*\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := run(bin + ":/usr/bin:/bin")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"RPN_PROMETHEUS=http://127.0.0.1:9099\n", "GF_SERVER_HTTP_PORT=3001\n", "GF_SERVER_HTTP_ADDR=127.0.0.1\n", "GF_AUTH_ANONYMOUS_ORG_ROLE=Viewer\n",
		"args --homepath /usr/share/grafana\n", "rpn-nation.json\n", "rpn.yaml\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("Grafana was not told %q\n%s", want, out)
		}
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	for file, wants := range map[string][]string{"datasources": {"url: $RPN_PROMETHEUS", "type: prometheus"}, "dashboards": {"path: $RPN_DASHBOARDS", "allowUiUpdates: false"}} {
		text := read(t, "../../deploy/grafana/provisioning/"+file+"/rpn.yaml")
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q", file, want)
			}
		}
	}
}
