package config

import (
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/strict"
)

// Revocation says how it is known who is revoked: those whose certificate its
// CA has revoked, or who are on the emergency deny list, are refused, their
// open connections are closed within seconds and their TLS sessions cannot be
// resumed. It applies to connections of both sides and to signatures.
// docs/operating/certificates.md says how to put somebody out, and how to live
// through an outage of a CA.
type Revocation struct {
	// Folder is where the last good revocation lists are kept, so that a
	// restart during an outage of a CA knows what was known, and the last deny
	// list, so that an older one is refused. It is created. Default: revocation
	// in the folder state; without state nothing is kept.
	Folder string `yaml:"folder"`

	// Lists are where revocation lists come from: files (PEM or DER), looked
	// at each second, and http URLs. Each counts for the CA that signed it.
	// Default: none but those of follow.
	Lists []string `yaml:"lists"`

	// Follow fetches the lists that certificates name themselves (CRL
	// distribution points over http, delta lists too), once their chain is
	// accepted. Default: true.
	Follow bool `yaml:"follow"`

	// Every is how often a URL is asked, give or take a tenth. Default: 1h.
	Every time.Duration `yaml:"every" strict:"positive"`

	// Timeout is how long one of them may take to answer, whole. Default: 10s.
	Timeout time.Duration `yaml:"timeout" strict:"positive"`

	// Largest is the largest list read; at most 1GiB. Default: 64MiB.
	Largest strict.Size `yaml:"largest" strict:"positive"`

	// Warn is how long without news from a place before its failure is logged
	// as an error. Default: 4h.
	Warn time.Duration `yaml:"warn" strict:"positive"`

	// Grace is how long after its nextUpdate the last good list of a CA still
	// serves: a CA that publishes late must not stop the country. Default:
	// 72h.
	Grace time.Duration `yaml:"grace" strict:"positive"`

	// Then is what happens to the certificates of a CA once the grace is over,
	// and while its list was never obtained: "closed" refuses them, "open"
	// accepts them. What is known to be revoked stays so. Default: closed.
	Then FailureMode `yaml:"then"`

	// Unannounced is the same for a CA whose certificates name no list and
	// that none is configured for. Default: open, since there is nothing to
	// wait for; the deny list reaches them.
	Unannounced FailureMode `yaml:"unannounced"`

	// Authorities are the CAs for which warn, grace or then differ. Default:
	// none.
	Authorities []RevocationOf `yaml:"authorities"`

	// OCSP asks the responder that a caller's certificate names, in the
	// background, at first sight and then each Every. It can only refuse; a
	// responder that is silent changes nothing, and nobody waits for it.
	// Default: false.
	OCSP bool `yaml:"ocsp"`

	// Deny is the file of the emergency deny list, looked at each second;
	// `rpn deny` makes it. It may be absent until the first one is made.
	// Default: none.
	Deny string `yaml:"deny"`

	// DenySigners are the files (PEM public keys or certificates) of who may
	// sign it. Default: none; required with deny. Who holds one of these keys can put
	// anybody out, and nobody in.
	DenySigners []string `yaml:"deny_signers"`
}

// RevocationOf is what differs for one CA.
type RevocationOf struct {
	// Name is the common name of the CA. Required.
	Name string `yaml:"name" strict:"required"`

	// Warn is revocation.warn for this CA. Default: as there.
	Warn time.Duration `yaml:"warn"`

	// Grace is revocation.grace for this CA. Default: as there.
	Grace time.Duration `yaml:"grace"`

	// Then is revocation.then for this CA. Default: as there.
	Then FailureMode `yaml:"then"`
}

// A FailureMode is what is done when it cannot be known whether a certificate is
// revoked.
type FailureMode string

// The failure modes.
const (
	FailClosed FailureMode = "closed"
	FailOpen   FailureMode = "open"
)

// checkRevocation applies the rules of the section, and makes its file names
// whole. The lists are not looked for: one may be missing for a while.
func (c *Config) checkRevocation(doc *strict.Document) {
	r := &c.Revocation
	if r.Folder == "" {
		r.Folder = c.inState("revocation")
	}
	for _, f := range []*string{&r.Folder, &r.Deny, &c.Tickets} {
		*f = c.path(*f)
	}
	for i := range r.Lists {
		if !strings.Contains(r.Lists[i], "://") {
			r.Lists[i] = c.path(r.Lists[i])
		} else if !strings.HasPrefix(r.Lists[i], "http://") && !strings.HasPrefix(r.Lists[i], "https://") {
			doc.Refuse(doc.At("revocation", "lists", i), "give a file, or a URL over http", "%q is neither a file nor an http URL", r.Lists[i])
		}
	}
	for i := range r.DenySigners {
		r.DenySigners[i] = c.path(r.DenySigners[i])
	}
	switch {
	case r.Deny != "" && len(r.DenySigners) == 0:
		doc.Refuse(doc.At("revocation", "deny"), "add deny_signers: the public key that `rpn deny sign` signs for", "nobody may sign the deny list")
	case r.Deny == "" && len(r.DenySigners) > 0:
		doc.Refuse(doc.At("revocation", "deny_signers"), "add deny: the file of the list", "there is no deny list to sign")
	}
	if r.Largest > 1<<30 {
		doc.Refuse(doc.At("revocation", "largest"), "64MiB holds a million certificates and more", "%d bytes is more than 1GiB", int64(r.Largest))
	}
}
