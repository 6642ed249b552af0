package message

import (
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xsd"
)

// addressing are the namespaces of WS-Addressing that insurers' software may
// act on: the recommendation, the submission and the drafts before it.
var addressing = [...]string{soap.NSWSA, soap.NSWSA2004, soap.NSWSA2003}

// CheckActions returns the operation that the Body names. It refuses as
// not-soap a media type that does not fit the Envelope, and as
// unknown-operation a Body that names none of the profile, or a message whose
// SOAPAction header, action parameter or wsa:Action, in any namespace of
// WS-Addressing, names another one. Each of them may be absent or empty: then
// it states nothing. They never decide anything (profile section 1).
func CheckActions(env *soap.Envelope, ct ContentType, sa SOAPAction) (Operation, error) {
	if err := ct.agrees(env); err != nil {
		return Operation{}, err
	}
	op, ok := operationOf(env.Body().First())
	if !ok {
		name := env.Body().First().Name()
		r := roc.Refuse(roc.UnknownOperation, "the Body's child is no request of the profile").Because(roc.UnknownRequest)
		if name.Space == "" {
			return Operation{}, r.Saying("Reçu : « %s » sans espace de noms.", cutTo(name.Local, maxQuotedName))
		}
		return Operation{}, r.Saying("Reçu : « %s » dans l'espace de noms « %s ».", cutTo(name.Local, maxQuotedName), cutTo(name.Space, maxQuotedName))
	}
	if sa.action != "" && sa.action != op.Action {
		return Operation{}, disagree("SOAPAction", op)
	}
	if ct.action != "" && ct.action != op.Action {
		return Operation{}, disagree("action (Content-Type)", op)
	}
	return op, checkWSAAction(env.Header(), op)
}

// StatedService is the service that the headers name; NoService: they name
// none. CheckActions refuses a message whose Body is of another.
func StatedService(ct ContentType, sa SOAPAction) roc.Service {
	for i := range operations {
		if a := operations[i].Action; a == sa.action || a == ct.action {
			return operations[i].Service
		}
	}
	return roc.NoService
}

// CheckHeaders parses the HTTP headers of a message, then checks its actions,
// for the servers of the net/http package.
func CheckHeaders(env *soap.Envelope, h interface{ Values(string) []string }) (Operation, error) {
	types, actions := h.Values("Content-Type"), h.Values("SOAPAction")
	if len(types) != 1 || len(actions) > 1 {
		return Operation{}, notSOAP("not one Content-Type, or more than one SOAPAction", "Il faut un en-tête Content-Type, et au plus un SOAPAction.")
	}
	ct, err := ParseContentType(types[0])
	if err != nil {
		return Operation{}, err
	}
	var sa SOAPAction
	if len(actions) == 1 {
		if sa, err = ParseSOAPAction(actions[0], true); err != nil {
			return Operation{}, err
		}
	}
	return CheckActions(env, ct, sa)
}

func checkWSAAction(header soap.Node, op Operation) error {
	var seen [len(addressing)]bool
	for n := header.First(); !n.IsZero(); n = n.Next() {
		i := isAction(n)
		if i < 0 {
			continue
		}
		if seen[i] {
			return roc.Refuse(roc.UnknownOperation, "two wsa:Action").Because(roc.ActionUnreadable).Saying("L'en-tête wsa:Action figure deux fois.")
		}
		seen[i] = true
		text, ok := n.Text()
		if stated := xsd.Collapse(text); !ok || stated != "" && stated != op.Action {
			return disagree("wsa:Action", op)
		}
	}
	return nil
}

// isAction returns the index in addressing of the namespace of a wsa:Action, or
// -1.
func isAction(n soap.Node) int {
	for i, space := range addressing {
		if n.Is(space, "Action") {
			return i
		}
	}
	return -1
}

func disagree(where string, op Operation) error {
	return roc.Refuse(roc.UnknownOperation, "%s names another operation than the Body", where).Because(roc.ActionsDisagree).
		Saying("%s ne désigne pas l'opération du Body ; attendu : %s.", where, op.Action)
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
	if !ok || !roc.IsUUID(u) {
		return ""
	}
	return text
}
