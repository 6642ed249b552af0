package message

import (
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// The codes of searchResponse/resultat/retour.
const (
	RetourTrouve  = "00" // found: organisme, validite and adresses follow
	RetourInconnu = "01" // the annuaire knows no such AMC
	RetourRefuse  = "02" // the search itself is not acceptable
)

// The words of an address in a search and its answer (profile section 5).
const (
	NormeROC = "ROC"
	TypeURL  = "URL"
	TypeMEL  = "MEL"
)

// A SearchRequest asks the annuaire where the services of an insurer are
// (search). Empty optional fields are left out.
type SearchRequest struct {
	Addressing *Addressing // nil: no Header at all, like the public request
	Requete    Requete
	Adressage
	Service string   // "IDB"; "" asks for every service
	Norme   string   // ROC or DRE
	Version string   // "V1" (ROC), "V1.0" (DRE)
	Types   []string // wanted types of address: URL, MEL; none writes URL
}

// Envelope writes the request, unsigned.
func (r SearchRequest) Envelope(v soap.Version) roc.Content {
	return envelope(v, operation(roc.Annuaire, roc.NoVersion), request, r.Addressing, func(w *writer) {
		types := r.Types
		if len(types) == 0 {
			types = []string{TypeURL}
		}
		w.open("paramsObj")
		r.Requete.write(w)
		w.open("adressage")
		r.Adressage.write(w)
		w.optional("code_service", r.Service)
		w.optional("code_norme_service", r.Norme)
		w.optional("version_norme_service", r.Version)
		w.close("adressage")
		w.raw("<typage><type_adresse>")
		for _, t := range types {
			w.element("item", t)
		}
		w.raw("</type_adresse></typage>")
		w.close("paramsObj")
	})
}

// A SearchAnswer answers a SearchRequest (searchResponse). With another Code
// than RetourTrouve, only Libelle means something.
type SearchAnswer struct {
	Addressing *Addressing
	Code       string
	Libelle    string
	AMC        roc.NumeroAMC
	Nom        string
	ROC        bool // the insurer is in the dispositif ROC
	// Debut and Fin are the first and the last day of validity, each at 00:00
	// in Europe/Paris; zero when the answer does not say.
	Debut, Fin time.Time
	Adresses   []Adresse
}

// An Adresse is where one service of an insurer is.
type Adresse struct {
	Service string // "IDB"
	Norme   string // ROC or DRE
	Version string // "V1"
	Type    string // URL or MEL
	Valeur  string
}

// Envelope writes the answer, unsigned.
func (a SearchAnswer) Envelope(v soap.Version) roc.Content {
	return envelope(v, operation(roc.Annuaire, roc.NoVersion), answer, a.Addressing, func(w *writer) {
		w.open("resultat")
		w.open("retour")
		w.element("code", a.Code)
		w.element("libelle", a.Libelle)
		w.close("retour")
		if a.Code == RetourTrouve {
			a.writeFound(w)
		}
		w.close("resultat")
	})
}

func (a *SearchAnswer) writeFound(w *writer) {
	w.open("organisme")
	w.element("numero_amc", string(a.AMC))
	w.element("nom", a.Nom)
	w.element("roc", boolean(a.ROC))
	w.close("organisme")
	if !a.Debut.IsZero() {
		w.open("validite")
		w.element("debut", day(a.Debut))
		w.optional("fin", day(a.Fin))
		w.close("validite")
	}
	w.open("adresses")
	for _, d := range a.Adresses {
		w.open("adresse")
		w.element("code_service", d.Service)
		w.element("code_norme_service", d.Norme)
		w.element("version_norme_service", d.Version)
		w.element("type_adresse", d.Type)
		w.element("valeur", d.Valeur)
		w.close("adresse")
	}
	w.close("adresses")
}
