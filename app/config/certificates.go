package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/tlsconf/identity"
)

// A KeyPair is a certificate and its private key: two PEM files, or one
// PKCS#12 file, or what an ACME authority gives. One of the three, and with
// files a second pair beside it.
//
// The files are read again when they change, on SIGHUP and by `rpn reload`;
// docs/operating/certificates.md says how to renew one.
type KeyPair struct {
	// Files is the certificate and its key in files. Default: none, which acme
	// allows.
	Files `yaml:",inline"`

	// Second is another certificate of the same purpose whose key is of the
	// other kind: RSA beside ECDSA. Each peer gets the one it can check, ECDSA
	// first, which halves the cost of a handshake. Default: none.
	Second *Files `yaml:"second"`

	// ACME obtains and renews the certificate in place of files: for a public
	// name, or from a private authority that speaks ACME. Default: none.
	ACME *ACME `yaml:"acme"`
}

// Files is where a certificate and its key are.
type Files struct {
	// Certificate is the PEM file of the certificate, followed by its
	// intermediates and without the root:
	//
	//	cat mine.pem intermediate.pem > server.pem
	//
	// Default: none, which pkcs12 or acme allows.
	Certificate string `yaml:"certificate"`

	// Key is the PEM file of its private key (PKCS#8, PKCS#1 or SEC 1), not
	// encrypted, that only the RPN's user may read:
	//
	//	openssl rsa -in from-the-authority.key -out server.key
	//	chmod 0400 server.key
	//
	// Default: none, as certificate.
	Key string `yaml:"key"`

	// PKCS12 is a .p12 or .pfx file that holds the certificate, its
	// intermediates and its key, in place of certificate and key. The old
	// encryptions (RC2, 3DES) are read too. Default: none.
	PKCS12 string `yaml:"pkcs12"`

	// PassphraseFile is a file whose only line is the passphrase of pkcs12,
	// that only the RPN's user may read. A passphrase is never written in
	// this file, and never an argument. Default: no passphrase.
	PassphraseFile string `yaml:"passphrase_file"`

	// PassphraseCredential is, in place of passphrase_file, the name of a
	// credential that systemd hands over: LoadCredential=NAME:FILE or
	// LoadCredentialEncrypted=. Default: none.
	PassphraseCredential string `yaml:"passphrase_credential"`
}

// ACME is how a certificate is obtained from an authority (RFC 8555).
type ACME struct {
	// Directory is the URL of the authority's directory, https:
	// "https://acme-v02.api.letsencrypt.org/directory". Required.
	Directory string `yaml:"directory" strict:"required"`

	// Names are the DNS names, one certificate each. Required.
	Names []string `yaml:"names" strict:"required"`

	// AgreeTerms says that the authority's terms were read and are agreed to.
	// Default: false, which is refused.
	AgreeTerms bool `yaml:"agree_terms"`

	// Email is where the authority writes when something is wrong. Default:
	// none.
	Email string `yaml:"email"`

	// Roots is the file or folder of the authorities that the authority's own
	// web server is believed by, for a private one. Default: those of the
	// operating system, which are used for nothing else.
	Roots string `yaml:"roots"`

	// Storage is the folder where accounts, keys and certificates are kept, or
	// the word redis: then they are in the Redis of the section redis, sealed
	// with the keys of secrets. Instances that share it share the
	// certificates, and one of them renews for all. Required.
	Storage string `yaml:"storage" strict:"required"`

	// RSA obtains an RSA certificate too, beside the ECDSA one, for clients
	// that know nothing else. Default: false.
	RSA bool `yaml:"rsa"`

	// HTTP is the address and port where challenges are answered, open during
	// a challenge only; the authority must reach it as port 80 of each name:
	// "0.0.0.0:80". Default: none, and then tls_alpn is required.
	HTTP string `yaml:"http"`

	// TLSALPN is the same by TLS, reached as port 443: "0.0.0.0:443". It
	// cannot be the port of listen, where nobody comes in without a
	// certificate. Default: none.
	TLSALPN string `yaml:"tls_alpn"`

	// AccountKeyID binds the account to one that the authority knows, where it
	// asks for it (external account binding). Default: none.
	AccountKeyID string `yaml:"account_key_id"`

	// AccountKeyFile is the file of that account's key, base64url. Default:
	// none.
	AccountKeyFile string `yaml:"account_key_file"`
}

// An Identity is one of our own certificates.
type Identity struct {
	Name    string // in the configuration
	Pair    *KeyPair
	Purpose identity.Purpose
}

// FacadeSignature is the name of the identity that signs the façade's answers.
const FacadeSignature = "facade.signature"

// Identities are our own certificates, all of them.
func (c *Config) Identities() []Identity {
	all := c.tlsIdentities()
	if c.Facade.Signature != nil {
		all = append(all, Identity{FacadeSignature, &KeyPair{Files: *c.Facade.Signature}, identity.ForSignature})
	}
	if c.Portal.Certificate != nil {
		all = append(all, Identity{PortalCertificate, &KeyPair{Files: *c.Portal.Certificate}, identity.ForServer})
	}
	return all
}

func (c *Config) tlsIdentities() []Identity {
	return []Identity{{"server", &c.Server, identity.ForServer}, {"client", &c.Client, identity.ForClient}}
}

// ownFiles are the files of our certificates, for checkFiles.
func (c *Config) ownFiles() []namedFile {
	var files []namedFile
	of := func(f *Files, path ...any) {
		for _, one := range []struct {
			name string
			file *string
		}{{"certificate", &f.Certificate}, {"key", &f.Key}, {"pkcs12", &f.PKCS12}, {"passphrase_file", &f.PassphraseFile}} {
			files = append(files, namedFile{append(path[:len(path):len(path)], one.name), one.file, false})
		}
	}
	if c.Facade.Signature != nil {
		of(c.Facade.Signature, "facade", "signature")
	}
	if c.Portal.Certificate != nil {
		of(c.Portal.Certificate, "portal", "certificate")
	}
	for _, own := range c.tlsIdentities() {
		of(&own.Pair.Files, own.Name)
		if own.Pair.Second != nil {
			of(own.Pair.Second, own.Name, "second")
		}
		if a := own.Pair.ACME; a != nil {
			files = append(files, namedFile{[]any{own.Name, "acme", "roots"}, &a.Roots, true}, namedFile{[]any{own.Name, "acme", "account_key_file"}, &a.AccountKeyFile, false})
		}
	}
	return files
}

// checkOwn says which of the ways to give a certificate is meant, or that none
// or two are.
func (c *Config) checkOwn(doc *strict.Document) {
	if c.Facade.Signature != nil {
		c.Facade.Signature.check(doc, "facade", "signature")
	}
	if c.Portal.Certificate != nil {
		c.Portal.Certificate.check(doc, "portal", "certificate")
	}
	for _, own := range c.tlsIdentities() {
		at := doc.At(own.Name)
		switch f := own.Pair.Files; {
		case own.Pair.ACME != nil && (f != Files{} || own.Pair.Second != nil):
			doc.Refuse(at, "keep either the files or acme", "%s has files and acme", own.Name)
		case own.Pair.ACME != nil:
			c.checkACME(doc, own.Name, own.Pair.ACME)
		default:
			f.check(doc, own.Name)
			if own.Pair.Second != nil {
				own.Pair.Second.check(doc, own.Name, "second")
			}
		}
	}
}

func (f Files) check(doc *strict.Document, path ...any) {
	at := doc.At(path...)
	name := strings.Trim(fmt.Sprint(path...), "[]")
	switch {
	case f.PKCS12 == "" && (f.Certificate == "" || f.Key == ""):
		doc.Refuse(at, "give certificate and key, or pkcs12, or acme", "%s has no certificate and key", name)
	case f.PKCS12 != "" && (f.Certificate != "" || f.Key != ""):
		doc.Refuse(at, "keep one of them: a PKCS#12 holds both", "%s has pkcs12 beside certificate or key", name)
	case f.PKCS12 == "" && (f.PassphraseFile != "" || f.PassphraseCredential != ""):
		doc.Refuse(at, "remove it: the key in a PEM file is not encrypted", "%s has a passphrase and no pkcs12", name)
	case f.PassphraseFile != "" && f.PassphraseCredential != "":
		doc.Refuse(at, "keep one of them", "%s has passphrase_file and passphrase_credential", name)
	}
}

// StorageRedis is the acme.storage that is no folder.
const StorageRedis = "redis"

func (c *Config) checkACME(doc *strict.Document, name string, a *ACME) {
	if a.Storage == StorageRedis {
		if !c.Redis.Given() {
			doc.Refuse(doc.At(name, "acme", "storage"), `add redis: {urls: [...]} and secrets, or name a folder (./redis for one of that name)`, "storage is redis, and there is no section redis")
		}
	} else if !filepath.IsAbs(a.Storage) {
		a.Storage = filepath.Join(c.dir, a.Storage)
	}
	if a.TLSALPN != "" && a.TLSALPN == c.Listen {
		doc.Refuse(doc.At(name, "acme", "tls_alpn"), "give another address or port: nobody comes in at listen without a certificate", "%s is the address of listen", a.TLSALPN)
	}
}

func (f Files) tls() identity.Files {
	return identity.Files{Certificate: f.Certificate, Key: f.Key, PKCS12: f.PKCS12,
		Passphrase: identity.Passphrase{File: f.PassphraseFile, Credential: f.PassphraseCredential}}
}

// Sets are the files of the pair, those of ACME left out: certmagic keeps its
// own.
func (k *KeyPair) Sets() []identity.Files {
	if k.ACME != nil {
		return nil
	}
	files := []identity.Files{k.Files.tls()}
	if k.Second != nil {
		files = append(files, k.Second.tls())
	}
	return files
}

// There reports whether the files are given as they should and are there: else
// Examine says what is missing.
func (k *KeyPair) There() bool {
	all := []Files{k.Files}
	if k.ACME != nil {
		all = nil
	}
	if k.Second != nil {
		all = append(all, *k.Second)
	}
	for _, f := range all {
		if (f.PKCS12 == "") == (f.Certificate == "" || f.Key == "") {
			return false
		}
		for _, name := range []string{f.Certificate, f.Key, f.PKCS12, f.PassphraseFile} {
			if _, err := os.Stat(name); name != "" && err != nil {
				return false
			}
		}
	}
	return true
}

// Paths are the files to watch.
func (k *KeyPair) Paths() []string {
	var paths []string
	for _, f := range k.Sets() {
		paths = append(paths, f.Paths()...)
	}
	return paths
}
