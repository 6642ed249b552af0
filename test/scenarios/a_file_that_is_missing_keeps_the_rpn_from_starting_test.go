package scenarios

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/test/nation"
)

func TestAFileThatIsMissingKeepsTheRPNFromStarting(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"rpn.yaml", "rpn/serveur.key", "confiance/amc-tls.pem", "etablissements.yaml", "amc.yaml"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			n := nation.New(t, nation.NotStarted)
			if err := os.Remove(n.File(file)); err != nil {
				t.Fatal(err)
			}
			wantOneLine(t, n, filepath.Base(file))
		})
	}
}

// wantOneLine checks that the RPN does not start, and says why in one line
// that holds these texts, with exit code 2.
func wantOneLine(t *testing.T, n *nation.Nation, texts ...string) {
	t.Helper()
	wantFaults(t, n, 1, texts...)
}

// wantFaults starts the RPN, which says so many faults, a line for each.
func wantFaults(t *testing.T, n *nation.Nation, faults int, texts ...string) {
	t.Helper()
	p := nation.Run(t, "serve", "--config", n.ConfigFile())
	p.WantExit(2)
	said := p.Errors.String()
	if strings.Count(said, "\n") != faults || !strings.HasSuffix(said, "\n") {
		t.Errorf("want %d lines, got %q", faults, said)
	}
	for _, text := range texts {
		if !strings.Contains(said, text) {
			t.Errorf("the line does not say %q: %s", text, said)
		}
	}
	if strings.Contains(p.Output.String(), `"msg":"listening"`) {
		t.Error("it listened all the same")
	}
}
