package config

import (
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/strict"
)

// Portal is the pages that establishments, insurers and operators read, each
// with its client certificate, or persons by OpenID Connect, on a listener of its
// own (docs/operating/portal.md).
// Default: none.
type Portal struct {
	// Listen is the address and port of the pages, by TLS: "0.0.0.0:8444".
	// Default: none, and no portal.
	Listen string `yaml:"listen"`

	// Address is where browsers reach the pages: "https://portail.rpn.example". Only
	// oidc needs it. Default: none.
	Address string `yaml:"address"`

	// Certificate is the certificate of the pages, whose name browsers look
	// at. Default: the one of server.
	Certificate *Files `yaml:"certificate"`

	// Clients is the file or folder of the authorities of the operators'
	// certificates. Default: trust.etablissements_tls, where the operators have
	// certificates of IGC-Santé. Establishments come in by
	// trust.etablissements_tls, and insurers by trust.amc_tls, whatever it is.
	Clients string `yaml:"clients"`

	// Operators are those who see everything, each by its own certificate.
	// Default: nobody.
	Operators []Operator `yaml:"operators"`

	// OIDC lets persons in by OpenID Connect. Default: certificates alone.
	OIDC OIDC `yaml:"oidc"`

	// SecondOperator has what opens the circle at the portal, or lets a domain pass,
	// wait until another operator confirms it: another person, by another name,
	// certificate and key. Where there is one operator alone, false. Default: true.
	SecondOperator bool `yaml:"second_operator"`

	// Proposal is how long it may wait. Default: 72h.
	Proposal time.Duration `yaml:"proposal" strict:"positive"`

	// Weather shows the measured state of each insurer to everybody, without a
	// certificate. Default: false.
	Weather bool `yaml:"weather"`

	// Theme is a folder with the style and the logo of whoever runs it:
	// theme.css, logo.svg or logo.png, nom.txt. Default: a neutral style.
	Theme string `yaml:"theme"`
}

// An Operator is one person, or one team, who sees everything.
type Operator struct {
	// Name is who it is, as pages and acts name it: one for each person, the same here
	// and in oidc.operators. Required.
	Name string `yaml:"name" strict:"required"`

	// Certificate is the PEM file of its certificate: this one and no other.
	// Required.
	Certificate string `yaml:"certificate" strict:"required"`

	// Role is lecture (sees everything), exploitation (decides what waits) or
	// administration (also invites people to the pages of others). Required.
	Role OperatorRole `yaml:"role" strict:"required"`
}

// An OperatorRole is what an operator may do.
type OperatorRole string

// The roles, from the least.
const (
	RoleLecture        OperatorRole = "lecture"
	RoleExploitation   OperatorRole = "exploitation"
	RoleAdministration OperatorRole = "administration"
)

// PortalCertificate is the name of the identity that the portal shows, where it
// is not the server's.
const PortalCertificate = "portal.certificate"

// Open reports whether there is a portal.
func (p *Portal) Open() bool { return p.Listen != "" }

// portalFiles are the files that the section names.
func (c *Config) portalFiles() []namedFile {
	p := &c.Portal
	files := []namedFile{
		{[]any{"portal", "clients"}, &p.Clients, true},
		{[]any{"portal", "theme"}, &p.Theme, true},
		{[]any{"portal", "oidc", "client_secret_file"}, &p.OIDC.ClientSecretFile, false},
		{[]any{"portal", "oidc", "ca"}, &p.OIDC.CA, false},
	}
	for i := range p.Operators {
		files = append(files, namedFile{[]any{"portal", "operators", i, "certificate"}, &p.Operators[i].Certificate, false})
	}
	return files
}

func (c *Config) checkPortal(doc *strict.Document) {
	p := &c.Portal
	if !p.Open() {
		if p.Certificate != nil || p.Clients != "" || len(p.Operators) > 0 || p.Weather || p.Theme != "" || p.Address != "" || p.OIDC.Open() {
			doc.Refuse(doc.At("portal"), "add listen: 0.0.0.0:8444, or remove the section", "portal.listen is missing")
		}
		return
	}
	if _, _, err := splitAddress(p.Listen); err != nil {
		doc.Refuse(doc.At("portal", "listen"), "write an address and a port: 0.0.0.0:8444", "%q is not an address to listen on: %v", p.Listen, err)
	}
	for _, other := range []struct{ name, address string }{{"listen", c.Listen}, {"admin", c.Admin}} {
		if p.Listen == other.address && !strings.HasSuffix(p.Listen, ":0") {
			doc.Refuse(doc.At("portal", "listen"), "give each listener its own port", "%s is already the address of %s", p.Listen, other.name)
		}
	}
	if !c.Indicators.Kept() {
		doc.Refuse(doc.At("portal"), "give state, or journal.folder and indicators.store", "the pages show figures, and none are kept")
	}
	names := map[string]bool{}
	for i, o := range p.Operators {
		if names[o.Name] {
			doc.Refuse(doc.At("portal", "operators", i, "name"), "give each operator a name of its own: acts are written down with it", "%.60q is given twice", o.Name)
		}
		names[o.Name] = true
	}
	c.checkOIDC(doc)
}
