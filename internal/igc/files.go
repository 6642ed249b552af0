package igc

import (
	"crypto/x509"
	"fmt"
	"path/filepath"
)

// StoreFile is where Write puts the trust store of a side:
// dir/confiance/etablissements-tls.pem.
func StoreFile(dir string, s Side) string {
	return filepath.Join(dir, "confiance", s.String()+".pem")
}

// Write writes the four trust stores (StoreFile: the root and its
// intermediate), and under dir/autorites the CA keys (mode 0600), with which
// Open resumes.
func (p *PKI) Write(dir string) error {
	for s := range sides {
		b := p.cas[s]
		if err := writeCertificates(StoreFile(dir, s), []*x509.Certificate{b.root.cert, b.intermediate.cert}); err != nil {
			return fmt.Errorf("write the throw-away PKI: %w", err)
		}
		for name, a := range authorityFiles(&b, s) {
			if _, _, err := (Pair{Cert: a.cert, Key: a.key}).Write(filepath.Join(dir, "autorites"), name); err != nil {
				return fmt.Errorf("write the throw-away PKI: %w", err)
			}
		}
	}
	return nil
}

// Open reads back what Write wrote.
func Open(dir string, o Options) (*PKI, error) {
	p := empty(o)
	for s := range sides {
		for name, a := range authorityFiles(&p.cas[s], s) {
			pair, err := ReadPair(filepath.Join(dir, "autorites"), name)
			if err != nil {
				return nil, fmt.Errorf("read the throw-away PKI: %w", err)
			}
			*a = authority{pair.Cert, pair.Key}
		}
	}
	return p, nil
}

func authorityFiles(b *branch, s Side) map[string]*authority {
	return map[string]*authority{
		s.String() + "-racine":        &b.root,
		s.String() + "-intermediaire": &b.intermediate,
	}
}
