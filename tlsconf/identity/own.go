package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// Files is where one certificate of ours is: a PEM file and the PEM file of
// its key, or one PKCS#12 file.
type Files struct {
	Certificate string // PEM: the certificate, then its intermediates
	Key         string // PEM: its private key, not encrypted; may be the same file

	PKCS12     string     // instead of both: a .p12 or .pfx file
	Passphrase Passphrase // of the PKCS#12
}

// Paths returns the files to watch.
func (f Files) Paths() []string {
	var paths []string
	for _, p := range []string{f.Certificate, f.Key, f.PKCS12, f.Passphrase.path()} {
		if p != "" {
			paths = append(paths, p)
		}
	}
	return paths
}

func (f Files) name() string {
	if f.PKCS12 != "" {
		return f.PKCS12
	}
	return f.Certificate
}

func (f Files) keyName() string {
	if f.PKCS12 != "" {
		return "the key inside"
	}
	return f.Key
}

func (f Files) read() ([]*x509.Certificate, crypto.Signer, error) {
	switch {
	case f.PKCS12 != "" && (f.Certificate != "" || f.Key != ""):
		return nil, nil, fmt.Errorf("%s holds its certificate and its key: name no PEM files beside it", f.PKCS12)
	case f.PKCS12 != "":
		return readPKCS12(f.PKCS12, f.Passphrase)
	case f.Certificate == "" || f.Key == "":
		return nil, nil, errors.New("a certificate file and a key file are both needed")
	}
	certs, _, err := trust.ReadCertificates(f.Certificate)
	if err != nil {
		return nil, nil, err
	}
	if len(certs) == 0 {
		return nil, nil, fmt.Errorf("%s: holds a private key and no certificate: are the two files swapped?", f.Certificate)
	}
	key, err := trust.ReadKey(f.Key)
	return certs, key, err
}

// readOwn reads every pair of the options, ECDSA first.
func readOwn(o SourceOptions) (all []*tls.Certificate, unlinked []*x509.Certificate, err error) {
	if len(o.Files) == 0 {
		return nil, nil, errors.New("a certificate file and a key file are both needed")
	}
	for _, f := range o.Files {
		c, linked, err := readPair(f, o)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, c)
		if !linked {
			unlinked = append(unlinked, c.Leaf)
		}
	}
	all, err = inOrder(all)
	return all, unlinked, err
}

// inOrder puts ECDSA first, and refuses two of a kind: only one of them would
// ever be used.
func inOrder(all []*tls.Certificate) ([]*tls.Certificate, error) {
	slices.SortStableFunc(all, func(a, b *tls.Certificate) int { return preference(a) - preference(b) })
	for i := 1; i < len(all); i++ {
		if preference(all[i]) == preference(all[i-1]) {
			return nil, fmt.Errorf("%s and %s have the same kind of key: one RSA and one ECDSA stand side by side, or one alone",
				trust.NameOf(all[i-1].Leaf.Subject), trust.NameOf(all[i].Leaf.Subject))
		}
	}
	return all, nil
}

func preference(c *tls.Certificate) int {
	if _, ok := c.Leaf.PublicKey.(*ecdsa.PublicKey); ok {
		return 0
	}
	return 1
}

var errNoCertificateYet = errors.New("tlsconf: no certificate has been obtained yet")

// choose returns the first certificate that has the name the client asks for
// (SNI) and whose kind of key it can check, by its signature algorithms, groups
// and suites; else the first one it can check: a wrong name is the client's to
// refuse; else the last one, and crypto/tls says what fails.
func choose(all []*tls.Certificate, hello *tls.ClientHelloInfo) *tls.Certificate {
	if len(all) == 0 {
		return nil
	}
	if len(all) == 1 || hello == nil {
		return all[0]
	}
	nameless := *hello
	nameless.ServerName = ""
	for _, h := range []*tls.ClientHelloInfo{hello, &nameless} {
		for _, c := range all {
			if h.SupportsCertificate(c) == nil {
				return c
			}
		}
	}
	return all[len(all)-1]
}

// chooseForServer is choose for the certificate that we present as a client.
func chooseForServer(all []*tls.Certificate, request *tls.CertificateRequestInfo) *tls.Certificate {
	if len(all) == 0 {
		return nil
	}
	if len(all) == 1 || request == nil {
		return all[0]
	}
	anyCA := *request
	anyCA.AcceptableCAs = nil
	for _, c := range all {
		if anyCA.SupportsCertificate(c) == nil {
			return c
		}
	}
	return all[len(all)-1]
}

func sameCertificate(a, b *tls.Certificate) bool {
	return slices.EqualFunc(a.Certificate, b.Certificate, slices.Equal)
}

// lostNames returns the names that the old certificates have and the new ones
// lack.
func lostNames(old, next []*tls.Certificate) []string {
	var lost []string
	for _, o := range old {
		for _, name := range o.Leaf.DNSNames {
			has := func(c *tls.Certificate) bool { return slices.Contains(c.Leaf.DNSNames, name) }
			if !slices.ContainsFunc(next, has) && !slices.Contains(lost, trust.Safe(name)) {
				lost = append(lost, trust.Safe(name))
			}
		}
	}
	return lost
}

// renewals says what changed, one line for each certificate that came.
func renewals(old, next []*tls.Certificate) []string {
	var what []string
	for _, n := range next {
		if slices.ContainsFunc(old, func(o *tls.Certificate) bool { return sameCertificate(o, n) }) {
			continue
		}
		what = append(what, fmt.Sprintf("now %s, until %s", trust.Describe(n.Leaf), trust.Day(n.Leaf.NotAfter)))
	}
	for _, o := range old {
		if !slices.ContainsFunc(next, func(n *tls.Certificate) bool { return sameCertificate(o, n) }) {
			what = append(what, fmt.Sprintf("no more %s, until %s", trust.Describe(o.Leaf), trust.Day(o.Leaf.NotAfter)))
		}
	}
	return what
}
