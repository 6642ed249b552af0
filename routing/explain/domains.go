package explain

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/words"
)

// A Domain is a domain in use by an AMC: one that the register knows, or the
// host that the annuaire names.
type Domain struct {
	AMC      roc.NumeroAMC `json:"amc"` // the AMC's first number, or the one asked
	Nom      string        `json:"nom"`
	Name     string        `json:"domaine"`
	Source   string        `json:"source"` // "registre" or "annuaire"
	Known    bool          `json:"connu"`  // within the domains of the register
	Depuis   string        `json:"depuis"` // of the register's date, or first seen; "" : no date
	Jusque   string        `json:"jusque"` // of the register's date; "" : no end
	LastSeen string        `json:"derniere"`
}

// Sources of a Domain.
const (
	byRegister = "registre"
	byAnnuaire = "annuaire"
)

// Domains lists the domains in use at an instant, by AMC: those that the
// register knows at that time of an AMC that may be reached, and the hosts that
// the annuaire has named, from the first time until they have not been named
// for a while (quiet).
func Domains(l *register.List, hosts []annuaire.Host, at time.Time, quiet time.Duration) []Domain {
	l = l.At(at)
	list := []Domain{}
	for a := range l.AMCs() {
		if !a.Etat.Open() {
			continue
		}
		for _, d := range a.Connus {
			if d.Covers(at) {
				list = append(list, Domain{AMC: a.Numeros[0], Nom: a.Nom, Name: string(d.Nom), Source: byRegister, Known: true, Depuis: d.Depuis.String(), Jusque: d.Jusque.String()})
			}
		}
	}
	for _, h := range hosts {
		if h.First.After(at) || at.Sub(h.Last) > quiet {
			continue
		}
		d := Domain{AMC: h.AMC, Name: h.Name, Source: byAnnuaire, Depuis: words.Day(h.First), LastSeen: words.Day(h.Last)}
		if a, ok := l.AMC(h.AMC); ok {
			if !a.Etat.Open() {
				continue
			}
			d.AMC, d.Nom, d.Known = a.Numeros[0], a.Nom, a.Covers(register.DNSName(h.Name))
		}
		if i := slices.IndexFunc(list, d.same); i >= 0 { // under another of its numbers
			list[i].merge(d)
			continue
		}
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b Domain) int {
		return cmp.Or(cmp.Compare(a.AMC, b.AMC), cmp.Compare(b.Source, a.Source), cmp.Compare(a.Name, b.Name))
	})
	return list
}

func (d Domain) same(e Domain) bool {
	return d.AMC == e.AMC && d.Name == e.Name && d.Source == e.Source
}

func (d *Domain) merge(e Domain) {
	d.Depuis, d.LastSeen = min(d.Depuis, e.Depuis), max(d.LastSeen, e.LastSeen)
}

// A DomainChange is one that came ("ajout") or went ("retrait") between two
// instants.
type DomainChange struct {
	Change string `json:"changement"`
	Domain
}

// DomainDelta lists what came and went between two lists of Domains.
func DomainDelta(before, after []Domain) []DomainChange {
	delta := []DomainChange{}
	for _, d := range after {
		if !slices.ContainsFunc(before, d.same) {
			delta = append(delta, DomainChange{"ajout", d})
		}
	}
	for _, d := range before {
		if !slices.ContainsFunc(after, d.same) {
			delta = append(delta, DomainChange{"retrait", d})
		}
	}
	return delta
}

// domainColumns are the columns of the table and of the CSV: hospitals and
// their firewalls read it.
var domainColumns = []string{"amc", "nom", "domaine", "source", "connu", "depuis", "jusque", "derniere"}

func (d Domain) row() []string {
	known := "non"
	if d.Known {
		known = "oui"
	}
	return []string{string(d.AMC), d.Nom, d.Name, d.Source, known, d.Depuis, d.Jusque, d.LastSeen}
}

// WriteDomains writes a list as a table, or as CSV with semicolons.
func WriteDomains(w io.Writer, list []Domain, asCSV bool) error {
	rows := [][]string{domainColumns}
	for _, d := range list {
		rows = append(rows, d.row())
	}
	return writeRows(w, rows, asCSV)
}

// WriteDomainDelta writes a delta in the same ways, the change first.
func WriteDomainDelta(w io.Writer, delta []DomainChange, asCSV bool) error {
	rows := [][]string{append([]string{"changement"}, domainColumns...)}
	for _, d := range delta {
		rows = append(rows, append([]string{d.Change}, d.row()...))
	}
	return writeRows(w, rows, asCSV)
}

func writeRows(w io.Writer, rows [][]string, asCSV bool) error {
	if asCSV {
		c := csv.NewWriter(w)
		c.Comma, c.UseCRLF = ';', true
		return c.WriteAll(rows)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		if _, err := fmt.Fprintln(t, strings.Join(r, "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}
