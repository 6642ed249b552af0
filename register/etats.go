package register

import (
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// An Etat is the stage that an establishment has reached in ROC (domain 1.4).
type Etat string

// The states of an establishment. What each may reach is in package routing.
const (
	Accrochage   Etat = "accrochage"   // technical test against the validation platform
	Formation    Etat = "formation"    // training on the validation platform, every service
	Surveillance Etat = "surveillance" // production with its one AMC miroir
	Cercle       Etat = "cercle"       // every AMC of the circle
	Suspendu     Etat = "suspendu"     // nobody, for now
	Clos         Etat = "clos"         // nobody, any more

	// Attendu is not a state that a file can hold: before the first dated state
	// of an establishment, or before its contract. It is treated as if the row
	// did not exist yet.
	Attendu Etat = ""
)

// etats are the states that a file can hold.
var etats = []Etat{Accrochage, Formation, Surveillance, Cercle, Suspendu, Clos}

// Etats lists the states of an establishment in the order of its life, Attendu
// last.
func Etats() []Etat { return append(slices.Clone(etats), Attendu) }

// ParseEtat reads a state of an establishment.
func ParseEtat(s string) (Etat, error) {
	if slices.Contains(etats, Etat(s)) {
		return Etat(s), nil
	}
	return "", errors.New("a state is accrochage, formation, surveillance, cercle, suspendu or clos")
}

// An EtatAMC is the state of an AMC.
type EtatAMC string

// The states of an AMC.
const (
	AMCValidation  EtatAMC = "validation"  // the validation platform (Mutuelle ANS), or an insurer on trial (AMC.EssaisAvec)
	AMCCercle      EtatAMC = "cercle"      // in production, in the circle of trust
	AMCMaintenance EtatAMC = "maintenance" // not to be reached until a known end; then what it was before
	AMCSuspendu    EtatAMC = "suspendu"    // not to be reached, for now
	AMCClos        EtatAMC = "clos"        // not to be reached, any more
	AMCAttendue    EtatAMC = ""            // before its first dated state: not to be reached either
)

// etatsAMC are the states that a file can hold.
var etatsAMC = []EtatAMC{AMCValidation, AMCCercle, AMCMaintenance, AMCSuspendu, AMCClos}

// EtatsAMC lists the states of an AMC in the order of its life, AMCAttendue
// last.
func EtatsAMC() []EtatAMC { return append(slices.Clone(etatsAMC), AMCAttendue) }

// Open reports whether an AMC in that state may be reached by anybody.
func (s EtatAMC) Open() bool { return s == AMCValidation || s == AMCCercle }

// A Changement is one dated state of an establishment. It holds from Depuis to
// the next one.
type Changement struct {
	Depuis Moment `yaml:"depuis" strict:"required" json:"depuis,omitzero"`
	Etat   Etat   `yaml:"etat" strict:"required" json:"etat"`

	// Miroir is the AMC miroir from then on. Required under surveillance.
	Miroir roc.NumeroAMC `yaml:"amc_miroir" json:"amc_miroir,omitzero"`

	// AccrochageComplet opens SIM, CLC and ANL of the validation platform
	// beside IDB, in accrochage.
	AccrochageComplet bool `yaml:"accrochage_complet" json:"accrochage_complet,omitzero"`

	// Formation opens the validation platform as well, in cercle.
	Formation bool `yaml:"formation" json:"formation,omitzero"`

	// Motif is why, or by which decision, for people. Optional.
	Motif string `yaml:"motif" json:"motif,omitzero"`
}

// A ChangementAMC is one dated state of an AMC.
type ChangementAMC struct {
	Depuis Moment  `yaml:"depuis" strict:"required" json:"depuis,omitzero"`
	Etat   EtatAMC `yaml:"etat" strict:"required" json:"etat"`

	// Jusque is the end of a maintenance, and of that state alone: what the
	// AMC was before comes back then by itself. Required there.
	Jusque Moment `yaml:"jusque" json:"jusque,omitzero"`

	// Motif is why, or by which decision, for people. Optional.
	Motif string `yaml:"motif" json:"motif,omitzero"`
}

// EtatAt returns the dated state that is in force at that instant: the last
// one not after it, none before the contract. ok is false for Attendu.
func (e *Etablissement) EtatAt(at time.Time) (c Changement, ok bool) {
	if at.Before(e.Contrat.Time) {
		return c, false
	}
	for i := len(e.Etats) - 1; i >= 0; i-- {
		if !at.Before(e.Etats[i].Depuis.Time) {
			return e.Etats[i], true
		}
	}
	return c, false
}

// Next returns the first dated state after that instant. ok is false when none
// is planned. A state dated before the contract takes effect with it.
func (e *Etablissement) Next(after time.Time) (c Changement, ok bool) {
	if after.Before(e.Contrat.Time) {
		if c, ok = e.EtatAt(e.Contrat.Time); ok {
			c.Depuis = e.Contrat
			return c, true
		}
	}
	for _, c := range e.Etats {
		if after.Before(c.Depuis.Time) {
			return c, true
		}
	}
	return c, false
}

// EtatAt returns the dated state of the AMC that is in force at that instant.
func (a *AMC) EtatAt(at time.Time) (c ChangementAMC, ok bool) {
	for i := len(a.Etats) - 1; i >= 0; i-- {
		if !at.Before(a.Etats[i].Depuis.Time) {
			return a.Etats[i], true
		}
	}
	return c, false
}

// Next returns the first dated state of the AMC after that instant.
func (a *AMC) Next(after time.Time) (c ChangementAMC, ok bool) {
	for _, c := range a.Etats {
		if after.Before(c.Depuis.Time) {
			return c, true
		}
	}
	return c, false
}

// After gives the dated states after an instant, in order, each behind the one
// that it takes the place of.
func (e *Etablissement) After(at time.Time) iter.Seq2[Changement, Changement] {
	return inOrderAfter(at, e.EtatAt, e.Next, func(c Changement) time.Time { return c.Depuis.Time })
}

// After is that of an establishment.
func (a *AMC) After(at time.Time) iter.Seq2[ChangementAMC, ChangementAMC] {
	return inOrderAfter(at, a.EtatAt, a.Next, func(c ChangementAMC) time.Time { return c.Depuis.Time })
}

func inOrderAfter[C any](at time.Time, etatAt, next func(time.Time) (C, bool), since func(C) time.Time) iter.Seq2[C, C] {
	return func(yield func(before, next C) bool) {
		before, _ := etatAt(at)
		for at := at; ; {
			c, ok := next(at)
			if !ok || !yield(before, c) {
				return
			}
			before, at = c, since(c)
		}
	}
}

// inForce determines what the dates of the row mean at that instant.
func (e *Etablissement) inForce(at time.Time) {
	c, _ := e.EtatAt(at)
	e.Etat, e.Miroir, e.Motif = c.Etat, c.Miroir, c.Motif
	e.AccrochageComplet, e.Formation = c.AccrochageComplet, c.Formation
	e.Mandats = nil
	for i := range e.Delegations {
		if d := &e.Delegations[i]; d.Covers(at) {
			e.Mandats = append(e.Mandats, d.Structure)
		}
	}
}

func (a *AMC) inForce(at time.Time) {
	c, _ := a.EtatAt(at)
	a.Etat, a.Motif, a.Depuis = c.Etat, c.Motif, c.Depuis
	a.Domaines = a.DomainesAt(at)
	a.Fin, a.Ordinaire = time.Time{}, c.Etat
	if c.Etat.Open() {
		return
	}
	switch c.Etat {
	case AMCMaintenance, AMCSuspendu, AMCClos:
		a.Ordinaire = AMCCercle // what is known of one that was never open
	}
	for i := len(a.Etats) - 1; i >= 0; i-- {
		if e := a.Etats[i]; e.Etat.Open() && !at.Before(e.Depuis.Time) {
			a.Ordinaire = e.Etat
			break
		}
	}
	for _, e := range a.Etats {
		if e.Etat.Open() && at.Before(e.Depuis.Time) {
			a.Fin = e.Depuis.Time
			break
		}
	}
}

// DomainesAt returns the known domains of the AMC at that instant.
func (a *AMC) DomainesAt(at time.Time) []DNSName {
	names := make([]DNSName, 0, len(a.Connus))
	for i := range a.Connus {
		if a.Connus[i].Covers(at) {
			names = append(names, a.Connus[i].Nom)
		}
	}
	return names
}

// edges gives every instant at which what the row means changes.
func (e *Etablissement) edges(yield func(time.Time)) {
	if !e.Contrat.IsZero() {
		yield(e.Contrat.Time)
	}
	for i := range e.Etats {
		if d := e.Etats[i].Depuis; !d.IsZero() {
			yield(d.Time)
		}
	}
	for i := range e.Delegations {
		e.Delegations[i].edges(yield)
	}
}

func (a *AMC) edges(yield func(time.Time)) {
	for i := range a.Etats {
		if d := a.Etats[i].Depuis; !d.IsZero() {
			yield(d.Time)
		}
	}
	for i := range a.Connus {
		a.Connus[i].edges(yield)
	}
}
