package soap

import (
	"bytes"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// NSErreur is the namespace of the Detail of our faults (profile section 7).
const NSErreur = "urn:rpn:erreur:1"

// Fault writes the fault of a refusal in that version of SOAP, as profile
// section 7 describes it. It is the only place where the RPN writes a fault.
// It is readable as it stands: the Reason is the libellé and, where there is
// one, the detail; the remedy is in the Detail.
func Fault(v Version, id roc.ExchangeID, r *roc.Refusal) roc.Content {
	m := r.Meaning()
	libelle := r.Libelle()
	severity := "erreur"
	if !m.Sender {
		severity = "fatal"
	}
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	detail := func() {
		b.WriteString(`<rpn:Erreur xmlns:rpn="` + NSErreur + `" code="` + m.Code + `" severite="` + severity + `" echange="`)
		escape(&b, string(id))
		b.WriteString(`" responsable="` + string(m.Responsable) + `"><rpn:Libelle>`)
		escape(&b, libelle)
		b.WriteString(`</rpn:Libelle><rpn:Remede>`)
		escape(&b, m.Remede)
		b.WriteString(`</rpn:Remede>`)
		if r.CauseCode != "" {
			b.WriteString(`<rpn:Detail><rpn:Cause code="`)
			escape(&b, string(r.CauseCode))
			if !r.Since.IsZero() {
				b.WriteString(`" depuis="` + r.Since.UTC().Format(time.RFC3339))
			}
			b.WriteString(`"/></rpn:Detail>`)
		}
		b.WriteString(`</rpn:Erreur>`)
	}
	if v == SOAP11 {
		code := "soap:Server"
		if m.Sender {
			code = "soap:Client"
		}
		b.WriteString(`<soap:Envelope xmlns:soap="` + NS11 + `"><soap:Body><soap:Fault><faultcode>` + code + `</faultcode><faultstring xml:lang="fr">`)
		escape(&b, libelle)
		b.WriteString(`</faultstring><detail>`)
		detail()
		b.WriteString(`</detail></soap:Fault></soap:Body></soap:Envelope>` + "\n")
		return roc.NewContent(b.Bytes())
	}
	code := "soap:Receiver"
	if m.Sender {
		code = "soap:Sender"
	}
	b.WriteString(`<soap:Envelope xmlns:soap="` + NS12 + `"><soap:Body><soap:Fault><soap:Code><soap:Value>` + code +
		`</soap:Value><soap:Subcode><soap:Value xmlns:rpn="` + NSErreur + `">rpn:` + m.Code + `</soap:Value></soap:Subcode></soap:Code><soap:Reason><soap:Text xml:lang="fr">`)
	escape(&b, libelle)
	b.WriteString(`</soap:Text></soap:Reason><soap:Detail>`)
	detail()
	b.WriteString(`</soap:Detail></soap:Fault></soap:Body></soap:Envelope>` + "\n")
	return roc.NewContent(b.Bytes())
}

// escape writes text or an attribute's value. What XML cannot carry becomes
// '?': a detail may quote an Id of a message.
func escape(b *bytes.Buffer, s string) {
	for _, r := range strings.ToValidUTF8(s, "?") {
		switch {
		case r < 0x80 && escapes[r] != "":
			b.WriteString(escapes[r])
		case !isChar(r):
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
}

// VersionFor guesses the version to answer in when the message could not be
// read: by the namespace it seems to hold, else by its Content-Type, else 1.2.
func VersionFor(contentType string, b []byte) Version {
	start := b[:min(len(b), 1024)]
	in11, in12 := bytes.Contains(start, []byte(NS11)), bytes.Contains(start, []byte(NS12))
	switch {
	case in11 && !in12:
		return SOAP11
	case in12 && !in11:
		return SOAP12
	case strings.HasPrefix(strings.ToLower(strings.TrimSpace(contentType)), "text/xml"):
		return SOAP11
	}
	return SOAP12
}
