package nation

import (
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
)

// A Draft is a message on its way from an establishment's software to the
// network. Mutations change it, to be different or wrong on purpose.
type Draft struct {
	Service roc.Service
	Version roc.Version
	SOAP    soap.Version

	Demande  message.Demande          // the common part; see profile section 4
	Body     func(*Draft) roc.Content // writes the unsigned message; nil: the usual one
	Unsigned bool
	Key      igc.Pair            // who signs
	Sign     xmlsig.SignOptions  // how
	Alter    func([]byte) []byte // changes the bytes after the signature; nil: nothing does

	ContentType string            // "": that of SOAP
	SOAPAction  *string           // nil: the right one
	Header      map[string]string // more headers of the request
	Path        string            // after the RPN's address: "/token"

	Once bool // a connection that ends without an answer is an error: nothing is sent again
}

// A Mutation changes a draft.
type Mutation func(*Draft)

// Unsigned sends the message without a signature.
func Unsigned(d *Draft) { d.Unsigned = true }

// Altered changes a letter of the body after the signature: the patient's
// name.
func Altered(d *Draft) {
	d.Alter = func(b []byte) []byte { return replace(b, "<nom>FICTIF</nom>", "<nom>FICTIV</nom>") }
}

// SignedBy has the message signed with other keys than the establishment's.
func SignedBy(p igc.Pair) Mutation { return func(d *Draft) { d.Key = p } }

// SignedAt has the message signed at another time than now.
func SignedAt(at time.Time) Mutation { return func(d *Draft) { d.Sign.At = at } }

// ForAdherent asks about that member: the fictitious AMC answers by its number.
func ForAdherent(number string) Mutation {
	return func(d *Draft) { d.Demande.Beneficiaire.NumeroAdherent = number }
}

// WithPath sends the message to an address below that of the RPN.
func WithPath(path string) Mutation { return func(d *Draft) { d.Path = path } }

// With changes anything.
func With(f func(*Draft)) Mutation { return f }

// WithHeader adds a header to the request.
func WithHeader(name, value string) Mutation {
	return func(d *Draft) {
		if d.Header == nil {
			d.Header = map[string]string{}
		}
		d.Header[name] = value
	}
}

// draft is a good message of the establishment.
func (e *Etablissement) draft(s roc.Service, v roc.Version, sv soap.Version, amc roc.NumeroAMC) *Draft {
	now := e.n.now()
	e.n.mu.Lock()
	who := e.Character
	e.n.mu.Unlock()
	demande := message.SampleDemande(now, who.EJ, amc)
	demande.Etablissement.EG = who.EG
	return &Draft{
		Service: s, Version: v, SOAP: sv,
		Key:     e.Signature,
		Sign:    xmlsig.SignOptions{At: now},
		Demande: demande,
	}
}

// envelope writes the message and signs it.
func (d *Draft) envelope() (roc.Content, error) {
	write := d.Body
	if write == nil {
		write = (*Draft).usual
	}
	m := write(d)
	if !d.Unsigned {
		var err error
		if m, err = xmlsig.Sign(m, xmlsig.Key{Certificate: d.Key.Cert, Chain: d.Key.Chain, Signer: d.Key.Key}, d.Sign); err != nil {
			return m, err
		}
	}
	if d.Alter != nil {
		m = roc.NewContent(d.Alter(append([]byte(nil), m.Bytes()...)))
	}
	return m, nil
}

// usual is the body of each service.
func (d *Draft) usual() roc.Content {
	op, known := message.OperationFor(d.Service, d.Version)
	if !known || d.Service == roc.Annuaire { // Body says otherwise
		op, _ = message.OperationFor(roc.IDB, roc.V1)
	}
	return message.SampleRequest(op, d.Demande, d.SOAP)
}
