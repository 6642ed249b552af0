package ops

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/words"
)

// Sources are what a register is imported from.
type Sources struct {
	// FINESS is the extract of FINESS: which sites belong to which legal
	// entity. Required.
	FINESS File

	// States gives the state of each establishment, and more; nil: none.
	States *File

	// Base is a register whose establishments are kept, with all that the two
	// files above do not give; nil: none.
	Base *register.List

	// AMCs is the list of AMCs that contains the AMCs miroirs. Required.
	AMCs *register.List

	// At is the day of the import.
	At time.Time
}

// An Imported is a register made of Sources.
type Imported struct {
	Rows  []register.Etablissement // in the order of their FINESS
	Notes []string                 // what the operator should know
}

// Import makes a register. It takes the establishments that Base or States
// name; when there is neither, every legal entity of the extract, suspended: an
// import alone opens no access. The error is a strict.Errors with everything
// that is wrong in the files.
func Import(s Sources) (*Imported, error) {
	x, errFINESS := readFINESS(s.FINESS)
	var order []roc.FINESS
	var states map[roc.FINESS]*stated
	var unread []string
	var errStates error
	if s.States != nil {
		order, states, unread, errStates = readStates(*s.States, s.AMCs)
	}
	i := &importer{Sources: s, extract: x, rows: map[roc.FINESS]*register.Etablissement{}}
	i.keepBase()
	if errFINESS == nil {
		i.addStates(order, states)
	}
	if all := slices.Concat(list(errFINESS), sorted(append(list(errStates), i.errs...))); len(all) > 0 {
		return nil, all
	}
	if s.Base == nil && s.States == nil {
		i.addAll()
	}
	i.refresh()
	if len(unread) > 0 {
		i.note("%s: columns that are not read: %s", s.States.Name, strings.Join(unread, ", "))
	}
	return i.result(), nil
}

func list(err error) strict.Errors {
	l, _ := err.(strict.Errors)
	return l
}

// sorted puts the errors of one file in the order of the file.
func sorted(l strict.Errors) strict.Errors {
	slices.SortStableFunc(l, func(a, b strict.Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return l
}

type importer struct {
	Sources
	extract *extract
	rows    map[roc.FINESS]*register.Etablissement
	errs    strict.Errors
	notes   []string
}

func (i *importer) note(format string, args ...any) {
	i.notes = append(i.notes, fmt.Sprintf(format, args...))
}

func (i *importer) keepBase() {
	if i.Base == nil {
		return
	}
	for e := range i.Base.Etablissements() {
		row := *e
		i.rows[e.EJ] = &row
	}
}

// addStates applies the table of states over the base.
func (i *importer) addStates(order []roc.FINESS, states map[roc.FINESS]*stated) {
	added := 0
	for _, ej := range order {
		s := states[ej]
		row, known := i.rows[ej]
		if !known {
			if i.extract.byEJ[ej] == nil {
				i.errs = append(i.errs, at(i.States.Name, s.line, fmt.Sprintf("the extract has no site of the legal entity %s", ej),
					"correct the number, or take a later extract"))
				continue
			}
			row = &register.Etablissement{EJ: ej}
			i.rows[ej] = row
			added++
		}
		i.overlay(s, row)
	}
	if i.Base != nil && added > 0 {
		i.note("%s", words.Agree(added, "establishment", "is new", "are new"))
	}
}

// overlay applies the table of states to the row of an establishment.
func (i *importer) overlay(s *stated, row *register.Etablissement) {
	set(&row.Nom, s.Nom)
	set(&row.GAP, s.GAP)
	set(&row.Contrat, s.Contrat)
	overlayLimit(&row.Limite, s.Limite)
	if len(s.Versions) > 0 {
		row.Versions = s.Versions
	}
	if len(s.Contacts) > 0 {
		row.Contacts = s.Contacts
	}
	if len(s.Alertes) > 0 {
		row.Alertes = s.Alertes
	}
	row.Delegations = slices.Clone(row.Delegations)
	for _, m := range s.Delegations {
		if !slices.ContainsFunc(row.Delegations, func(d register.Mandat) bool { return d.Structure == m.Structure }) {
			row.Delegations = append(row.Delegations, m)
		}
	}
	etats, err := merge(row.Etats, s.Etats, i.At)
	if err != nil {
		i.errs = append(i.errs, at(i.States.Name, s.line, fmt.Sprintf("%s: %v", s.EJ, err), "give this row its date, in the column depuis"))
		return
	}
	row.Etats = etats
}

func overlayLimit(to *register.Limite, l register.Limite) {
	set(&to.ParSeconde, l.ParSeconde)
	set(&to.Rafale, l.Rafale)
	set(&to.EnCours, l.EnCours)
	set(&to.Connexions, l.Connexions)
	set(&to.Octets, l.Octets)
	set(&to.ParOrganisme, l.ParOrganisme)
	set(&to.OctetsParSeconde, l.OctetsParSeconde)
	set(&to.RafaleOctets, l.RafaleOctets)
	set(&to.Mode, l.Mode)
}

func set[T comparable](to *T, v T) {
	var none T
	if v != none {
		*to = v
	}
}

// merge adds states to those already known; one of the same date replaces the
// earlier one. A known state without a date gets the latest date that does not
// change what is in force at that instant.
func merge(known, more []register.Changement, now time.Time) ([]register.Changement, error) {
	if len(known) == 0 || len(more) == 0 {
		return append(slices.Clone(known), more...), nil
	}
	if more[0].Depuis.IsZero() {
		if len(known) == 1 && known[0].Depuis.IsZero() {
			return more, nil // one simple state for another
		}
		return nil, errors.New("it already has dated states, and this one has no date")
	}
	out := slices.Clone(known)
	if out[0].Depuis.IsZero() {
		day := now
		if first := more[0].Depuis.Time; !first.After(now) {
			day = first.AddDate(0, 0, -1)
		}
		out[0].Depuis = register.DayOf(day)
	}
	for _, c := range more {
		at, same := slices.BinarySearchFunc(out, c, byDate)
		if same {
			out[at] = c
		} else {
			out = slices.Insert(out, at, c)
		}
	}
	return out, nil
}

// addAll takes every legal entity of the extract, suspended.
func (i *importer) addAll() {
	for _, e := range i.extract.entities {
		i.rows[e.ej] = &register.Etablissement{EJ: e.ej, Etats: []register.Changement{{Etat: register.Suspendu}}}
	}
	i.note("no states were given: %s in state suspendu, which reaches nobody", words.Agree(len(i.rows), "establishment", "is", "are"))
}

// refresh gives each row the sites of the extract, and fills its other empty
// fields.
func (i *importer) refresh() {
	named, unknown := 0, []string{}
	for ej, row := range i.rows {
		e := i.extract.byEJ[ej]
		if e == nil {
			unknown = append(unknown, string(ej))
			continue
		}
		row.EGs = slices.Clone(e.egs)
		slices.Sort(row.EGs)
		if row.Nom == "" {
			row.Nom = e.nom
			named++
		}
		set(&row.Departement, e.departement)
		set(&row.Region, regionOf(e.departement))
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		i.note("%s in the base and not in the extract; the sites are kept as they were: %s", words.Agree(len(unknown), "establishment", "is", "are"), words.Some(unknown))
	}
	if named > 0 {
		i.note("%s named after the first of the sites, for want of a better name: give `nom` in the states", words.Agree(named, "establishment", "is", "are"))
	}
}

func (i *importer) result() *Imported {
	r := &Imported{Notes: i.notes}
	sites := 0
	for _, row := range i.rows {
		r.Rows = append(r.Rows, *row)
		sites += len(row.EGs)
	}
	slices.SortFunc(r.Rows, func(a, b register.Etablissement) int { return cmp.Compare(a.EJ, b.EJ) })
	left := len(i.extract.entities) - len(r.Rows)
	first := words.Plural(len(r.Rows), "establishment") + ", " + words.Plural(sites, "site")
	if left > 0 {
		first += fmt.Sprintf("; left out of the extract: %d more with no state given", left)
	}
	r.Notes = append([]string{first}, r.Notes...)
	return r
}
