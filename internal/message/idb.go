package message

import (
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// An IDBRequest asks for the rights of a beneficiary (interroger).
type IDBRequest struct {
	Version    roc.Version
	Addressing *Addressing // nil writes an empty Header
	Demande
	Contexte *Contexte // nil leaves it out
}

// Contexte is what the beneficiary comes for.
type Contexte struct {
	Nature       string // SEJOUR or EXTERNE
	Debut        string // "2026-11-21"
	DureeMoyenne int    // days; 0 leaves it out
	Discipline   string // "" leaves it out
}

// Envelope writes the request, unsigned.
func (r IDBRequest) Envelope(v soap.Version) roc.Content {
	return envelope(v, operation(roc.IDB, r.Version), request, r.Addressing, func(w *writer) {
		r.Demande.write(w, r.Version)
		if c := r.Contexte; c != nil {
			w.open("contexte")
			w.element("nature", c.Nature)
			w.element("date_debut", c.Debut)
			if c.DureeMoyenne != 0 {
				w.number("duree_moyenne_sejour", c.DureeMoyenne)
			}
			w.optional("discipline_prestation", c.Discipline)
			w.close("contexte")
		}
	})
}

// An IDBAnswer answers an IDBRequest (interrogerReponse).
type IDBAnswer struct {
	Version    roc.Version
	Addressing *Addressing
	CR         CR
	Organisme  Organisme
	Droits     *Droits
	Garanties  []Garantie
}

// A CR is the functional outcome of an answer: code 00 is success.
type CR struct{ Code, Libelle string }

// Organisme is who answers. An empty Nom leaves it out.
type Organisme struct {
	AMC roc.NumeroAMC
	Nom string
}

// Droits are the rights of a beneficiary; empty dates are left out.
type Droits struct {
	Ouverts    bool
	Debut, Fin string // "2026-01-01", Fin included
}

// A Garantie is what is paid of a prestation: Taux percent, or Montant when
// Taux is 0.
type Garantie struct {
	Prestation string
	Taux       int
	Montant    Montant
}

// Envelope writes the answer, unsigned.
func (a IDBAnswer) Envelope(v soap.Version) roc.Content {
	return envelope(v, operation(roc.IDB, a.Version), answer, a.Addressing, func(w *writer) {
		a.CR.write(w)
		a.Organisme.write(w)
		if d := a.Droits; d != nil {
			w.open("droits")
			w.element("ouverts", boolean(d.Ouverts))
			w.optional("debut", d.Debut)
			w.optional("fin", d.Fin)
			w.close("droits")
		}
		if len(a.Garanties) > 0 {
			w.open("garanties")
			for _, g := range a.Garanties {
				g.write(w)
			}
			w.close("garanties")
		}
	})
}

func (g Garantie) write(w *writer) {
	w.open("garantie")
	w.element("prestation", g.Prestation)
	if g.Taux != 0 {
		w.number("taux", g.Taux)
	} else {
		w.element("montant", g.Montant.String())
	}
	w.close("garantie")
}

func (c CR) write(w *writer) {
	w.open("CR")
	w.element("CodeCR", c.Code)
	w.element("LibelleCR", c.Libelle)
	w.close("CR")
}

func (o Organisme) write(w *writer) {
	if o.Nom == "" {
		return
	}
	w.open("organisme")
	w.element("numero_amc", string(o.AMC))
	w.element("nom", o.Nom)
	w.close("organisme")
}

func boolean(b bool) string {
	if b {
		return "true"
	}
	return "false"
}
