package message

import (
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// A CLCRequest asks for amounts and a payment guarantee (calculer).
type CLCRequest struct {
	Version    roc.Version
	Addressing *Addressing
	Demande
	Sejour      *Sejour // nil leaves it out: external acts have none
	Prestations []Prestation
}

// Sejour is a hospital stay; an empty Sortie is left out.
type Sejour struct {
	NumeroDossier  string
	Entree, Sortie string // "2026-11-18"
}

// A Prestation is one line to be calculated.
type Prestation struct {
	Rang     int
	Code     string
	Date     string // "2026-11-18"
	Quantite int
	Total    Montant
	AMO      Montant // paid by the compulsory insurance
}

// Envelope writes the request, unsigned.
func (r CLCRequest) Envelope(v soap.Version) roc.Content {
	return envelope(v, operation(roc.CLC, r.Version), request, r.Addressing, func(w *writer) {
		r.Demande.write(w, r.Version)
		r.Sejour.write(w)
		writePrestations(w, r.Prestations)
	})
}

// A CLCAnswer answers a CLCRequest (calculerReponse).
type CLCAnswer struct {
	Version     roc.Version
	Addressing  *Addressing
	CR          CR
	Organisme   Organisme
	Garantie    *GarantiePaiement
	Prestations []PrestationCalculee
}

// A GarantiePaiement is the insurer's promise to pay, to be quoted in the
// invoice.
type GarantiePaiement struct {
	Reference string
	Fin       string // "2027-02-19"
}

// A PrestationCalculee is what the insurer pays of one line, and what is left.
type PrestationCalculee struct {
	Rang         int
	Code         string
	AMC          Montant
	ResteACharge Montant
}

// Envelope writes the answer, unsigned.
func (a CLCAnswer) Envelope(v soap.Version) roc.Content {
	return envelope(v, operation(roc.CLC, a.Version), answer, a.Addressing, func(w *writer) {
		a.CR.write(w)
		a.Organisme.write(w)
		if g := a.Garantie; g != nil {
			w.open("garantie_paiement")
			w.element("reference", g.Reference)
			w.element("fin", g.Fin)
			w.close("garantie_paiement")
		}
		writeCalcul(w, a.Prestations)
	})
}

func (s *Sejour) write(w *writer) {
	if s == nil {
		return
	}
	w.open("sejour")
	w.element("numero_dossier", s.NumeroDossier)
	w.element("date_entree", s.Entree)
	w.optional("date_sortie", s.Sortie)
	w.close("sejour")
}

func writePrestations(w *writer, list []Prestation) {
	w.open("prestations")
	for _, p := range list {
		w.open("prestation")
		w.number("rang", p.Rang)
		w.element("code", p.Code)
		w.element("date", p.Date)
		w.number("quantite", p.Quantite)
		w.element("montant_total", p.Total.String())
		w.element("montant_amo", p.AMO.String())
		w.close("prestation")
	}
	w.close("prestations")
}

func writeCalcul(w *writer, list []PrestationCalculee) {
	if len(list) == 0 {
		return
	}
	w.open("prestations")
	for _, p := range list {
		w.open("prestation")
		w.number("rang", p.Rang)
		w.element("code", p.Code)
		w.element("montant_amc", p.AMC.String())
		w.element("reste_a_charge", p.ResteACharge.String())
		w.close("prestation")
	}
	w.close("prestations")
}
