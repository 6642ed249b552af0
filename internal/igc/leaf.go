package igc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// Fictitious structure ids, for certificates whose owner does not matter.
const (
	RPN roc.StructureID = "300000000000018" // SIRET form, as the ANS has
	AMC roc.StructureID = "2000000018"      // SIREN form
)

// oidPolicy is the certificate policy of IGC-Santé's test range (domain 4.2).
var oidPolicy = []uint64{1, 2, 250, 1, 213, 1, 7, 2, 1, 1, 1, 1}

// Establishment makes the two certificates an establishment holds (domain
// 4.2): one to authenticate (TLS client), one to sign. The RPN's own client
// certificate is made the same way. Options apply to both.
func (p *PKI) Establishment(id roc.StructureID, name string, opts ...Option) (auth, sign Pair) {
	var wg sync.WaitGroup
	wg.Go(func() { auth = p.Auth(id, name, opts...) })
	wg.Go(func() { sign = p.Sign(id, name, opts...) })
	wg.Wait()
	return auth, sign
}

// Auth makes an AUTH_CLI certificate: digitalSignature, clientAuth.
func (p *PKI) Auth(id roc.StructureID, name string, opts ...Option) Pair {
	return p.leaf(EtablissementTLS, leaf{
		label: "auth " + string(id), org: name, ous: []string{string(id)}, cn: "auth." + string(id) + ".test",
		ku: x509.KeyUsageDigitalSignature, eku: x509.ExtKeyUsageClientAuth, wrong: x509.ExtKeyUsageServerAuth,
	}, opts)
}

// Sign makes a SIGN certificate: digitalSignature and nonRepudiation,
// emailProtection.
func (p *PKI) Sign(id roc.StructureID, name string, opts ...Option) Pair {
	return p.leaf(EtablissementSignature, leaf{
		label: "sign " + string(id), org: name, ous: []string{string(id)}, cn: "sign." + string(id) + ".test",
		ku:  x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
		eku: x509.ExtKeyUsageEmailProtection, wrong: x509.ExtKeyUsageServerAuth,
	}, opts)
}

// Server makes a TLS server certificate for a DNS name or an address: of the
// RPN when side is EtablissementTLS (IGC-Santé SSL_SERV), of the annuaire or
// an AMC when it is AMCTLS. More names: Names; another owner: OU, Org.
func (p *PKI) Server(side Side, name string, opts ...Option) Pair {
	owner, org := RPN, "RPN FICTIF"
	if side == AMCTLS {
		owner, org = AMC, "AMC FICTIVE"
	}
	return p.leaf(side, leaf{
		label: "server " + name, org: org, ous: []string{string(owner)}, cn: name, names: []string{name},
		ku: x509.KeyUsageDigitalSignature, eku: x509.ExtKeyUsageServerAuth, wrong: x509.ExtKeyUsageClientAuth,
	}, opts)
}

// AMCSigner makes the signature certificate of the annuaire or of an AMC:
// digitalSignature and nonRepudiation.
func (p *PKI) AMCSigner(id roc.StructureID, name string, opts ...Option) Pair {
	return p.leaf(AMCSignature, leaf{
		label: "amc " + string(id) + name, org: name, ous: []string{string(id)}, cn: "sign." + string(id) + ".test",
		ku:  x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
		eku: noEKU, wrong: x509.ExtKeyUsageServerAuth,
	}, opts)
}

// AMCAuth makes the certificate with which the people of an AMC authenticate:
// digitalSignature, clientAuth.
func (p *PKI) AMCAuth(id roc.StructureID, name string, opts ...Option) Pair {
	return p.leaf(AMCTLS, leaf{
		label: "amc auth " + string(id), org: name, ous: []string{string(id)}, cn: "auth." + string(id) + ".test",
		ku: x509.KeyUsageDigitalSignature, eku: x509.ExtKeyUsageClientAuth, wrong: x509.ExtKeyUsageServerAuth,
	}, opts)
}

const noEKU = x509.ExtKeyUsage(-1)

// A leaf is what a certificate will be, before the options.
type leaf struct {
	label, org, cn string
	ous, names     []string
	ku             x509.KeyUsage
	eku, wrong     x509.ExtKeyUsage
	from, until    time.Time
	bits           int           // of the RSA key
	ecdsa          bool          // P-256 instead
	key            crypto.Signer // this one instead; may be nil
	sha1           bool
	issuer         issuer
	noChain        bool
	intermediate   string // of the side's root; "": the side's own
	depth          int    // of a long chain
	constraint     string // of the CA above
	points         []string
	responder      string
	category       []byte
}

type issuer int

const (
	rightCA issuer = iota
	otherCA
	impostorCA
	itself
)

// An Option makes a leaf differ from the good one.
type Option func(p *PKI, l *leaf)

// Expired makes a certificate that ended yesterday.
func Expired() Option {
	return func(p *PKI, l *leaf) { l.from, l.until = p.now().AddDate(-3, 0, -1), p.now().AddDate(0, 0, -1) }
}

// NotYet makes a certificate that starts tomorrow.
func NotYet() Option {
	return func(p *PKI, l *leaf) { l.from, l.until = p.now().AddDate(0, 0, 1), p.now().AddDate(3, 0, 1) }
}

// Valid sets the validity.
func Valid(from, until time.Time) Option {
	return func(_ *PKI, l *leaf) { l.from, l.until = from, until }
}

// WrongEKU gives the certificate the extended key usage of another purpose:
// serverAuth, or clientAuth for a server.
func WrongEKU() Option { return func(_ *PKI, l *leaf) { l.eku = l.wrong } }

// NoEKU leaves the extended key usage out.
func NoEKU() Option { return func(_ *PKI, l *leaf) { l.eku = noEKU } }

// WrongKU gives the certificate the key usage keyEncipherment only.
func WrongKU() Option { return func(_ *PKI, l *leaf) { l.ku = x509.KeyUsageKeyEncipherment } }

// NoKU leaves the key usage out.
func NoKU() Option { return func(_ *PKI, l *leaf) { l.ku = 0 } }

// OtherCA has the certificate signed by a CA that nobody trusts.
func OtherCA() Option { return func(_ *PKI, l *leaf) { l.issuer = otherCA } }

// Impostor has it signed by a CA of the same names as the right one, and
// another key.
func Impostor() Option { return func(_ *PKI, l *leaf) { l.issuer = impostorCA } }

// SelfSigned has it signed by itself.
func SelfSigned() Option { return func(_ *PKI, l *leaf) { l.issuer = itself } }

// CN sets the common name; real ones hold a semicolon: "rpps.tra.henix;asipsante.fr".
func CN(cn string) Option { return func(_ *PKI, l *leaf) { l.cn = cn } }

// Org sets the O of the subject.
func Org(name string) Option { return func(_ *PKI, l *leaf) { l.org = name } }

// OU sets the structure id: the only OU.
func OU(id roc.StructureID) Option { return func(_ *PKI, l *leaf) { l.ous = []string{string(id)} } }

// TwoOUs adds a second structure id.
func TwoOUs(second roc.StructureID) Option {
	return func(_ *PKI, l *leaf) { l.ous = append(l.ous, string(second)) }
}

// NoOU leaves the structure id out.
func NoOU() Option { return func(_ *PKI, l *leaf) { l.ous = nil } }

// Category gives it the product category of IGC-Santé: 0x03 software, 0x83
// software for tests.
func Category(c byte) Option { return func(_ *PKI, l *leaf) { l.category = []byte{c} } }

// Names adds DNS names or addresses.
func Names(names ...string) Option {
	return func(_ *PKI, l *leaf) { l.names = append(l.names, names...) }
}

// WeakRSA makes the key RSA of 1024 bits.
func WeakRSA() Option { return func(_ *PKI, l *leaf) { l.bits, l.ecdsa = 1024, false } }

// RSA makes the key RSA of that many bits, also where Options.ECDSA is set.
func RSA(bits int) Option { return func(_ *PKI, l *leaf) { l.bits, l.ecdsa = bits, false } }

// ECDSA makes the key P-256.
func ECDSA() Option { return func(_ *PKI, l *leaf) { l.ecdsa = true } }

// SHA1 has the certificate signed with SHA-1.
func SHA1() Option { return func(_ *PKI, l *leaf) { l.sha1 = true } }

// NoChain leaves the intermediate out of what the peer presents.
func NoChain() Option { return func(_ *PKI, l *leaf) { l.noChain = true } }

// Key uses another key ring label: two certificates of one label share their
// key, as after a renewal that kept it.
func Key(label string) Option { return func(_ *PKI, l *leaf) { l.label = label } }

// KeyIs takes that key, of whatever kind.
func KeyIs(key crypto.Signer) Option { return func(_ *PKI, l *leaf) { l.key = key } }

func (p *PKI) leaf(side Side, l leaf, opts []Option) Pair {
	l.bits, l.ecdsa = 2048, p.ecdsa
	l.from, l.until = p.now().Add(-time.Hour), p.now().AddDate(3, 0, 0)
	for _, o := range opts {
		o(p, &l)
	}
	key := p.key(l)
	chain, parent := p.issuerOf(side, l, key)
	t := l.template()
	if parent.cert == nil {
		parent = authority{t, key}
	}
	if _, ok := parent.key.(*ecdsa.PrivateKey); l.sha1 && ok {
		t.SignatureAlgorithm = x509.ECDSAWithSHA1
	}
	return Pair{Cert: mustCreate(t, parent.cert, key.Public(), parent.key), Chain: chain, Key: key}
}

func (p *PKI) key(l leaf) crypto.Signer {
	if l.key != nil {
		return l.key
	}
	if l.ecdsa {
		return p.keys.ECDSA(l.label)
	}
	return p.keys.RSA(l.label, l.bits)
}

// issuerOf returns who signs the leaf (zero: itself) and what it presents
// beside itself.
func (p *PKI) issuerOf(side Side, l leaf, key crypto.Signer) ([]*x509.Certificate, authority) {
	switch {
	case l.depth > 0:
		return p.longChain(side, l.depth)
	case l.constraint != "":
		by := p.newUnder(sideNames[side].org, "TEST AC FICTIVE LIMITEE", p.cas[side].root, l.constraint)
		return []*x509.Certificate{by.cert}, by
	}
	b := p.branchOf(side, l.intermediate)
	switch l.issuer {
	case otherCA:
		b = p.wrongBranch("AUTRE IGC FICTIVE", "TEST AC RACINE INCONNUE", "TEST AC INCONNUE")
	case impostorCA:
		n := sideNames[side]
		b = p.wrongBranch(n.org, n.root, n.intermediate)
	case itself:
		return nil, authority{}
	}
	if l.noChain {
		return nil, b.intermediate
	}
	return []*x509.Certificate{b.intermediate.cert}, b.intermediate
}

func (l leaf) template() *x509.Certificate {
	attributes := []attribute{{oidC, "FR"}, {oidST, "Paris (75)"}, {oidO, l.org}}
	for _, ou := range l.ous {
		attributes = append(attributes, attribute{oidOU, ou})
	}
	t := &x509.Certificate{
		SerialNumber:          serial(),
		RawSubject:            subject(append(attributes, attribute{oidCN, l.cn})...),
		NotBefore:             l.from,
		NotAfter:              l.until,
		KeyUsage:              l.ku,
		BasicConstraintsValid: true,
		CRLDistributionPoints: l.points,
	}
	if l.category != nil {
		t.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 250, 1, 71, 1, 2, 5}, Value: l.category}}
	}
	if l.responder != "" {
		t.OCSPServer = []string{l.responder}
	}
	policy, err := x509.OIDFromInts(oidPolicy)
	if err != nil {
		panic(fmt.Sprint("igc: policy: ", err))
	}
	t.Policies = []x509.OID{policy}
	if l.eku != noEKU {
		t.ExtKeyUsage = []x509.ExtKeyUsage{l.eku}
	}
	for _, n := range l.names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	return t
}
