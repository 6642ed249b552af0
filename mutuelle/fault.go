package mutuelle

import (
	"errors"
	"html"
	"net/http"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
)

// NSErreur is the namespace of this insurer's own faults. They are not those
// of the RPN: their codes are AMC01, AMC02...
const NSErreur = "urn:mutuelle-ans:erreur:1"

// A defect is one of this insurer's faults.
type defect struct {
	code   string
	sender bool
	texte  string // French: the establishment reads it
}

// The defects; docs/mutuelle.md lists them.
var (
	unreadable       = defect{"AMC01", true, "Le message n'est pas une enveloppe SOAP lisible."}
	unknownOperation = defect{"AMC02", true, "L'opération demandée n'est pas offerte par la Mutuelle ANS."}
	badSignature     = defect{"AMC03", true, "La signature de l'établissement n'est pas acceptée."}
	badField         = defect{"AMC04", true, "La demande est incomplète ou mal formée."}
	outOfOrder       = defect{"AMC90", false, "Le service est momentanément indisponible."}
)

// fault answers with a defect, in the version of the request, HTTP 500. It is
// signed like every answer of this insurer, unless signing is what failed.
func (m *Mutuelle) fault(v soap.Version, d defect, cause error) reply {
	m.o.Log.Info("fault", "code", d.code, "cause", causeOf(cause))
	c := d.envelope(v, detailOf(cause))
	if signed, err := xmlsig.Sign(c, m.o.Key, xmlsig.SignOptions{At: m.o.Now()}); err == nil {
		c = signed
	} else {
		m.o.Log.Error("a fault could not be signed", "error", err)
	}
	return reply{status: http.StatusInternalServerError, contentType: v.ContentType(), body: c.Bytes()}
}

// detailOf adds a detail, in French, when the caller may see the cause.
func detailOf(cause error) string {
	var f *message.FieldError
	if errors.As(cause, &f) {
		return f.Error()
	}
	var r *roc.Refusal
	if !errors.As(cause, &r) {
		return ""
	}
	if r.Detail != "" {
		return r.Detail
	}
	return r.Reason.Meaning().Libelle
}

// causeOf is what the log writes about a cause; neither error type holds a
// value of the message.
func causeOf(cause error) string {
	if cause == nil {
		return ""
	}
	return cause.Error()
}

func (d defect) envelope(v soap.Version, detail string) roc.Content {
	texte := d.texte
	if detail != "" {
		texte += " " + detail
	}
	texte = html.EscapeString(texte)
	erreur := `<amc:Erreur xmlns:amc="` + NSErreur + `" code="` + d.code + `"><amc:Libelle>` + texte + `</amc:Libelle></amc:Erreur>`
	head := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<soap:Envelope xmlns:soap="` + v.Namespace() + `"><soap:Header/><soap:Body><soap:Fault>`
	tail := `</soap:Fault></soap:Body></soap:Envelope>`
	if v == soap.SOAP11 {
		return roc.NewContent([]byte(head + `<faultcode>` + d.faultCode("Client", "Server") + `</faultcode><faultstring>` + texte +
			`</faultstring><detail>` + erreur + `</detail>` + tail))
	}
	return roc.NewContent([]byte(head + `<soap:Code><soap:Value>` + d.faultCode("Sender", "Receiver") +
		`</soap:Value><soap:Subcode><soap:Value xmlns:amc="` + NSErreur + `">amc:` + d.code + `</soap:Value></soap:Subcode></soap:Code>` +
		`<soap:Reason><soap:Text xml:lang="fr">` + texte + `</soap:Text></soap:Reason><soap:Detail>` + erreur + `</soap:Detail>` + tail))
}

func (d defect) faultCode(sender, receiver string) string {
	if d.sender {
		return "soap:" + sender
	}
	return "soap:" + receiver
}
