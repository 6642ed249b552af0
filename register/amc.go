package register

import (
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// An AMC is one row of the list of AMCs. It never changes once loaded; callers
// must not change it.
type AMC struct {
	// Nom is its name, for people and for the indicators.
	Nom string `yaml:"nom" strict:"required"`

	// Numeros are its AMC numbers, 8 to 10 digits. A number belongs to one
	// AMC only.
	Numeros []roc.NumeroAMC `yaml:"numeros" strict:"required"`

	// Etat is its state in force: validation, cercle, suspendu or clos; a
	// maintenance has dates. A file gives it here, for ever, or gives Etats.
	Etat EtatAMC `yaml:"etat" strict:"required,unless=etats"`

	// Motif is why it is in that state, or by which decision, for people; it
	// stands beside Etat. Optional.
	Motif string `yaml:"motif"`

	// Etats are its states, each from a date to the next, in order. A file
	// that gives Etat alone has one here, without a date. A maintenance is
	// followed here by what the AMC was before, at its end.
	Etats []ChangementAMC `yaml:"etats" strict:"required,unless=etat"`

	// Depuis is since when Etat is in force; zero: no date. Derived.
	Depuis Moment

	// Fin is when an AMC that is not open is open again, by the dates of the
	// register; zero: no date says it, or it is open. Derived.
	Fin time.Time

	// Ordinaire is Etat of an AMC that is open, or awaited: nobody reaches that
	// one yet. Else it is the last state in which it was open, and the circle
	// when none is known. It says who could reach it were it open. Derived.
	Ordinaire EtatAMC

	// EssaisAvec are the establishments, by their EJ, that may send it every
	// service while it is in validation: an insurer on trial, which nobody
	// else reaches. Empty, an AMC in validation is the validation platform.
	EssaisAvec []Essai `yaml:"essais_avec"`

	// Connus are the DNS domains that the annuaire may name for it, each with
	// its dates or without.
	Connus []Domaine `yaml:"domaines"`

	// Domaines are those of Connus that are in force. A domain covers itself
	// and its subdomains; one of a single label ("localhost") covers itself
	// only. Empty: nothing is known, and the policy of package routing decides
	// about every address of it. Derived.
	Domaines []DNSName

	// Versions are the versions of ROC it may be spoken to, whatever the
	// annuaire offers. Empty: V1 and V2.
	Versions []roc.Version `yaml:"versions"`

	// Limite is the rate at which it accepts messages, all establishments
	// together, from each instance of the RPN. Absent: no limit.
	Limite Limite `yaml:"limite"`

	// Delais is how long an exchange with it may take, by service, where that is
	// less than the RPN allows. Absent: what the RPN allows.
	Delais roc.ServiceTimes `yaml:"delais"`

	// TLS is what its TLS front end needs from our connections. Absent: nothing
	// special.
	TLS AMCTLS `yaml:"tls"`

	// Structures are the structure ids that the certificates of its own people or
	// of its opérateur de tiers payant carry (2 and a SIREN, 3 and a SIRET): who
	// shows one to the portal reads the pages of the AMC. One id may be that of
	// several AMCs, and of no establishment. Empty: nobody of it comes in.
	Structures []roc.StructureID `yaml:"structures"`

	// Contacts are whom to call. Optional.
	Contacts []Contact `yaml:"contacts"`

	// Alertes are who is told when it goes out and when it is back. Optional.
	Alertes []Alerte `yaml:"alertes"`
}

// An AMCTLS is what the front end of an AMC needs from our TLS connections.
type AMCTLS struct {
	// PostQuantum false keeps the ClientHello below 1 500 bytes, without a
	// post-quantum key exchange: some old front ends accept no more. Default:
	// true.
	PostQuantum *bool `yaml:"post_quantum"`
}

// Delai is how long an exchange of a service with the AMC may take; 0: what the
// RPN allows.
func (a *AMC) Delai(s roc.Service) time.Duration {
	if a == nil {
		return 0
	}
	return a.Delais.Of(s)
}

// PostQuantum reports whether connections to the AMC offer a post-quantum key
// exchange; a nil AMC is one that is not in the register.
func (a *AMC) PostQuantum() bool {
	return a == nil || a.TLS.PostQuantum == nil || *a.TLS.PostQuantum
}

// A Domaine is a known DNS domain of an AMC. In a file, the name alone is a
// domain without dates.
type Domaine struct {
	Nom    DNSName `yaml:"nom" strict:"required" json:"nom"`
	Period `yaml:",inline"`
}

// An Essai names an establishment by the FINESS of its EJ, or by the structure
// id made of it.
type Essai roc.FINESS

func parseEssai(s string) (Essai, error) {
	if id, err := roc.ParseStructureID(s); err == nil {
		if f, ok := id.FINESS(); ok {
			return Essai(f), nil
		}
	}
	f, err := roc.ParseFINESS(s)
	return Essai(f), err
}

// OnTrial reports whether the AMC is an insurer in validation, which only
// EssaisAvec may reach. Ordinaire, so that a maintenance opens nothing else.
func (a *AMC) OnTrial() bool { return a.Ordinaire == AMCValidation && len(a.EssaisAvec) > 0 }

// Tries reports whether an establishment is one of EssaisAvec.
func (a *AMC) Tries(ej roc.FINESS) bool { return slices.Contains(a.EssaisAvec, Essai(ej)) }

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

// Speaks reports whether the AMC may be spoken to in that version of ROC.
func (a *AMC) Speaks(v roc.Version) bool { return speaks(a.Versions, v) }
