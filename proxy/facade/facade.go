// Package facade is the directory's façade: it answers the searches of
// establishments by the annuaire's signed answer, byte for byte or with each
// address replaced by one of ours (profile section 5).
package facade

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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

// A Token is the last part of an address that the façade gives out. It is
// sealed: opaque to whoever holds it, and of no use to another establishment,
// for another insurer or service, or after its time. It decides no route: the
// signed message does, and must agree with it.
type Token struct {
	structure roc.StructureID
	amc       roc.NumeroAMC
	service   roc.Service
	version   roc.Version
	until     time.Time
}

const (
	// tokenPurpose binds the seal; its value is in every address given out.
	tokenPurpose = "clef"
	maxToken     = 256
)

func (k *Token) seal(s Sealer) string {
	b := make([]byte, 0, 48)
	b = append(b, byte(k.service), byte(k.version), byte(len(k.amc)))
	b = append(b, k.amc...)
	b = binary.BigEndian.AppendUint64(b, uint64(k.until.Unix()))
	b = append(b, k.structure...)
	return base64.RawURLEncoding.EncodeToString(s.Seal(tokenPurpose, b))
}

func readToken(s Sealer, text string) (*Token, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(text) > maxToken {
		return nil, errors.New("it is no text of ours")
	}
	b, err := s.Open(tokenPurpose, sealed)
	if err != nil {
		return nil, err
	}
	if len(b) < 3 || len(b) < 3+int(b[2])+8 {
		return nil, errors.New("it is too short")
	}
	rest := b[3+int(b[2]):]
	return &Token{
		service: roc.Service(b[0]), version: roc.Version(b[1]), amc: roc.NumeroAMC(b[3 : 3+int(b[2])]),
		until: time.Unix(int64(binary.BigEndian.Uint64(rest)), 0), structure: roc.StructureID(rest[8:]),
	}, nil
}

// ErrNotGivenOut is the cause of the refusal of an address that is none of the
// façade's: nothing is found there.
var ErrNotGivenOut = errors.New("an address of the façade that was not given out")

// OpenToken reads the last part of an address that a message was sent to: it
// must be of this establishment, and in its time.
func (f *Facade) OpenToken(text string, es roc.StructureID, at time.Time) (*Token, error) {
	k, err := readToken(f.o.Keys, text)
	if err != nil {
		return nil, roc.Refuse(roc.BadKey, "%w: %w", ErrNotGivenOut, err).
			Saying("Cette adresse n'a pas été donnée par le RPN : interrogez de nouveau l'annuaire.")
	}
	switch {
	case k.structure != es:
		return nil, roc.Refuse(roc.StructureMismatch, "an address of the façade that was given to another establishment").
			Saying("Cette adresse a été donnée à un autre établissement : interrogez l'annuaire avec le certificat de celui-ci.")
	case !at.Before(k.until):
		return nil, roc.Refuse(roc.BadKey, "an address of the façade that is out of date").
			Saying("Cette adresse n'est plus valable : interrogez de nouveau l'annuaire.")
	}
	return k, nil
}

// Agrees refuses a message whose signed fields are not those of the address it
// was sent to. A nil Token, of the common address, agrees with any.
func (k *Token) Agrees(key roc.Key) error {
	if k == nil || k.amc == key.AMC && k.service == key.Service && k.version == key.Version {
		return nil
	}
	return roc.Refuse(roc.BadKey, "the message is not for the insurer, service and version of the façade's address").
		Saying("Cette adresse est celle du service %s %s de l'organisme %s ; le message en désigne un autre.", k.service, k.version, k.amc)
}

// A question is a search, as far as its answer depends on it.
type question struct {
	soap  soap.Version
	amc   roc.NumeroAMC
	other string
}

// questionOf reads a search; false when its answer must not serve another: it
// carries WS-Addressing headers, which the answer repeats, or cannot be read.
func questionOf(env *soap.Envelope) (question, bool) {
	s, err := message.ReadSearch(env)
	if err != nil {
		return question{}, false
	}
	q := question{env.Version(), s.AMC, fmt.Sprintf("%q", []string{string(s.Convention), string(s.CSR), string(s.Domaine), s.Service, s.Norme, s.Version, strings.Join(s.Types, " ")})}
	_, addressed := message.AddressingOf(env)
	return q, !addressed
}

// A storedAnswer is an answer of the annuaire, when it came, and until when its
// signature is young.
type storedAnswer struct {
	Answer
	at, until time.Time
}

// remembered holds the last answers, a bounded number: the first in goes first.
type remembered struct {
	mu    sync.Mutex // guards all below
	by    map[question]storedAnswer
	order []question
}

// maxRemembered answers of a few kB.
const maxRemembered = 4096

// get returns an answer that is young, or not older than maxAge when that is
// given.
func (r *remembered) get(q question, now time.Time, maxAge time.Duration) (storedAnswer, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.by[q]
	return a, ok && (now.Before(a.until) || now.Sub(a.at) < maxAge)
}

func (r *remembered) put(q question, a storedAnswer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[question]storedAnswer{}
	}
	if _, ok := r.by[q]; !ok {
		if len(r.order) >= maxRemembered {
			delete(r.by, r.order[0])
			r.order = r.order[1:]
		}
		r.order = append(r.order, q)
	}
	r.by[q] = a
}
