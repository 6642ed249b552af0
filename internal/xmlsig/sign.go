package xmlsig

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// A Key signs: a certificate, the intermediates above it (sent only in a
// PKIPath) and its private key, RSA or ECDSA P-256.
type Key struct {
	Certificate *x509.Certificate
	Chain       []*x509.Certificate
	Signer      crypto.Signer
}

// SignOptions say how to sign. The zero value is the profile's usual form:
// BinarySecurityToken, SHA-256, Timestamp of five minutes from now.
type SignOptions struct {
	At          time.Time     // Created; zero: now
	Life        time.Duration // of the Timestamp; 0: 5 min
	Token       TokenForm
	Digest      crypto.Hash // SHA256 or SHA512; 0: SHA256
	NoTimestamp bool
}

// Sign signs the Body and a new Timestamp of a message (profile section 3): it
// adds a wsse:Security to its Header, and the Header when there is none, and
// leaves every other byte as it was. A message that already has a Security is
// refused.
//
// It writes the signature with placeholders for the digests and the value,
// reads the result as a receiver would, and fills the placeholders: what is
// signed is exactly what Check will canonicalize.
func Sign(m roc.Content, k Key, o SignOptions) (roc.Content, error) {
	if o.At.IsZero() {
		o.At = time.Now()
	}
	if o.Life == 0 {
		o.Life = defaultLife
	}
	if o.Digest == 0 {
		o.Digest = crypto.SHA256
	}
	s, err := newSigning(k, o)
	if err != nil {
		return roc.Content{}, err
	}
	draft, err := s.draft(m)
	if err != nil {
		return roc.Content{}, err
	}
	return s.fill(draft)
}

// A signing is the state of one Sign.
type signing struct {
	key       Key
	o         SignOptions
	algorithm string
	digestAlg string
	valueSize int // of the signature value, in bytes
	salt      string
	bodyID    string
}

func newSigning(k Key, o SignOptions) (*signing, error) {
	s := &signing{key: k, o: o}
	switch o.Digest {
	case crypto.SHA256:
		s.digestAlg = algSHA256
	case crypto.SHA512:
		s.digestAlg = algSHA512
	default:
		return nil, fmt.Errorf("xmlsig: cannot sign with %v: SHA-256 or SHA-512", o.Digest)
	}
	if k.Certificate == nil || k.Signer == nil {
		return nil, errors.New("xmlsig: a certificate and its key are needed to sign")
	}
	if err := checkKey(k.Certificate); err != nil {
		return nil, fmt.Errorf("xmlsig: signing certificate: %w", err)
	}
	switch pub := k.Signer.Public().(type) {
	case *rsa.PublicKey:
		s.algorithm, s.valueSize = algRSASHA256, pub.Size()
		if o.Digest == crypto.SHA512 {
			s.algorithm = algRSASHA512
		}
	case *ecdsa.PublicKey:
		s.algorithm, s.valueSize = algECDSASHA256, 64
	default:
		return nil, errors.New("xmlsig: the key is neither RSA nor ECDSA")
	}
	var salt [6]byte
	rand.Read(salt[:])
	s.salt = hex.EncodeToString(salt[:])
	return s, nil
}

// draft returns the message with a Security whose digests and value are still
// placeholders of the right length.
func (s *signing) draft(m roc.Content) ([]byte, error) {
	env, err := soap.Read(m, soap.DefaultLimits)
	if err != nil {
		return nil, err
	}
	defer env.Release()
	if !env.Header().Child(soap.NSWSSE, "Security").IsZero() {
		return nil, errors.New("xmlsig: the message already has a wsse:Security header")
	}
	raw := m.Bytes()
	var out bytes.Buffer
	bodyStart, _ := env.Body().Span()
	pos := 0
	upTo := func(at int) {
		out.Write(raw[pos:at])
		pos = at
	}
	prefix := env.Root().Prefix()
	if prefix != "" {
		prefix += ":"
	}
	id, hasID := bodyID(env.Body())
	if s.bodyID = id; !hasID {
		s.bodyID = "corps-" + s.salt
	}
	security := s.security()
	if h := env.Header(); h.IsZero() {
		upTo(bodyStart)
		fmt.Fprintf(&out, "<%sHeader>%s</%sHeader>", prefix, security, prefix)
	} else if from, to := h.Inner(); from == to && raw[from-2] == '/' { // <Header/>
		upTo(from - 2)
		fmt.Fprintf(&out, ">%s</%s>", security, h.Prefix()+colonIf(h.Prefix())+"Header")
		pos = from
	} else {
		upTo(to)
		out.WriteString(security)
	}
	if !hasID {
		name := env.Body().Prefix()
		upTo(bodyStart + 1 + len(name) + len(colonIf(name)) + len("Body"))
		mine := "rpnu"
		for bytes.Contains(raw, []byte(mine)) { // it must not replace theirs
			mine += "x"
		}
		fmt.Fprintf(&out, ` xmlns:%s="%s" %s:Id="%s"`, mine, soap.NSWSU, mine, s.bodyID)
	}
	upTo(len(raw))
	return out.Bytes(), nil
}

func colonIf(prefix string) string {
	if prefix == "" {
		return ""
	}
	return ":"
}

// bodyID returns the Id the Body already has.
func bodyID(body soap.Node) (string, bool) {
	for _, kind := range [...]soap.Name{{Space: soap.NSWSU, Local: "Id"}, {Local: "Id"}, {Space: "http://www.w3.org/XML/1998/namespace", Local: "id"}} {
		if v, ok := body.Attr(kind.Space, kind.Local); ok {
			return v, true
		}
	}
	return "", false
}

// security writes the header with its placeholders.
func (s *signing) security() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<wsse:Security xmlns:wsse="%s" xmlns:wsu="%s">`, soap.NSWSSE, soap.NSWSU)
	if s.o.Token == BinarySecurityToken || s.o.Token == PKIPath {
		value := typeX509v3
		if s.o.Token == PKIPath {
			value = typePKIPath
		}
		fmt.Fprintf(&b, `<wsse:BinarySecurityToken EncodingType="%s" ValueType="%s" wsu:Id="X509-%s">%s</wsse:BinarySecurityToken>`,
			encodingBase64, value, s.salt, s.token())
	}
	if !s.o.NoTimestamp {
		const layout = "2006-01-02T15:04:05.000Z"
		at := s.o.At.UTC()
		fmt.Fprintf(&b, `<wsu:Timestamp wsu:Id="TS-%s"><wsu:Created>%s</wsu:Created><wsu:Expires>%s</wsu:Expires></wsu:Timestamp>`,
			s.salt, at.Format(layout), at.Add(s.o.Life).Format(layout))
	}
	fmt.Fprintf(&b, `<ds:Signature xmlns:ds="%s"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="%s"/><ds:SignatureMethod Algorithm="%s"/>`,
		soap.NSDS, algExcC14N, s.algorithm)
	if !s.o.NoTimestamp {
		b.WriteString(s.reference("TS-" + s.salt))
	}
	b.WriteString(s.reference(s.bodyID))
	fmt.Fprintf(&b, `</ds:SignedInfo><ds:SignatureValue>%s</ds:SignatureValue><ds:KeyInfo>%s</ds:KeyInfo></ds:Signature></wsse:Security>`,
		placeholder(s.valueSize), s.keyInfo())
	return b.String()
}

func (s *signing) reference(id string) string {
	return fmt.Sprintf(`<ds:Reference URI="#%s"><ds:Transforms><ds:Transform Algorithm="%s"/></ds:Transforms><ds:DigestMethod Algorithm="%s"/><ds:DigestValue>%s</ds:DigestValue></ds:Reference>`,
		id, algExcC14N, s.digestAlg, placeholder(s.o.Digest.Size()))
}

func (s *signing) keyInfo() string {
	der := base64.StdEncoding.EncodeToString(s.key.Certificate.Raw)
	data := `<ds:X509Data><ds:X509Certificate>` + der + `</ds:X509Certificate></ds:X509Data>`
	switch s.o.Token {
	case KeyIdentifier:
		return fmt.Sprintf(`<wsse:SecurityTokenReference><wsse:KeyIdentifier EncodingType="%s" ValueType="%s">%s</wsse:KeyIdentifier></wsse:SecurityTokenReference>`, encodingBase64, typeX509v3, der)
	case X509Data:
		return data
	case STRX509Data:
		return `<wsse:SecurityTokenReference>` + data + `</wsse:SecurityTokenReference>`
	}
	value := typeX509v3
	if s.o.Token == PKIPath {
		value = typePKIPath
	}
	return fmt.Sprintf(`<wsse:SecurityTokenReference><wsse:Reference URI="#X509-%s" ValueType="%s"/></wsse:SecurityTokenReference>`, s.salt, value)
}

// token is the content of the BinarySecurityToken.
func (s *signing) token() string {
	if s.o.Token != PKIPath {
		return base64.StdEncoding.EncodeToString(s.key.Certificate.Raw)
	}
	var path []asn1.RawValue // from the top of the chain down to the signer
	for i := len(s.key.Chain) - 1; i >= 0; i-- {
		path = append(path, asn1.RawValue{FullBytes: s.key.Chain[i].Raw})
	}
	path = append(path, asn1.RawValue{FullBytes: s.key.Certificate.Raw})
	der, err := asn1.Marshal(path)
	if err != nil { // certificates that were parsed always marshal
		return ""
	}
	return base64.StdEncoding.EncodeToString(der)
}

// placeholder is base64 text of n bytes, to be overwritten.
func placeholder(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }

// fill computes the digests, then the signature, and writes them in place.
func (s *signing) fill(draft []byte) (roc.Content, error) {
	env, err := soap.Read(roc.NewContent(draft), soap.DefaultLimits)
	if err != nil {
		return roc.Content{}, err
	}
	defer env.Release()
	security := env.Header().Child(soap.NSWSSE, "Security")
	sig := security.Child(soap.NSDS, "Signature")
	info := sig.First()
	for ref := info.Child(soap.NSDS, "Reference"); !ref.IsZero(); ref = ref.Next() {
		target := env.Body()
		if uri, _ := ref.AttrView("", "URI"); uri == "#TS-"+s.salt {
			target = security.Child(soap.NSWSU, "Timestamp")
		}
		h := s.o.Digest.New()
		if err := target.Canonical(h, soap.C14N{}); err != nil {
			return roc.Content{}, err
		}
		overwrite(draft, ref.Child(soap.NSDS, "DigestValue"), h.Sum(nil))
	}
	hash := methodOf(s.algorithm, false).hash
	h := hash.New()
	if err := info.Canonical(h, soap.C14N{}); err != nil {
		return roc.Content{}, err
	}
	value, err := s.sign(hash, h.Sum(nil))
	if err != nil {
		return roc.Content{}, err
	}
	overwrite(draft, info.Next(), value)
	return roc.NewContent(draft), nil
}

func overwrite(draft []byte, n soap.Node, value []byte) {
	from, to := n.Inner()
	base64.StdEncoding.Encode(draft[from:to], value)
}

func (s *signing) sign(hash crypto.Hash, digest []byte) ([]byte, error) {
	value, err := s.key.Signer.Sign(rand.Reader, digest, hash)
	if err != nil || s.algorithm != algECDSASHA256 {
		return value, err
	}
	// XMLDSig wants r and s as they are, crypto.Signer gives DER.
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(value, &pair); err != nil {
		return nil, err
	}
	out := make([]byte, 64)
	pair.R.FillBytes(out[:32])
	pair.S.FillBytes(out[32:])
	return out, nil
}
