package xmlsig

import (
	"bytes"
	"crypto"
	"errors"
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// A signature is a ds:Signature, parsed but not yet verified.
type signature struct {
	node, signedInfo soap.Node
	form             soap.C14N // of SignedInfo
	method           method
	algorithm        string
	refs             []reference
	value            []byte
	claim            // the signer; remembered once the value verifies
}

type reference struct {
	id        string // a view of the message
	target    soap.Node
	loose     bool // its value is also in another attribute called id
	form      soap.C14N
	enveloped bool
	hash      crypto.Hash
	digest    [64]byte
	size      int
}

// signature reads a ds:Signature by its schema, in order: SignedInfo,
// SignatureValue, KeyInfo, and no Object. It finds the signer's certificate
// and its chain before any expensive work is done.
func (k *checking) signature(s *signature, n, token soap.Node) error {
	*s = signature{node: n, signedInfo: n.First()}
	value := s.signedInfo.Next()
	keyInfo := value.Next()
	if !s.signedInfo.Is(soap.NSDS, "SignedInfo") || !value.Is(soap.NSDS, "SignatureValue") {
		return bad(roc.BadSignatureForm, "Signature is not SignedInfo, SignatureValue, KeyInfo", "ds:Signature doit contenir SignedInfo, SignatureValue puis KeyInfo.")
	}
	if err := k.signedInfo(s); err != nil {
		return err
	}
	if err := onlyKeyInfo(n, keyInfo); err != nil {
		// node-soap's WSSecurityCertWithToken omits KeyInfo, and the Ids of
		// what it signs: the second is the one its user must be told.
		if missing := k.missingTarget(s); missing != nil {
			return missing
		}
		return err
	}
	raw, ok := base64Text(value, maxValue)
	if !ok {
		return bad(roc.BadSignatureForm, "SignatureValue is not text", "SignatureValue doit être un texte base64.")
	}
	k.buf = k.buf[:0]
	decoded, err := appendBase64(k.buf, raw)
	if err != nil || len(decoded) == 0 {
		return bad(roc.BadSignatureForm, "SignatureValue is not base64", "SignatureValue n'est pas en base64 strict.")
	}
	k.buf, s.value = decoded, decoded
	s.claim, err = k.keyInfo(keyInfo, token)
	return err
}

// onlyKeyInfo wants KeyInfo, and nothing after it.
func onlyKeyInfo(signature, keyInfo soap.Node) error {
	if keyInfo.IsZero() {
		return untrusted(roc.CertificateMissing, "no KeyInfo", "La signature n'a pas de KeyInfo : joignez le certificat de signature au message (BinarySecurityToken).")
	}
	if !keyInfo.Is(soap.NSDS, "KeyInfo") || !keyInfo.Next().IsZero() || !signature.OnlyElements() {
		return bad(roc.BadSignatureForm, "something else in Signature", "ds:Signature contient autre chose que SignedInfo, SignatureValue et KeyInfo (ds:Object n'est pas admis).")
	}
	return nil
}

// signedInfo reads CanonicalizationMethod, SignatureMethod and the references.
func (k *checking) signedInfo(s *signature) error {
	canon := s.signedInfo.First()
	sign := canon.Next()
	if !canon.Is(soap.NSDS, "CanonicalizationMethod") || !sign.Is(soap.NSDS, "SignatureMethod") || !s.signedInfo.OnlyElements() {
		return bad(roc.BadSignatureForm, "SignedInfo is not CanonicalizationMethod, SignatureMethod, References", "ds:SignedInfo doit contenir CanonicalizationMethod, SignatureMethod puis des Reference.")
	}
	k.forms = k.forms[:0]
	var err error
	if s.form, err = k.c14n(canon); err != nil {
		return err
	}
	s.form.Comments = isWithComments(canon)
	alg, _ := sign.AttrView("", "Algorithm")
	s.method, s.algorithm = methodOf(alg, k.v.allowSHA1), alg
	if s.method.hash == 0 {
		return forbidden(roc.SignatureAlgorithm, "SignatureMethod", "L'algorithme de signature n'est pas admis (« %s »).", quote(alg[strings.LastIndexByte(alg, '#')+1:]))
	}
	if !sign.First().IsZero() || !sign.OnlyElements() {
		return forbidden(roc.SignatureAlgorithm, "SignatureMethod with parameters", "SignatureMethod ne doit rien contenir.")
	}
	count := 0
	for n := sign.Next(); !n.IsZero(); n = n.Next() {
		if !n.Is(soap.NSDS, "Reference") {
			return bad(roc.BadSignatureForm, "unexpected element in SignedInfo", "ds:SignedInfo contient un élément inattendu.")
		}
		if count == maxReferences {
			return bad(roc.BadReference, "too many references", "La signature a plus de %d références.", maxReferences)
		}
		if err := k.reference(n, &k.refs[count]); err != nil {
			return err
		}
		count++
	}
	if count == 0 {
		return bad(roc.BadReference, "no reference", "La signature n'a aucune référence : elle ne couvre rien.")
	}
	s.refs = k.refs[:count]
	return nil
}

func (k *checking) reference(n soap.Node, r *reference) error {
	*r = reference{}
	uri, ok := n.AttrView("", "URI")
	if !ok || len(uri) < 2 || uri[0] != '#' || !isNCName(uri[1:]) {
		return bad(roc.BadReference, "reference is not #id", "Une référence de la signature n'est pas de la forme #Id (URI vide, externe ou XPointer).")
	}
	r.id = uri[1:]
	transforms := n.First()
	method := transforms.Next()
	value := method.Next()
	if !transforms.IsZero() && !transforms.Is(soap.NSDS, "Transforms") {
		return forbidden(roc.Transforms, "reference without transforms", "La référence #%s n'a pas de transformation : exc-c14n est demandée.", quote(r.id))
	}
	if !method.Is(soap.NSDS, "DigestMethod") || !value.Is(soap.NSDS, "DigestValue") || !value.Next().IsZero() || !n.OnlyElements() {
		return bad(roc.BadSignatureForm, "Reference is not Transforms, DigestMethod, DigestValue", "ds:Reference doit contenir Transforms, DigestMethod puis DigestValue.")
	}
	if err := k.transforms(transforms, r); err != nil {
		return err
	}
	alg, _ := method.AttrView("", "Algorithm")
	if r.hash = digestOf(alg, k.v.allowSHA1); r.hash == 0 || !method.First().IsZero() || !method.OnlyElements() {
		return forbidden(roc.DigestAlgorithm, "DigestMethod", "L'algorithme de condensat de la référence #%s n'est pas admis (« %s »).", quote(r.id), quote(alg[strings.LastIndexByte(alg, '#')+1:]))
	}
	raw, ok := base64Text(value, maxValue)
	if !ok {
		return bad(roc.BadSignatureForm, "DigestValue is not text", "DigestValue doit être un texte base64.")
	}
	digest, err := appendBase64(r.digest[:0], raw)
	if err != nil || len(digest) != r.hash.Size() {
		return bad(roc.BadSignatureForm, "DigestValue is not the base64 of a digest", "Le DigestValue de la référence #%s n'a pas la forme attendue.", quote(r.id))
	}
	r.size = len(digest)
	return nil
}

// transforms accepts exc-c14n once, with enveloped-signature before it or not.
func (k *checking) transforms(n soap.Node, r *reference) error {
	first := n.First()
	if !n.OnlyElements() {
		return bad(roc.BadSignatureForm, "text in Transforms", "ds:Transforms contient du texte.")
	}
	if alg, _ := first.AttrView("", "Algorithm"); first.Is(soap.NSDS, "Transform") && alg == algEnveloped {
		if !first.First().IsZero() || !first.OnlyElements() {
			return forbidden(roc.Transforms, "parameters of enveloped-signature", "La transformation enveloped-signature ne doit rien contenir.")
		}
		r.enveloped = true
		first = first.Next()
	}
	if !first.Is(soap.NSDS, "Transform") || !first.Next().IsZero() {
		return forbidden(roc.Transforms, "transforms", "Les transformations de la référence #%s ne sont pas admises : exc-c14n une fois, rien d'autre.", quote(r.id))
	}
	var err error
	r.form, err = k.c14n(first)
	return err
}

func isWithComments(n soap.Node) bool {
	alg, _ := n.AttrView("", "Algorithm")
	return alg == algExcC14NComments
}

// c14n reads an exc-c14n algorithm and its PrefixList. Comments is left off: a
// reference by #id never holds them (XMLDSig 4.4.3.3).
func (k *checking) c14n(n soap.Node) (soap.C14N, error) {
	var form soap.C14N
	alg, _ := n.AttrView("", "Algorithm")
	if alg != algExcC14N && alg != algExcC14NComments {
		name := alg[strings.LastIndexAny(alg, "#/")+1:]
		return form, forbidden(roc.Canonicalization, "canonicalization", "La canonicalisation doit être exc-c14n (reçu : « %s »).", quote(name))
	}
	list := n.First()
	if !n.OnlyElements() {
		return form, bad(roc.BadSignatureForm, "text in a canonicalization method", "Une méthode de canonicalisation contient du texte.")
	}
	if list.IsZero() {
		return form, nil
	}
	if !list.Is(soap.NSEC, "InclusiveNamespaces") || !list.Next().IsZero() || !list.First().IsZero() || !list.OnlyElements() {
		return form, forbidden(roc.Canonicalization, "parameters of exc-c14n", "exc-c14n n'admet qu'un élément InclusiveNamespaces (attribut PrefixList), vide.")
	}
	prefixes, _ := list.AttrView("", "PrefixList") // absent: an empty list (its schema says optional)
	from := len(k.forms)
	for p := range strings.FieldsFuncSeq(prefixes, isXMLSpace) {
		if len(k.forms)-from == maxPrefixes {
			return form, bad(roc.BadSignatureForm, "PrefixList too long", "Une PrefixList a plus de %d préfixes.", maxPrefixes)
		}
		if p == "#default" {
			p = ""
		}
		k.forms = append(k.forms, p)
	}
	form.Prefixes = k.forms[from:len(k.forms):len(k.forms)]
	return form, nil
}

// isXMLSpace: a list of XML is split at these and at no other blank.
func isXMLSpace(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' }

// resolve finds the target of each reference, by its Id, and refuses targets in
// a place where a signed part is not allowed: wrapping moves the signed part
// elsewhere and puts another in its place.
func (k *checking) resolve(s *signature, p parts) error {
	for id := range k.env.IDs {
		for i := range s.refs {
			r := &s.refs[i]
			switch {
			case id.Value != r.id:
			case id.Loose:
				r.loose = true
			default:
				r.target = id.Node
			}
		}
	}
	for i := range s.refs {
		r := &s.refs[i]
		switch {
		case r.target.IsZero():
			return notFound(r)
		case r.loose:
			return bad(roc.BadIDs, "Id of a signed part repeated", "La valeur « %s » d'un Id signé figure aussi dans un autre attribut id du message.", quote(r.id))
		case !p.mayBeSigned(s.node, r.target, k.env), r.target.Contains(s.node) && !r.enveloped:
			return bad(roc.BadReference, "reference to a part out of place", "La référence #%s désigne un élément qui ne peut pas être signé ici (Body, Timestamp, jeton ou enfant direct de Header).", quote(r.id))
		}
		// Targets never overlap, so the digests cost one pass at most.
		for _, before := range s.refs[:i] {
			if before.target.Same(r.target) {
				return bad(roc.BadReference, "two references to one part", "Deux références de la signature désignent le même élément (#%s).", quote(r.id))
			}
		}
	}
	return nil
}

// missingTarget is the refusal of the first reference to an Id that no element
// has, or nil.
func (k *checking) missingTarget(s *signature) error {
	for i := range s.refs {
		found := false
		for id := range k.env.IDs {
			found = found || id.Value == s.refs[i].id && !id.Loose
		}
		if !found {
			return notFound(&s.refs[i])
		}
	}
	return nil
}

func notFound(r *reference) error {
	return bad(roc.BadReference, "reference target not found", "La référence #%s n'existe pas dans le message.", quote(r.id))
}

// verify computes each digest, then the signature over SignedInfo.
func (k *checking) verify(s *signature) error {
	var failed error // a report compares every digest before it stops
	for i := range s.refs {
		r := &s.refs[i]
		if r.enveloped && r.target.Contains(s.node) {
			r.form.Without = s.node
		}
		h := k.hash(r.hash)
		if err := r.target.Canonical(h, r.form); err != nil {
			return err
		}
		got := h.Sum(k.sum[:0])
		same := bytes.Equal(got, r.digest[:r.size])
		k.compared(r, got, same)
		if !same && failed == nil {
			failed = bad(roc.DigestDiffers, "digest does not match", "Le condensat de la référence #%s ne correspond pas : la partie a été modifiée après la signature, ou canonicalisée autrement.", quote(r.id))
			if k.report == nil {
				return failed
			}
		}
	}
	if failed != nil {
		return failed
	}
	k.passed("digests", "chaque empreinte est celle de sa partie")
	h := k.hash(s.method.hash)
	if err := s.signedInfo.Canonical(h, s.form); err != nil {
		return err
	}
	digest := h.Sum(k.sum[:0])
	err := s.method.verify(s.signer, &k.rsa, digest, s.value)
	if errors.Is(err, errSignature) && !s.method.ecdsa && s.signer.rsa.verifyWithStandard(s.method.hash, digest, s.value) {
		err = nil
		k.v.onDisagreement()
	}
	switch {
	case errors.Is(err, errKeyKind):
		return forbidden(roc.SignatureAlgorithm, "key of another kind", "La clé du certificat n'est pas du type que SignatureMethod annonce.")
	case err != nil:
		return bad(roc.ValueDiffers, "signature value", "La valeur de la signature ne correspond pas au certificat joint : SignedInfo a été modifié, ou une autre clé a signé.")
	}
	k.trust.remember(&s.claim)
	k.passed("value", "la valeur de la signature est celle de la clé du signataire")
	return nil
}

// isNCName says whether s may be an Id: the first character of a name, then
// characters of names, no colon. Beyond ASCII every character passes, since
// what counts is that it is none of URI or XPointer syntax.
func isNCName(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c >= 0x80:
		case i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '.'):
		default:
			return false
		}
	}
	return s != ""
}
