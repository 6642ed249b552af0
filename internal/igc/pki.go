package igc

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"sync"
	"time"
)

// A Side is one of the four trust stores (profile section 3).
type Side int

// The four sides. Each has its own root.
const (
	EtablissementTLS       Side = iota // IGC-Santé, AUTH_CLI and SSL_SERV
	EtablissementSignature             // IGC-Santé, SIGN
	AMCTLS                             // IGC OSI, AC-SERVEUR
	AMCSignature                       // IGC OSI, AC-SERVICES-APPLICATIFS
	sides
)

// String is the name of the side in file names: "etablissements-tls".
func (s Side) String() string { return sideNames[s].file }

// sideNames holds what each side is called. The CA names follow domain 4.1
// and 4.7, with TEST and FICTIVE added.
var sideNames = [sides]struct{ file, org, root, intermediate string }{
	EtablissementTLS: {"etablissements-tls", "IGC FICTIVE SANTE",
		"TEST AC RACINE IGC-SANTE FICTIVE AUTHENTIFICATION", "TEST AC IGC-SANTE FICTIVE ORGANISATIONS AUTHENTIFICATION"},
	EtablissementSignature: {"etablissements-signature", "IGC FICTIVE SANTE",
		"TEST AC RACINE IGC-SANTE FICTIVE SIGNATURE", "TEST AC IGC-SANTE FICTIVE ORGANISATIONS SIGNATURE"},
	AMCTLS: {"amc-tls", "IGC FICTIVE OSI",
		"TEST AC RACINE OSI FICTIVE SERVEUR", "TEST AC-SERVEUR FICTIVE"},
	AMCSignature: {"amc-signature", "IGC FICTIVE OSI",
		"TEST AC RACINE OSI FICTIVE SERVICES-APPLICATIFS", "TEST AC-SERVICES-APPLICATIFS FICTIVE"},
}

// Options are what a PKI needs; the zero value is good.
type Options struct {
	Now   func() time.Time // the clock of validity dates; nil: time.Now
	Keys  *Keys            // where keys come from; nil: a ring of its own
	ECDSA bool             // leaf keys are P-256 instead of RSA-2048: quick, for tests that do not care
}

// A PKI is four roots with an intermediate each, and makes leaves under them.
// Safe for concurrent use.
type PKI struct {
	now   func() time.Time
	keys  *Keys
	ecdsa bool
	cas   [sides]branch

	mu    sync.Mutex
	wrong map[string]branch // made on demand: see OtherCA and Impostor
}

// A branch is a root and the intermediate under it.
type branch struct{ root, intermediate authority }

type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// New makes a PKI: eight P-256 CA keys, a few milliseconds.
func New(o Options) *PKI {
	p := empty(o)
	for s := range sides {
		p.cas[s] = p.newBranch(sideNames[s].org, sideNames[s].root, sideNames[s].intermediate)
	}
	return p
}

func empty(o Options) *PKI {
	p := &PKI{now: o.Now, keys: o.Keys, ecdsa: o.ECDSA, wrong: map[string]branch{}}
	if p.now == nil {
		p.now = time.Now
	}
	if p.keys == nil {
		p.keys = NewKeys()
	}
	return p
}

// Roots returns the roots of a side, for its trust store.
func (p *PKI) Roots(s Side) []*x509.Certificate {
	return []*x509.Certificate{p.cas[s].root.cert}
}

// Intermediates returns the intermediates of a side, for its trust store.
func (p *PKI) Intermediates(s Side) []*x509.Certificate {
	return []*x509.Certificate{p.cas[s].intermediate.cert}
}

// Pool returns the roots of a side as a pool.
func (p *PKI) Pool(s Side) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range p.Roots(s) {
		pool.AddCert(c)
	}
	return pool
}

func (p *PKI) newBranch(org, root, intermediate string) branch {
	var b branch
	b.root = p.newAuthority(org, root, authority{})
	b.intermediate = p.newAuthority(org, intermediate, b.root)
	return b
}

// newAuthority makes a CA under issuer, or a root when issuer is zero.
func (p *PKI) newAuthority(org, cn string, issuer authority) authority {
	key := newECDSA()
	t := &x509.Certificate{
		SerialNumber: serial(),
		RawSubject: subject(
			attribute{oidC, "FR"}, attribute{oidO, org},
			attribute{oidOU, "0002 000000000"}, attribute{oidOU, "IGC TEST"}, attribute{oidCN, cn},
		),
		NotBefore:             p.now().AddDate(-5, 0, 0),
		NotAfter:              p.now().AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	if issuer.cert == nil {
		return authority{mustCreate(t, t, key.Public(), key), key}
	}
	t.MaxPathLenZero = true // as the real intermediates (domain 4.1)
	return authority{mustCreate(t, issuer.cert, key.Public(), issuer.key), key}
}

// mustCreate panics: with a key and a template made here, only a programming
// error is left.
func mustCreate(t, parent *x509.Certificate, pub any, signer crypto.Signer) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, t, parent, pub, signer)
	if err != nil {
		panic("igc: create certificate: " + err.Error())
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		panic("igc: parse certificate: " + err.Error())
	}
	return c
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		panic("igc: serial number: " + err.Error())
	}
	return n.Add(n, big.NewInt(1))
}

// wrongBranch returns the branch that OtherCA and Impostor sign with.
func (p *PKI) wrongBranch(org, root, intermediate string) branch {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := fmt.Sprint(org, root, intermediate)
	b, ok := p.wrong[name]
	if !ok {
		b = p.newBranch(org, root, intermediate)
		p.wrong[name] = b
	}
	return b
}
