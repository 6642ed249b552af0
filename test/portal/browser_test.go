package portal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/nation"
)

// A reading is who reads the pages in the browser.
type reading struct {
	Name     string `json:"name"`
	Origin   string `json:"origin"`
	Start    string `json:"start"`
	Cert     string `json:"cert,omitempty"`
	Key      string `json:"key,omitempty"`
	Keyboard string `json:"keyboard,omitempty"` // the path whose pages are gone through by the keyboard
}

// chromium is Debian's. It is an error where it is missing: test/deps.sh brings it.
func chromium(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v: run test/deps.sh", err)
	}
	if _, err := os.Stat(filepath.Join("node", "node_modules", "playwright-core")); err != nil {
		t.Fatalf("%v: run test/deps.sh", err)
	}
	return path
}

// browse runs the plan in the browser, and returns what it wrote.
func browse(t *testing.T, plan map[string]any) (lines []map[string]any) {
	t.Helper()
	plan["chromium"] = chromium(t)
	text, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "browser.mjs")
	cmd.Dir, cmd.Stdin = "node", bytes.NewReader(text)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out.String(), errs.String())
	}
	for s := bufio.NewScanner(&out); s.Scan(); {
		line := map[string]any{}
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatalf("%v: %s", err, s.Text())
		}
		lines = append(lines, line)
	}
	return lines
}

// planted are the patient identifiers of every message of the nation: they must be
// on no page.
func planted(t *testing.T, n *nation.Nation) []string {
	t.Helper()
	text, err := os.ReadFile(n.MessageFile())
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, name := range []string{"numero_adherent", "prenom", "date_naissance"} {
		for _, part := range strings.Split(string(text), name+">")[1:] {
			value, _, _ := strings.Cut(part, "<")
			if value = strings.TrimSpace(value); value != "" {
				list = append(list, value)
			}
		}
	}
	if len(list) == 0 {
		t.Fatalf("the message has no patient identifier to look for:\n%s", text)
	}
	return list
}

// Every page that a link leads to, in a real browser with real client certificates,
// as each role: nothing that axe finds, no error, no request to elsewhere, nothing
// wider than the screen at 400 %, no patient identifier, and all of it by the
// keyboard alone.
func TestABrowserReadsEveryPageAsEachRole(t *testing.T) {
	t.Parallel()
	provider, section := lets(t)
	n := playedWith(t, section)
	provider.Moved(n.PortalURL())
	chu := n.Files("chu")
	counted(t, n, browser(t, n, chu.Cert, chu.Key))
	origin := n.PortalURL()
	roles := []reading{{Name: "public", Origin: origin, Start: "/"}}
	for _, r := range n.Readers() {
		one := reading{Name: r.Name, Origin: origin, Start: "/", Cert: r.Cert, Key: r.Key}
		switch {
		case strings.HasPrefix(r.Name, "CHU"):
			one.Keyboard = r.Home
		case strings.HasSuffix(r.Name, "lecture"), strings.HasSuffix(r.Name, "administration"):
			continue // the same pages as exploitation, without its form; the matrix of the unit tests asks them
		}
		roles = append(roles, one)
	}
	logins := []map[string]string{{"name": "personne", "origin": origin, "provider": provider.Issuer(), "invitation": invited(t, n), "person": "personne fictive", "home": "/etablissement/1990000011"}}
	pages := 0.0
	for _, line := range browse(t, map[string]any{"roles": roles, "canaries": planted(t, n), "most": 1, "logins": logins}) {
		if line["wrong"] != nil {
			t.Errorf("%v as %v: %v: %v", line["path"], line["role"], line["wrong"], line["detail"])
			continue
		}
		t.Logf("%v: %v pages, %v files, %v kinds", line["role"], line["pages"], line["files"], line["kinds"])
		pages += line["pages"].(float64)
	}
	if pages < 35 {
		t.Errorf("only %v pages were read", pages)
	}
}
