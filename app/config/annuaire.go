package config

import (
	"net/url"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/strict"
)

// Annuaire is the directory of the AMCs.
type Annuaire struct {
	// URL is where it answers, https. Required.
	URL string `yaml:"url" strict:"required"`

	// Signer is the structure id that its signature certificate carries (OU):
	// "300000000000018". The trust store amc_signature also holds the AMCs'
	// authority, and no AMC may speak for the annuaire. Default: none is
	// compared, which is for tests only; required in production.
	Signer roc.StructureID `yaml:"signer"`

	// Timeout is how long one question may take. Default: 5s.
	Timeout time.Duration `yaml:"timeout" strict:"positive"`

	// TTL is how long an answer is used before the question is asked again;
	// the end of its own validity may come sooner. Default: 45m.
	TTL time.Duration `yaml:"ttl" strict:"positive"`

	// Stale is how long after ttl an answer still serves at once, while the
	// annuaire is asked again in the background. As long as the annuaire
	// answers, one that is older is asked again before it serves: no message
	// leaves for an address that the annuaire took back longer ago than ttl
	// and stale together. Default: 15m, with ttl an hour.
	Stale time.Duration `yaml:"stale" strict:"positive"`

	// MaxAge is the age up to which an answer still serves while the annuaire
	// does not answer: in memory and, with a state folder, after a
	// restart. The end of its own validity may come sooner. Default: 72h, a
	// week-end and a day.
	MaxAge time.Duration `yaml:"max_age" strict:"positive"`

	// HeldShare is the part of the known routes that the annuaire may remove
	// or move in an hour: a route is a service of an insurer of the register in
	// a version. When it moves more, the previous answers go on serving until
	// an operator has looked: `rpn annuaire held`, `rpn annuaire approve`, `rpn
	// annuaire reject`. 0: nothing is held. Default: 0.2.
	HeldShare float64 `yaml:"held_share"`

	// HeldLeast is how many routes it may move in an hour, however few are
	// known. Default: 10.
	HeldLeast int `yaml:"held_least" strict:"positive"`

	// NegativeTTL is how long "this AMC is unknown" is remembered. Default: 1m.
	NegativeTTL time.Duration `yaml:"negative_ttl" strict:"positive"`

	// PerSecond is how many questions a second are put to the annuaire at
	// most; beyond, they wait, and /readyz says so. Default: 200.
	PerSecond float64 `yaml:"per_second"`

	// NewKeys is how many keys (insurer, convention, CSR, domain, service,
	// version) that were not known one establishment may have stored in an
	// hour. Beyond, its questions are asked and answered, and not stored.
	// Default: 200.
	NewKeys int `yaml:"new_keys" strict:"positive"`

	// Probe is how often the annuaire is asked about the first AMC of the
	// list, beginning at start, so that /readyz knows whether it answers
	// before the first message needs it. "Unknown" is an answer too. 0s: it
	// is not asked, and /readyz tells what real exchanges met. Default: 30s.
	Probe time.Duration `yaml:"probe"`
}

func (c *Config) checkAnnuaire(doc *strict.Document) {
	if c.Environment == Production && c.Annuaire.Signer == "" {
		doc.Refuse(doc.At("annuaire", "signer"), "add signer: the structure id (OU) of the annuaire's signature certificate", "in production the annuaire's signer must be named")
	}
	if s := c.Annuaire.HeldShare; s < 0 || s > 1 {
		doc.Refuse(doc.At("annuaire", "held_share"), "write a share from 0 (nothing is held) to 1: 0.2", "%g is not a share", s)
	}
	if c.Annuaire.PerSecond <= 0 {
		doc.Refuse(doc.At("annuaire", "per_second"), "write how many questions a second the annuaire may be asked: 200", "%g asks nothing", c.Annuaire.PerSecond)
	}
	if c.Annuaire.MaxAge < c.Annuaire.TTL {
		doc.Refuse(doc.At("annuaire", "max_age"), "make it at least as long as annuaire.ttl", "an answer would be too old (%v) before it is asked again (%v)", c.Annuaire.MaxAge, c.Annuaire.TTL)
	}
	if c.Annuaire.URL == "" {
		return // said already: it is required
	}
	u, err := url.Parse(c.Annuaire.URL)
	switch at := doc.At("annuaire", "url"); {
	case err != nil || u.Host == "":
		doc.Refuse(at, "write it like https://annuaire.example/roc", "%q is not a URL", c.Annuaire.URL)
	case u.Scheme != "https":
		doc.Refuse(at, "write it with https: the annuaire decides where messages go", "%q is not https", c.Annuaire.URL)
	case u.User != nil:
		doc.Refuse(at, "remove it: the RPN shows its client certificate", "the URL holds a user name")
	case !isHostName(u.Hostname()):
		doc.Refuse(at, "write a DNS name, which its certificate must carry; network.hosts can give its address", "%q is not a DNS name", u.Hostname())
	}
}
