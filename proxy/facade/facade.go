// Package facade is the directory's façade: it answers the searches of
// establishments by the annuaire's signed answer, byte for byte or with each
// address replaced by one of ours (profile section 5).
package facade

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/register"
)

// A Sealer hides and binds what only the instances of this RPN may read:
// internal/secret's Ring.
type Sealer interface {
	Seal(purpose string, plain []byte) []byte
	Open(purpose string, sealed []byte) ([]byte, error)
}

// Options are what a Facade needs. Verifier is required; Keys, Sign and
// Endpoint are for the mode reecriture.
type Options struct {
	// Verifier checks the annuaire's answers, and Signer, where given, is who
	// must have signed them.
	Verifier *xmlsig.Verifier
	Signer   roc.StructureID

	// Directory asks the annuaire, and remembers: annuaire.Directory. Required.
	Directory interface {
		Search(ctx context.Context, who roc.StructureID, s annuaire.Search) (annuaire.Searched, error)
	}

	Limits soap.Limits // of an answer

	Keys     Sealer                                                 // of the addresses that are given out
	Sign     func(m roc.Content, at time.Time) (roc.Content, error) // the answers that are rewritten
	Endpoint string                                                 // the public URL of POST /roc
	Life     time.Duration                                          // of an address given out

	Now func() time.Time // default: time.Now
}

// A Facade answers searches. Safe for concurrent use.
type Facade struct{ o Options }

// New makes a Facade.
func New(o Options) *Facade {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Limits == (soap.Limits{}) {
		panic("facade: Limits are required")
	}
	return &Facade{o: o}
}

// Rewrites reports whether the mode reecriture is possible.
func (f *Facade) Rewrites() bool {
	return f.o.Keys != nil && f.o.Sign != nil && f.o.Endpoint != ""
}

// An Answer is what a search is answered.
type Answer struct {
	Status      int
	ContentType string
	Body        roc.Content
	FromMemory  bool // the annuaire was not asked, or did not answer
	Stale       bool // it did not answer
}

// Search answers an establishment's own question, which ask puts to the
// annuaire as it came; ask must use nothing of the exchange, which it may
// outlive. The question may be unsigned: it decides nothing but its own answer.
func (f *Facade) Search(ctx context.Context, es *register.Etablissement, asked *xmlsig.Checked, ask func(context.Context) (Answer, error)) (Answer, error) {
	rewrite := es.Facade == register.Reecriture
	if rewrite && !f.Rewrites() {
		// app.Config.CanServe accepts no such register.
		return Answer{}, roc.Refuse(roc.Internal, "the register says facade: reecriture, and the configuration has no façade").Because(roc.ProgramFault)
	}
	q := questionOf(asked.Envelope())
	found, err := f.o.Directory.Search(ctx, es.Structure, annuaire.Search{
		ID: q.id(), AMC: q.amc,
		Ask: func(ctx context.Context) (annuaire.Searched, error) {
			a, err := ask(ctx)
			return f.heard(a, err)
		},
		Verify: func(a annuaire.Searched) (annuaire.Verified, error) { return f.believe(q, a) },
	})
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Status: found.Status, ContentType: found.ContentType, Body: found.Body, FromMemory: found.Remembered, Stale: found.Stale}
	if a.ContentType == "" {
		a.ContentType = asked.Envelope().Version().ContentType()
	}
	if !rewrite || a.Status != 200 { // a fault of the annuaire is handed on as it came
		return a, nil
	}
	checked, err := f.verify(q, found)
	if err != nil {
		return Answer{}, roc.Refuse(roc.AnnuaireRefused, "the annuaire's answer: %w", err).Because(roc.AnnuaireBadAnswer).After(retrySoon)
	}
	defer checked.Envelope().Release()
	return f.rewrite(es, asked.Envelope(), a, checked)
}

// heard is what the annuaire answered; a 5xx without an envelope is silence, as
// for the questions of the RPN itself, and what is remembered serves.
func (f *Facade) heard(a Answer, err error) (annuaire.Searched, error) {
	if err == nil && a.Status >= 500 && !f.readable(a.Body) {
		err = roc.Refuse(roc.AnnuaireSilent, "HTTP status %d without an envelope", a.Status).Because(roc.AnnuaireUnreachable).After(retrySoon)
	}
	return annuaire.Searched{Status: a.Status, ContentType: a.ContentType, Body: a.Body}, err
}

func (f *Facade) readable(m roc.Content) bool {
	env, err := soap.Read(m, f.o.Limits)
	if err != nil {
		return false
	}
	env.Release()
	return true
}

const retrySoon = 10 * time.Second

// believe verifies an answer. It serves until its own signature is no longer
// young enough for an establishment to accept it: half of its life.
func (f *Facade) believe(q question, a annuaire.Searched) (annuaire.Verified, error) {
	checked, err := f.verify(q, a)
	if err != nil {
		return annuaire.Verified{}, err
	}
	defer checked.Envelope().Release()
	v := annuaire.Verified{Until: a.At.Add(checked.Until().Sub(a.At) / 2)}
	answer, err := message.ReadSearchAnswer(checked)
	if err == nil && answer.Code == message.RetourTrouve {
		v.Says = digestOf(answer)
	}
	return v, err
}

// digestOf is a digest of where an answer sends, in whatever order it says so.
func digestOf(a message.SearchAnswer) (says [16]byte) {
	lines := []string{string(a.AMC)}
	for _, d := range a.Adresses {
		lines = append(lines, fmt.Sprintf("%q %q %q %q %q", d.Service, d.Norme, d.Version, d.Type, d.Valeur))
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	copy(says[:], sum[:])
	return says
}

// verify checks an answer of the annuaire at the time it was given: who signed
// it, and that it is about the AMC asked.
func (f *Facade) verify(q question, a annuaire.Searched) (*xmlsig.Checked, error) {
	env, err := soap.Read(a.Body, f.o.Limits)
	if err != nil {
		return nil, err
	}
	checked, err := f.o.Verifier.Check(env, xmlsig.Policy{Answer: true}, xmlsig.Expect{Structure: f.o.Signer}, a.At)
	if err != nil {
		env.Release()
		return nil, err
	}
	answer, err := message.ReadSearchAnswer(checked)
	if err == nil && answer.Code == message.RetourTrouve && q.amc != "" && answer.AMC != q.amc {
		err = errors.New("it is about another AMC than the one asked")
	}
	if err != nil {
		env.Release()
		return nil, err
	}
	return checked, nil
}

// rewrite answers in the annuaire's place: each address of a service that
// passes here becomes one of ours, the rest stays as it is, mail addresses with
// it.
func (f *Facade) rewrite(es *register.Etablissement, asked *soap.Envelope, a Answer, checked *xmlsig.Checked) (Answer, error) {
	answer, err := message.ReadSearchAnswer(checked)
	if err != nil {
		return Answer{}, err
	}
	if to, ok := message.AddressingOf(asked); ok {
		answer.Addressing = &message.Addressing{RelatesTo: to.MessageID}
	}
	now := f.o.Now()
	for i := range answer.Adresses {
		a := &answer.Adresses[i]
		service, err1 := roc.ParseService(a.Service)
		version, err2 := roc.ParseVersion(a.Version)
		if err1 != nil || err2 != nil || service == roc.Annuaire || a.Norme != message.NormeROC || a.Type != message.TypeURL {
			continue
		}
		k := Token{es.Structure, answer.AMC, service, version, now.Add(f.o.Life)}
		a.Valeur = strings.TrimSuffix(f.o.Endpoint, "/") + "/" + k.seal(f.o.Keys)
	}
	answer.Adresses = slices.CompactFunc(answer.Adresses, sameService)
	m, err := f.o.Sign(answer.Envelope(asked.Version()), now)
	if err != nil {
		return Answer{}, fmt.Errorf("signing the rewritten answer: %w", err)
	}
	return Answer{Status: 200, ContentType: asked.Version().ContentType(), Body: m, FromMemory: a.FromMemory, Stale: a.Stale}, nil
}

// sameService: several addresses of one service are one address of ours, which
// fails over by itself.
func sameService(a, b message.Adresse) bool {
	return a.Type == message.TypeURL && a.Type == b.Type && a.Service == b.Service && a.Norme == message.NormeROC && a.Norme == b.Norme && a.Version == b.Version
}
