package config

import (
	"net/url"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/strict"
)

// Indicators is where the figures of each establishment and insurer are kept
// (docs/operating/indicators.md). The RPN computes them from its journal, in the
// background: no exchange waits for them, and a store that fails makes them
// late and nothing else.
type Indicators struct {
	// Store is the file of the figures, or the address of a PostgreSQL that
	// several instances share: each brings the figures of its own journal
	// there. "postgres://rpn@base.example/indicateurs?sslmode=verify-full". A
	// file is written by this instance alone; its folder must be there. "none":
	// no figures. Default: indicateurs.db in the state folder; without a state
	// folder or a journal there are no figures.
	Store string `yaml:"store"`

	// PasswordFile is a file that holds the password of PostgreSQL on its only
	// line. A password stands in no URL and not here. Default: none.
	PasswordFile string `yaml:"password_file"`

	// Every is how often the figures are brought up to the last seal of the
	// journal: they are as old as journal.seal and this together. Default: 5s.
	Every time.Duration `yaml:"every" strict:"positive"`

	// Keep is how long figures are kept. Default: 9528h, thirteen months.
	Keep time.Duration `yaml:"keep" strict:"positive"`

	// MinFree is how much room the disk of a file must have left for figures to be
	// added to it: below, they wait, and /readyz says so; the journal, which may be
	// on the same disk, goes on. Default: 512MiB.
	MinFree strict.Size `yaml:"min_free"`

	// Dossiers is for how many days exchanges of one establishment about one adherent
	// can be joined (docs/decisions/0018-dossiers.md): by the ISO week for 7. The
	// journal then has a link of each, made with a key that is deleted at the end of
	// these days. 0 makes no links: no figure of dossiers. 31 at most. Default: 7.
	Dossiers int `yaml:"dossiers"`

	password string
}

// mostDossiers is the largest value of dossiers.
const mostDossiers = 31

// noStore is the word for no figures.
const noStore = "none"

// Kept reports whether figures are kept.
func (i *Indicators) Kept() bool { return i.Store != "" }

// Password is what password_file holds.
func (i *Indicators) Password() string { return i.password }

// checkIndicators settles where the figures are. It comes after checkJournal:
// without a journal there is nothing to count.
func (c *Config) checkIndicators(doc *strict.Document) {
	i := &c.Indicators
	at := doc.At("indicators", "store")
	switch postgres := strings.HasPrefix(i.Store, "postgres://") || strings.HasPrefix(i.Store, "postgresql://"); {
	case i.Store == noStore:
		i.Store = ""
	case i.Store != "" && !c.Journal.Kept():
		doc.Refuse(at, "give journal.folder or state, or remove the line", "figures are computed from the journal, and there is none")
	case postgres:
		c.checkPostgres(doc)
	case i.Store != "":
		i.Store = c.path(i.Store)
	case c.Journal.Kept():
		i.Store = c.IndicatorsFile()
	}
	if i.Dossiers < 0 || i.Dossiers > mostDossiers {
		doc.Refuse(doc.At("indicators", "dossiers"), "write a number from 0 to 31", "%d is not a number of days that exchanges may be joined for", i.Dossiers)
	}
	i.password = readPassword(doc, doc.At("indicators", "password_file"), i.PasswordFile)
}

// checkPostgres looks at what is written. Whether the name of the server is
// verified, as production asks, is checked where the address is used
// (store.CheckAddress): the environment has a say in it too.
func (c *Config) checkPostgres(doc *strict.Document) {
	at := doc.At("indicators", "store")
	u, err := url.Parse(c.Indicators.Store)
	if err != nil {
		doc.RefuseSecret(at, "write it like postgres://rpn@base.example/indicateurs", "it is not an address of PostgreSQL")
		return
	}
	if _, given := u.User.Password(); given || u.Query().Has("password") {
		doc.RefuseSecret(at, "move it to indicators.password_file", "the address holds a password")
		return
	}
}
