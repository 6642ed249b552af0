package xmlsig

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// A Report is what a check found, for the person whose signature is refused. It
// is made by the same code as the result: Explain is Check with a Report to
// fill.
type Report struct {
	Steps      []Step
	References []Reference
	Algorithm  string // SignatureMethod, "" when it was not reached
	Form       TokenForm
	Signer     *x509.Certificate // as presented, trusted or not; nil when none was read
}

// A Step is a step that passed; What is for the vendor of the software, in French.
type Step struct{ Name, What string }

// ChainStep is the step that says that the signer is trusted: true of the trust
// store that was given, whatever it is.
const ChainStep = "chain"

// A Reference is one signed part: the digest the message states and ours.
type Reference struct {
	ID                 string
	Part               string // "Body", "Timestamp", or the name of the element
	Hash               crypto.Hash
	Expected, Computed []byte
	Match              bool
}

// Explain is Check, and reports each step. Unlike Check it continues after a
// digest that does not match, to compare the others.
func (v *Verifier) Explain(env *soap.Envelope, p Policy, e Expect, at time.Time) (*Checked, *Report, error) {
	k := newChecking(v, env, at)
	defer k.done()
	report := &Report{}
	k.report = report
	c, err := k.run(p, e)
	return c, report, err
}

// Covered names the parts whose digests matched.
func (r *Report) Covered() []string {
	var names []string
	for _, ref := range r.References {
		if ref.Match {
			names = append(names, ref.Part)
		}
	}
	return names
}

func (k *checking) passed(name, what string) {
	if k.report != nil {
		k.report.Steps = append(k.report.Steps, Step{name, what})
	}
}

func (k *checking) passedSignature(s *signature) {
	if k.report == nil {
		return
	}
	k.report.Algorithm = s.algorithm
	k.passed("algorithms", "canonisation, empreintes, transformations et signature sont de la liste admise")
	k.passed("signer", "le certificat du signataire est dans le message")
	k.passed(ChainStep, "la chaîne de ce certificat aboutit à une autorité du magasin de confiance")
}

func (k *checking) passedCaller(e Expect, s *signer) {
	switch {
	case k.report == nil:
	case e.Structure == "":
		k.passed("structure", "la structure du signataire n'a pas été comparée à celle d'un appelant")
	case e.Structure == s.structure:
		k.passed("structure", "le signataire et l'appelant sont une même structure")
	default:
		k.passed("structure", "un mandat permet au signataire de signer pour l'appelant")
	}
}

func (k *checking) presented(form TokenForm, text []byte) {
	if k.report == nil || k.report.Signer != nil {
		return
	}
	if der, err := appendBase64(nil, text); err == nil {
		k.report.Form = form
		k.report.Signer, _, _ = parseToken(form, der)
	}
}

func (k *checking) compared(r *reference, got []byte, match bool) {
	if k.report == nil {
		return
	}
	k.report.References = append(k.report.References, Reference{
		ID: string([]byte(r.id)), Part: r.target.Name().Local, Hash: r.hash,
		Expected: bytes.Clone(r.digest[:r.size]), Computed: bytes.Clone(got), Match: match,
	})
}

// A Part is the canonical form of one part of a signed message.
type Part struct {
	Canonical          roc.Content
	Hash               crypto.Hash
	Expected, Computed []byte // Expected is nil when no reference names the part
}

// CanonicalPart returns the bytes that are digested for the part of that Id, or
// for SignedInfo when id is "SignedInfo", so that two implementations can be
// compared. It verifies nothing: it works on messages that Check refuses.
func (v *Verifier) CanonicalPart(env *soap.Envelope, id string) (Part, error) {
	return v.canonicalPart(env, id, nil)
}

// canonicalPart adds more to the PrefixList of the form.
func (v *Verifier) canonicalPart(env *soap.Envelope, id string, more []string) (Part, error) {
	k := newChecking(v, env, time.Time{})
	defer k.done()
	p, err := k.security(Policy{Answer: true})
	if err != nil {
		return Part{}, err
	}
	info := p.signature.First()
	if !info.Is(soap.NSDS, "SignedInfo") {
		return Part{}, roc.Refuse(roc.NotSigned, "no SignedInfo in the Security header").Because(roc.NoSignature)
	}
	s := signature{node: p.signature, signedInfo: info}
	if err := k.signedInfo(&s); err != nil {
		return Part{}, err
	}
	if id == "SignedInfo" {
		return canonicalPart(info, s.form, s.method.hash, nil)
	}
	at := slices.IndexFunc(s.refs, func(r reference) bool { return r.id == id })
	form, hash, want := soap.C14N{}, crypto.SHA256, []byte(nil)
	if at >= 0 {
		form, hash, want = s.refs[at].form, s.refs[at].hash, bytes.Clone(s.refs[at].digest[:s.refs[at].size])
	}
	for named := range env.IDs {
		if named.Value == id && !named.Loose {
			if at >= 0 && s.refs[at].enveloped && named.Node.Contains(s.node) {
				form.Without = s.node
			}
			form.Prefixes = slices.Concat(form.Prefixes, more)
			return canonicalPart(named.Node, form, hash, want)
		}
	}
	return Part{}, bad(roc.BadReference, "no part has that Id", "Aucun élément du message ne porte l'Id « %s ».", quote(id))
}

func canonicalPart(n soap.Node, form soap.C14N, hash crypto.Hash, want []byte) (Part, error) {
	var b bytes.Buffer
	if err := n.Canonical(&b, form); err != nil {
		return Part{}, err
	}
	h := hash.New()
	h.Write(b.Bytes())
	return Part{Canonical: roc.NewContent(b.Bytes()), Hash: hash, Expected: want, Computed: h.Sum(nil)}, nil
}
