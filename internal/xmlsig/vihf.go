package xmlsig

import (
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xsd"
)

// The result of the check of a VIHF whose signature and structure are good. The
// list is closed: it labels a metric.
const (
	VIHFGood         = "good"
	VIHFNotCovered   = "not-covered"   // the message's signature does not cover it: it may come from another message
	VIHFNoConditions = "no-conditions" // it does not say until when it is valid
	VIHFNotYet       = "not-yet"       // before NotBefore
	VIHFExpired      = "expired"       // at NotOnOrAfter or after
)

// vihfOutcome checks what the policy of the VIHF depends on: whether the
// message's signature covers the assertion, and its Conditions at the time of
// the check, with the tolerance of the Timestamp. Under Policy.EnforceVIHF
// anything but good is refused.
func (k *checking) vihfOutcome(assertion soap.Node, covered bool, p Policy) (string, error) {
	outcome := VIHFNotCovered
	if covered {
		outcome = k.conditions(assertion)
	}
	if outcome == VIHFGood || !p.EnforceVIHF {
		return outcome, nil
	}
	switch outcome {
	case VIHFNotCovered:
		return outcome, roc.Refuse(roc.PartNotSigned, "the VIHF is not covered").Because(roc.VIHFNotCovered).
			Saying("Le VIHF n'est pas couvert par la signature du message : ajoutez-le aux références signées.")
	case VIHFNotYet:
		return outcome, stale(roc.VIHFConditions, "the VIHF is not valid yet", "Le VIHF n'est pas encore valable (Conditions, NotBefore).")
	case VIHFExpired:
		return outcome, stale(roc.VIHFConditions, "the VIHF has expired", "Le VIHF n'est plus valable (Conditions, NotOnOrAfter) : faites-en un par message.")
	}
	return outcome, stale(roc.VIHFConditions, "the VIHF has no readable Conditions", "Le VIHF doit porter un seul élément Conditions, avec NotOnOrAfter (date et heure avec fuseau).")
}

// conditions reads the one Conditions of an assertion. Unreadable Conditions
// count as not fulfilled.
func (k *checking) conditions(assertion soap.Node) string {
	var conditions soap.Node
	for n := assertion.First(); !n.IsZero(); n = n.Next() {
		if !n.Is(soap.NSSAML, "Conditions") {
			continue
		}
		if !conditions.IsZero() {
			return VIHFNoConditions
		}
		conditions = n
	}
	if v, ok := conditions.AttrView("", "NotBefore"); ok {
		from, zoned, err := xsd.DateTime(v)
		if err != nil || !zoned {
			return VIHFNoConditions
		}
		if k.at.Before(from.Add(-k.v.tolerance)) {
			return VIHFNotYet
		}
	}
	v, _ := conditions.AttrView("", "NotOnOrAfter")
	end, zoned, err := xsd.DateTime(v)
	if err != nil || !zoned {
		return VIHFNoConditions
	}
	if !k.at.Before(end.Add(k.v.tolerance)) {
		return VIHFExpired
	}
	return VIHFGood
}

// vihf checks a VIHF assertion (profile section 3): signed by an enveloped
// signature over the whole assertion, under the same rules, by the same
// structure as the message, and naming exactly that structure.
func (k *checking) vihf(p parts, e Expect, of *signer) error {
	assertion := p.assertion
	var node soap.Node
	for n := assertion.First(); !n.IsZero(); n = n.Next() {
		if !n.Is(soap.NSDS, "Signature") {
			continue
		}
		if !node.IsZero() {
			return bad(roc.BadVIHFSignature, "two signatures in the VIHF", "Le VIHF porte deux signatures.")
		}
		node = n
	}
	if node.IsZero() {
		return roc.Refuse(roc.NotSigned, "the VIHF is not signed").Because(roc.VIHFNotSigned).Saying("Le VIHF n'est pas signé.")
	}
	var sig signature
	if err := k.signature(&sig, node, soap.Node{}); err != nil {
		return err
	}
	if err := k.resolve(&sig, p); err != nil {
		return err
	}
	if len(sig.refs) != 1 || !sig.refs[0].enveloped {
		return bad(roc.BadVIHFSignature, "VIHF without one enveloped reference", "La signature du VIHF doit avoir une seule référence, avec enveloped-signature puis exc-c14n.")
	}
	if err := k.verify(&sig); err != nil {
		return err
	}
	if sig.signer.structure != of.structure {
		return roc.Refuse(roc.SignerMismatch, "the VIHF and the message have two signers").Because(roc.VIHFOtherSigner).
			Saying("Le VIHF et le message sont signés par deux structures.")
	}
	declared, err := identifiantStructure(assertion)
	if err != nil {
		return err
	}
	want := of.structure
	if e.Structure != "" {
		want = e.Structure
	}
	if declared != string(want) {
		return roc.Refuse(roc.StructureMismatch, "Identifiant_Structure is not the certificate's structure").Because(roc.VIHFStructure).
			Saying("L'Identifiant_Structure du VIHF n'est pas celui du certificat (%s).", want)
	}
	return nil
}

// identifiantStructure reads the one Identifiant_Structure of a VIHF.
func identifiantStructure(assertion soap.Node) (string, error) {
	found, value := 0, ""
	for st := assertion.First(); !st.IsZero(); st = st.Next() {
		if !st.Is(soap.NSSAML, "AttributeStatement") {
			continue
		}
		for a := st.First(); !a.IsZero(); a = a.Next() {
			if name, _ := a.AttrView("", "Name"); !a.Is(soap.NSSAML, "Attribute") || name != "Identifiant_Structure" {
				continue
			}
			v := a.First()
			text, ok := v.Text()
			if !v.Is(soap.NSSAML, "AttributeValue") || !v.Next().IsZero() || !ok {
				found = 2 // malformed: refused below
				continue
			}
			found++
			value = text
		}
	}
	if found != 1 {
		return "", roc.Refuse(roc.StructureMismatch, "the VIHF does not name exactly one structure").Because(roc.VIHFStructure).
			Saying("Le VIHF doit porter un seul Identifiant_Structure.")
	}
	return value, nil
}
