package nation

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// NSError is the namespace of rpn:Erreur (profile section 7).
const NSError = "urn:rpn:erreur:1"

// An Outcome is what an establishment gets for one message.
type Outcome struct {
	Err error // nothing came back: the handshake was refused, the connection was cut

	Status int         // HTTP
	Header http.Header // RPN-Echange, RPN-Origine...
	Sent   roc.Content // the message, as it was sent
	Body   roc.Content
	Took   time.Duration

	Server *x509.Certificate // what the RPN showed when that connection began

	Code    string // "RPN212" of a fault of the RPN, "00" (CodeCR) of an answer, else ""
	Libelle string // the text that goes with it
}

// Origin says who answered: header RPN-Origine.
func (o Outcome) Origin() roc.Origin { return roc.Origin(o.Header.Get("RPN-Origine")) }

// Exchange is the id of the exchange: header RPN-Echange.
func (o Outcome) Exchange() roc.ExchangeID { return roc.ExchangeID(o.Header.Get("RPN-Echange")) }

// Refused reports whether the RPN refused for that reason.
func (o Outcome) Refused(r roc.Reason) bool {
	return o.Err == nil && o.Origin() == roc.FromRPN && o.Code == r.Meaning().Code
}

// Answered reports whether the AMC answered, with that CodeCR.
func (o Outcome) Answered(cr string) bool {
	return o.Err == nil && o.Status == http.StatusOK && o.Origin() == roc.FromAMC && o.Code == cr
}

// String says the outcome in one line.
func (o Outcome) String() string {
	if o.Err != nil {
		return "nothing came back: " + o.Err.Error()
	}
	return fmt.Sprintf("HTTP %d from %q: %s %s", o.Status, o.Origin(), o.Code, o.Libelle)
}

// read fills Code and Libelle from the body, where it is an envelope.
func (o *Outcome) read() {
	env, err := soap.Read(o.Body, soap.DefaultLimits)
	if err != nil {
		return
	}
	child := env.Body().First()
	if cr := child.Path("CR"); !cr.IsZero() {
		o.Code, _ = cr.Path("CodeCR").Text()
		o.Libelle, _ = cr.Path("LibelleCR").Text()
		return
	}
	detail := child.Child(soap.NS12, "Detail")
	if detail.IsZero() {
		detail = child.Path("detail")
	}
	if e := detail.Child(NSError, "Erreur"); !e.IsZero() {
		o.Code, _ = e.Attr("", "code")
		o.Libelle, _ = e.Child(NSError, "Libelle").Text()
	}
}
