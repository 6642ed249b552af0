package register

import (
	"slices"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/strict"
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

	// Contacts are whom to contact. Optional.
	Contacts []Contact `yaml:"contacts"`

	// Alertes are who is told when an AMC goes out and when it is back. Optional.
	Alertes []Alerte `yaml:"alertes"`

	// Contrat is when its contract takes effect: before that day it reaches
	// nobody, whatever its state. Optional.
	Contrat Moment `yaml:"contrat"`

	// Structures are other structure ids that its certificates may carry: 2
	// and its SIREN, 3 and a SIRET. Each stands for its EJ. An id belongs to
	// one establishment only.
	Structures []roc.StructureID `yaml:"structures"`

	// Etat is its state in force: accrochage, formation, surveillance, cercle,
	// suspendu or clos. A file gives it here, for ever, or gives Etats.
	Etat Etat `yaml:"etat" strict:"required,unless=etats"`

	// Motif is why it is in that state, or by which decision, for people; it
	// stands beside Etat. Optional.
	Motif string `yaml:"motif"`

	// AccrochageComplet and Formation are those of the state in force (see
	// Changement). A file may give them here for every state that they say
	// something of.
	AccrochageComplet bool `yaml:"accrochage_complet"`
	Formation         bool `yaml:"formation"`

	// Miroir is the AMC miroir in force, by one of its numbers: the only AMC
	// that an establishment under surveillance reaches. Required in that
	// state; kept but without effect in the others.
	Miroir roc.NumeroAMC `yaml:"amc_miroir"`

	// Etats are its states, each from a date to the next, in order. One whose
	// date is to come takes effect at its date, without a reload. A file that
	// gives Etat alone has one here, without a date.
	Etats []Changement `yaml:"etats" strict:"required,unless=etat"`

	// Versions are the versions of ROC it may speak. Empty: V1 and V2.
	Versions []roc.Version `yaml:"versions"`

	// Limite is how fast it may send. Absent: the default of the RPN.
	Limite Limite `yaml:"limite"`

	// SansTimestamp exempts its messages from carrying a signed Timestamp
	// (profile section 3): for a GAP that cannot make one yet.
	SansTimestamp bool `yaml:"sans_timestamp"`

	// Facade is how its own search of the annuaire is answered. Absent:
	// transparent.
	Facade Facade `yaml:"facade"`

	// Delegations are the structures that may sign its messages in its place,
	// each with its dates or without.
	Delegations []Mandat `yaml:"mandats"`

	// Mandats are those of Delegations that are in force. Derived.
	Mandats []roc.StructureID
}

// A Facade is how the search of an establishment is answered (profile section
// 5).
type Facade string

// The façades. Transparente passes on the annuaire's signed answer, byte for
// byte. Reecriture replaces the insurers' addresses by addresses of the RPN,
// and signs: a GAP that follows the annuaire then needs no other setting than
// the annuaire's URL.
const (
	Transparente Facade = "transparente"
	Reecriture   Facade = "reecriture"
)

// A Mandat lets a structure sign for an establishment: a vendor by its SIRET
// (3...), another establishment (1...). In a file, the structure alone is a
// mandate without dates.
type Mandat struct {
	Structure roc.StructureID `yaml:"structure" strict:"required" json:"structure"`
	Period    `yaml:",inline"`
}

// A Contact is whom to contact about an establishment or an AMC. It is shown to
// operators and decides nothing.
type Contact struct {
	Nom       string `yaml:"nom" strict:"required" json:"nom"`
	Role      string `yaml:"role" json:"role,omitzero"` // "DSI", "GAP", "facturation"
	Courriel  string `yaml:"courriel" json:"courriel,omitzero"`
	Telephone string `yaml:"telephone" json:"telephone,omitzero"`
}

// An Alerte is one way to tell somebody when an AMC goes out, by the definition of
// its card (docs/indicators.md), and when it is back: a mail, or the call of a
// webhook.
type Alerte struct {
	Courriel string `yaml:"courriel" json:"courriel,omitzero"`
	Webhook  string `yaml:"webhook" json:"webhook,omitzero"` // https

	// Organismes are the AMCs that it is told of, by one of their numbers. Empty:
	// all. Of an establishment alone: an AMC is told of itself.
	Organismes []roc.NumeroAMC `yaml:"organismes" json:"organismes,omitzero"`
}

// A Limite is how fast an establishment may send, or an AMC be sent to; 0 is the
// default of the RPN.
type Limite struct {
	// ParSeconde is how many messages a second, in the long run.
	ParSeconde float64 `yaml:"par_seconde" strict:"positive" json:"par_seconde,omitzero"`

	// Rafale is how many at once.
	Rafale int `yaml:"rafale" strict:"positive" json:"rafale,omitzero"`

	// EnCours is how many may be in flight at once.
	EnCours int `yaml:"en_cours" strict:"positive" json:"en_cours,omitzero"`

	// Connexions is how many connections an establishment may have open. Of an
	// establishment alone, as are the next two.
	Connexions int `yaml:"connexions" strict:"positive" json:"connexions,omitzero"`

	// Octets is how much its messages, and their answers, may hold of the memory
	// of the RPN, in bytes.
	Octets strict.Size `yaml:"octets" strict:"positive" json:"octets,omitzero"`

	// ParOrganisme is how many of its messages may be in flight to one AMC.
	ParOrganisme int `yaml:"par_organisme" strict:"positive" json:"par_organisme,omitzero"`

	// OctetsParSeconde is how many bytes of messages a second, in the long run, and
	// RafaleOctets how many at once; the largest message at least.
	OctetsParSeconde strict.Size `yaml:"octets_par_seconde" strict:"positive" json:"octets_par_seconde,omitzero"`
	RafaleOctets     strict.Size `yaml:"rafale_octets" strict:"positive" json:"rafale_octets,omitzero"`

	// Mode is what becomes of a message beyond ParSeconde or OctetsParSeconde.
	Mode LimitMode `yaml:"mode" json:"mode,omitzero"`
}

// A LimitMode is what becomes of what is beyond a rate.
type LimitMode string

// The modes: it passes, counted and logged; it waits a little for its credit; it
// is refused.
const (
	Observe LimitMode = "observe"
	Shape   LimitMode = "shape"
	Reject  LimitMode = "reject"
)

// LimitModes are all of them.
var LimitModes = []LimitMode{Observe, Shape, Reject}

// A Standard is the limit that holds where a row says nothing: of an
// establishment, and towards an AMC. 0: none.
type Standard struct{ Etablissement, AMC Limite }

// Active reports whether the state lets the establishment call at all.
func (e *Etablissement) Active() bool { return e.Etat != Suspendu && e.Etat != Clos }

// IDs are all structure ids that its certificates may carry, Structure first: an
// exchange of any of them is one of its own (see List.Caller).
func (e *Etablissement) IDs() []roc.StructureID {
	ids := []roc.StructureID{e.Structure}
	for _, eg := range e.EGs {
		ids = append(ids, roc.StructureOf(eg))
	}
	return append(ids, e.Structures...)
}

// Speaks reports whether the establishment may use that version of ROC.
func (e *Etablissement) Speaks(v roc.Version) bool { return speaks(e.Versions, v) }

// Mandates reports whether the establishment lets that structure sign its
// messages.
func (e *Etablissement) Mandates(signer roc.StructureID) bool {
	return slices.Contains(e.Mandats, signer)
}

func speaks(versions []roc.Version, v roc.Version) bool {
	if len(versions) == 0 {
		return v == roc.V1 || v == roc.V2
	}
	return slices.Contains(versions, v)
}
