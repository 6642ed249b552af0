package identity

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A Purpose is what one of our own certificates is for.
type Purpose int

// The purposes.
const (
	ForServer    Purpose = iota // presented to establishments: serverAuth
	ForClient                   // presented to the annuaire and the AMC: clientAuth
	ForSignature                // signs messages: digitalSignature or nonRepudiation
)

// SourceOptions are what a Source needs: CertFile and KeyFile, or Files, or ACME.
type SourceOptions struct {
	Name     string // for errors: the configuration key, "listener.certificate"
	CertFile string // PEM: the certificate, then its intermediates
	KeyFile  string // PEM: its private key, not encrypted; may be the same file
	// Files are more certificates for the same purpose, each with another kind
	// of key (RSA, ECDSA): the peer gets the one it can check (see choose).
	Files   []Files
	ACME    *ACME // obtains the certificate instead; nil: from files
	Purpose Purpose
	// Production refuses a certificate whose issuer is named TEST (TestWord).
	Production bool
	// Authorities are the CAs of the trust stores: an intermediate that the file
	// lacks is taken from there. Nil: none.
	Authorities func() []*x509.Certificate
	Now         func() time.Time // nil: time.Now
}

// A Source is one of our own identities, asked for at each handshake: a
// certificate, or two side by side, RSA and ECDSA. Safe for concurrent use.
type Source struct {
	options SourceOptions
	mu      sync.Mutex // one Reload or staple at a time
	current atomic.Pointer[own]
}

// An own never changes once stored. The certificates are in the order of
// preference: ECDSA first, it halves the cost of a handshake.
type own struct {
	all      []*tls.Certificate
	unlinked []*x509.Certificate // those of them whose issuer was not found
}

// OpenSource reads the certificate and its key. Its error is one sentence:
// which file, what is wrong, what to do. With ACME and an empty storage there
// is no certificate yet: Certificate returns nil until ACME.Start has got one.
func OpenSource(o SourceOptions) (*Source, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.CertFile != "" || o.KeyFile != "" {
		o.Files = slices.Concat([]Files{{Certificate: o.CertFile, Key: o.KeyFile}}, o.Files)
	}
	s := &Source{options: o}
	if _, err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// FixedSource returns a Source of one certificate, that never changes. Its
// Leaf must be set.
func FixedSource(c tls.Certificate) *Source {
	s := &Source{}
	s.current.Store(&own{all: []*tls.Certificate{&c}})
	return s
}

// Certificate returns the preferred current certificate, Leaf set; not to be
// changed. The pointer changes only when the certificate does. Nil when ACME
// has not got one yet.
func (s *Source) Certificate() *tls.Certificate {
	if all := s.Certificates(); len(all) > 0 {
		return all[0]
	}
	return nil
}

// Certificates returns every current certificate, the preferred one first.
func (s *Source) Certificates() []*tls.Certificate {
	if o := s.current.Load(); o != nil {
		return o.all
	}
	return nil
}

// Signer returns the private key of the preferred current certificate.
func (s *Source) Signer() crypto.Signer {
	c := s.Certificate()
	if c == nil {
		return nil
	}
	signer, _ := c.PrivateKey.(crypto.Signer)
	return signer
}

// Reload reads the files again, and reports whether the certificate changed.
// On an error, a certificate that has ended included, the old one stays.
func (s *Source) Reload() (changed bool, err error) {
	c, err := s.Prepare(false)
	if err != nil {
		return false, err
	}
	c.Commit()
	return len(c.What) > 0, nil
}

// Prepare reads the files again, and returns the change that they bring
// without making it. A set that is worse is an error: a key of another
// certificate, one that has ended, or (unless force) one that lacks a name the
// current one has.
func (s *Source) Prepare(force bool) (trust.Change, error) {
	if s.fixed() {
		return trust.Change{}, nil
	}
	next, unlinked, err := s.read()
	if err != nil {
		return trust.Change{}, fmt.Errorf("%s: %w", s.options.Name, err)
	}
	old := s.Certificates()
	if slices.EqualFunc(old, next, sameCertificate) {
		return trust.Change{}, nil
	}
	if lost := lostNames(old, next); len(lost) > 0 && s.options.Purpose == ForServer && !force {
		return trust.Change{}, fmt.Errorf("%s: the new certificate lacks the names %s that the present one has, and who connects by them would be refused: "+
			"ask for a certificate with these names, or force the reload", s.options.Name, strings.Join(lost, ", "))
	}
	if len(unlinked) > 0 && len(old) > 0 && len(s.current.Load().unlinked) == 0 && !force {
		return trust.Change{}, fmt.Errorf("%s: the issuer of the new certificate (%s) is neither in its file nor in a trust store, and peers that lack it would refuse us: "+
			"put the intermediate after the certificate, or force the reload", s.options.Name, trust.NameOf(unlinked[0].Issuer))
	}
	return trust.NewChange(renewals(old, next), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.current.Store(&own{next, unlinked})
	}), nil
}

func (s *Source) fixed() bool {
	return len(s.options.Files) == 0 && s.options.ACME == nil && s.current.Load() != nil
}

// read returns the certificates, and the leaves whose issuer was not found.
func (s *Source) read() ([]*tls.Certificate, []*x509.Certificate, error) {
	if s.options.ACME != nil {
		all, err := s.options.ACME.certificates(s.options)
		return all, nil, err // an ACME authority gives the chain
	}
	return readOwn(s.options)
}

// GetCertificate is for tls.Config.
func (s *Source) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := choose(s.Certificates(), hello); c != nil {
		return c, nil
	}
	return nil, errNoCertificateYet
}

// GetClientCertificate is for tls.Config. It presents a certificate whatever
// CAs the server names: those lists are often wrong, and a server that does
// not want it says so better than one that got none.
func (s *Source) GetClientCertificate(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if c := chooseForServer(s.Certificates(), request); c != nil {
		return c, nil
	}
	return nil, errNoCertificateYet
}

func readPair(f Files, o SourceOptions) (pair *tls.Certificate, linked bool, err error) {
	certs, key, err := f.read()
	if err != nil {
		return nil, false, err
	}
	if err := checkMatch(certs, key, f); err != nil {
		return nil, false, err
	}
	if err := checkOwn(certs[0], o); err != nil {
		return nil, false, fmt.Errorf("%s: %s: %w", f.name(), trust.NameOf(certs[0].Subject), err)
	}
	var authorities []*x509.Certificate
	if o.Authorities != nil {
		authorities = o.Authorities()
	}
	chain, linked := chainOf(certs, authorities)
	pair = &tls.Certificate{PrivateKey: key, Leaf: certs[0]}
	for _, c := range chain {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	return pair, linked, nil
}

func checkMatch(certs []*x509.Certificate, key crypto.Signer, f Files) error {
	for i, c := range certs {
		pub, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		if !ok || !pub.Equal(key.Public()) {
			continue
		}
		if i > 0 {
			return fmt.Errorf("%s: the certificate of the key must come first, before its CAs: it is number %d", f.name(), i+1)
		}
		return nil
	}
	if certs[0].IsCA {
		return fmt.Errorf("%s: %s is the certificate of an authority (CA): give the one that it issued for us, and its own after it", f.name(), trust.NameOf(certs[0].Subject))
	}
	return fmt.Errorf("%s is not the private key of %s (%s): take the key that its request was made with", f.keyName(), f.name(), trust.NameOf(certs[0].Subject))
}

func checkOwn(c *x509.Certificate, o SourceOptions) error {
	at := o.Now()
	switch {
	case at.After(c.NotAfter):
		return fmt.Errorf("ended on %s: put its renewal in this file", trust.Day(c.NotAfter))
	case at.Before(c.NotBefore):
		return fmt.Errorf("is not valid before %s, and it is %s here: check the clock", trust.Day(c.NotBefore), trust.Day(at))
	}
	if err := trust.CheckKey(c.PublicKey); err != nil {
		return err
	}
	if word := trust.TestWord(c.Issuer); word != "" && o.Production {
		return fmt.Errorf("was issued by an authority that is not for production (%q in %s): take a production certificate, or set environment: test", word, trust.NameOf(c.Issuer))
	}
	usage, name := x509.KeyUsageDigitalSignature, ""
	var eku x509.ExtKeyUsage
	switch o.Purpose {
	case ForServer:
		eku, name = x509.ExtKeyUsageServerAuth, "serverAuth"
	case ForClient:
		eku, name = x509.ExtKeyUsageClientAuth, "clientAuth"
	case ForSignature:
		usage |= x509.KeyUsageContentCommitment
	}
	if c.KeyUsage != 0 && c.KeyUsage&usage == 0 {
		return errors.New("its key usage lacks digitalSignature: another certificate was meant")
	}
	if name != "" && len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0 && !slices.Contains(c.ExtKeyUsage, eku) {
		return fmt.Errorf("its extended key usage lacks %s: another certificate was meant", name)
	}
	return nil
}
