package message

import (
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// An ANLRequest cancels a payment guarantee (annuler).
type ANLRequest struct {
	Version    roc.Version
	Addressing *Addressing
	Demande
	Reference string // of the guarantee
	Motif     string // "" leaves it out
}

// Envelope writes the request, unsigned.
func (r ANLRequest) Envelope(v soap.Version) roc.Content {
	return envelope(v, operation(roc.ANL, r.Version), request, r.Addressing, func(w *writer) {
		r.Demande.write(w, r.Version)
		w.open("annulation")
		w.element("reference", r.Reference)
		w.optional("motif", r.Motif)
		w.close("annulation")
	})
}

// An ANLAnswer answers an ANLRequest (annulerReponse).
type ANLAnswer struct {
	Version    roc.Version
	Addressing *Addressing
	CR         CR
	Organisme  Organisme
	Reference  string // of the guarantee; "" leaves the annulation out
	Date       string // "2026-11-21"
}

// Envelope writes the answer, unsigned.
func (a ANLAnswer) Envelope(v soap.Version) roc.Content {
	return envelope(v, operation(roc.ANL, a.Version), answer, a.Addressing, func(w *writer) {
		a.CR.write(w)
		a.Organisme.write(w)
		if a.Reference == "" {
			return
		}
		w.open("annulation")
		w.element("reference", a.Reference)
		w.element("date", a.Date)
		w.close("annulation")
	})
}
