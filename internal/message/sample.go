package message

import (
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// SampleDemande is a fictitious request of an establishment to an insurer.
func SampleDemande(at time.Time, ej roc.FINESS, amc roc.NumeroAMC) Demande {
	return Demande{
		Requete:       Requete{Date: at, Editeur: "EDITEUR DEMO", Logiciel: "GAP-DEMO-0001", VersionLogiciel: "12.4"},
		Etablissement: Etablissement{EJ: ej, Champ: "MCO", Statut: "EX_DG"},
		Adressage:     Adressage{AMC: amc, Convention: "RO", Domaine: roc.HOSP},
		Beneficiaire:  Beneficiaire{NumeroAdherent: "ADH0000001", Nom: "FICTIF", Prenom: "Zoé", DateNaissance: "1980-02-29"},
	}
}

// SampleRequest writes a request of an operation about a demande, unsigned, that
// follows the schemas: what samples, demo and tests send.
func SampleRequest(op Operation, d Demande, v soap.Version) roc.Content {
	day := func(days int) string { return d.Requete.Date.AddDate(0, 0, days).Format(time.DateOnly) }
	sejour := &Sejour{NumeroDossier: "D-DEMO-000123", Entree: day(-3), Sortie: day(0)}
	lines := []Prestation{
		{Rang: 1, Code: "FJ", Date: day(-3), Quantite: 3, Total: 6000},
		{Rang: 2, Code: "TM", Date: day(-3), Quantite: 1, Total: 81240, AMO: 64992},
	}
	switch op.Service {
	case roc.Annuaire:
		return SearchRequest{Requete: d.Requete, Adressage: d.Adressage, Norme: NormeROC, Types: []string{TypeURL, TypeMEL}}.Envelope(v)
	case roc.SIM:
		r := SIMRequest{Version: op.Version, Demande: d}
		r.Sejour, r.Prestations = sejour, lines
		return r.Envelope(v)

	case roc.CLC:
		r := CLCRequest{Version: op.Version, Demande: d}
		r.Sejour, r.Prestations = sejour, lines
		return r.Envelope(v)

	case roc.ANL:
		r := ANLRequest{Version: op.Version, Demande: d}
		r.Reference, r.Motif = "GP-DEMO-0000042", "Dossier clos par erreur"
		return r.Envelope(v)
	}
	r := IDBRequest{Version: op.Version, Demande: d}
	r.Contexte = &Contexte{Nature: "SEJOUR", Debut: day(0), DureeMoyenne: 3, Discipline: "03"}
	return r.Envelope(v)
}
