package config

import (
	"crypto/x509"
	"errors"

	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// Trust is the four trust stores. They are never mixed: an authority that may
// issue certificates for servers says nothing about who signs (profile 3).
// Each is a file (PEM, or DER as .cer), or a folder of such files, that holds
// the root and the intermediate certificates of the authority:
//
//	cat root.pem intermediate.pem > igc-sante-tls.pem
type Trust struct {
	// EtablissementsTLS is whose certificates establishments connect with:
	// IGC-Santé, domain Organisations, element serveur or SSL client.
	// Required.
	EtablissementsTLS string `yaml:"etablissements_tls" strict:"required"`

	// EtablissementsSignature is whose certificates establishments sign with:
	// IGC-Santé, domain Organisations, cachet. Required.
	EtablissementsSignature string `yaml:"etablissements_signature" strict:"required"`

	// AMCTLS is whose certificates the servers of the annuaire and of the
	// AMCs have: IGC OSI. Required.
	AMCTLS string `yaml:"amc_tls" strict:"required"`

	// AMCSignature is whose certificates the annuaire and the AMCs sign with:
	// IGC OSI. Required.
	//
	// The annuaire is trusted: who holds a certificate of this store and
	// answers in the annuaire's place decides where messages go, within the
	// known domains of each AMC.
	AMCSignature string `yaml:"amc_signature" strict:"required"`

	// Rules are what each store asks of a certificate beside a chain to one of
	// its roots. Default: nothing more than the floor that none can lower (RSA
	// of 2048 bits, P-256, SHA-256, the usages of the key), and four
	// authorities at most above a certificate.
	Rules TrustRules `yaml:"rules"`
}

// TrustRules are the rules of the four stores, by the name of the store.
type TrustRules struct {
	// EtablissementsTLS are the rules of etablissements_tls. Default: none.
	EtablissementsTLS StoreRules `yaml:"etablissements_tls"`

	// EtablissementsSignature are those of etablissements_signature. Default:
	// none.
	EtablissementsSignature StoreRules `yaml:"etablissements_signature"`

	// AMCTLS are those of amc_tls. Default: none.
	AMCTLS StoreRules `yaml:"amc_tls"`

	// AMCSignature are those of amc_signature. Default: none.
	AMCSignature StoreRules `yaml:"amc_signature"`
}

// StoreRules are the rules of one store.
type StoreRules struct {
	// Policies are certificate policies, one of which the certificate must
	// carry: ["1.2.250.1.213.1.7.2.1.1.1.1"]. Default: not looked at.
	Policies []PolicyOID `yaml:"policies"`

	// RSABits is the smallest RSA key accepted, of the certificate and of its
	// authorities. Default: 2048, and never less.
	RSABits int `yaml:"rsa_bits"`

	// Depth is how many authorities may stand above a certificate, its root
	// included. Default: 4.
	Depth int `yaml:"depth"`
}

// A PolicyOID names a certificate policy, in dots.
type PolicyOID string

func (c *Config) checkRules(doc *strict.Document) {
	for i, r := range c.Trust.rules() {
		name := trust.StoreNames()[i]
		if r.RSABits != 0 && (r.RSABits < trust.MinRSABits || r.RSABits > 8192) {
			doc.Refuse(doc.At("trust", "rules", name, "rsa_bits"), "write 2048, 3072 or 4096", "%d bits are outside %d to 8192", r.RSABits, trust.MinRSABits)
		}
		if r.Depth < 0 || r.Depth > 8 {
			doc.Refuse(doc.At("trust", "rules", name, "depth"), "write 1 to 8", "%d authorities above a certificate", r.Depth)
		}
	}
}

// RulesOf gives the rules of one of trust.StoreNames.
func (t *Trust) RulesOf(name string) trust.Rules {
	for i, n := range trust.StoreNames() {
		if n == name {
			return t.rules()[i].tls()
		}
	}
	return trust.Rules{}
}

// rules are those of the four stores, in the order of trust.StoreNames.
func (t *Trust) rules() []StoreRules {
	return []StoreRules{t.Rules.EtablissementsTLS, t.Rules.EtablissementsSignature, t.Rules.AMCTLS, t.Rules.AMCSignature}
}

func (r StoreRules) tls() trust.Rules {
	rules := trust.Rules{RSABits: r.RSABits, Depth: r.Depth}
	for _, p := range r.Policies {
		if oid, err := x509.ParseOID(string(p)); err == nil { // parsePolicy saw to it
			rules.Policies = append(rules.Policies, oid)
		}
	}
	return rules
}

func parsePolicy(s string) (PolicyOID, error) {
	if _, err := x509.ParseOID(s); err != nil {
		return "", errors.New("not a certificate policy: numbers and dots are expected")
	}
	return PolicyOID(s), nil
}
