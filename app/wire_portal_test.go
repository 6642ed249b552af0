package app_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/nation"
)

// An operator who is taken out of the configuration is out once it is read again, and
// one who is put in is in; a configuration that is wrong changes nobody. Nobody
// approves alone what needs two, unless it is said.
func TestOperatorsChangeByAReload(t *testing.T) {
	t.Parallel()
	n, lines := start(t, nation.Options{Portal: true})
	file := filepath.Join(n.Dir, "rpn.yaml")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	read := func(role string) int {
		t.Helper()
		for _, r := range n.Readers() {
			if r.Name != "exploitant, "+role {
				continue
			}
			cert, err := tls.LoadX509KeyPair(r.Cert, r.Key)
			if err != nil {
				t.Fatal(err)
			}
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: n.PKI.Pool(igc.EtablissementTLS)}}}
			resp, err := client.Get(n.PortalURL() + "/registre")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			return resp.StatusCode
		}
		t.Fatal("no such operator")
		return 0
	}
	if code := read("lecture"); code != http.StatusOK {
		t.Fatalf("an operator: %d", code)
	}
	var without []string
	for line := range strings.Lines(string(good)) {
		if !strings.Contains(line, "role: lecture") {
			without = append(without, line)
		}
	}
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Join(without, ""))
	if err := n.App.Reload(); err != nil {
		t.Fatal(err)
	}
	if code := read("lecture"); code != http.StatusForbidden {
		t.Errorf("taken out: %d", code)
	}
	write(string(good) + "\nunknown: 1\n")
	if err := n.App.Reload(); err == nil || read("lecture") != http.StatusForbidden || read("exploitation") != http.StatusOK {
		t.Errorf("a wrong configuration: %v, or somebody changed", err)
	}
	write(string(good))
	if err := n.App.Reload(); err != nil || read("lecture") != http.StatusOK {
		t.Errorf("put in again: %v", err)
	}

	client := admin.Client(n.AdminSocket())
	ask := func(more string) string {
		resp, err := client.Post("http://rpn/-/annuaire/approve?amc=0099000003&host=nulle-part.example&why=essai"+more, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	if said := ask(""); !strings.Contains(said, "second operator") || strings.Contains(lines.String(), "portal_alone") {
		t.Errorf("alone, without a word: %s", said)
	}
	if said := ask("&alone=1"); !strings.Contains(said, "nothing of that insurer") || !strings.Contains(lines.String(), "portal_alone") {
		t.Errorf("alone, and said: %s", said)
	}
}
