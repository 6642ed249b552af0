package tlsconf

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Purpose is what one of our own certificates is for.
type Purpose int

// The purposes.
const (
	ForServer    Purpose = iota // presented to establishments: serverAuth
	ForClient                   // presented to the annuaire and the AMC: clientAuth
	ForSignature                // signs messages: digitalSignature or nonRepudiation
)

// SourceOptions are what a Source needs.
type SourceOptions struct {
	Name     string // for errors: the configuration key, "listener.certificate"
	CertFile string // PEM: the certificate, then its intermediates
	KeyFile  string // PEM: its private key, not encrypted; may be the same file
	Purpose  Purpose
	Now      func() time.Time // nil: time.Now
}

// A Source is one of our own certificates, asked for at each handshake. Safe
// for concurrent use.
type Source struct {
	options SourceOptions
	mu      sync.Mutex // one Reload at a time
	current atomic.Pointer[tls.Certificate]
}

// OpenSource reads the certificate and its key. Its error is one sentence:
// which file, what is wrong, what to do.
func OpenSource(o SourceOptions) (*Source, error) {
	if o.Now == nil {
		o.Now = time.Now
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
	s.current.Store(&c)
	return s
}

// Certificate returns the current certificate, Leaf set; not to be changed.
// The pointer changes only when the certificate does.
func (s *Source) Certificate() *tls.Certificate { return s.current.Load() }

// Signer returns the private key of the current certificate.
func (s *Source) Signer() crypto.Signer {
	signer, _ := s.current.Load().PrivateKey.(crypto.Signer)
	return signer
}

// Reload reads the files again, and reports whether the certificate changed.
// On an error, a certificate that has ended included, the old one stays.
func (s *Source) Reload() (changed bool, err error) {
	if s.options.CertFile == "" && s.current.Load() != nil {
		return false, nil // FixedSource
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next, err := readPair(s.options)
	if err != nil {
		return false, fmt.Errorf("%s: %w", s.options.Name, err)
	}
	if old := s.current.Load(); old != nil && slices.EqualFunc(old.Certificate, next.Certificate, slices.Equal) {
		return false, nil
	}
	s.current.Store(next)
	return true, nil
}

// GetCertificate is for tls.Config.
func (s *Source) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return s.Certificate(), nil
}

// GetClientCertificate is for tls.Config. It presents the certificate whatever
// CAs the server names: those lists are often wrong, and a server that does
// not want it says so better than one that got none.
func (s *Source) GetClientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return s.Certificate(), nil
}

func readPair(o SourceOptions) (*tls.Certificate, error) {
	if o.CertFile == "" || o.KeyFile == "" {
		return nil, errors.New("a certificate file and a key file are both needed")
	}
	certs, _, err := readCertificates(o.CertFile)
	if err != nil {
		return nil, err
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("%s: holds a private key and no certificate: are the two files swapped?", o.CertFile)
	}
	key, err := readKey(o.KeyFile)
	if err != nil {
		return nil, err
	}
	if err := checkMatch(certs, key, o); err != nil {
		return nil, err
	}
	if err := checkOwn(certs[0], o); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", o.CertFile, nameOf(certs[0].Subject), err)
	}
	pair := &tls.Certificate{PrivateKey: key, Leaf: certs[0]}
	for _, c := range certs {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	return pair, nil
}

func readKey(file string) (crypto.Signer, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fileProblem(file, err)
	}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, fmt.Errorf("%s: holds no private key: PEM (-----BEGIN PRIVATE KEY-----) is expected", file)
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return nil, fmt.Errorf("%s: the private key is encrypted: write it in clear, readable by the RPN's user only (openssl pkey -in %s -out clear.key)", file, file)
		}
		key, err := parseKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: the private key cannot be read: export it again as PKCS#8", file)
		}
		return key, nil
	}
}

// parseKey withholds the parser's own words: they are about key material.
func parseKey(der []byte) (crypto.Signer, error) {
	if k, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if s, ok := k.(crypto.Signer); ok {
			return s, nil
		}
	}
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return k, nil
	}
	if k, err := x509.ParseECPrivateKey(der); err == nil {
		return k, nil
	}
	return nil, errors.New("not a private key")
}

func checkMatch(certs []*x509.Certificate, key crypto.Signer, o SourceOptions) error {
	for i, c := range certs {
		pub, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		if !ok || !pub.Equal(key.Public()) {
			continue
		}
		if i > 0 {
			return fmt.Errorf("%s: the certificate of the key must come first, before its CAs: it is number %d", o.CertFile, i+1)
		}
		return nil
	}
	return fmt.Errorf("%s is not the private key of %s (%s): take the key that its request was made with", o.KeyFile, o.CertFile, nameOf(certs[0].Subject))
}

func checkOwn(c *x509.Certificate, o SourceOptions) error {
	at := o.Now()
	switch {
	case at.After(c.NotAfter):
		return fmt.Errorf("ended on %s: put its renewal in this file", day(c.NotAfter))
	case at.Before(c.NotBefore):
		return fmt.Errorf("is not valid before %s, and it is %s here: check the clock", day(c.NotBefore), day(at))
	}
	if err := checkKey(c.PublicKey); err != nil {
		return err
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
