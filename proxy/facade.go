package proxy

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

// A Facade is what the RPN needs to answer the searches of establishments
// itself (profile section 5). Verifier is required; Keys, Sign and Endpoint are
// for the mode reecriture.
type Facade struct {
	// Verifier checks the annuaire's answers, and Signer, where given, is who
	// must have signed them.
	Verifier *xmlsig.Verifier
	Signer   roc.StructureID

	// MaxAge is how long an answer serves when the annuaire is silent.
	MaxAge time.Duration

	Keys     Sealer                                                 // of the addresses that are given out
	Sign     func(m roc.Content, at time.Time) (roc.Content, error) // the answers that are rewritten
	Endpoint string                                                 // the public URL of POST /roc
	Life     time.Duration                                          // of an address given out

	memory remembered
}

// rewrites reports whether the mode reecriture is possible.
func (f *Facade) rewrites() bool {
	return f != nil && f.Keys != nil && f.Sign != nil && f.Endpoint != ""
}

// search answers an establishment's own question to the annuaire: by the
// annuaire's signed answer, byte for byte, or rewritten (profile section 5). It
// is a read: it may be asked again. The question may be unsigned: it decides
// nothing but its own answer.
func (x *exchange) search(es *register.Etablissement, caller roc.StructureID, c *xmlsig.Checked) (farAnswer, error) {
	if x.clef != nil {
		return farAnswer{}, roc.Refuse(roc.BadKey, "a search at an address of the façade").
			Saying("Cette adresse est celle d'un service d'un organisme ; l'annuaire est interrogé à l'adresse %s.", Path)
	}
	if x.proxy.o.AnnuaireURL == "" {
		return farAnswer{}, roc.Refuse(roc.AnnuaireSilent, "no annuaire is configured")
	}
	f := x.proxy.o.Facade
	rewrite := es.Facade == register.Reecriture
	switch {
	case rewrite && !f.rewrites():
		// app.Config.CanServe accepts no such register.
		return farAnswer{}, roc.Refuse(roc.Internal, "the register says facade: reecriture, and the configuration has no façade")
	case f == nil:
		return x.passOn(caller, c)
	}
	a, checked, err := x.searched(f, caller, c)
	if err != nil || !rewrite || checked == nil {
		return a, err
	}
	defer checked.Envelope().Release()
	return x.rewrite(f, es, c.Envelope(), checked)
}

// passOn puts the question to the annuaire as it came.
func (x *exchange) passOn(caller roc.StructureID, c *xmlsig.Checked) (farAnswer, error) {
	m := x.outgoing(caller, c)
	m.again = true
	a, err := x.proxy.o.Annuaire.Send(x.ctx, x.rec, []string{x.proxy.o.AnnuaireURL}, m)
	x.rec.Annuaire, x.rec.AMC = x.rec.AMC, 0
	if err != nil {
		return farAnswer{}, ofAnnuaire(err)
	}
	x.rec.Origin = roc.FromAnnuaire
	return a, nil
}

// searched is the annuaire's signed answer to a question: remembered while its
// own signature is young enough for the establishment to accept it, else asked,
// else the last one while the annuaire is silent. checked is nil for a fault of
// the annuaire, which is handed on.
func (x *exchange) searched(f *Facade, caller roc.StructureID, c *xmlsig.Checked) (farAnswer, *xmlsig.Checked, error) {
	now := x.proxy.o.Now()
	q, mayRemember := questionOf(c.Envelope())
	if mayRemember {
		if a, ok := f.memory.get(q, now, 0); ok {
			if checked, err := f.believe(q, a, x.proxy.o.Limits); err == nil {
				return x.fromMemory(a), checked, nil
			}
		}
	}
	far, err := x.passOn(caller, c)
	if err == nil && far.status == 200 {
		a := storedAnswer{far: far, at: now}
		checked, bad := f.believe(q, a, x.proxy.o.Limits)
		if bad == nil {
			if mayRemember {
				a.until = now.Add(checked.Until().Sub(now) / 2)
				f.memory.put(q, a)
			}
			return far, checked, nil
		}
		far, err = farAnswer{}, roc.Refuse(roc.AnnuaireRefused, "the annuaire's answer: %w", bad).After(retrySoon)
	}
	if mayRemember && (err == nil || roc.IsRefused(err, roc.AnnuaireSilent) || roc.IsRefused(err, roc.AnnuaireRefused)) {
		if a, ok := f.memory.get(q, now, f.MaxAge); ok {
			if checked, e := f.believe(q, a, x.proxy.o.Limits); e == nil {
				return x.fromMemory(a), checked, nil
			}
		}
	}
	return far, nil, err // a fault of the annuaire, as it came, or our refusal
}

func (x *exchange) fromMemory(a storedAnswer) farAnswer {
	x.rec.Origin, x.rec.FromMemory = roc.FromCache, true
	return a.far
}

// believe checks an answer of the annuaire at the time it was given: who
// signed it, and that it is about the AMC asked.
func (f *Facade) believe(q question, a storedAnswer, limits soap.Limits) (*xmlsig.Checked, error) {
	env, err := soap.Read(a.far.body, limits)
	if err != nil {
		return nil, err
	}
	checked, err := f.Verifier.Check(env, xmlsig.Policy{Answer: true}, xmlsig.Expect{Structure: f.Signer}, a.at)
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
func (x *exchange) rewrite(f *Facade, es *register.Etablissement, asked *soap.Envelope, checked *xmlsig.Checked) (farAnswer, error) {
	answer, err := message.ReadSearchAnswer(checked)
	if err != nil {
		return farAnswer{}, err
	}
	answer.Addressing = nil
	if a, ok := message.AddressingOf(asked); ok {
		answer.Addressing = &message.Addressing{RelatesTo: a.MessageID}
	}
	now := x.proxy.o.Now()
	for i := range answer.Adresses {
		a := &answer.Adresses[i]
		service, err1 := roc.ParseService(a.Service)
		version, err2 := roc.ParseVersion(a.Version)
		if err1 != nil || err2 != nil || service == roc.Annuaire || a.Norme != "ROC" || a.Type != "URL" {
			continue
		}
		k := clef{es.Structure, answer.AMC, service, version, now.Add(f.Life)}
		a.Valeur = strings.TrimSuffix(f.Endpoint, "/") + "/" + k.seal(f.Keys)
	}
	answer.Adresses = slices.CompactFunc(answer.Adresses, sameService)
	m, err := f.Sign(answer.Envelope(asked.Version()), now)
	if err != nil {
		return farAnswer{}, fmt.Errorf("signing the rewritten answer: %w", err)
	}
	return farAnswer{status: 200, contentType: asked.Version().ContentType(), body: m}, nil
}

// sameService: several addresses of one service are one address of ours, which
// fails over by itself.
func sameService(a, b message.Adresse) bool {
	return a.Type == "URL" && a.Type == b.Type && a.Service == b.Service && a.Norme == "ROC" && a.Norme == b.Norme && a.Version == b.Version
}

// A clef is the last part of an address that the façade gives out. It is
// sealed: opaque to whoever holds it, and of no use to another establishment,
// for another insurer or service, or after its time. It decides no route: the
// signed message does, and must agree with it.
type clef struct {
	structure roc.StructureID
	amc       roc.NumeroAMC
	service   roc.Service
	version   roc.Version
	until     time.Time
}

const (
	clefPurpose = "clef"
	maxClef     = 256
)

func (k *clef) seal(s Sealer) string {
	b := make([]byte, 0, 48)
	b = append(b, byte(k.service), byte(k.version), byte(len(k.amc)))
	b = append(b, k.amc...)
	b = binary.BigEndian.AppendUint64(b, uint64(k.until.Unix()))
	b = append(b, k.structure...)
	return base64.RawURLEncoding.EncodeToString(s.Seal(clefPurpose, b))
}

func readClef(s Sealer, text string) (*clef, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(text) > maxClef {
		return nil, errors.New("it is no text of ours")
	}
	b, err := s.Open(clefPurpose, sealed)
	if err != nil {
		return nil, err
	}
	if len(b) < 3 || len(b) < 3+int(b[2])+8 {
		return nil, errors.New("it is too short")
	}
	rest := b[3+int(b[2]):]
	return &clef{
		service: roc.Service(b[0]), version: roc.Version(b[1]), amc: roc.NumeroAMC(b[3 : 3+int(b[2])]),
		until: time.Unix(int64(binary.BigEndian.Uint64(rest)), 0), structure: roc.StructureID(rest[8:]),
	}, nil
}

// openClef looks at the address that the message was sent to, when it is one
// that the façade gave out: it must be of this establishment, and in its time.
func (x *exchange) openClef(es *register.Etablissement) error {
	path, _, _ := strings.Cut(x.q.head.target, "?")
	text, ok := strings.CutPrefix(path, Path+"/")
	if !ok || !x.proxy.o.Facade.rewrites() {
		return nil // acceptable judges the path
	}
	k, err := readClef(x.proxy.o.Facade.Keys, text)
	if err != nil {
		x.status = 404
		return roc.Refuse(roc.BadKey, "an address of the façade that was not given out: %w", err).
			Saying("Cette adresse n'a pas été donnée par le RPN : interrogez de nouveau l'annuaire.")
	}
	switch {
	case k.structure != es.Structure:
		return roc.Refuse(roc.StructureMismatch, "an address of the façade that was given to another establishment").
			Saying("Cette adresse a été donnée à un autre établissement : interrogez l'annuaire avec le certificat de celui-ci.")
	case !x.proxy.o.Now().Before(k.until):
		return roc.Refuse(roc.BadKey, "an address of the façade that is out of date").
			Saying("Cette adresse n'est plus valable : interrogez de nouveau l'annuaire.")
	}
	x.clef = k
	return nil
}

// agrees refuses a message whose signed fields are not those of the address it
// was sent to.
func (x *exchange) agrees(key roc.Key) error {
	k := x.clef
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
	far       farAnswer
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
