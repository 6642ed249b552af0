package trust

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
)

// ReadKey reads the one private key of a PEM file. Its error says which file
// and what to do, and nothing of the key.
func ReadKey(file string) (crypto.Signer, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, FileProblem(file, err)
	}
	blocks, err := ReadPEM(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, block := range blocks {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return nil, fmt.Errorf("%s: the private key is encrypted: write it in clear, readable by its user only (openssl pkey -in %s -out clear.key), or give a PKCS#12 and its passphrase file", file, file)
		}
		key, err := ParseKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: the private key cannot be read: export it again as PKCS#8", file)
		}
		return key, nil
	}
	return nil, fmt.Errorf("%s: holds no private key: PEM (-----BEGIN PRIVATE KEY-----) is expected", file)
}

// ReadPair reads a certificate with the CAs that go with it, and its key, for
// crypto/tls.
func ReadPair(certificate, key string) (tls.Certificate, error) {
	certs, _, err := ReadCertificates(certificate)
	if err != nil {
		return tls.Certificate{}, err
	}
	if len(certs) == 0 {
		return tls.Certificate{}, fmt.Errorf("%s: holds a private key and no certificate: are the two files swapped?", certificate)
	}
	signer, err := ReadKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	if public, ok := certs[0].PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(signer.Public()) {
		return tls.Certificate{}, fmt.Errorf("%s is not the private key of the first certificate of %s (%s)", key, certificate, NameOf(certs[0].Subject))
	}
	pair := tls.Certificate{Leaf: certs[0], PrivateKey: signer}
	for _, c := range certs {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	return pair, nil
}

// ReadPool reads the CAs of a file, for crypto/tls. One that cannot be read is
// an error, not a CA less.
func ReadPool(file string) (*x509.CertPool, error) {
	certs, keys, err := ReadCertificates(file)
	if err != nil {
		return nil, err
	}
	if keys {
		return nil, fmt.Errorf("%s: holds a private key; certificates of authorities are expected: remove the key from this file", file)
	}
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool, nil
}

// ReadLists reads every revocation list of a file: PEM, one or several, or one
// in DER. It checks no signature.
func ReadLists(file string) ([]*x509.RevocationList, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, FileProblem(file, err)
	}
	if len(text) > 0 && text[0] == 0x30 { // a SEQUENCE, in DER
		l, err := x509.ParseRevocationList(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return []*x509.RevocationList{l}, nil
	}
	blocks, err := ReadPEM(text)
	if err == nil && len(blocks) == 0 {
		err = errors.New("not a CRL in PEM or DER")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var lists []*x509.RevocationList
	for _, b := range blocks {
		l, err := x509.ParseRevocationList(b.Bytes)
		if err != nil || b.Type != "X509 CRL" {
			return nil, fmt.Errorf("%s: line %d: not a CRL: a block %s", file, b.Line, Safe(b.Type))
		}
		lists = append(lists, l)
	}
	return lists, nil
}
