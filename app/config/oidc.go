package config

import (
	"cmp"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/strict"
)

// OIDC is how persons come in by OpenID Connect, beside certificates. The sessions
// are in the memory of one instance, and the invitations in its state folder: of
// several instances, one has this section, and the address of the portal leads to
// it (docs/decisions/0023-oidc.md).
type OIDC struct {
	// Name is what pages call the provider. Default: Pro Santé Connect.
	Name string `yaml:"name"`

	// Issuer is the provider as its ID tokens name it, to the letter:
	// https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet. Default: none, and
	// nobody comes in but by a certificate.
	Issuer string `yaml:"issuer"`

	// Discovery is where the metadata of the provider are, where that is not
	// issuer/.well-known/openid-configuration:
	// https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet/.well-known/wallet-openid-configuration.
	// Default: that address.
	Discovery string `yaml:"discovery"`

	// ClientID is the name that the provider gave to the portal. Default: none;
	// required with issuer.
	ClientID string `yaml:"client_id"`

	// ClientSecretFile is a file that holds the secret that goes with it, on its only
	// line. Default: none; required with issuer.
	ClientSecretFile string `yaml:"client_secret_file"`

	// CA is the PEM file of the authorities that the provider's certificate is of.
	// Default: those of the system.
	CA string `yaml:"ca"`

	// Scopes are what is asked for. Default: [openid, scope_all], those of Pro Santé
	// Connect.
	Scopes []string `yaml:"scopes"`

	// ACR are the ways of identification that are accepted: one of them is demanded.
	// Default: [eidas1], that of Pro Santé Connect.
	ACR []string `yaml:"acr"`

	// Prompt has the provider ask the person again, whoever was identified there before:
	// login, select_account or consent; login on desks that several share. Default: as
	// the provider likes.
	Prompt Prompt `yaml:"prompt"`

	// MaxAge is how long ago the person may have identified itself with the provider,
	// which is to say it (auth_time): 10m. Default: any time.
	MaxAge time.Duration `yaml:"max_age"`

	// Structures say which claims name the establishment or insurer that a person
	// reads the pages of. Whoever works there then reads them. Default: none, and an
	// invitation is needed.
	Structures []StructureClaim `yaml:"structures"`

	// Operators are those who see everything, each by a value of a claim. Default:
	// nobody.
	Operators []OperatorClaim `yaml:"operators"`

	// Idle is how long a session lasts while nothing is asked. Default: 15m.
	Idle time.Duration `yaml:"idle" strict:"positive"`

	// Longest is how long a session lasts at most. Default: 4h.
	Longest time.Duration `yaml:"longest" strict:"positive"`

	// Invitation is how long the link of an invitation may wait to be used.
	// Default: 168h.
	Invitation time.Duration `yaml:"invitation" strict:"positive"`

	// Access is how long who used an invitation may come back. Default: 8760h.
	Access time.Duration `yaml:"access" strict:"positive"`

	secret string
}

// A Prompt is what the provider is asked to ask.
type Prompt string

// The prompts.
const (
	PromptLogin   Prompt = "login"
	PromptAccount Prompt = "select_account"
	PromptConsent Prompt = "consent"
)

// A StructureClaim is one claim that names structures.
type StructureClaim struct {
	// Claim is its name; of a claim inside another, the names from the outermost,
	// between dots: SubjectRefPro.exercices.activities.numeroFinessSite. Every
	// element of a list is looked at. Required.
	Claim string `yaml:"claim" strict:"required"`

	// Holds is what it holds: finess, siret, siren, or structure for a Struct_IdNat.
	// Required.
	Holds ClaimKind `yaml:"holds" strict:"required"`
}

// A ClaimKind is which sort of identifier a claim holds.
type ClaimKind string

// The sorts.
const (
	HoldsFINESS    ClaimKind = "finess"
	HoldsSIRET     ClaimKind = "siret"
	HoldsSIREN     ClaimKind = "siren"
	HoldsStructure ClaimKind = "structure"
)

// An OperatorClaim is one operator, known by a value of a claim.
type OperatorClaim struct {
	// Name is who it is, as pages and acts name it: one for each person, the same here
	// and in portal.operators. Required.
	Name string `yaml:"name" strict:"required"`

	// Claim is the claim, as in structures: SubjectNameID. Required.
	Claim string `yaml:"claim" strict:"required"`

	// Value is its value for this person and nobody else. Required.
	Value string `yaml:"value" strict:"required"`

	// Role is lecture, exploitation or administration. Required.
	Role OperatorRole `yaml:"role" strict:"required"`
}

// Open reports whether persons come in by OpenID Connect.
func (o *OIDC) Open() bool { return o.Issuer != "" }

// Secret is what client_secret_file holds.
func (o *OIDC) Secret() string { return o.secret }

// checkOIDC comes after checkFiles.
func (c *Config) checkOIDC(doc *strict.Document) {
	p, o := &c.Portal, &c.Portal.OIDC
	at := func(name string) strict.Position { return doc.At("portal", "oidc", name) }
	if !o.Open() {
		if unset := defaults().Portal.OIDC; !reflect.DeepEqual(o, &unset) {
			doc.Refuse(doc.At("portal", "oidc"), "add issuer, or remove the section", "portal.oidc.issuer is missing")
		}
		return
	}
	for name, address := range map[string]string{"issuer": o.Issuer, "discovery": o.Discovery} {
		if u, err := url.Parse(address); address != "" && (err != nil || !isHTTPS(address) || u.User != nil || u.Fragment != "") {
			doc.Refuse(at(name), "write it like https://auth.example/realm", "%.100q is not an https URL", address)
		}
	}
	for _, f := range []struct{ name, value string }{{"client_id", o.ClientID}, {"client_secret_file", o.ClientSecretFile}} {
		if f.value == "" {
			doc.Refuse(doc.At("portal", "oidc"), "add "+f.name+", which the provider gave", "portal.oidc.%s is missing", f.name)
		}
	}
	switch u, err := url.Parse(p.Address); {
	case p.Address == "":
		doc.Refuse(doc.At("portal"), "add address: https://portail.rpn.example", "portal.address is missing: the provider sends browsers back to it")
	case err != nil || !isHTTPS(p.Address) || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		doc.Refuse(doc.At("portal", "address"), "write it like https://portail.rpn.example, without a path", "%.100q is not the address of a site", p.Address)
	}
	p.Address = strings.TrimRight(p.Address, "/")
	if c.State == "" {
		doc.Refuse(doc.At("portal", "oidc"), "add state: /var/lib/rpn", "the invitations are kept in the state folder, and there is none")
	}
	o.Name = cmp.Or(o.Name, "Pro Santé Connect")
	if len(o.Scopes) == 0 {
		o.Scopes = []string{"openid", "scope_all"}
	}
	if !slices.Contains(o.Scopes, "openid") {
		doc.Refuse(at("scopes"), "add openid", "OpenID Connect needs the scope openid")
	}
	if len(o.ACR) == 0 {
		o.ACR = []string{"eidas1"}
	}
	if o.MaxAge != 0 && o.MaxAge < time.Minute {
		doc.Refuse(at("max_age"), "write 1m at least, or prompt: login", "%s is no time to come back in", o.MaxAge)
	}
	if o.Longest < o.Idle {
		doc.Refuse(at("longest"), "write at least idle", "%s is less than idle, %s", o.Longest, o.Idle)
	}
	c.checkOperatorClaims(doc)
	if o.ClientSecretFile != "" {
		o.secret = readPassword(doc, at("client_secret_file"), o.ClientSecretFile)
	}
}

// checkOperatorClaims refuses two operators that one person could be.
func (c *Config) checkOperatorClaims(doc *strict.Document) {
	values := map[string]bool{}
	for i, op := range c.Portal.OIDC.Operators {
		if id := op.Claim + "\n" + op.Value; values[id] {
			doc.Refuse(doc.At("portal", "oidc", "operators", i, "value"), "give each operator a value of its own", "this value makes two operators")
		} else {
			values[id] = true
		}
	}
}
