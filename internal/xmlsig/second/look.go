package second

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha512" // SHA-512 of references
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Result is the result of a second verification. The list is closed: it
// labels a metric.
type Result string

// The results. Cannot: the message holds a construct that these libraries are
// known to get wrong, or cannot read, and they did not agree; that is no result
// about the signature, and never counts as one.
const (
	Agrees    Result = "agrees"
	Disagrees Result = "disagrees"
	Cannot    Result = "cannot"
)

const (
	nsDS   = "http://www.w3.org/2000/09/xmldsig#"
	nsWSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	nsWSU  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"

	nsSAML = "urn:oasis:names:tc:SAML:2.0:assertion"

	excC14N   = "http://www.w3.org/2001/10/xml-exc-c14n#"
	enveloped = nsDS + "enveloped-signature"
	sha256URI = "http://www.w3.org/2001/04/xmlenc#sha256"
	sha512URI = "http://www.w3.org/2001/04/xmlenc#sha512"
)

// errCannot: these libraries cannot decide about such a message.
var errCannot = errors.New("not judged")

// Verify verifies a message that was accepted as signed by that certificate:
// the digests of all parts, including the Body, and the value. The error says
// where it differs, and quotes nothing of the message.
func Verify(m roc.Content, signer *x509.Certificate) (result Result, err error) {
	defer func() {
		if v := recover(); v != nil { // third-party code on untrusted bytes
			result, err = Cannot, fmt.Errorf("%w: a panic of type %T", errCannot, v)
		}
	}()
	err = look(m.Bytes(), signer)
	switch {
	case err == nil:
		return Agrees, nil
	case errors.Is(err, errCannot):
		return Cannot, err
	}
	if why := knownWrong(m.Bytes()); why != "" {
		return Cannot, fmt.Errorf("%w: %s: %w", errCannot, why, err)
	}
	return Disagrees, err
}

func look(m []byte, signer *x509.Certificate) error {
	doc := etree.NewDocument()
	doc.ReadSettings.PreserveCData = false
	if err := doc.ReadFromBytes(bytes.TrimPrefix(m, []byte("\xEF\xBB\xBF"))); err != nil {
		return fmt.Errorf("%w: etree cannot read it", errCannot)
	}
	root := doc.Root()
	if root == nil || root.Tag != "Envelope" {
		return errors.New("no Envelope")
	}
	header, body := child(root, root.NamespaceURI(), "Header"), child(root, root.NamespaceURI(), "Body")
	security := child(header, nsWSSE, "Security")
	signature := child(security, nsDS, "Signature")
	info := child(signature, nsDS, "SignedInfo")
	if body == nil || info == nil {
		return errors.New("no Body or no SignedInfo")
	}
	if err := sameCertificate(security, signature, signer); err != nil {
		return err
	}
	covered := false
	references := 0
	for _, ref := range info.ChildElements() {
		if ref.Tag != "Reference" {
			continue
		}
		references++
		target, err := verifyReference(root, ref, signature)
		if err != nil {
			return fmt.Errorf("reference %d: %w", references, err)
		}
		covered = covered || target == body
	}
	if !covered {
		return errors.New("the Body is not covered")
	}
	return verifyValue(info, signature, signer)
}

// child is the only child element of that name.
func child(e *etree.Element, space, tag string) *etree.Element {
	if e == nil {
		return nil
	}
	var found *etree.Element
	for _, c := range e.ChildElements() {
		if c.Tag != tag || c.NamespaceURI() != space {
			continue
		}
		if found != nil {
			return nil
		}
		found = c
	}
	return found
}

// sameCertificate looks for the signer's certificate among the tokens of the
// message.
func sameCertificate(security, signature *etree.Element, signer *x509.Certificate) error {
	for _, e := range append(security.FindElements(".//BinarySecurityToken"), append(signature.FindElements(".//KeyIdentifier"), signature.FindElements(".//X509Certificate")...)...) {
		der, err := decode(e.Text())
		if err == nil && bytes.HasSuffix(der, signer.Raw) { // a PKIPath ends with it
			return nil
		}
	}
	return errors.New("the certificate is not in the message")
}

// verifyReference compares the digest of one part.
func verifyReference(root, ref, signature *etree.Element) (*etree.Element, error) {
	id := strings.TrimPrefix(ref.SelectAttrValue("URI", ""), "#")
	target, err := byID(root, id)
	if err != nil {
		return nil, err
	}
	var form *etree.Element
	for _, t := range child(ref, nsDS, "Transforms").ChildElements() {
		if t.SelectAttrValue("Algorithm", "") == enveloped {
			if contains(target, signature) {
				return nil, fmt.Errorf("%w: an enveloped signature", errCannot)
			}
			continue
		}
		form = t
	}
	b, err := canonical(target, form, false)
	if err != nil {
		return nil, err
	}
	method := child(ref, nsDS, "DigestMethod")
	if method == nil {
		return nil, errors.New("no DigestMethod")
	}
	var hash crypto.Hash
	switch method.SelectAttrValue("Algorithm", "") {
	case sha256URI:
		hash = crypto.SHA256
	case sha512URI:
		hash = crypto.SHA512
	default:
		return nil, fmt.Errorf("%w: another digest", errCannot)
	}
	h := hash.New()
	h.Write(b)
	want, err := decode(child(ref, nsDS, "DigestValue").Text())
	if err != nil || !bytes.Equal(h.Sum(nil), want) {
		return nil, errors.New("the digest does not match")
	}
	return target, nil
}

// byID finds the only element of that Id, in any of its forms.
func byID(root *etree.Element, id string) (*etree.Element, error) {
	var found []*etree.Element
	var walk func(e *etree.Element)
	walk = func(e *etree.Element) {
		for _, a := range e.Attr {
			if a.Value == id && (a.Key == "Id" && (a.Space == "" || a.NamespaceURI() == nsWSU) || a.Key == "id" && a.Space == "xml" ||
				a.Key == "ID" && a.Space == "" && e.NamespaceURI() == nsSAML) {
				found = append(found, e)
			}
		}
		for _, c := range e.ChildElements() {
			walk(c)
		}
	}
	walk(root)
	if len(found) != 1 {
		return nil, fmt.Errorf("%d elements have that Id", len(found))
	}
	return found[0], nil
}

func contains(e, in *etree.Element) bool {
	for ; in != nil; in = in.Parent() {
		if in == e {
			return true
		}
	}
	return false
}

// canonical is the exclusive canonical form of an element in its context, by
// goxmldsig.
func canonical(e, method *etree.Element, comments bool) ([]byte, error) {
	if method == nil || !strings.HasPrefix(method.SelectAttrValue("Algorithm", ""), excC14N) {
		return nil, errors.New("not exc-c14n")
	}
	list := ""
	if n := method.SelectElement("InclusiveNamespaces"); n != nil {
		list = n.SelectAttrValue("PrefixList", "")
	}
	ctx, err := etreeutils.NSBuildParentContext(e)
	if err != nil {
		return nil, fmt.Errorf("%w: goxmldsig cannot tell its namespaces", errCannot)
	}
	alone, err := etreeutils.NSDetatch(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("%w: goxmldsig cannot detach it", errCannot)
	}
	c := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(list)
	if comments {
		c = dsig.MakeC14N10ExclusiveWithCommentsCanonicalizerWithPrefixList(list)
	}
	b, err := c.Canonicalize(alone)
	if err != nil {
		return nil, fmt.Errorf("%w: goxmldsig cannot canonicalize it", errCannot)
	}
	return b, nil
}

// verifyValue verifies the signature over SignedInfo.
func verifyValue(info, signature *etree.Element, signer *x509.Certificate) error {
	b, err := canonical(info, child(info, nsDS, "CanonicalizationMethod"), false) // it holds no comment
	if err != nil {
		return err
	}
	value, err := decode(child(signature, nsDS, "SignatureValue").Text())
	if err != nil {
		return errors.New("SignatureValue is not base64")
	}
	method := child(info, nsDS, "SignatureMethod").SelectAttrValue("Algorithm", "")
	hash := crypto.SHA256
	if strings.HasSuffix(method, "sha512") {
		hash = crypto.SHA512
	}
	if !slices.Contains([]string{"rsa-sha256", "rsa-sha512", "ecdsa-sha256"}, method[strings.LastIndexByte(method, '#')+1:]) {
		return fmt.Errorf("%w: another signature method", errCannot)
	}
	h := hash.New()
	h.Write(b)
	switch key := signer.PublicKey.(type) {
	case *rsa.PublicKey:
		if strings.Contains(method, "#rsa-") && rsa.VerifyPKCS1v15(key, hash, h.Sum(nil), value) == nil {
			return nil
		}
	case *ecdsa.PublicKey:
		if strings.Contains(method, "#ecdsa-") && len(value) == 64 &&
			ecdsa.Verify(key, h.Sum(nil), new(big.Int).SetBytes(value[:32]), new(big.Int).SetBytes(value[32:])) {
			return nil
		}
	}
	return errors.New("the value does not verify")
}

func decode(s string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
}
