package xmlsig

import (
	"strings"

	"github.com/piano-roc/rpn/internal/soap"
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
func (k *checking) keyInfo(info, token soap.Node) (*signer, error) {
	child := info.First()
	if child.IsZero() || !child.Next().IsZero() || !info.OnlyElements() {
		return nil, untrusted("KeyInfo without exactly one child", "KeyInfo doit contenir un seul élément : SecurityTokenReference ou X509Data.")
	}
	if str := child; str.Is(soap.NSWSSE, "SecurityTokenReference") {
		child = str.First()
		if child.IsZero() || !child.Next().IsZero() || !str.OnlyElements() {
			return nil, untrusted("STR without exactly one child", "SecurityTokenReference doit contenir une seule référence.")
		}
	} else if !child.Is(soap.NSDS, "X509Data") {
		return nil, notInMessage()
	}
	if child.Is(soap.NSWSSE, "Reference") {
		return k.binaryToken(child, token)
	}
	if !token.IsZero() {
		return nil, untrusted("a second token", "Le message porte un BinarySecurityToken que KeyInfo ne désigne pas : un seul certificat est admis.")
	}
	switch {
	case child.Is(soap.NSWSSE, "KeyIdentifier"):
		if v, _ := child.AttrView("", "ValueType"); v != typeX509v3 {
			return nil, notInMessage()
		}
		if err := base64Encoding(child); err != nil {
			return nil, err
		}
		return k.certificate(KeyIdentifier, child)
	case child.Is(soap.NSDS, "X509Data"):
		return k.x509Data(child)
	}
	return nil, notInMessage()
}

func notInMessage() error {
	return untrusted("the certificate is not in the message", "Le certificat de signature n'est pas dans le message (KeyValue, KeyName, IssuerSerial, SKI ou empreinte seuls) : joignez-le, de préférence en BinarySecurityToken.")
}

// binaryToken follows STR/Reference to the BinarySecurityToken of Security.
func (k *checking) binaryToken(ref, token soap.Node) (*signer, error) {
	uri, _ := ref.AttrView("", "URI")
	if len(uri) < 2 || uri[0] != '#' {
		return nil, untrusted("STR reference is not #id", "La référence au jeton n'est pas de la forme #Id.")
	}
	found := false
	for id := range k.env.IDs {
		if id.Value == uri[1:] && !id.Loose {
			found = true
			if token.IsZero() || !id.Node.Same(token) {
				return nil, untrusted("STR does not point to the token", "La référence #%s ne désigne pas le BinarySecurityToken de wsse:Security.", quote(uri[1:]))
			}
		}
	}
	if !found {
		return nil, untrusted("STR target not found", "La référence #%s (jeton) n'existe pas dans le message.", quote(uri[1:]))
	}
	value, _ := token.AttrView("", "ValueType")
	if v, ok := ref.AttrView("", "ValueType"); ok && v != value {
		return nil, untrusted("ValueType of reference and token differ", "Le ValueType de la référence et celui du BinarySecurityToken diffèrent.")
	}
	if err := base64Encoding(token); err != nil {
		return nil, err
	}
	switch value {
	case typeX509v3:
		return k.certificate(BinarySecurityToken, token)
	case typePKIPath:
		return k.certificate(PKIPath, token)
	}
	return nil, untrusted("token of another type", "Le BinarySecurityToken n'est ni X509v3 ni X509PKIPathv1.")
}

func base64Encoding(n soap.Node) error {
	if v, ok := n.AttrView("", "EncodingType"); ok && v != encodingBase64 {
		return untrusted("token not in base64", "EncodingType doit être Base64Binary.")
	}
	return nil
}

// x509Data takes the only certificate of an X509Data. zeep puts an empty
// X509IssuerSerial beside it; a filled one could name another certificate.
func (k *checking) x509Data(data soap.Node) (*signer, error) {
	var cert soap.Node
	for n := data.First(); !n.IsZero(); n = n.Next() {
		switch {
		case n.Is(soap.NSDS, "X509Certificate") && cert.IsZero():
			cert = n
		case n.Is(soap.NSDS, "X509Certificate"):
			return nil, untrusted("two certificates", "X509Data contient deux certificats : un seul est admis.")
		case n.Is(soap.NSDS, "X509IssuerSerial") && isEmpty(n):
		case n.Is(soap.NSDS, "X509IssuerSerial"):
			if data.Child(soap.NSDS, "X509Certificate").IsZero() {
				return nil, notInMessage()
			}
			return nil, untrusted("X509IssuerSerial beside the certificate", "X509Data porte un X509IssuerSerial rempli à côté du certificat : retirez-le.")
		default:
			return nil, notInMessage()
		}
	}
	if cert.IsZero() || !data.OnlyElements() {
		return nil, notInMessage()
	}
	return k.certificate(X509Data, cert)
}

// isEmpty says whether an X509IssuerSerial names nothing.
func isEmpty(n soap.Node) bool {
	if n.First().IsZero() {
		return n.OnlyElements()
	}
	for c := n.First(); !c.IsZero(); c = c.Next() {
		if t, ok := c.Text(); !ok || strings.TrimSpace(t) != "" {
			return false
		}
	}
	return n.OnlyElements()
}

func (k *checking) certificate(form TokenForm, n soap.Node) (*signer, error) {
	text, ok := base64Text(n, maxToken)
	if !ok {
		return nil, untrusted("token is not text, or too long", "Le certificat joint doit être un texte base64 de %d octets au plus.", maxToken)
	}
	k.presented(form, text)
	return k.trust.signerOf(form, text, k.at)
}
