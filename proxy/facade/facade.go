// Package facade is the directory's façade: it answers the searches of
// establishments by the annuaire's signed answer, byte for byte or with each
// address replaced by one of ours (profile section 5).
package facade

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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

	// MaxAge is how long an answer serves when the annuaire is silent.
	MaxAge time.Duration

	Limits soap.Limits // of an answer; zero: soap.DefaultLimits

	Keys     Sealer                                                 // of the addresses that are given out
	Sign     func(m roc.Content, at time.Time) (roc.Content, error) // the answers that are rewritten
	Endpoint string                                                 // the public URL of POST /roc
	Life     time.Duration                                          // of an address given out

	Now func() time.Time // default: time.Now
}

// A Facade answers searches. Safe for concurrent use.
type Facade struct {
	o      Options
	memory remembered
}

// New makes a Facade.
func New(o Options) *Facade {
	if o.Limits == (soap.Limits{}) {
		o.Limits = soap.DefaultLimits
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Facade{o: o}
}

// Rewrites reports whether the mode reecriture is possible.
func (f *Facade) Rewrites() bool {
	return f != nil && f.o.Keys != nil && f.o.Sign != nil && f.o.Endpoint != ""
}

// An Answer is what a search is answered.
type Answer struct {
	Status      int
	ContentType string
	Body        roc.Content
	FromMemory  bool // the annuaire was not asked, or did not answer
}

// Search answers an establishment's own question, which ask puts to the
// annuaire as it came. The question may be unsigned: it decides nothing but its
// own answer.
func (f *Facade) Search(es *register.Etablissement, asked *xmlsig.Checked, ask func() (Answer, error)) (Answer, error) {
	rewrite := es.Facade == register.Reecriture
	if rewrite && !f.Rewrites() {
		// app.Config.CanServe accepts no such register.
		return Answer{}, roc.Refuse(roc.Internal, "the register says facade: reecriture, and the configuration has no façade")
	}
	a, checked, err := f.find(asked.Envelope(), ask)
	if err != nil || !rewrite || checked == nil {
		return a, err
	}
	defer checked.Envelope().Release()
	return f.rewrite(es, asked.Envelope(), a, checked)
}

// find is the annuaire's signed answer to a question: remembered while its own
// signature is young enough for the establishment to accept it, else asked,
// else the last one while the annuaire is silent. checked is nil for a fault of
// the annuaire, which is handed on.
func (f *Facade) find(asked *soap.Envelope, ask func() (Answer, error)) (Answer, *xmlsig.Checked, error) {
	now := f.o.Now()
	q, mayRemember := questionOf(asked)
	if mayRemember {
		if a, checked, ok := f.remembered(q, now, 0); ok {
			return a, checked, nil
		}
	}
	far, err := ask()
	if err == nil && far.Status == 200 {
		a := storedAnswer{Answer: far, at: now}
		checked, bad := f.verify(q, a)
		if bad == nil {
			if mayRemember {
				a.until = now.Add(checked.Until().Sub(now) / 2)
				f.memory.put(q, a)
			}
			return far, checked, nil
		}
		far, err = Answer{}, roc.Refuse(roc.AnnuaireRefused, "the annuaire's answer: %w", bad).After(retrySoon)
	}
	if mayRemember && (err == nil || roc.IsRefused(err, roc.AnnuaireSilent) || roc.IsRefused(err, roc.AnnuaireRefused)) {
		if a, checked, ok := f.remembered(q, now, f.o.MaxAge); ok {
			return a, checked, nil
		}
	}
	return far, nil, err // a fault of the annuaire, as it came, or our refusal
}

const retrySoon = 10 * time.Second

// remembered is a kept answer that is young, or not older than maxAge, and
// that still holds.
func (f *Facade) remembered(q question, now time.Time, maxAge time.Duration) (Answer, *xmlsig.Checked, bool) {
	stored, ok := f.memory.get(q, now, maxAge)
	if !ok {
		return Answer{}, nil, false
	}
	checked, err := f.verify(q, stored)
	a := stored.Answer
	a.FromMemory = true
	return a, checked, err == nil
}

// verify checks an answer of the annuaire at the time it was given: who signed
// it, and that it is about the AMC asked.
func (f *Facade) verify(q question, a storedAnswer) (*xmlsig.Checked, error) {
	env, err := soap.Read(a.Body, f.o.Limits)
	if err != nil {
		return nil, err
	}
	checked, err := f.o.Verifier.Check(env, xmlsig.Policy{Answer: true}, xmlsig.Expect{Structure: f.o.Signer}, a.at)
	if err != nil {
		return nil, err
	}
	answer, err := message.ReadSearchAnswer(checked)
	switch {
	case err != nil:
		return nil, err
	case answer.Code == message.RetourTrouve && q.amc != "" && answer.AMC != q.amc:
		return nil, errors.New("it is about another AMC than the one asked")
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
	answer.Addressing = nil
	if to, ok := message.AddressingOf(asked); ok {
		answer.Addressing = &message.Addressing{RelatesTo: to.MessageID}
	}
	now := f.o.Now()
	for i := range answer.Adresses {
		a := &answer.Adresses[i]
		service, err1 := roc.ParseService(a.Service)
		version, err2 := roc.ParseVersion(a.Version)
		if err1 != nil || err2 != nil || service == roc.Annuaire || a.Norme != "ROC" || a.Type != "URL" {
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
	return Answer{Status: 200, ContentType: asked.Version().ContentType(), Body: m, FromMemory: a.FromMemory}, nil
}

// sameService: several addresses of one service are one address of ours, which
// fails over by itself.
func sameService(a, b message.Adresse) bool {
	return a.Type == "URL" && a.Type == b.Type && a.Service == b.Service && a.Norme == "ROC" && a.Norme == b.Norme && a.Version == b.Version
}
