package mutuelle

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// Files are where an insurer's own certificates and those whom it trusts lie,
// each a PEM file. Errors name them as the flags of the command do.
type Files struct {
	Cert, Key         string // --cert and --key: our TLS server certificate, then its intermediates
	ClientCA          string // --client-ca: the CAs of TLS clients (the RPN)
	SignCert, SignKey string // --sign-cert and --sign-key: with which answers are signed
	EsCA              string // --es-ca: the CAs of establishments' signatures
}

// Read reads every file: the key and the verifier of Options, and TLS for the
// server. What looks like production is refused.
func (f Files) Read() (sign xmlsig.Key, verifier *xmlsig.Verifier, server *tls.Config, err error) {
	own, err := readPair("--cert", f.Cert, "--key", f.Key)
	if err != nil {
		return sign, nil, nil, err
	}
	signer, err := readPair("--sign-cert", f.SignCert, "--sign-key", f.SignKey)
	if err != nil {
		return sign, nil, nil, err
	}
	clients, err := readCAs("--client-ca", f.ClientCA)
	if err != nil {
		return sign, nil, nil, err
	}
	signers, err := readCAs("--es-ca", f.EsCA)
	if err != nil {
		return sign, nil, nil, err
	}
	believed := xmlsig.NewTrust(trust.NewTrust(signers.roots, signers.intermediates).Signature(nil))
	return xmlsig.Key{Certificate: signer.leaf, Chain: signer.chain, Signer: signer.key},
		xmlsig.NewVerifier(xmlsig.Options{Trust: func() *xmlsig.Trust { return believed }}), tlsConfigOf(own, clients), nil
}

// A pair is a certificate, its intermediates and its key.
type pair struct {
	leaf  *x509.Certificate
	chain []*x509.Certificate
	key   crypto.Signer
	tls   tls.Certificate
}

func readPair(certFlag, certFile, keyFlag, keyFile string) (pair, error) {
	certs, err := readCertificates(certFlag, certFile)
	if err != nil {
		return pair{}, err
	}
	t, err := trust.ReadPair(certFile, keyFile)
	if err != nil {
		return pair{}, fmt.Errorf("%s, %s: %w", certFlag, keyFlag, err)
	}
	key, ok := t.PrivateKey.(crypto.Signer)
	if !ok {
		return pair{}, fmt.Errorf("%s %s: this kind of key cannot sign; give an RSA or ECDSA key", keyFlag, keyFile)
	}
	if err := refuseProduction(certFlag, certFile, certs); err != nil {
		return pair{}, err
	}
	return pair{leaf: certs[0], chain: certs[1:], key: key, tls: t}, nil
}

// CAs are the certificates of one trust store.
type cas struct{ roots, intermediates []*x509.Certificate }

func readCAs(flag, file string) (cas, error) {
	certs, err := readCertificates(flag, file)
	if err != nil {
		return cas{}, err
	}
	if err := refuseProduction(flag, file, certs); err != nil {
		return cas{}, err
	}
	var c cas
	for _, cert := range certs {
		if !cert.IsCA {
			return cas{}, fmt.Errorf("%s %s: %q is not a CA certificate; give the roots and intermediates only", flag, file, cert.Subject)
		}
		if bytes.Equal(cert.RawSubject, cert.RawIssuer) {
			c.roots = append(c.roots, cert)
		} else {
			c.intermediates = append(c.intermediates, cert)
		}
	}
	if len(c.roots) == 0 {
		return cas{}, fmt.Errorf("%s %s: holds no root (self-signed) CA; add the root to the file", flag, file)
	}
	return c, nil
}

func readCertificates(flag, file string) ([]*x509.Certificate, error) {
	certs, _, err := trust.ReadCertificates(file)
	if err == nil && len(certs) == 0 {
		err = fmt.Errorf("%s: holds no certificate; give a PEM file with BEGIN CERTIFICATE", file)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return certs, nil
}

// refuseProduction fails when a certificate is, or was issued by, a CA that
// looks like one of production: a fictitious insurer must never be reached by
// real establishments, nor pass for a real one.
func refuseProduction(flag, file string, certs []*x509.Certificate) error {
	for _, c := range certs {
		for _, name := range []string{c.Subject.String(), c.Issuer.String()} {
			if looksLikeProduction(name) {
				return fmt.Errorf("%s %s: %q looks like a production CA; this insurer is fictitious: give a CA whose name says TEST, DEMO or FICTIF", flag, file, name)
			}
		}
	}
	return nil
}

// looksLikeProduction reports whether a name says IGC-Santé or IGC OSI and
// nowhere TEST, DEMO or FICTIF.
func looksLikeProduction(name string) bool {
	name = strings.NewReplacer("É", "E", "-", " ", "_", " ").Replace(strings.ToUpper(name))
	for _, word := range []string{"TEST", "DEMO", "FICTI"} {
		if strings.Contains(name, word) {
			return false
		}
	}
	for _, igc := range []string{"IGC SANTE", "IGC OSI", "AC SERVICES APPLICATIFS", "AC SERVEUR", "ASIP SANTE"} {
		if strings.Contains(name, igc) {
			return true
		}
	}
	return false
}

func tlsConfigOf(server pair, clients cas) *tls.Config {
	pool := x509.NewCertPool()
	for _, c := range append(clients.roots, clients.intermediates...) {
		pool.AddCert(c)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{server.tls},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
		NextProtos:   []string{"http/1.1"},
	}
}

// ParseNumbers reads the AMC numbers of --amc.
func ParseNumbers(list []string) ([]roc.NumeroAMC, error) {
	var numbers []roc.NumeroAMC
	for _, s := range list {
		n, err := roc.ParseNumeroAMC(s)
		if err != nil {
			return nil, fmt.Errorf("--amc %q: %w; write it as the annuaire does, 0077565712", s, err)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}
