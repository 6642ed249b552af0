package portal

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/binary"
)

func authority(t *testing.T, n *nation.Nation) *x509.CertPool {
	t.Helper()
	return n.PKI.Pool(igc.EtablissementTLS)
}

// With real certificates: each comes to its own first page and to no other; who
// is on the deny list is out within five seconds on its open connection, and back
// when it is off; the CSV of the portal is that of `rpn indicators export`.
func TestTheNationReadsItsPages(t *testing.T) {
	t.Parallel()
	n := played(t)
	chu, hetre := n.Files("chu"), n.Files("hetre")
	own, other, nobody := browser(t, n, chu.Cert, chu.Key), browser(t, n, hetre.Cert, hetre.Key), browser(t, n, "", "")
	counted(t, n, own)

	for _, r := range n.Readers() {
		c := browser(t, n, r.Cert, r.Key)
		for _, of := range n.Readers() {
			code, body := get(t, c, n.PortalURL()+of.Home)
			want := http.StatusNotFound
			if r.Home == "/national" || r.Home == of.Home {
				want = http.StatusOK
			}
			if code != want {
				t.Errorf("%s asks for %s: %d, want %d\n%.600s", r.Name, of.Home, code, want, body)
			}
		}
	}
	if code, _ := get(t, nobody, n.PortalURL()+"/meteo"); code != http.StatusOK {
		t.Errorf("the weather without a certificate: %d", code)
	}
	if code, _ := get(t, nobody, n.PortalURL()+"/national"); code != http.StatusForbidden {
		t.Errorf("the nation without a certificate: %d", code)
	}
	far := n.Files("ailleurs") // of an authority that nobody knows
	if code, body := get(t, browser(t, n, far.Cert, far.Key), n.PortalURL()+"/"); code != http.StatusForbidden || strings.Contains(body, "Ailleurs") {
		t.Errorf("a certificate of another authority: %d", code)
	}
	excluded(t, n, other)
	exported(t, n, own)
}

// excluded puts an establishment on the deny list, and takes it off.
func excluded(t *testing.T, n *nation.Nation, c *http.Client) {
	t.Helper()
	page := n.PortalURL() + "/etablissement/1990000081"
	if code, _ := get(t, c, page); code != http.StatusOK {
		t.Fatalf("before: %d", code)
	}
	for _, step := range []struct {
		out  []string
		want int
	}{{[]string{"hetre"}, http.StatusForbidden}, {nil, http.StatusOK}} {
		began := time.Now()
		if err := n.Exclude(t.Context(), step.out...); err != nil {
			t.Fatal(err)
		}
		await.Until(t, "the deny list holds at the portal", func() bool { code, _ := get(t, c, page); return code == step.want })
		t.Logf("%d after %s", step.want, time.Since(began).Round(time.Millisecond))
	}
}

// exported compares the files of this week with those of the command.
func exported(t *testing.T, n *nation.Nation, c *http.Client) {
	t.Helper()
	rpn, err := binary.Path("rpn")
	if err != nil {
		t.Fatal(err)
	}
	week, dir := report.WeekOf(time.Now()), t.TempDir()
	cmd := exec.CommandContext(t.Context(), rpn, "indicators", "export", "--store", filepath.Join(n.StateDir(), "indicateurs.db"), "--structure", "990000011", "--week", week.String(), "--out", dir,
		"--etablissements", filepath.Join(n.Dir, "etablissements.yaml"), "--amcs", filepath.Join(n.Dir, "amc.yaml"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, f := range report.Files() {
		want, err := os.ReadFile(filepath.Join(dir, f.Name("1990000011", week)))
		if err != nil {
			t.Fatal(err)
		}
		code, got := get(t, c, fmt.Sprintf("%s/etablissement/990000011/fichiers/%s/%s", n.PortalURL(), week, f))
		if code != http.StatusOK || got != string(want) || strings.Count(got, "\n") < 2 {
			t.Errorf("%s of the portal (%d) is not the one of the command:\n%s\n%s", f, code, got, want)
		}
	}
}
