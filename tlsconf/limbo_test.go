package tlsconf_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A forge makes certificates that no CA should, in the manner of BetterTLS and
// x509-limbo: chains with two ways up, names that repeat, limits that are broken.
type forge struct {
	t      *testing.T
	serial int64
}

type forged struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// make signs under by (zero: itself) what change makes of a good CA.
func (f *forge) make(by forged, cn string, change func(*x509.Certificate), keys ...crypto.Signer) forged {
	f.t.Helper()
	f.serial++
	var key crypto.Signer
	if len(keys) > 0 {
		key = keys[0]
	} else {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			f.t.Fatal(err)
		}
		key = k
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(f.serial), Subject: pkix.Name{Country: []string{"FR"}, Organization: []string{"IGC FICTIVE"}, CommonName: cn},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	pub := sha256.Sum256(fmt.Append(nil, cn, f.serial, key.Public()))
	c.SubjectKeyId = pub[:20]
	if change != nil {
		change(c)
	}
	parent, signer := by.cert, by.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		f.t.Fatalf("%s: %v", cn, err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		f.t.Fatalf("%s: %v", cn, err)
	}
	return forged{made, key}
}

func (f *forge) leaf(by forged, changes ...func(*x509.Certificate)) forged {
	return f.make(by, "feuille", func(c *x509.Certificate) {
		c.Subject.OrganizationalUnit = []string{chu}
		c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		for _, change := range changes {
			change(c)
		}
	})
}

func TestChainsThatAreHardToVerify(t *testing.T) {
	t.Parallel()
	f := &forge{t: t}
	root := f.make(forged{}, "AC RACINE", nil)
	inter := f.make(root, "AC", nil)
	type trusted struct{ roots, intermediates []forged }
	usual := trusted{[]forged{root}, nil}
	chain := func(of ...forged) []forged { return of }
	unknown := pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4, 5}, Critical: true, Value: []byte{5, 0}}
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ended := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().AddDate(-2, 0, 0), time.Now().AddDate(-1, 0, 0)
	}
	sha1 := func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 }

	deep := []forged{root}
	for i := range 5 {
		deep = append(deep, f.make(deep[i], fmt.Sprint("AC ", i), nil))
	}
	up := func(leaf forged, n int) []forged { // leaf and n intermediates above it
		all := []forged{leaf}
		for i := n; i > 0; i-- {
			all = append(all, deep[i])
		}
		return all
	}
	endedInter := f.make(root, "AC", ended, inter.key)        // same name, same key, over
	namesake := f.make(root, "AC", nil)                       // same name, another key
	stranger := f.make(forged{}, "AC ETRANGERE", nil)         //
	crossed := f.make(stranger, "AC", nil, inter.key)         // inter, certified by a stranger too
	oldRoot := f.make(forged{}, "AC RACINE", ended, root.key) // the same root, its first certificate
	loopA := f.make(forged{}, "BOUCLE A", nil)                //
	loopB := f.make(loopA, "BOUCLE B", nil)                   //
	loopA2 := f.make(loopB, "BOUCLE A", nil, loopA.key)       // A certified by B, which A certified
	short := f.make(root, "AC COURTE", func(c *x509.Certificate) { c.MaxPathLenZero = true })
	below := f.make(short, "AC DE TROP", nil)
	notCA := f.leaf(inter)
	noSign := f.make(root, "AC SANS SIGNATURE", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })
	named := f.make(root, "AC NOMMEE", func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"hopital.test"}, true
	})
	email := f.make(root, "AC COURRIEL", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} })
	anyUse := f.make(root, "AC TOUT", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} })
	strange := f.make(root, "AC ETRANGE", func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{unknown} })
	sha1Inter := f.make(root, "AC SHA-1", sha1)
	rsaInter := f.make(root, "AC RSA", nil, weak)
	dns := func(name string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.DNSNames = []string{name} }
	}
	for _, c := range []struct {
		name     string
		presents []forged
		trusts   trusted
		want     trust.Reason // "": comes in
	}{
		{"usual", chain(f.leaf(inter), inter), usual, ""},
		{"no intermediate, and the store has it", chain(f.leaf(inter)), trusted{[]forged{root}, []forged{inter}}, ""},
		{"no intermediate", chain(f.leaf(inter)), usual, trust.UnknownCA},
		// presented certificates are taken in their own order, each issued by the next
		{"with the root, and in the wrong order", chain(f.leaf(inter), root, inter), usual, trust.UnknownCA},
		{"with certificates that have nothing to do with it", chain(f.leaf(inter), stranger, loopB, inter), usual, trust.UnknownCA},
		{"the same, and the store has the intermediate", chain(f.leaf(inter), stranger, loopB, inter), trusted{[]forged{root}, []forged{inter}}, ""},
		{"rsa intermediate", chain(f.leaf(rsaInter), rsaInter), usual, ""},

		{"two ways up, one is over", chain(f.leaf(inter), endedInter, inter), usual, trust.Expired},
		{"the same, and the store has the other", chain(f.leaf(inter), endedInter), trusted{[]forged{root}, []forged{inter}}, ""},
		{"only the way that is over", chain(f.leaf(inter), endedInter), usual, trust.Expired},
		{"two ways up, one to a stranger", chain(f.leaf(inter), crossed, inter), usual, trust.UnknownCA},
		{"the same, and the store has the other one", chain(f.leaf(inter), crossed), trusted{[]forged{root}, []forged{inter}}, ""},
		{"only the way to a stranger", chain(f.leaf(inter), crossed), usual, trust.UnknownCA},
		{"a namesake CA of another key in front", chain(f.leaf(inter), namesake, inter), usual, trust.UnknownCA},
		{"the same, and the store has both", chain(f.leaf(inter), namesake), trusted{[]forged{root}, []forged{namesake, inter}}, ""},
		{"only the namesake", chain(f.leaf(inter), namesake), usual, trust.UnknownCA},
		{"a root's two certificates, the old one over", chain(f.leaf(inter), inter), trusted{[]forged{oldRoot, root}, nil}, ""},
		{"only the old one", chain(f.leaf(inter), inter), trusted{[]forged{oldRoot}, nil}, trust.Expired},
		{"CAs in a circle", chain(f.leaf(loopB), loopB, loopA2), usual, trust.UnknownCA},
		{"the store's own root presented by a stranger", chain(f.leaf(stranger), stranger, root), usual, trust.UnknownCA},

		{"four CAs", up(f.leaf(deep[3]), 3), usual, ""},
		{"five CAs", up(f.leaf(deep[4]), 4), usual, trust.UnknownCA},
		{"path length broken", chain(f.leaf(below), below, short), usual, trust.UnknownCA},
		{"issued by a certificate that is no CA", chain(f.leaf(notCA), notCA, inter), usual, trust.UnknownCA},
		{"issued by a CA that may not sign", chain(f.leaf(noSign), noSign), usual, trust.UnknownCA},
		{"a CA itself", chain(f.make(inter, "CA", func(c *x509.Certificate) {
			c.KeyUsage |= x509.KeyUsageDigitalSignature
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}), inter), usual, trust.WrongUsage},

		{"inside the name constraint", chain(f.leaf(named, dns("chu.hopital.test")), named), usual, ""},
		{"outside the name constraint", chain(f.leaf(named, dns("amc.test")), named), usual, trust.UnknownCA},
		{"a CA for mail only", chain(f.leaf(email), email), usual, trust.WrongUsage},
		{"a CA for anything", chain(f.leaf(anyUse), anyUse), usual, ""},
		{"a leaf for anything", chain(f.leaf(inter, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }), inter), usual, trust.WrongUsage},
		{"client and server", chain(f.leaf(inter, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		}), inter), usual, ""},

		{"a critical extension that is unknown", chain(f.leaf(inter, func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{unknown} }), inter), usual, trust.UnknownCA},
		{"the same in its CA", chain(f.leaf(strange), strange), usual, trust.UnknownCA},
		{"signed with sha-1", chain(f.leaf(inter, sha1), inter), usual, trust.WeakKey},
		{"its CA signed with sha-1", chain(f.leaf(sha1Inter), sha1Inter), usual, trust.WeakKey},
		{"huge: a thousand names", chain(f.leaf(inter, func(c *x509.Certificate) {
			for i := range 1000 {
				c.DNSNames = append(c.DNSNames, fmt.Sprintf("service-%04d.chu.test", i))
			}
		}), inter), usual, ""},
		{"a semicolon in the name", chain(f.leaf(inter, func(c *x509.Certificate) { c.Subject.CommonName = "rpps.tra.henix;asipsante.fr" }), inter), usual, ""},
		{"an empty common name", chain(f.leaf(inter, func(c *x509.Certificate) { c.Subject.CommonName = "" }), inter), usual, ""},
	} {
		certs := func(all []forged) (list []*x509.Certificate) {
			for _, one := range all {
				list = append(list, one.cert)
			}
			return list
		}
		server := tlstest.NewPKI()
		d := tlstest.OpenDoor(t, tlsconf.ServerOptions{
			Certificate: identity.FixedSource(server.Server(igc.EtablissementTLS, "rpn.test").TLS()),
			Clients:     trust.FixedStore(trust.NewTrust(certs(c.trusts.roots), certs(c.trusts.intermediates))),
		}, nil)
		pair := igc.Pair{Cert: c.presents[0].cert, Key: c.presents[0].key, Chain: slices.Clone(certs(c.presents[1:]))}
		// Verified again, and remembered: the same verdict.
		for _, as := range []string{"stranger", "second time"} {
			_, err := d.Knock(tlstest.Client(server, pair))
			if c.want == "" && err != nil {
				t.Errorf("%s (%s): %v", c.name, as, err)
			}
			if c.want != "" {
				if err == nil {
					t.Errorf("%s (%s): came in", c.name, as)
				} else if got := d.Failure(t); got.Reason != c.want {
					t.Errorf("%s (%s): %v, want %s", c.name, as, got, c.want)
				}
			}
		}
	}
}
