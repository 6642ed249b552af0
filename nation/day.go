package nation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/piano-roc/rpn/annuaire/fictif"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// A Scene is one message of the day, and what must come of it.
type Scene struct {
	Who     string // the ID of a character
	Service roc.Service
	Version roc.Version
	SOAP    soap.Version
	AMC     string // the ID of an insurer, or a number
	How     []Mutation

	Annuaire fictif.Fault // how the annuaire misbehaves meanwhile

	before  func(context.Context, *Nation) error   // what happens to the nation first
	instead func(context.Context, *Nation) Outcome // sends, in place of one message
	after   func(*Nation, Outcome) (string, error) // what else must be so; and what to say of it
	once    bool                                   // it goes so once a day

	Want string // a CodeCR ("00"), a code of the RPN ("RPN303"), or Handshake
	Note string // French: what is special, or ""
}

// Handshake is what a Scene wants when the TLS handshake must be refused.
const Handshake = "TLS"

// unknownAMC is a number that the annuaire of the nation does not know.
const unknownAMC = "0099000099"

// Day is a day of the nation in small: every state of an establishment, both
// versions, both SOAP, then what must be refused, then somebody who is put out
// and a certificate that is renewed, while everybody is connected; at the end an
// insurer that falls, and a hospital that sends far too much.
func Day() []Scene {
	yesterday := func(d *Draft) { d.Sign.At = d.Sign.At.AddDate(0, 0, -1) }
	many := &crowd{greedy: "peuplier", others: []struct{ who, amc string }{{"phare", "verte"}, {"hopital", "validation"}, {"hetre", "bleue"}}}
	return []Scene{
		{Who: "chu", Service: roc.IDB, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", Want: "00"},
		{Who: "chu", Service: roc.CLC, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", Want: "00"},
		{Who: "chu", Service: roc.IDB, Version: roc.V1, SOAP: soap.SOAP11, AMC: "verte", Want: "00"},
		{Who: "clinique", Service: roc.IDB, Version: roc.V1, SOAP: soap.SOAP11, AMC: "verte", Want: "00", Note: "son AMC miroir"},
		{Who: "clinique", Service: roc.CLC, Version: roc.V1, SOAP: soap.SOAP12, AMC: "verte", Want: "00"},
		{Who: "clinique", Service: roc.IDB, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", Want: code(roc.OutsideCircle), Note: "sous surveillance : AMC miroir seulement"},
		{Who: "hopital", Service: roc.IDB, Version: roc.V2, SOAP: soap.SOAP11, AMC: "validation", Want: "00", Note: "en accrochage"},
		{Who: "hopital", Service: roc.CLC, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", Want: code(roc.OutsideCircle), Note: "en accrochage : validation seulement"},
		{Who: "phare", Service: roc.IDB, Version: roc.V1, SOAP: soap.SOAP12, AMC: "bleue", Want: "00", Note: "certificat au CN avec « ; »"},
		{Who: "phare", Service: roc.CLC, Version: roc.V1, SOAP: soap.SOAP11, AMC: "verte", Want: "00"},
		{Who: "lac", Service: roc.IDB, Version: roc.V1, SOAP: soap.SOAP11, AMC: "verte", Want: "00"},
		{Who: "lac", Service: roc.CLC, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", Want: "00"},
		{Who: "lac", Service: roc.IDB, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", Want: code(roc.TooMany), Note: "sa limite : 2 messages d'affilée"},
		{Who: "orme", Service: roc.IDB, Version: roc.V1, SOAP: soap.SOAP11, AMC: "verte", Want: code(roc.Suspended)},
		{Who: "chu", Service: roc.IDB, Version: roc.V2, SOAP: soap.SOAP12, AMC: "grise", Want: code(roc.AMCSuspended), Note: "AMC suspendue"},
		{Who: "chu", Service: roc.IDB, Version: roc.V1, SOAP: soap.SOAP11, AMC: unknownAMC, Want: code(roc.UnknownAMC)},
		{Who: "chu", Service: roc.IDB, Version: roc.V2, SOAP: soap.SOAP12, AMC: "mauve", Want: code(roc.Quarantined), Note: "l'annuaire l'a déplacée hors de ses domaines connus"},
		{Who: "chu", Service: roc.IDB, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", Annuaire: fictif.Down, Want: "00", Note: "annuaire en panne : sa dernière réponse sert"},
		{Who: "chu", Service: roc.SIM, Version: roc.V1, SOAP: soap.SOAP12, AMC: "verte", Annuaire: fictif.Down, Want: code(roc.AnnuaireSilent), Note: "annuaire en panne, rien en mémoire"},
		{Who: "chu", Service: roc.IDB, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", How: []Mutation{Altered}, Want: code(roc.BadSignature), Note: "modifié après la signature"},
		{Who: "chu", Service: roc.CLC, Version: roc.V1, SOAP: soap.SOAP11, AMC: "bleue", How: []Mutation{Unsigned}, Want: code(roc.NotSigned)},
		{Who: "chu", Service: roc.IDB, Version: roc.V1, SOAP: soap.SOAP12, AMC: "verte", How: []Mutation{yesterday}, Want: code(roc.StaleTimestamp), Note: "signé hier"},
		{Who: "perimee", Service: roc.IDB, Version: roc.V2, SOAP: soap.SOAP12, AMC: "verte", Want: code(roc.UntrustedSigner), Note: "certificat de signature expiré"},
		{Who: "inconnue", Service: roc.IDB, Version: roc.V1, SOAP: soap.SOAP11, AMC: "verte", Want: code(roc.UnknownStructure)},
		{Who: "ailleurs", Service: roc.IDB, Version: roc.V1, SOAP: soap.SOAP11, AMC: "verte", Want: Handshake, Note: "certificat d'une autre autorité"},

		{Who: "hetre", Service: roc.IDB, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", Want: "00", Note: "sa connexion reste ouverte"},
		{Who: "hetre", Service: roc.CLC, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", before: exclude("hetre"), Want: Handshake, Note: "mise sur la liste d'exclusion : sa connexion a été fermée"},
		{Who: "chu", Service: roc.CLC, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", Want: "00", Note: "les autres continuent"},
		{Who: "hetre", Service: roc.CLC, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", before: admit, Want: "00", Note: "retirée de la liste d'exclusion"},
		{Who: "chu", Service: roc.CLC, Version: roc.V1, SOAP: soap.SOAP11, AMC: "verte", before: renew, after: showsRenewed(false), Want: "00", Note: "certificat du RPN renouvelé : même connexion, aucun échange gêné"},
		{Who: "phare", Service: roc.IDB, Version: roc.V1, SOAP: soap.SOAP11, AMC: "verte", before: hangup("phare"), after: showsRenewed(true), Want: "00", Note: "nouvelle connexion : le nouveau certificat"},

		{Who: "chu", Service: roc.IDB, Version: roc.V1, SOAP: soap.SOAP12, AMC: "ambre", once: true, Want: "00", Note: "elle répond encore"},
		{Who: "chu", Service: roc.IDB, Version: roc.V1, SOAP: soap.SOAP12, AMC: "ambre", before: falls("ambre", "chu"), after: rests, Want: code(roc.AMCResting)},
		{Who: "chu", Service: roc.IDB, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", once: true, Want: "00", Note: "les autres organismes continuent"},
		{Who: "peuplier", Service: roc.IDB, Version: roc.V1, SOAP: soap.SOAP12, AMC: "bleue", instead: many.press, after: many.told, Want: code(roc.TooMany)},
	}
}

func code(r roc.Reason) string { return r.Meaning().Code }

// A Scened is a scene that was played.
type Scened struct {
	Scene
	Nom     string // of the establishment
	AMCName string
	Outcome Outcome
}

// Play plays one scene.
func (n *Nation) Play(ctx context.Context, s Scene) (Scened, error) {
	e, ok := n.Etablissement(s.Who)
	if !ok {
		return Scened{}, fmt.Errorf("the nation has no establishment %q", s.Who)
	}
	p := Scened{Scene: s, Nom: e.Nom, AMCName: "AMC " + s.AMC}
	if i, ok := n.insurer(s.AMC); ok {
		p.AMCName = i.Nom
	}
	if s.Annuaire != fictif.None {
		n.Annuaire.Break(s.Annuaire)
		defer n.Annuaire.Break(fictif.None)
	}
	if s.before != nil {
		if p.Outcome.Err = s.before(ctx, n); p.Outcome.Err != nil {
			return p, nil
		}
	}
	if s.instead != nil {
		p.Outcome = s.instead(ctx, n)
	} else {
		p.Outcome = e.Send(ctx, s.Service, s.Version, s.SOAP, s.AMC, s.How...)
	}
	if s.after != nil && p.Outcome.Err == nil {
		said, err := s.after(n, p.Outcome)
		if p.Outcome.Err = err; said != "" {
			p.Note = said
		}
	}
	return p, nil
}

// Got is what came of it, in the words of Want.
func (p Scened) Got() string {
	switch {
	case cutByTLS(p.Outcome.Err):
		return Handshake
	case p.Outcome.Err != nil:
		return "erreur"
	case p.Outcome.Code == "":
		return fmt.Sprintf("HTTP %d", p.Outcome.Status)
	}
	return p.Outcome.Code
}

// cutByTLS reports whether the peer ended the connection in the handshake: by
// an alert, or by closing while the first bytes were still on their way (with
// TLS 1.3 a client speaks before it knows that it is refused).
func cutByTLS(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return true
	}
	// net/http also says ErrClosed, when it saw the alert and closed first.
	return errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF)
}

// AsExpected reports whether it went as the scene wants; the AMC must have
// answered what looks like its answer, and the RPN what looks like a refusal.
func (p Scened) AsExpected() bool {
	switch {
	case p.Got() != p.Want:
		return false
	case p.Want == Handshake:
		return true
	case len(p.Want) > 3 && p.Want[:3] == "RPN":
		return p.Outcome.Origin() == roc.FromRPN
	}
	return p.Outcome.Origin() == roc.FromAMC && p.Outcome.Status == 200
}

// Traffic plays the good scenes again and again, one each period, until ctx
// ends, and tells each.
func (n *Nation) Traffic(ctx context.Context, period time.Duration, tell func(Scened)) {
	var good []Scene
	for _, s := range Day() {
		if s.Want == "00" && s.Who != "lac" && s.Annuaire == fictif.None && s.before == nil && !s.once {
			good = append(good, s)
		}
	}
	tick := time.NewTicker(period)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if p, err := n.Play(ctx, good[i%len(good)]); err == nil && ctx.Err() == nil {
			tell(p)
		}
	}
}
