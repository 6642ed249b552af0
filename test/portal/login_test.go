package portal

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/portal/login/logintest"
	"github.com/piano-roc/rpn/test/binary"
)

// lets is a provider of identities that knows one person, of whom it says nothing,
// and the section of the configuration by which it lets persons in.
func lets(t *testing.T) (*logintest.Provider, string) {
	t.Helper()
	provider := logintest.New(t, "", map[string]logintest.Person{"personne fictive": {}})
	dir := t.TempDir()
	ca, secret := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "secret")
	for file, text := range map[string][]byte{ca: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: provider.Server.Certificate().Raw}), secret: []byte(logintest.Secret + "\n")} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return provider, fmt.Sprintf("name: Fournisseur fictif\nissuer: %s\nclient_id: %s\nclient_secret_file: %s\nca: %s\nacr: [%s]\n", provider.Issuer(), logintest.ClientID, secret, ca, logintest.ACR)
}

// invited is the link of an invitation to the pages of the first establishment, made
// by the command of the operator.
func invited(t *testing.T, n *nation.Nation) string {
	t.Helper()
	rpn, err := binary.Path("rpn")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), rpn, "portal", "invite", "--config", n.ConfigFile(), "--structure", "990000011", "--label", "bureau des entrées").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, link, found := strings.Cut(string(out), n.PortalURL())
	if !found {
		t.Fatalf("no link: %s", out)
	}
	if list, err := exec.CommandContext(t.Context(), rpn, "portal", "invitations", "--config", n.ConfigFile()).CombinedOutput(); err != nil || !strings.Contains(string(list), "bureau des entrées") || strings.Contains(string(list), strings.TrimSpace(link)) {
		t.Errorf("the list: %v\n%s", err, list)
	}
	// Another one is revoked by the command, once.
	out, err = exec.CommandContext(t.Context(), rpn, "portal", "invite", "--config", n.ConfigFile(), "--structure", "990000011", "--label", "poste fermé").CombinedOutput()
	_, rest, found := strings.Cut(string(out), "invitation ")
	id, _, _ := strings.Cut(rest, " ")
	if err != nil || !found {
		t.Fatalf("%v\n%s", err, out)
	}
	revoke := func(more ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), rpn, append([]string{"portal", "revoke", "--config", n.ConfigFile(), "--id", id}, more...)...).CombinedOutput()
		return string(out), err
	}
	if out, err := revoke("--who", "Camille Exemple"); err != nil || !strings.Contains(out, "revoked") {
		t.Errorf("revoked: %v\n%s", err, out)
	}
	if out, err := revoke(); err == nil || !strings.Contains(out, "no such invitation") {
		t.Errorf("revoked twice: %v\n%s", err, out)
	}
	if list, err := exec.CommandContext(t.Context(), rpn, "portal", "invitations", "--config", n.ConfigFile(), "--json").CombinedOutput(); err != nil || !strings.Contains(string(list), `"state": "revoked"`) && !strings.Contains(string(list), `"state":"revoked"`) || !strings.Contains(string(list), "Camille Exemple") {
		t.Errorf("the list as JSON: %v\n%s", err, list)
	}
	return strings.TrimSpace(link)
}

// A provider that is not there keeps the RPN neither from starting nor from letting
// certificates in.
func TestAProviderThatIsAwayKeepsNobodyElseOut(t *testing.T) {
	t.Parallel()
	provider, section := lets(t)
	provider.Server.Close()
	n, err := nation.New(nation.Options{Dir: t.TempDir(), Portal: true, OIDC: section, Reload: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	chu := n.Files("chu")
	if code, body := get(t, browser(t, n, "", ""), n.PortalURL()+"/connexion/aller"); code != 503 || !strings.Contains(body, "certificats") {
		t.Errorf("a login: %d\n%.600s", code, body)
	}
	if code, body := get(t, http.DefaultClient, n.AdminURL()+"/readyz"); code != 200 || !strings.Contains(body, "portal_provider") || !strings.Contains(body, "certificates alone let in") {
		t.Errorf("ready: %d\n%s", code, body)
	}
	if code, _ := get(t, browser(t, n, chu.Cert, chu.Key), n.PortalURL()+"/moi"); code != 200 {
		t.Errorf("a certificate: %d", code)
	}
}
