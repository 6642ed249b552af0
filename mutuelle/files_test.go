package mutuelle

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
)

func TestProductionCAs(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"CN=AC RACINE IGC-SANTE ELEMENTAIRE,O=ASIP-SANTE,C=FR":              true,
		"CN=AC IGC-Santé ELEMENTAIRE ORGANISATIONS,C=FR":                    true,
		"CN=AC-SERVICES-APPLICATIFS,O=OSI,C=FR":                             true,
		"CN=IGC OSI,C=FR":                                                   true,
		"CN=TEST AC RACINE IGC-SANTE ELEMENTAIRE,O=ASIP-SANTE,C=FR":         false,
		"CN=TEST AC RACINE IGC-SANTE FICTIVE SIGNATURE,O=IGC FICTIVE SANTE": false,
		"CN=demo igc osi": false,
		"CN=My own root":  false,
	} {
		if looksLikeProduction(name) != want {
			t.Errorf("%s: production %v", name, !want)
		}
	}
	err := refuseProduction("--es-ca", "f.pem", []*x509.Certificate{production(t)})
	if err == nil || !strings.Contains(err.Error(), "--es-ca f.pem") || !strings.Contains(err.Error(), "TEST, DEMO or FICTIF") {
		t.Error(err)
	}
}

func production(t *testing.T) *x509.Certificate {
	t.Helper()
	c := *igc.New(igc.Options{ECDSA: true}).Roots(igc.EtablissementSignature)[0]
	c.Subject = pkix.Name{CommonName: "AC RACINE IGC-SANTE STANDARD", Organization: []string{"ASIP-SANTE"}}
	c.Issuer = c.Subject
	return &c
}
