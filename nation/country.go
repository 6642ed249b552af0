package nation

import (
	"net/http"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
)

// A Character is an establishment of the nation. Everything about it is
// fictitious: department 99 does not exist.
type Character struct {
	ID  string // the name of its folder, and how a story calls it: "chu"
	Nom string
	EJ  roc.FINESS
	EG  roc.FINESS // a site, or ""; the messages name it

	Etat          string            // accrochage, surveillance, cercle, suspendu or clos
	Miroir        string            // under surveillance: the ID of its AMC miroir
	Versions      []roc.Version     // empty: both
	PerSecond     float64           // 0: the default limit
	Burst         int               // with PerSecond
	Mandataires   []roc.StructureID // who may sign for it
	Register      []string          // more lines of its row of the register
	SansTimestamp bool              // exempted from the Timestamp
	Facade        string            // "reecriture": the RPN answers its searches with addresses of its own
	Unregistered  bool              // it has certificates, and is not in the register

	TLS  []igc.Option // what is special about its TLS certificate
	Sign []igc.Option // and about its signature certificate
}

// An Insurer is an AMC of the nation.
type Insurer struct {
	ID     string // "bleue"
	Nom    string
	Numero roc.NumeroAMC
	Etat   string // validation, cercle or suspendu
	Host   string // the DNS name of its server

	Absent bool   // the annuaire knows it, and nobody answers at its address
	Domain string // the domain of the register; "": Host
	URL    string // what the annuaire says; "": where it listens

	TLS  []igc.Option                    // what is special about its server certificate
	Wrap func(http.Handler) http.Handler // stands before its server, or in its place
}

// Establishments are the characters of the demonstration.
func Establishments() []Character {
	return []Character{
		{ID: "chu", Nom: "CHU de Sainte-Fiction", EJ: "990000011", EG: "990000019", Etat: "cercle"},
		{ID: "clinique", Nom: "Clinique des Tilleuls", EJ: "990000021", Etat: "surveillance", Miroir: "verte"},
		{ID: "hopital", Nom: "Hôpital de la Source", EJ: "990000031", Etat: "accrochage"},
		{ID: "phare", Nom: "Centre hospitalier du Phare", EJ: "990000041", Etat: "cercle", Versions: []roc.Version{roc.V1},
			TLS: []igc.Option{igc.CN("gap.phare.test;demo.test")}, Sign: []igc.Option{igc.CN("gap.phare.test;demo.test")}},
		{ID: "lac", Nom: "Polyclinique du Lac", EJ: "990000051", Etat: "cercle", PerSecond: 0.2, Burst: 2},
		{ID: "hetre", Nom: "Clinique du Hêtre", EJ: "990000081", Etat: "cercle", Sign: []igc.Option{igc.ECDSA()}},
		{ID: "peuplier", Nom: "Hôpital du Peuplier", EJ: "990000091", Etat: "cercle", PerSecond: 5, Burst: 10},
		{ID: "orme", Nom: "Hôpital de l'Orme", EJ: "990000061", Etat: "suspendu"},
	}
}

// Strangers are the characters of the demonstration that are refused for
// their certificates.
func Strangers() []Character {
	return []Character{
		{ID: "inconnue", Nom: "Clinique Inconnue", EJ: "990000991", Unregistered: true},
		{ID: "perimee", Nom: "Clinique des Oublis", EJ: "990000981", Etat: "cercle", Sign: []igc.Option{igc.Expired()}},
		{ID: "ailleurs", Nom: "Clinique d'Ailleurs", EJ: "990000971", Etat: "cercle", TLS: []igc.Option{igc.OtherCA()}},
	}
}

// Insurers are the AMCs of the demonstration.
func Insurers() []Insurer {
	return []Insurer{
		{ID: "validation", Nom: "Mutuelle ANS (validation)", Numero: "0099000001", Etat: "validation", Host: "roc.mutuelle-ans.example"},
		{ID: "ambre", Nom: "Mutuelle Ambre", Numero: "0099000007", Etat: "cercle", Host: "roc.mutuelle-ambre.example"},
		{ID: "verte", Nom: "Mutuelle Verte", Numero: "0099000002", Etat: "cercle", Host: "roc.mutuelle-verte.example"},
		{ID: "bleue", Nom: "Mutuelle Bleue", Numero: "0099000003", Etat: "cercle", Host: "roc.mutuelle-bleue.example"},
		{ID: "grise", Nom: "Mutuelle Grise", Numero: "0099000004", Etat: "suspendu", Host: "roc.mutuelle-grise.example", Absent: true},
		{ID: "mauve", Nom: "Mutuelle Mauve", Numero: "0099000006", Etat: "cercle", Host: "roc.mutuelle-mauve.example", Absent: true,
			URL: "https://roc.nulle-part.example/roc"},
	}
}
