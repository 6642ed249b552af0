package xmlsig

import (
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xsd"
)

const ultimateReceiver = soap.NS12 + "/role/ultimateReceiver"

// parts are the children of wsse:Security.
type parts struct {
	header, security            soap.Node
	timestamp, signature, token soap.Node
	assertion                   soap.Node
}

// security finds the one wsse:Security among the children of Header and parses
// it (profile section 3). Only its known children are allowed, so that no
// reader can find there something that this check did not see.
func (k *checking) security(policy Policy) (parts, error) {
	p := parts{header: k.env.Header()}
	for n := p.header.First(); !n.IsZero(); n = n.Next() {
		if !n.Is(soap.NSWSSE, "Security") {
			continue
		}
		if !p.security.IsZero() {
			return p, bad(roc.BadSecurityHeader, "two Security headers", "Le Header contient deux wsse:Security.")
		}
		p.security = n
	}
	if p.security.IsZero() {
		return p, nil
	}
	if err := k.role(p.security); err != nil {
		return p, err
	}
	for n := p.security.First(); !n.IsZero(); n = n.Next() {
		var slot *soap.Node
		switch {
		case n.Is(soap.NSWSU, "Timestamp"):
			slot = &p.timestamp
		case n.Is(soap.NSDS, "Signature"):
			slot = &p.signature
		case n.Is(soap.NSWSSE, "BinarySecurityToken"):
			slot = &p.token
		case n.Is(soap.NSSAML, "Assertion"):
			slot = &p.assertion
		case policy.Answer && isConfirmation(n):
			continue
		default:
			return p, bad(roc.BadSecurityHeader, "unexpected element in Security", "wsse:Security contient un élément inattendu ; seuls Timestamp, Signature, BinarySecurityToken et un VIHF y ont leur place.")
		}
		if !slot.IsZero() {
			return p, bad(roc.BadSecurityHeader, "element twice in Security", "wsse:Security contient deux fois le même élément (Timestamp, Signature, BinarySecurityToken ou Assertion).")
		}
		*slot = n
	}
	if !p.security.OnlyElements() {
		return p, bad(roc.BadSecurityHeader, "text in Security", "wsse:Security contient du texte entre ses éléments.")
	}
	if k.env.HasComments(p.security) {
		return p, bad(roc.BadSecurityHeader, "comment in Security", "wsse:Security contient un commentaire.")
	}
	return p, nil
}

// isConfirmation says whether an element is a SignatureConfirmation of WSS 1.1
// (section 8.4): an empty element that repeats the value of the request's
// signature. It is tolerated in answers and decides nothing.
func isConfirmation(n soap.Node) bool {
	return n.Is(soap.NSWSSE11, "SignatureConfirmation") && n.First().IsZero() && n.OnlyElements()
}

// role refuses a Security meant for somebody else than the last receiver, and
// the role attribute of the other version of SOAP. An empty one is none.
func (k *checking) role(n soap.Node) error {
	actor, hasActor := n.AttrView(soap.NS11, "actor")
	role, hasRole := n.AttrView(soap.NS12, "role")
	is12 := k.env.Version() == soap.SOAP12
	if hasActor && (is12 || xsd.Collapse(actor) != "") ||
		hasRole && (!is12 || role != ultimateReceiver && xsd.Collapse(role) != "") {
		return bad(roc.BadSecurityHeader, "Security for another role", "wsse:Security s'adresse à un autre rôle (actor ou role) que le destinataire final.")
	}
	return nil
}

// mayBeSigned says whether a reference of sig may point there: the Body, a
// direct child of Header other than Security, the Timestamp, the token, the
// VIHF, a SignatureConfirmation; of the VIHF's signature, the whole assertion and
// nothing else.
func (p *parts) mayBeSigned(sig, n soap.Node, env *soap.Envelope) bool {
	if !sig.Same(p.signature) {
		return n.Same(p.assertion)
	}
	return n.Same(env.Body()) || n.Same(p.timestamp) || n.Same(p.token) || !n.IsZero() && n.Same(p.assertion) ||
		n.Parent().Same(p.security) && isConfirmation(n) || // only answers may have one
		!n.Same(p.security) && !p.header.IsZero() && n.Parent().Same(p.header)
}

// coverage wants the Body itself, by its place in the Envelope, and the
// Timestamp among the targets. timed says whether the Timestamp is signed.
func (k *checking) coverage(sig *signature, p parts, policy Policy) (timed bool, err error) {
	timed = sig.covers(p.timestamp)
	switch {
	case !sig.covers(k.env.Body()):
		return false, roc.Refuse(roc.PartNotSigned, "the Body is not covered").Because(roc.BodyNotSigned).Saying("Le Body n'est pas couvert par la signature.")
	case p.timestamp.IsZero() && !policy.TimestampOptional:
		return false, roc.Refuse(roc.PartNotSigned, "no Timestamp").Because(roc.NoTimestamp).Saying("Le message n'a pas de wsu:Timestamp.")
	case !timed && !policy.TimestampOptional:
		return false, roc.Refuse(roc.PartNotSigned, "the Timestamp is not covered").Because(roc.TimestampNotSigned).Saying("Le Timestamp n'est pas couvert par la signature.")
	}
	return timed, nil
}

// covers says whether one of the references is to that very element.
func (s *signature) covers(n soap.Node) bool {
	for i := range s.refs {
		if !n.IsZero() && s.refs[i].target.Same(n) {
			return true
		}
	}
	return false
}

// quote makes an Id of the message fit for a sentence to its sender.
func quote(s string) string {
	const most = 40
	out := make([]rune, 0, most)
	for _, r := range s {
		if len(out) == most {
			return string(out) + "…"
		}
		if r < ' ' || r == '<' || r == '&' {
			r = '?'
		}
		out = append(out, r)
	}
	return string(out)
}
