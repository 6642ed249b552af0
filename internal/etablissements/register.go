package etablissements

import (
	"slices"

	"github.com/piano-roc/rpn/internal/roc"
)

// An Etat is where an establishment stands in its life in ROC (domain 1.4).
type Etat string

// The states of an establishment. What each may reach is in package routing.
const (
	Accrochage   Etat = "accrochage"   // technical test against the validation platform
	Surveillance Etat = "surveillance" // production with its one AMC miroir
	Cercle       Etat = "cercle"       // every AMC of the circle
	Suspendu     Etat = "suspendu"     // nobody, for now
	Clos         Etat = "clos"         // nobody, any more
)

// An EtatAMC is the state of an AMC.
type EtatAMC string

// The states of an AMC.
const (
	AMCValidation EtatAMC = "validation" // the validation platform (Mutuelle ANS)
	AMCCercle     EtatAMC = "cercle"     // in production, in the circle of trust
	AMCSuspendu   EtatAMC = "suspendu"   // not to be reached
)

// An Etablissement is one row of the register: a legal entity (EJ) and its
// sites (EG). It never changes once loaded; callers must not change it.
type Etablissement struct {
	// EJ is the FINESS of the legal entity: 010003812.
	EJ roc.FINESS `yaml:"finess_ej" strict:"required"`

	// Structure is the Struct_IdNat of the legal entity: 1 and EJ. Derived.
	Structure roc.StructureID

	// EGs are the FINESS of its geographic sites. A certificate that carries
	// one of them is one of this establishment, and finess_eg in a message
	// must be one of them. A site belongs to one establishment only.
	EGs []roc.FINESS `yaml:"finess_eg"`

	// Nom is its name, for people.
	Nom string `yaml:"nom" strict:"required"`

	// Departement (2 or 3 characters: "01", "2A", "971") and Region are for
	// the reports. Optional.
	Departement string `yaml:"departement"`
	Region      string `yaml:"region"`

	// GAP is its software for patient administration and its vendor, for
	// people. Optional.
	GAP string `yaml:"gap"`

	// Etat is its state: accrochage, surveillance, cercle, suspendu or clos.
	Etat Etat `yaml:"etat" strict:"required"`

	// Miroir is the AMC miroir, by one of its numbers: the only AMC that an
	// establishment under surveillance reaches. Required in that state; kept
	// but without effect in the others.
	Miroir roc.NumeroAMC `yaml:"amc_miroir"`

	// Versions are the versions of ROC it may speak. Empty: V1 and V2.
	Versions []roc.Version `yaml:"versions"`

	// Limite is how fast it may send. Absent: the default of the RPN.
	Limite Limite `yaml:"limite"`

	// SansTimestamp exempts its messages from carrying a signed Timestamp
	// (profile section 3): for a GAP that cannot make one yet.
	SansTimestamp bool `yaml:"sans_timestamp"`

	// Mandats are the structures that may sign its messages in its place, by
	// structure id: a vendor's SIRET (3...), another establishment (1...).
	Mandats []roc.StructureID `yaml:"mandats"`
}

// A Limite is how fast an establishment may send; 0 is the default of the RPN.
type Limite struct {
	// ParSeconde is how many messages a second it may send, in the long run.
	ParSeconde float64 `yaml:"par_seconde" strict:"positive"`

	// Rafale is how many it may send at once.
	Rafale int `yaml:"rafale" strict:"positive"`
}

// Active reports whether the state lets the establishment call at all.
func (e *Etablissement) Active() bool { return e.Etat != Suspendu && e.Etat != Clos }

// Speaks reports whether the establishment may use that version of ROC.
func (e *Etablissement) Speaks(v roc.Version) bool {
	if len(e.Versions) == 0 {
		return v == roc.V1 || v == roc.V2
	}
	return slices.Contains(e.Versions, v)
}

// Mandates reports whether the establishment lets that structure sign its
// messages.
func (e *Etablissement) Mandates(signer roc.StructureID) bool {
	return slices.Contains(e.Mandats, signer)
}

// An AMC is one row of the list of AMCs. It never changes once loaded; callers
// must not change it.
type AMC struct {
	// Nom is its name, for people and for the indicators.
	Nom string `yaml:"nom" strict:"required"`

	// Numeros are its AMC numbers, 8 to 10 digits. A number belongs to one
	// AMC only.
	Numeros []roc.NumeroAMC `yaml:"numeros" strict:"required"`

	// Etat is its state: validation, cercle or suspendu.
	Etat EtatAMC `yaml:"etat" strict:"required"`

	// Domaines are the DNS domains that the annuaire may name for it. A domain
	// covers itself and its subdomains; one of a single label ("localhost")
	// covers itself only. Empty: nothing is known yet, and every address of it
	// is new to the policy of package routing.
	Domaines []DNSName `yaml:"domaines"`
}

// Covers reports whether a host name is within the known domains of the AMC.
func (a *AMC) Covers(host DNSName) bool {
	for _, d := range a.Domaines {
		if d.Covers(host) {
			return true
		}
	}
	return false
}

// Has reports whether the AMC owns that number.
func (a *AMC) Has(n roc.NumeroAMC) bool { return slices.Contains(a.Numeros, n) }
