package mutuelle

import (
	"fmt"
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
)

// The functional outcomes (CodeCR, LibelleCR), listed in docs/mutuelle.md.
var (
	crDroitsOuverts = message.CR{Code: "00", Libelle: "Droits ouverts"}
	crCalcul        = message.CR{Code: "00", Libelle: "Calcul effectué"}
	crSimulation    = message.CR{Code: "00", Libelle: "Simulation effectuée, sans garantie"}
	crAnnulation    = message.CR{Code: "00", Libelle: "Annulation effectuée"}
	crInconnu       = message.CR{Code: "01", Libelle: "Bénéficiaire inconnu"}
	crDroitsFermes  = message.CR{Code: "02", Libelle: "Droits fermés"}
	crRefus         = message.CR{Code: "03", Libelle: "Prestations non garanties par le contrat"}
	crAutreAMC      = message.CR{Code: "04", Libelle: "Cet organisme ne gère pas le numéro AMC demandé"}
	crEngagement    = message.CR{Code: "06", Libelle: "Engagement inconnu de cet organisme"}
)

// A question is what is asked, whatever the operation.
type question struct {
	op          message.Operation
	demande     message.Demande
	prestations []message.Prestation
	reference   string  // ANL
	nonce       [4]byte // differs from one signed request to another
}

func readQuestion(op message.Operation, c *xmlsig.Checked) (question, error) {
	h := c.SignatureHash()
	q := question{op: op, nonce: [4]byte(h[:4])}
	var err error
	switch op.Service {
	case roc.IDB:
		var r message.IDBRequest
		r, err = message.ReadIDB(c)
		q.demande = r.Demande
	case roc.SIM:
		var r message.SIMRequest
		r, err = message.ReadSIM(c)
		q.demande, q.prestations = r.Demande, r.Prestations
	case roc.CLC:
		var r message.CLCRequest
		r, err = message.ReadCLC(c)
		q.demande, q.prestations = r.Demande, r.Prestations
	case roc.ANL:
		var r message.ANLRequest
		r, err = message.ReadANL(c)
		q.demande, q.reference = r.Demande, r.Reference
	default:
		err = fmt.Errorf("no answer for %s", op.Service)
	}
	return q, err
}

type answer interface {
	Envelope(soap.Version) roc.Content
}

// functional answers a question by its case.
func (m *Mutuelle) functional(q question, c Case, a *message.Addressing) answer {
	amc := q.demande.Adressage.AMC
	who := message.Organisme{AMC: amc, Nom: m.o.Nom}
	cr, refused := m.refusal(q, c)
	today := m.o.Now()
	switch q.op.Service {
	case roc.IDB:
		return idb(message.IDBAnswer{Version: q.op.Version, Addressing: a, CR: cr, Organisme: who}, c, refused, today)
	case roc.SIM:
		s := message.SIMAnswer{Version: q.op.Version, Addressing: a, CR: cr, Organisme: who}
		if !refused {
			s.CR, s.Prestations = crSimulation, calcul(q.prestations, c.part)
		}
		return s
	case roc.CLC:
		s := message.CLCAnswer{Version: q.op.Version, Addressing: a, CR: cr, Organisme: who}
		if !refused {
			s.CR, s.Prestations = crCalcul, calcul(q.prestations, c.part)
			s.Garantie = &message.GarantiePaiement{Reference: newReference(amc, today, q.nonce), Fin: day(today.AddDate(0, 0, 90))}
		}
		return s
	default: // ANL: readQuestion lets no other pass
		s := message.ANLAnswer{Version: q.op.Version, Addressing: a, CR: cr, Organisme: who}
		if !refused {
			s.CR, s.Reference, s.Date = crAnnulation, q.reference, day(today)
		}
		return s
	}
}

// refusal says whether the question is refused, and why.
func (m *Mutuelle) refusal(q question, c Case) (message.CR, bool) {
	amc := q.demande.Adressage.AMC
	calculated := q.op.Service == roc.SIM || q.op.Service == roc.CLC
	switch {
	case len(m.o.AMC) > 0 && !slices.Contains(m.o.AMC, amc):
		return crAutreAMC, true
	case c.droits == inconnu:
		return crInconnu, true
	case q.op.Service == roc.ANL && !isReference(amc, q.reference):
		return crEngagement, true
	case q.op.Service == roc.ANL:
		return message.CR{}, false // a guarantee can be cancelled even after the rights have ended
	case c.droits == fermes:
		return crDroitsFermes, true
	case calculated && c.part == 0:
		return crRefus, true
	}
	return message.CR{}, false
}

// idb completes the answer to an IDB: closed rights are shown with the day they
// ended.
func idb(a message.IDBAnswer, c Case, refused bool, today time.Time) message.IDBAnswer {
	year := today.Year()
	switch {
	case refused && a.CR == crDroitsFermes:
		a.Droits = &message.Droits{Debut: fmt.Sprintf("%d-01-01", year-1), Fin: fmt.Sprintf("%d-12-31", year-1)}
	case !refused:
		a.CR = crDroitsOuverts
		a.Droits = &message.Droits{Ouverts: true, Debut: fmt.Sprintf("%d-01-01", year), Fin: fmt.Sprintf("%d-12-31", year)}
		if c.part > 0 {
			a.Garanties = []message.Garantie{{Prestation: "FJ", Taux: c.part}, {Prestation: "TM", Taux: c.part}, {Prestation: "CHP", Montant: 6500}}
		}
	}
	return a
}

// calcul pays that part, in percent, of what the AMO leaves of each line,
// rounded up to the cent.
func calcul(list []message.Prestation, part int) []message.PrestationCalculee {
	out := make([]message.PrestationCalculee, 0, len(list))
	for _, p := range list {
		left := max(p.Total-p.AMO, 0)
		amc := (left*message.Montant(part) + 50) / 100
		out = append(out, message.PrestationCalculee{Rang: p.Rang, Code: p.Code, AMC: amc, ResteACharge: left - amc})
	}
	return out
}

func day(t time.Time) string { return t.Format("2006-01-02") }
