package test

import (
	"encoding/json"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/piano-roc/rpn/"

// mayImport is the import map of ARCHITECTURE.md: what each package of ours
// may import of ours. Every arrow ends in internal/roc. Test files are free.
var mayImport = map[string][]string{
	"internal/roc":                 {},
	"internal/strict":              {},
	"internal/durable":             {},
	"internal/soap":                {"internal/roc"},
	"internal/rsaverify":           {},
	"internal/xsd":                 {},
	"internal/xmlsig":              {"internal/roc", "internal/soap", "internal/rsaverify", "internal/xsd"},
	"internal/message":             {"internal/roc", "internal/soap", "internal/xmlsig", "internal/xsd"},
	"internal/redistest":           {},
	"internal/message/messagetest": {"internal/roc", "internal/message"},
	"register":                     {"internal/roc", "internal/strict"},
	"register/attempts":            {"internal/roc", "internal/durable"},
	"limits/replay":                {"internal/roc"},
	"limits/quota":                 {},
	"limits/breaker":               {},
	"limits/crossbar":              {},
	"limits/shed":                  {},
	"limits/shares":                {},
	"app/logsink":                  {},
	"limits":                       {"internal/roc", "register", "limits/quota"},
	"internal/igc":                 {"internal/roc"},
	"annuaire":                     {"internal/roc", "internal/durable", "internal/soap", "internal/xmlsig", "internal/message"},
	"annuaire/fictif":              {"annuaire", "internal/roc", "internal/soap", "internal/xmlsig", "internal/message", "internal/strict"},
	"routing":                      {"internal/roc", "register", "annuaire"},
	"register/ops":                 {"internal/roc", "internal/strict", "register", "annuaire", "routing"},
	"tlsconf/trust":                {"internal/roc"},
	"tlsconf/revocation":           {"internal/roc", "tlsconf/trust"},
	"tlsconf/identity":             {"tlsconf/trust"},
	"tlsconf/expiry":               {"tlsconf/trust"},
	"tlsconf":                      {"tlsconf/trust", "tlsconf/revocation", "tlsconf/identity"},
	"indicators":                   {"internal/roc"},
	"mutuelle":                     {"internal/roc", "internal/soap", "internal/xmlsig", "internal/message"},
	"proxy":                        {"internal/roc", "internal/soap", "internal/xmlsig", "internal/message", "register", "limits/replay", "annuaire", "routing", "proxy/http1", "proxy/facade"},
	"proxy/http1":                  {"internal/roc"},
	"proxy/http1/http1test":        {"internal/roc", "internal/igc"},
	"proxy/facade":                 {"internal/roc", "internal/soap", "internal/xmlsig", "internal/message", "register"},
	"internal/secret":              {},
	"internal/acmeredis":           {"internal/secret"},
	"app/config":                   {"internal/roc", "internal/strict", "register", "limits/replay", "tlsconf/identity", "tlsconf/revocation", "tlsconf/trust"},
	"app":                          {"app/config", "app/logsink", "internal/roc", "internal/durable", "internal/acmeredis", "internal/secret", "internal/soap", "internal/xmlsig", "internal/message", "internal/strict", "register/attempts", "register", "register/ops", "limits", "limits/replay", "annuaire", "routing", "tlsconf", "tlsconf/trust", "tlsconf/revocation", "tlsconf/identity", "tlsconf/expiry", "indicators", "proxy", "proxy/http1", "proxy/facade"},
	"nation":                       {"internal/roc", "internal/durable", "internal/soap", "internal/xmlsig", "internal/message", "internal/strict", "register", "internal/igc", "app", "app/config", "annuaire", "annuaire/fictif", "routing", "tlsconf/revocation", "mutuelle"},
	"cmd/rpn":                      {"app", "app/config", "app/logsink", "register/attempts", "register", "register/ops", "annuaire", "internal/roc", "internal/durable", "internal/soap", "internal/xmlsig", "internal/message", "internal/strict", "tlsconf/revocation", "tlsconf/expiry"},
	"cmd/demo":                     {"nation"},
	"cmd/mutuelle":                 {"mutuelle", "internal/roc", "internal/xmlsig", "internal/strict"},
	"cmd/annuaire":                 {"annuaire/fictif", "tlsconf", "tlsconf/identity", "tlsconf/trust", "internal/roc", "internal/xmlsig", "internal/strict"},
}

// doors says by which packages each outside library, or standard package that
// must not spread, enters. A library without a door is refused.
var doors = map[string][]string{
	"github.com/valyala/fasthttp":         {"proxy/http1"},
	"github.com/beevik/etree":             {}, // tests only (docs/decisions/0003)
	"github.com/russellhaering/goxmldsig": {}, // tests only (docs/decisions/0005)
	"filippo.io/bigmod":                   {"internal/xmlsig"},
	"github.com/prometheus/client_golang": {"indicators", "app"},
	"go.yaml.in/yaml/v4":                  {"internal/strict"},
	"github.com/redis/go-redis/v9":        {"annuaire", "internal/acmeredis", "app", "limits/replay", "limits/quota"},
	"github.com/caddyserver/certmagic":    {"tlsconf/identity", "internal/acmeredis"},
	"github.com/mholt/acmez":              {"tlsconf/identity"},
	"go.uber.org/zap":                     {"tlsconf/identity"}, // certmagic's log, given to ours
	"golang.org/x/crypto":                 {"tlsconf/revocation", "tlsconf/identity", "internal/igc"},
	"software.sslmate.com/src/go-pkcs12":  {"tlsconf/identity"},
	"golang.org/x/time":                   {"limits"},
	"golang.org/x/sync":                   {"annuaire"},
	"golang.org/x/sys":                    {"cmd/rpn", "app", "internal/rsaverify", "proxy/http1"},
	"github.com/spf13/cobra":              {"cmd/rpn", "cmd/demo", "cmd/mutuelle", "cmd/annuaire"},
	"encoding/xml":                        {}, // reads what must be refused (docs/decisions/0003)
	"net/http/httputil":                   {}, // the exchange goes by proxy alone
}

func TestImportsFollowTheMap(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		seen[p.path()] = true
		if p.path() == "test" || strings.HasPrefix(p.path(), "test/") {
			continue // test sees everything
		}
		allowed, known := mayImport[p.path()]
		if !known {
			t.Errorf("%s: a new package; give it a line in mayImport", p.path())
			continue
		}
		for _, imp := range p.Imports {
			if ours, ok := strings.CutPrefix(imp, module); ok {
				if !slices.Contains(allowed, ours) {
					t.Errorf("%s imports %s, which the import map does not allow", p.path(), ours)
				}
			} else if by, ok := door(imp); ok && !slices.Contains(by, p.path()) {
				t.Errorf("%s imports %s, which enters by %s", p.path(), imp, strings.Join(append(by, "no other package"), ", "))
			} else if !ok && strings.Contains(imp, ".") {
				t.Errorf("%s imports %s, a new library; give it a door in doors and a line in docs/decisions/dependencies.md", p.path(), imp)
			}
		}
	}
	for p := range mayImport {
		if !seen[p] {
			t.Errorf("%s: no such package; remove its line from mayImport", p)
		}
	}
}

// The national binary holds neither the simulator, nor a certificate
// authority, nor the small nation.
func TestRPNLinksNothingFictitious(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "./cmd/rpn")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	linked := strings.Fields(string(out))
	if !slices.Contains(linked, module+"app") {
		t.Fatalf("rpn links no app: %v", linked)
	}
	for _, p := range []string{"nation", "internal/igc", "mutuelle", "annuaire/fictif"} {
		if slices.Contains(linked, module+p) {
			t.Errorf("rpn links %s", p)
		}
	}
}

// door returns the packages by which imp enters, and false when it has none.
func door(imp string) ([]string, bool) {
	for p := imp; p != "." && p != "/"; p = path.Dir(p) {
		if by, ok := doors[p]; ok {
			return by, true
		}
	}
	return nil, false
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func (p pkg) path() string { return strings.TrimPrefix(p.ImportPath, module) }

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatalf("go list -json: %v", err)
		}
		list = append(list, p)
	}
}
