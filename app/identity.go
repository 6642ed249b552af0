package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/piano-roc/rpn/internal/acmeredis"
	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/tlsconf"
)

// identities are our own certificates, by their name in the configuration.
func (c *Config) identities() []struct {
	name    string
	pair    *KeyPair
	purpose tlsconf.Purpose
} {
	return []struct {
		name    string
		pair    *KeyPair
		purpose tlsconf.Purpose
	}{{"server", &c.Server, tlsconf.ForServer}, {"client", &c.Client, tlsconf.ForClient}}
}

// ownFiles are the files of our certificates, for checkFiles.
func (c *Config) ownFiles() []namedFile {
	var files []namedFile
	for _, own := range c.identities() {
		of := func(f *Files, path ...any) {
			for _, one := range []struct {
				name string
				file *string
			}{{"certificate", &f.Certificate}, {"key", &f.Key}, {"pkcs12", &f.PKCS12}, {"passphrase_file", &f.PassphraseFile}} {
				files = append(files, namedFile{append(path[:len(path):len(path)], one.name), one.file, false})
			}
		}
		of(&own.pair.Files, own.name)
		if own.pair.Second != nil {
			of(own.pair.Second, own.name, "second")
		}
		if a := own.pair.ACME; a != nil {
			files = append(files, namedFile{[]any{own.name, "acme", "roots"}, &a.Roots, true}, namedFile{[]any{own.name, "acme", "account_key_file"}, &a.AccountKeyFile, false})
		}
	}
	return files
}

// checkOwn says which of the ways to give a certificate is meant, or that none
// or two are.
func (c *Config) checkOwn(doc *strict.Document) {
	for _, own := range c.identities() {
		at := doc.At(own.name)
		switch f := own.pair.Files; {
		case own.pair.ACME != nil && (f != Files{} || own.pair.Second != nil):
			doc.Refuse(at, "keep either the files or acme", "%s has files and acme", own.name)
		case own.pair.ACME != nil:
			c.checkACME(doc, own.name, own.pair.ACME)
		default:
			f.check(doc, own.name)
			if own.pair.Second != nil {
				own.pair.Second.check(doc, own.name, "second")
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

// storageRedis is the acme.storage that is no folder.
const storageRedis = "redis"

func (c *Config) checkACME(doc *strict.Document, name string, a *ACME) {
	if a.Storage == storageRedis {
		if !c.Redis.given() {
			doc.Refuse(doc.At(name, "acme", "storage"), `add redis: {urls: [...]} and secrets, or name a folder (./redis for one of that name)`, "storage is redis, and there is no section redis")
		}
	} else if !filepath.IsAbs(a.Storage) {
		a.Storage = filepath.Join(c.dir, a.Storage)
	}
	if a.TLSALPN != "" && a.TLSALPN == c.Listen {
		doc.Refuse(doc.At(name, "acme", "tls_alpn"), "give another address or port: nobody comes in at listen without a certificate", "%s is the address of listen", a.TLSALPN)
	}
}

func (c *Config) checkRules(doc *strict.Document) {
	for i, r := range c.Trust.rules() {
		name := tlsconf.StoreNames()[i]
		if r.RSABits != 0 && (r.RSABits < 2048 || r.RSABits > 8192) {
			doc.Refuse(doc.At("trust", "rules", name, "rsa_bits"), "write 2048, 3072 or 4096", "%d bits are outside 2048 to 8192", r.RSABits)
		}
		if r.Depth < 0 || r.Depth > 8 {
			doc.Refuse(doc.At("trust", "rules", name, "depth"), "write 1 to 8", "%d authorities above a certificate", r.Depth)
		}
	}
}

// rules are those of the four stores, in the order of tlsconf.StoreNames.
func (t *Trust) rules() []StoreRules {
	return []StoreRules{t.Rules.EtablissementsTLS, t.Rules.EtablissementsSignature, t.Rules.AMCTLS, t.Rules.AMCSignature}
}

func (r StoreRules) tls() tlsconf.Rules {
	rules := tlsconf.Rules{RSABits: r.RSABits, Depth: r.Depth}
	for _, p := range r.Policies {
		if oid, err := x509.ParseOID(string(p)); err == nil { // parsePolicy saw to it
			rules.Policies = append(rules.Policies, oid)
		}
	}
	return rules
}

func parsePolicy(s string) (PolicyOID, error) {
	if _, err := x509.ParseOID(s); err != nil {
		return "", errors.New("not a certificate policy: numbers and dots are expected")
	}
	return PolicyOID(s), nil
}

func (f Files) tls() tlsconf.Files {
	return tlsconf.Files{Certificate: f.Certificate, Key: f.Key, PKCS12: f.PKCS12,
		Passphrase: tlsconf.Passphrase{File: f.PassphraseFile, Credential: f.PassphraseCredential}}
}

// files are those of the pair, ACME's left out: certmagic keeps its own.
func (k *KeyPair) files() []tlsconf.Files {
	if k.ACME != nil {
		return nil
	}
	files := []tlsconf.Files{k.Files.tls()}
	if k.Second != nil {
		files = append(files, k.Second.tls())
	}
	return files
}

// paths are the files to watch.
func (k *KeyPair) paths() []string {
	var paths []string
	for _, f := range k.files() {
		paths = append(paths, f.Paths()...)
	}
	return paths
}

// openOwn opens one of our identities. With ACME nothing is asked yet:
// startOwn does.
func (a *App) openOwn(name string, pair *KeyPair, purpose tlsconf.Purpose) (*tlsconf.Source, error) {
	o := tlsconf.SourceOptions{Name: a.config.file + ": " + name, Files: pair.files(), Purpose: purpose, Production: a.config.Environment == Production, Now: a.now}
	if pair.ACME != nil {
		acme, err := a.openACME(name, pair.ACME)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", a.config.file, name, err)
		}
		o.ACME = acme
		a.acme[name] = acme
		a.onStop("certificates of "+name, func(context.Context) error { acme.Stop(); return nil })
	}
	return tlsconf.OpenSource(o)
}

func (a *App) openACME(name string, c *ACME) (*tlsconf.ACME, error) {
	o := tlsconf.ACMEOptions{
		Directory: c.Directory, Names: c.Names, Email: c.Email, AgreedTerms: c.AgreeTerms, RSA: c.RSA, Storage: c.Storage,
		HTTP: c.HTTP, TLSALPN: c.TLSALPN, EABKeyID: c.AccountKeyID, Log: a.log,
	}
	if c.Storage == storageRedis {
		o.Storage = ""
		o.Shared = func(kind string) tlsconf.ACMEStorage {
			return acmeredis.New(acmeredis.Options{Client: a.redis, Keys: a.secrets, Name: name + "/" + kind})
		}
	}
	if c.Roots != "" {
		roots, err := tlsconf.OpenStore(tlsconf.StoreOptions{Name: "acme.roots", Paths: []string{c.Roots}, Now: a.now})
		if err != nil {
			return nil, err
		}
		o.Roots = roots.Trust().Roots()
	}
	if c.AccountKeyFile != "" {
		key, err := os.ReadFile(c.AccountKeyFile)
		if err != nil {
			return nil, errors.New(missing(c.AccountKeyFile, err))
		}
		o.EABKey = strings.TrimSpace(string(key))
	}
	return tlsconf.NewACME(o)
}

// startOwn begins what keeps our certificates alive: ACME, and the OCSP answer
// beside the one that we show to establishments.
func (a *App) startOwn() error {
	for name, acme := range a.acme {
		if err := acme.Start(func() {
			if changed, err := a.own[name].Reload(); err != nil {
				a.log.Error("the certificate obtained by ACME cannot be used", slog.String("part", name), slog.String("error", oneLine(err)))
			} else if changed {
				a.log.Info("a certificate came by ACME", slog.String("part", name))
			}
		}); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.running.Go(func() { a.own["server"].Staple(ctx, tlsconf.StapleOptions{Log: a.log}) })
	a.onStop("OCSP answers", func(context.Context) error { cancel(); return nil })
	return nil
}
