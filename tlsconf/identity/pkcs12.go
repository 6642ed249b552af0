package identity

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A Passphrase says where a passphrase is: in a file, or in a credential that
// systemd hands over (LoadCredential=NAME:FILE). It is never an argument, an
// environment variable or a field of the configuration, and never in a log.
// The zero Passphrase is the empty one.
type Passphrase struct {
	File       string
	Credential string // a name under $CREDENTIALS_DIRECTORY
}

func (p Passphrase) path() string {
	if p.Credential == "" {
		return p.File
	}
	return filepath.Join(os.Getenv("CREDENTIALS_DIRECTORY"), p.Credential)
}

// read returns the passphrase: the file without its last end of line.
func (p Passphrase) read() (string, error) {
	switch {
	case p == Passphrase{}:
		return "", nil
	case p.File != "" && p.Credential != "":
		return "", errors.New("the passphrase is in a file or in a credential, not in both")
	case p.Credential != "" && os.Getenv("CREDENTIALS_DIRECTORY") == "":
		return "", fmt.Errorf("the credential %q cannot be found, CREDENTIALS_DIRECTORY is not set: add LoadCredential=%s:FILE to the systemd unit",
			p.Credential, p.Credential)
	case strings.ContainsAny(p.Credential, `/\`):
		return "", fmt.Errorf("%q is not the name of a credential: it is a plain name, without a folder", p.Credential)
	}
	text, err := os.ReadFile(p.path())
	if err != nil {
		return "", trust.FileProblem(p.path(), err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), nil
}

// maxPKCS12 is far above a certificate, its chain and its key.
const maxPKCS12 = 1 << 20

// readPKCS12 reads a PKCS#12 file of the old kind (RC2 and 3DES, SHA-1: what
// French health PKIs hand out) or of the new one (PBES2, AES). Whatever
// protects the file is not what protects TLS: it lies on our own disk.
func readPKCS12(file string, p Passphrase) ([]*x509.Certificate, crypto.Signer, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, nil, trust.FileProblem(file, err)
	}
	if info.Size() > maxPKCS12 {
		return nil, nil, fmt.Errorf("%s: has %d bytes, which is no certificate and its key", file, info.Size())
	}
	der, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, trust.FileProblem(file, err)
	}
	passphrase, err := p.read()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	key, leaf, chain, err := pkcs12.DecodeChain(der, passphrase)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return nil, nil, fmt.Errorf("%s: the passphrase is not the right one: correct %s", file, p.where())
	case err != nil:
		// The library's own words may quote the content.
		return nil, nil, fmt.Errorf("%s: is not a PKCS#12 with one private key, its certificate and its chain: export it again (openssl pkcs12 -export)", file)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("%s: holds a key that cannot sign", file)
	}
	certs := append([]*x509.Certificate{leaf}, chain...)
	for _, c := range certs {
		if err := roc.CheckCertificate(c); err != nil {
			return nil, nil, fmt.Errorf("%s: %s %w", file, trust.NameOf(c.Subject), err)
		}
	}
	return certs, signer, nil // in any order: see chainOf
}

func (p Passphrase) where() string {
	switch {
	case p.Credential != "":
		return "the credential " + p.Credential
	case p.File != "":
		return p.File
	}
	return "passphrase_file (none is given)"
}
