package message

import (
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// A SIMRequest asks for a simulation (simuler): a calculation without
// guarantee, so it has the content of a CLCRequest.
type SIMRequest struct {
	Version    roc.Version
	Addressing *Addressing
	Demande
	Sejour      *Sejour
	Prestations []Prestation
}

// Envelope writes the request, unsigned.
func (r SIMRequest) Envelope(v soap.Version) roc.Content {
	return envelope(v, operation(roc.SIM, r.Version), request, r.Addressing, func(w *writer) {
		r.Demande.write(w, r.Version)
		r.Sejour.write(w)
		writePrestations(w, r.Prestations)
	})
}

// A SIMAnswer answers a SIMRequest (simulerReponse).
type SIMAnswer struct {
	Version     roc.Version
	Addressing  *Addressing
	CR          CR
	Organisme   Organisme
	Prestations []PrestationCalculee
}

// Envelope writes the answer, unsigned.
func (a SIMAnswer) Envelope(v soap.Version) roc.Content {
	return envelope(v, operation(roc.SIM, a.Version), answer, a.Addressing, func(w *writer) {
		a.CR.write(w)
		a.Organisme.write(w)
		writeCalcul(w, a.Prestations)
	})
}
