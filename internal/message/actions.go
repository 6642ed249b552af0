package message

import (
	"mime"
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// CheckActions returns the operation that the Body names, and refuses as
// unknown-operation a Body that names none of the profile, or a message whose
// SOAPAction header, action parameter (contentType is the Content-Type header)
// or wsa:Action names another one. Each of the three may be absent or empty:
// then it states nothing. They never decide anything (profile section 1).
func CheckActions(env *soap.Envelope, contentType, soapAction string) (Operation, error) {
	op, ok := operationOf(env.Body().First())
	if !ok {
		return Operation{}, roc.Refuse(roc.UnknownOperation, "the Body's child is no request of the profile").
			Saying("L'élément du Body n'est une requête d'aucun service du profil (espace de noms et nom local, voir GET /roc?wsdl).")
	}
	if stated := unquote(soapAction); stated != "" && stated != op.Action {
		return Operation{}, disagree("SOAPAction", op)
	}
	stated, err := actionParameter(contentType)
	if err != nil {
		return Operation{}, roc.Refuse(roc.UnknownOperation, "Content-Type parameters: %v", err).
			Saying("Le paramètre action de Content-Type est illisible.")
	}
	if stated != "" && stated != op.Action {
		return Operation{}, disagree("action (Content-Type)", op)
	}
	return op, checkWSAAction(env.Header(), op)
}

func checkWSAAction(header soap.Node, op Operation) error {
	seen := false
	for n := header.First(); !n.IsZero(); n = n.Next() {
		if !n.Is(soap.NSWSA, "Action") {
			continue
		}
		if seen {
			return roc.Refuse(roc.UnknownOperation, "two wsa:Action").Saying("L'en-tête wsa:Action figure deux fois.")
		}
		seen = true
		text, ok := n.Text()
		if stated := strings.TrimSpace(text); !ok || stated != "" && stated != op.Action {
			return disagree("wsa:Action", op)
		}
	}
	return nil
}

func disagree(where string, op Operation) error {
	return roc.Refuse(roc.UnknownOperation, "%s names another operation than the Body", where).
		Saying("%s ne désigne pas l'opération du Body ; attendu : %s.", where, op.Action)
}

// unquote reads a SOAPAction header: quoted (SOAP 1.1 section 6.1.1), or bare
// as several clients write it.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	return strings.TrimSpace(s)
}

// actionParameter returns the action parameter of a Content-Type (RFC 3902),
// "" when there is none. The usual Content-Type has none and costs nothing.
func actionParameter(contentType string) (string, error) {
	_, parameters, _ := strings.Cut(contentType, ";")
	if !containsFold(parameters, "action") {
		return "", nil
	}
	_, p, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(p["action"]), nil
}

func containsFold(s, lower string) bool {
	for i := 0; i+len(lower) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(lower)], lower) {
			return true
		}
	}
	return false
}

// MessageID returns the text of wsa:MessageID when it is a UUID, "uuid:..." or
// "urn:uuid:...", and "" for anything else: it goes into our log, so it may
// hold nothing a person could write there. It is unsigned and decides nothing.
func MessageID(env *soap.Envelope) string {
	text, ok := env.Header().Child(soap.NSWSA, "MessageID").Text()
	if !ok {
		return ""
	}
	text = strings.TrimSpace(text)
	u, ok := strings.CutPrefix(strings.TrimPrefix(text, "urn:"), "uuid:")
	if !ok || !isUUID(u) {
		return ""
	}
	return text
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F':
		default:
			return false
		}
	}
	return true
}
