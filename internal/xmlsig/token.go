package xmlsig

import (
	"math/big"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xsd"
)

// A TokenForm is a way to carry the signer's certificate in the message.
type TokenForm uint8

// The forms accepted (profile section 3).
const (
	BinarySecurityToken TokenForm = iota // BST X509v3, by STR/Reference
	PKIPath                              // BST PKIPath: its last certificate
	KeyIdentifier                        // STR/KeyIdentifier X509v3
	X509Data                             // KeyInfo/X509Data/X509Certificate
	STRX509Data                          // KeyInfo/STR/X509Data/X509Certificate
)

// String names the form as WS-Security does.
func (f TokenForm) String() string {
	switch f {
	case BinarySecurityToken:
		return "BinarySecurityToken X509v3"
	case PKIPath:
		return "BinarySecurityToken X509PKIPathv1"
	case KeyIdentifier:
		return "KeyIdentifier X509v3"
	}
	return "X509Data"
}

// keyInfo finds the signer's certificate. Exactly one, in the message, in one
// of the forms above: KeyValue, KeyName, IssuerSerial, SKI and thumbprint name
// a key that we would have to look for elsewhere.
func (k *checking) keyInfo(info, token soap.Node) (claim, error) {
	child := info.First()
	if child.IsZero() || !child.Next().IsZero() || !info.OnlyElements() {
		return claim{}, untrusted(roc.CertificateAmbiguous, "KeyInfo without exactly one child", "KeyInfo doit contenir un seul élément : SecurityTokenReference ou X509Data.")
	}
	if str := child; str.Is(soap.NSWSSE, "SecurityTokenReference") {
		child = str.First()
		if child.IsZero() || !child.Next().IsZero() || !str.OnlyElements() {
			return claim{}, untrusted(roc.CertificateAmbiguous, "STR without exactly one child", "SecurityTokenReference doit contenir une seule référence.")
		}
	} else if !child.Is(soap.NSDS, "X509Data") {
		return claim{}, notInMessage()
	}
	if child.Is(soap.NSWSSE, "Reference") {
		return k.binaryToken(child, token)
	}
	if !token.IsZero() {
		return claim{}, untrusted(roc.CertificateAmbiguous, "a second token", "Le message porte un BinarySecurityToken que KeyInfo ne désigne pas : un seul certificat est admis.")
	}
	switch {
	case child.Is(soap.NSWSSE, "KeyIdentifier"):
		if v, _ := child.AttrView("", "ValueType"); v != typeX509v3 {
			return claim{}, notInMessage()
		}
		if err := base64Encoding(child); err != nil {
			return claim{}, err
		}
		return k.certificate(KeyIdentifier, child)
	case child.Is(soap.NSDS, "X509Data"):
		return k.x509Data(child)
	}
	return claim{}, notInMessage()
}

func notInMessage() error {
	return untrusted(roc.CertificateMissing, "the certificate is not in the message", "Le certificat de signature n'est pas dans le message (KeyValue, KeyName, IssuerSerial, SKI ou empreinte seuls) : joignez-le, de préférence en BinarySecurityToken.")
}

// binaryToken follows STR/Reference to the BinarySecurityToken of Security.
func (k *checking) binaryToken(ref, token soap.Node) (claim, error) {
	uri, _ := ref.AttrView("", "URI")
	if len(uri) < 2 || uri[0] != '#' {
		return claim{}, untrusted(roc.CertificateAmbiguous, "STR reference is not #id", "La référence au jeton n'est pas de la forme #Id.")
	}
	found := false
	for id := range k.env.IDs {
		if id.Value == uri[1:] && !id.Loose {
			found = true
			if token.IsZero() || !id.Node.Same(token) {
				return claim{}, untrusted(roc.CertificateAmbiguous, "STR does not point to the token", "La référence #%s ne désigne pas le BinarySecurityToken de wsse:Security.", quote(uri[1:]))
			}
		}
	}
	if !found {
		return claim{}, untrusted(roc.CertificateMissing, "STR target not found", "La référence #%s (jeton) n'existe pas dans le message.", quote(uri[1:]))
	}
	value, _ := token.AttrView("", "ValueType")
	if v, ok := ref.AttrView("", "ValueType"); ok && v != value {
		return claim{}, untrusted(roc.CertificateAmbiguous, "ValueType of reference and token differ", "Le ValueType de la référence et celui du BinarySecurityToken diffèrent.")
	}
	if err := base64Encoding(token); err != nil {
		return claim{}, err
	}
	switch value {
	case typeX509v3:
		return k.certificate(BinarySecurityToken, token)
	case typePKIPath:
		return k.certificate(PKIPath, token)
	}
	return claim{}, untrusted(roc.CertificateUnreadable, "token of another type", "Le BinarySecurityToken n'est ni X509v3 ni X509PKIPathv1.")
}

func base64Encoding(n soap.Node) error {
	if v, ok := n.AttrView("", "EncodingType"); ok && v != encodingBase64 {
		return untrusted(roc.CertificateUnreadable, "token not in base64", "EncodingType doit être Base64Binary.")
	}
	return nil
}

// x509Data takes the only certificate of an X509Data. What is next to it
// decides nothing, but may not point elsewhere: zeep writes an empty
// X509IssuerSerial there, libxmlsec 1.3 and later the certificate's own, and
// others its subject and key identifier.
func (k *checking) x509Data(data soap.Node) (claim, error) {
	var cert, serial, subject, ski soap.Node
	for n := data.First(); !n.IsZero(); n = n.Next() {
		var slot *soap.Node
		switch {
		case n.Is(soap.NSDS, "X509Certificate"):
			slot = &cert
		case n.Is(soap.NSDS, "X509IssuerSerial"):
			slot = &serial
		case n.Is(soap.NSDS, "X509SubjectName"):
			slot = &subject
		case n.Is(soap.NSDS, "X509SKI"):
			slot = &ski
		default:
			return claim{}, notInMessage()
		}
		if !slot.IsZero() {
			return claim{}, untrusted(roc.CertificateAmbiguous, "element twice in X509Data", "X509Data contient deux fois le même élément : un seul certificat est admis, décrit une seule fois.")
		}
		*slot = n
	}
	if cert.IsZero() || !data.OnlyElements() || !isTextOrZero(subject) || !isTextOrZero(ski) {
		return claim{}, notInMessage()
	}
	c, err := k.certificate(X509Data, cert)
	if err != nil {
		return c, err
	}
	if !serial.IsZero() && !isEmpty(serial) && !namesSerial(serial, c.signer.cert.SerialNumber) {
		return claim{}, untrusted(roc.CertificateAmbiguous, "X509IssuerSerial of another certificate", "Le X509IssuerSerial placé à côté du certificat n'en donne pas le numéro de série : retirez-le, ou donnez celui du certificat joint.")
	}
	return c, nil
}

func isTextOrZero(n soap.Node) bool {
	_, ok := n.Text()
	return ok || n.IsZero()
}

// isEmpty says whether an X509IssuerSerial names nothing.
func isEmpty(n soap.Node) bool {
	for c := n.First(); !c.IsZero(); c = c.Next() {
		if t, ok := c.Text(); !ok || xsd.Collapse(t) != "" {
			return false
		}
	}
	return n.OnlyElements()
}

// maxSerialText is more than the longest serial number (20 bytes, RFC 5280)
// takes in decimal.
const maxSerialText = 64

// namesSerial says whether an X509IssuerSerial is well formed and gives that
// serial number. The name of the issuer is not compared: libraries write the
// same name in many ways, and it decides nothing.
func namesSerial(n soap.Node, want *big.Int) bool {
	name := n.First()
	number := name.Next()
	if !name.Is(soap.NSDS, "X509IssuerName") || !number.Is(soap.NSDS, "X509SerialNumber") || !number.Next().IsZero() || !n.OnlyElements() {
		return false
	}
	t, ok := number.Text()
	if _, isText := name.Text(); !ok || !isText || len(t) > maxSerialText {
		return false
	}
	got, err := xsd.Integer(t)
	return err == nil && got.Cmp(want) == 0
}

func (k *checking) certificate(form TokenForm, n soap.Node) (claim, error) {
	text, ok := base64Text(n, maxToken)
	if !ok {
		return claim{}, untrusted(roc.CertificateUnreadable, "token is not text, or too long", "Le certificat joint doit être un texte base64 de %d octets au plus.", maxToken)
	}
	k.presented(form, text)
	return k.trust.signerOf(form, text, k.at)
}
