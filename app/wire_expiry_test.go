package app_test

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/tlsconf/expiry"
)

// reload asks for a reload as `rpn reload` does.
func reload(t *testing.T, n *nation.Nation, query string) (int, string) {
	t.Helper()
	answer, err := admin.Client(n.AdminSocket()).Post("http://rpn/-/reload"+query, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func certificatesOf(t *testing.T, n *nation.Nation, query string) admin.Certificates {
	t.Helper()
	status, body := get(t, n.AdminURL()+"/certificats?format=json"+query)
	var c admin.Certificates
	if err := json.Unmarshal([]byte(body), &c); err != nil || status != http.StatusOK {
		t.Fatalf("/certificats: %d %v", status, err)
	}
	return c
}

func TestTheInventoryShowsWhoUsesWhat(t *testing.T) {
	t.Parallel()
	n, _ := start(t, nation.Options{})
	const who = "chu"
	for range 3 {
		wantAnswer(t, idb(t, n, who))
	}
	owner := roc.StructureOf(someone(t, n, who).EJ)
	// An exchange is counted once its answer is written: the caller may be ahead.
	await.Until(t, "three exchanges are counted", func() bool { return certificatesOf(t, n, "&nature=rpn-serveur").Certificates[0].Calls == 3 })
	c := certificatesOf(t, n, "")
	calls := map[expiry.Kind]int{}
	for _, e := range c.Certificates {
		if e.Owner == string(owner) || e.Kind != expiry.CallerTLS && e.Kind != expiry.CallerSignature {
			calls[e.Kind] += e.Calls
		}
		if e.Kind == expiry.CallerTLS && e.Owner == string(owner) && (e.Nom == "" || e.Level != expiry.FarEnough) {
			t.Errorf("%+v: no name of the register, or a wrong level", e)
		}
	}
	for kind, want := range map[expiry.Kind]int{expiry.CallerTLS: 3, expiry.CallerSignature: 3, expiry.PeerTLS: 3, expiry.OwnServer: 3, expiry.Authority: 0} {
		if got, ok := calls[kind]; !ok || got != want {
			t.Errorf("%s: %d calls (there: %t), want %d", kind, got, ok, want)
		}
	}
	seen := 0
	for _, p := range c.Territories {
		seen += p.TLS
	}
	if seen != 1 {
		t.Errorf("%d establishments seen in the territories, want 1: %+v", seen, c.Territories)
	}
	if all := certificatesOf(t, n, "&jours=1").Certificates; len(all) != 0 {
		t.Errorf("%d certificates end within a day: %+v", len(all), all)
	}
	_, page := get(t, n.AdminURL()+"/certificats")
	for _, want := range []string{`<html lang="fr">`, "Déploiement par territoire", string(owner)} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	_, text := get(t, n.AdminURL()+"/certificats?format=csv")
	if rows, err := csv.NewReader(strings.NewReader(text)).ReadAll(); err != nil || len(rows) != len(c.Certificates)+1 {
		t.Errorf("the CSV has %d rows, %v", len(rows), err)
	}
	if _, metrics := get(t, n.AdminURL()+"/metrics"); !strings.Contains(metrics, `rpn_certificate_calls{kind="etablissement-tls",level="ok"} 3`) || !strings.Contains(metrics, `rpn_certificate_first_end_timestamp_seconds{kind="rpn-serveur"}`) {
		t.Error("the metrics of the inventory are not there")
	}
}

func TestACertificateNearItsEndIsLoggedOnce(t *testing.T) {
	t.Parallel()
	n, lines := start(t, nation.Options{})
	if err := n.Renew(6 * 24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	if status, body := reload(t, n, ""); status != http.StatusOK || !strings.Contains(body, "server: now ") || !strings.Contains(body, "server: no more ") {
		t.Fatalf("%d %s", status, body)
	}
	if got := certificatesOf(t, n, "&nature=rpn-serveur").Certificates; len(got) != 1 || got[0].Level != expiry.Within7 {
		t.Errorf("%+v", got)
	}
	told := map[string]expiry.Level{}
	n.App.LogExpiries(told)
	n.App.LogExpiries(told)
	if got := strings.Count(lines.String(), "a certificate is near its end"); got != 1 {
		t.Errorf("told %d times, want once", got)
	}
}

func TestAReloadIsAllOrNothingAndSaysWhatChanged(t *testing.T) {
	t.Parallel()
	n, _ := start(t, nation.Options{})
	wantAnswer(t, idb(t, n, "chu"))
	if status, body := reload(t, n, ""); status != http.StatusOK || !strings.Contains(body, "the same as before") {
		t.Errorf("nothing changed: %d %s", status, body)
	}
	// The authority of establishments is replaced while they still use it, and
	// the server certificate is renewed in the same breath.
	file := n.AuthorityFile()
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := igc.New(igc.Options{}).Write(dir); err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(igc.StoreFile(dir, igc.EtablissementTLS))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Renew(700 * 24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	put := func(text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := certificatesOf(t, n, "&nature=rpn-serveur").Certificates[0].Serial
	put(other)
	if status, body := reload(t, n, ""); status == http.StatusOK || !strings.Contains(body, "still has clients today") || !strings.Contains(body, "together or not at all") {
		t.Errorf("an authority with clients: %d %s", status, body)
	}
	if certificatesOf(t, n, "&nature=rpn-serveur").Certificates[0].Serial != server {
		t.Error("half of the set was taken")
	}
	wantAnswer(t, idb(t, n, "chu"))
	put([]byte("?"))
	if status, body := reload(t, n, ""); status == http.StatusOK || !strings.Contains(body, filepath.Base(file)) {
		t.Errorf("an empty bundle: %d %s", status, body)
	}
	wantAnswer(t, idb(t, n, "chu"))
	// Both side by side: the first step of a change of authority.
	put(append(append([]byte{}, before...), other...))
	if status, body := reload(t, n, ""); status != http.StatusOK || strings.Count(body, "trust: etablissements_tls: now trusts") != 2 || !strings.Contains(body, "server: now") {
		t.Errorf("two generations: %d %s", status, body)
	}
	wantAnswer(t, idb(t, n, "chu"))
	put(other)
	if status, body := reload(t, n, "?force=certificates"); status != http.StatusOK || strings.Count(body, "no longer trusts") != 2 {
		t.Errorf("forced: %d %s", status, body)
	}
}
