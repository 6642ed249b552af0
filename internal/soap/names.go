package soap

// The namespaces this package and the signature check know by name.
const (
	NS11   = "http://schemas.xmlsoap.org/soap/envelope/"
	NS12   = "http://www.w3.org/2003/05/soap-envelope"
	NSWSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	NSWSU  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	NSDS   = "http://www.w3.org/2000/09/xmldsig#"
	NSWSA  = "http://www.w3.org/2005/08/addressing"
	NSEC   = "http://www.w3.org/2001/10/xml-exc-c14n#"
	NSSAML = "urn:oasis:names:tc:SAML:2.0:assertion"

	NSWSSE11  = "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd"
	NSWSA2004 = "http://schemas.xmlsoap.org/ws/2004/08/addressing" // the member submission
	NSWSA2003 = "http://schemas.xmlsoap.org/ws/2003/03/addressing"

	nsXML   = "http://www.w3.org/XML/1998/namespace"
	nsXMLNS = "http://www.w3.org/2000/xmlns/"
)

// known lists the namespaces whose text is not kept per message: comparing a
// declaration's URI with one of these constants is a pointer comparison.
// Index 0 means "not one of them".
var known = [...]string{"", NS11, NS12, NSWSSE, NSWSU, NSDS, NSWSA, NSEC, NSSAML, NSWSSE11, NSWSA2004, NSWSA2003, nsXML}

func knownNamespace(uri []byte) uint8 {
	for i := 1; i < len(known); i++ {
		if len(known[i]) == len(uri) && known[i] == string(uri) {
			return uint8(i)
		}
	}
	return 0
}

// A Name is the expanded name of an element: namespace URI and local part.
type Name struct{ Space, Local string }

// A Version is a version of SOAP.
type Version uint8

// The versions a caller may speak.
const (
	SOAP11 Version = iota + 1
	SOAP12
)

// Namespace returns the namespace of the version's Envelope.
func (v Version) Namespace() string {
	if v == SOAP11 {
		return NS11
	}
	return NS12
}

// ContentType returns the media type of a message of that version.
func (v Version) ContentType() string {
	if v == SOAP11 {
		return "text/xml; charset=utf-8"
	}
	return "application/soap+xml; charset=utf-8"
}

// String returns "1.1" or "1.2".
func (v Version) String() string {
	if v == SOAP11 {
		return "1.1"
	}
	return "1.2"
}

// Limits bound what Read accepts (profile section 2). Every field is
// inclusive; a message beyond one is refused as too-large.
type Limits struct {
	Bytes        int // size of the message, in bytes
	Depth        int // nested elements, the Envelope being 1
	Attributes   int // attributes of one element, namespace declarations apart
	Declarations int // namespace declarations of one element
	NameBytes    int // bytes of one qualified name
	Elements     int // elements of the message
}

// DefaultLimits are those of profile section 2.
var DefaultLimits = Limits{Bytes: 2 << 20, Depth: 64, Attributes: 64, Declarations: 32, NameBytes: 256, Elements: 50_000}
