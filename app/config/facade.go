package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/register"
)

// Facade is the address book that establishments ask (profile section 5).
// Without this section, and for every establishment whose line says nothing,
// the annuaire's signed answer is handed on byte for byte.
type Facade struct {
	// Signature is the certificate that the RPN signs rewritten answers with,
	// and its key. Default: none, and nothing is rewritten. It needs endpoint
	// and secrets.
	Signature *Files `yaml:"signature"`

	// Life is how long an address of the façade can be used; an establishment
	// asks again before. Default: 720h, thirty days.
	Life time.Duration `yaml:"life" strict:"positive"`
}

// checkFacade checks the section facade.
func (c *Config) checkFacade(doc *strict.Document) {
	if c.Facade.Signature == nil {
		return
	}
	if c.Endpoint == "" {
		doc.Refuse(doc.At("facade"), "add endpoint: https://rpn.example/roc", "the façade gives out addresses of the RPN, and endpoint does not say what they begin with")
	}
	if c.Secrets == "" {
		doc.Refuse(doc.At("facade"), "add secrets: secrets.txt, made with `openssl rand -hex 32`, the same on every instance", "the façade needs secrets: its addresses are bound to an establishment by them")
	}
}

// StandardLimits are the limits that hold where a row of the register says
// nothing.
func (c *Config) StandardLimits() register.Standard {
	return register.Standard{
		Etablissement: register.Limite{ParSeconde: c.Limits.PerSecond, Rafale: c.Limits.Burst, EnCours: c.Limits.Exchanges / 4,
			Connexions: c.Limits.Connections / 4, Octets: c.Limits.Memory / 4, ParOrganisme: c.Limits.PerAMC / 2,
			OctetsParSeconde: c.Limits.BytesPerSecond, RafaleOctets: c.Limits.BytesBurst, Mode: c.Limits.Mode},
		AMC: register.Limite{EnCours: c.Limits.PerAMC},
	}
}

// CanServe refuses a register that asks for what the configuration does not
// give: searches answered with addresses of the RPN, which nothing would sign.
// The error is a SetupError.
func (c *Config) CanServe(l *register.List) error {
	if c.Facade.Signature != nil {
		return nil
	}
	var who []string
	for e := range l.Etablissements() {
		if e.Facade == register.Reecriture {
			who = append(who, fmt.Sprintf("%s (%s)", e.EJ, e.Nom))
		}
	}
	if len(who) == 0 {
		return nil
	}
	named, more := who, ""
	if len(who) > 5 {
		named, more = who[:5], fmt.Sprintf(" and %d more", len(who)-5)
	}
	return &SetupError{
		What:   fmt.Sprintf("%s: facade: reecriture is asked for by %s%s, and %s has no facade.signature", c.Etablissements, strings.Join(named, ", "), more, c.file),
		Remedy: "add facade: {signature: {certificate: ..., key: ...}} to the configuration, or remove facade: reecriture from those establishments",
	}
}
