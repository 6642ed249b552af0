package igc

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// A Pair is a certificate, what its owner presents with it, and its key.
type Pair struct {
	Cert  *x509.Certificate
	Chain []*x509.Certificate // the intermediates, without the leaf and without the root
	Key   crypto.Signer
}

// TLS returns the pair in the form crypto/tls takes.
func (p Pair) TLS() tls.Certificate {
	c := tls.Certificate{Certificate: [][]byte{p.Cert.Raw}, PrivateKey: p.Key, Leaf: p.Cert}
	for _, i := range p.Chain {
		c.Certificate = append(c.Certificate, i.Raw)
	}
	return c
}

// Write writes dir/name.pem (the leaf, then the chain) and dir/name.key
// (PKCS#8, mode 0600), and returns their paths.
func (p Pair) Write(dir, name string) (certFile, keyFile string, err error) {
	certFile, keyFile = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	if err := writeCertificates(certFile, append([]*x509.Certificate{p.Cert}, p.Chain...)); err != nil {
		return "", "", err
	}
	return certFile, keyFile, writeKey(keyFile, p.Key)
}

// WritePKCS12 writes the pair for a browser to import, with what it is protected
// by.
func (p Pair) WritePKCS12(file, password string) error {
	der, err := pkcs12.Modern.Encode(p.Key, p.Cert, p.Chain, password)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, der, 0o600)
}

// ReadPair reads what Write wrote.
func ReadPair(dir, name string) (Pair, error) {
	certs, err := readCertificates(filepath.Join(dir, name+".pem"))
	if err != nil {
		return Pair{}, err
	}
	key, err := readKey(filepath.Join(dir, name+".key"))
	if err != nil {
		return Pair{}, err
	}
	return Pair{Cert: certs[0], Chain: certs[1:], Key: key}, nil
}

func writeCertificates(file string, certs []*x509.Certificate) error {
	var text []byte
	for _, c := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

func writeKey(file string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	// An older file keeps its mode when it is written over: remove it first.
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

func readCertificates(file string) ([]*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		certs, text = append(certs, c), rest
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("%s: holds no certificate", file)
	}
	return certs, nil
}

func readKey(file string) (crypto.Signer, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: holds no PEM block", file)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: holds a key that cannot sign", file)
	}
	return signer, nil
}
