package trust

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
)

// A Trust is one generation of a trust store. It never changes: a reload
// makes another one.
type Trust struct {
	roots, intermediates []*x509.Certificate
	above                map[string][]path // see pathsOf
	// anchors holds roots and intermediates, for crypto/tls to name in the
	// CertificateRequest.
	anchors     *x509.CertPool
	fingerprint [sha256.Size]byte
	rules       Rules
	verdicts    verdicts
	signatures  atomic.Uint64 // verified for peers
}

// NewTrust makes a Trust of these CAs, unchecked; OpenStore checks.
func NewTrust(roots, intermediates []*x509.Certificate) *Trust {
	return NewTrustWithRules(roots, intermediates, Rules{})
}

// NewTrustWithRules is NewTrust with what the certificates must keep to.
func NewTrustWithRules(roots, intermediates []*x509.Certificate, rules Rules) *Trust {
	t := &Trust{rules: rules, roots: roots, intermediates: intermediates, above: pathsOf(roots, intermediates), anchors: x509.NewCertPool()}
	var prints [][sha256.Size]byte
	for _, c := range slices.Concat(roots, intermediates) {
		t.anchors.AddCert(c)
		prints = append(prints, roc.IDOfCertificate(c))
	}
	slices.SortFunc(prints, func(a, b [sha256.Size]byte) int { return slices.Compare(a[:], b[:]) })
	h := sha256.New()
	for _, p := range prints {
		h.Write(p[:])
	}
	h.Sum(t.fingerprint[:0])
	return t
}

// Roots returns the self-signed CAs; not to be changed.
func (t *Trust) Roots() []*x509.Certificate { return t.roots }

// Intermediates returns the other CAs; not to be changed.
func (t *Trust) Intermediates() []*x509.Certificate { return t.intermediates }

// Anchors holds roots and intermediates, for crypto/tls; not to be changed.
func (t *Trust) Anchors() *x509.CertPool { return t.anchors }

// Fingerprint tells one set of CAs from another, in any order of files.
func (t *Trust) Fingerprint() [sha256.Size]byte { return t.fingerprint }

// StoreOptions are what a Store needs.
type StoreOptions struct {
	Name  string           // for errors: the configuration key, "trust.etablissements_tls"
	Paths []string         // PEM or DER files, or folders of *.pem *.crt *.cer *.der; at least one
	Now   func() time.Time // nil: time.Now

	Rules       Rules
	Environment Environment // what may be in it
	// InUse is asked, at a reload that takes a CA away, why that may not be:
	// somebody was accepted by old today and would not be by next. Nil: never.
	InUse func(old, next *Trust) error
}

// A Store is a trust store kept in files. Safe for concurrent use.
type Store struct {
	options StoreOptions
	mu      sync.Mutex // one Reload at a time
	current atomic.Pointer[Trust]
}

// OpenStore reads a trust store. Its error says which file, what is wrong and
// what to do; it joins all there is to say.
func OpenStore(o StoreOptions) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{options: o}
	if _, err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// FixedStore returns a Store of one Trust, that never changes.
func FixedStore(t *Trust) *Store {
	s := &Store{}
	s.current.Store(t)
	return s
}

// Trust returns the current generation: the same pointer as long as the CAs
// are the same.
func (s *Store) Trust() *Trust { return s.current.Load() }

// Reload reads the files again, and reports whether the CAs changed. On an
// error the store keeps what it had.
func (s *Store) Reload() (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.Prepare(false)
	if err != nil {
		return false, err
	}
	c.Commit()
	return len(c.What) > 0, nil
}

// Prepare reads the files again, and returns the change that they bring
// without making it. A set that is worse is an error; force lets go of a CA
// that is still in use, and of nothing else.
func (s *Store) Prepare(force bool) (Change, error) {
	old := s.Trust()
	if len(s.options.Paths) == 0 && old != nil {
		return Change{}, nil // FixedStore
	}
	next, err := readTrust(s.options)
	if err != nil {
		return Change{}, s.named(err)
	}
	commit := func() { s.current.Store(next) }
	switch {
	case old == nil:
		return Change{What: differences(NewTrust(nil, nil), next), commit: commit}, nil
	case old.fingerprint == next.fingerprint:
		return Change{}, nil
	}
	if s.options.InUse != nil && !force && len(Lost(old, next)) > 0 {
		if err := s.options.InUse(old, next); err != nil {
			return Change{}, fmt.Errorf("trust store %s: %w", s.options.Name, err)
		}
	}
	return Change{What: differences(old, next), commit: commit}, nil
}

// named has each of the errors that were joined say which store it is about.
func (s *Store) named(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("trust store %s: %w", s.options.Name, err)
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, s.named(e))
	}
	return errors.Join(all...)
}

func readTrust(o StoreOptions) (*Trust, error) {
	if len(o.Paths) == 0 {
		return nil, errors.New("no file is configured: name a PEM file or a folder of them")
	}
	var roots, intermediates []*x509.Certificate
	var problems []error
	seen := map[roc.CertificateID]bool{}
	for _, path := range o.Paths {
		files, err := storeFiles(path)
		if err != nil {
			problems = append(problems, err)
		}
		for _, file := range files {
			certs, err := readCAs(file)
			if err != nil {
				problems = append(problems, err)
			}
			for _, c := range certs {
				print := roc.IDOfCertificate(c)
				switch {
				case seen[print]:
				case IsSelfSigned(c):
					roots = append(roots, c)
				default:
					intermediates = append(intermediates, c)
				}
				seen[print] = true
			}
		}
	}
	if len(problems) == 0 {
		problems = append(problems, checkSet(roots, intermediates, o.Now())...)
	}
	for _, c := range slices.Concat(roots, intermediates) {
		if err := o.Environment.admits(c); err != nil {
			return nil, fmt.Errorf("%s: %w", NameOf(c.Subject), err)
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	o.Rules.Environment = o.Environment
	return NewTrustWithRules(roots, intermediates, o.Rules), nil
}

func storeFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, FileProblem(path, err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, FileProblem(path, err)
	}
	var files []string
	for _, e := range entries {
		file := filepath.Join(path, e.Name())
		// Stat follows links, as a mounted secret needs; what starts with a
		// dot is that mount's own business.
		if info, err := os.Stat(file); err != nil || info.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		switch strings.ToLower(filepath.Ext(e.Name())) {
		case ".pem", ".crt", ".cer", ".der":
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: the folder holds no certificate file (*.pem, *.crt, *.cer, *.der): put the CA certificates there", path)
	}
	return files, nil
}

// readCAs reads the CAs of one file, PEM or DER (IGC-Santé publishes .cer).
func readCAs(file string) ([]*x509.Certificate, error) {
	certs, keys, err := ReadCertificates(file)
	if err != nil {
		return nil, err
	}
	if keys {
		return nil, fmt.Errorf("%s: holds a private key; a trust store holds CA certificates only: remove the key from this file", file)
	}
	for _, c := range certs {
		if err := checkCA(c); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", file, NameOf(c.Subject), err)
		}
	}
	return certs, nil
}

func checkCA(c *x509.Certificate) error {
	switch {
	case !c.IsCA || !c.BasicConstraintsValid:
		return errors.New("is not a CA certificate: a trust store holds the CAs that issue, not the certificates they issued")
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("its key usage does not allow it to sign certificates: take the issuing CA")
	}
	if err := CheckKey(c.PublicKey); err != nil {
		return err
	}
	// The signature of a root is checked by nobody; that of an intermediate
	// must hold.
	if !IsSelfSigned(c) && !StrongSignature(c.SignatureAlgorithm) {
		return fmt.Errorf("is signed with %s, which is not accepted: take its renewed certificate", c.SignatureAlgorithm)
	}
	return nil
}

func checkSet(roots, intermediates []*x509.Certificate, at time.Time) []error {
	if len(roots) == 0 {
		return []error{errors.New("holds no root (self-signed CA): add the root above these CAs")}
	}
	if !slices.ContainsFunc(roots, func(c *x509.Certificate) bool { return !at.After(c.NotAfter) }) {
		return []error{fmt.Errorf("every root has expired, the last (%s) on %s: add the current root",
			NameOf(roots[len(roots)-1].Subject), Day(roots[len(roots)-1].NotAfter))}
	}
	var problems []error
	all := slices.Concat(roots, intermediates)
	for _, c := range intermediates {
		if !slices.ContainsFunc(all, func(above *x509.Certificate) bool { return Issued(above, c) }) {
			problems = append(problems, fmt.Errorf("%s: its issuer %s is not in this store: add it, or remove this one",
				NameOf(c.Subject), NameOf(c.Issuer)))
		}
	}
	return problems
}

// Issued says whether above signed c, by its name and key.
func Issued(above, c *x509.Certificate) bool {
	return SameName(above.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(above) == nil
}

// IsSelfSigned does not check the signature: a store file is trusted for what
// it says, and an old root may be signed with SHA-1.
func IsSelfSigned(c *x509.Certificate) bool { return SameName(c.RawSubject, c.RawIssuer) }

// ReadCertificates reads a PEM or DER file of certificates, and says whether
// it holds a private key too.
func ReadCertificates(file string) (certs []*x509.Certificate, keys bool, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, false, FileProblem(file, err)
	}
	if c, err := roc.ParseCertificate(text); err == nil {
		return []*x509.Certificate{c}, false, nil
	}
	blocks, err := ReadPEM(text)
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", file, err)
	}
	for _, block := range blocks {
		switch {
		case block.Type == "CERTIFICATE":
			c, err := roc.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, false, fmt.Errorf("%s: line %d: certificate %d cannot be read (%w): export it again", file, block.Line, len(certs)+1, err)
			}
			certs = append(certs, c)
		case IsKey(block):
			keys = true
		default:
			return nil, false, fmt.Errorf("%s: line %d: holds a block %s: certificates are expected (-----BEGIN CERTIFICATE-----); convert it (openssl x509 -in FILE -out NEW), or remove it",
				file, block.Line, Safe(block.Type))
		}
	}
	if len(certs) == 0 && !keys {
		return nil, false, fmt.Errorf("%s: holds no certificate: PEM (-----BEGIN CERTIFICATE-----) or one DER certificate is expected", file)
	}
	return certs, keys, nil
}

// ParseKey reads a private key. It withholds the parser's own words: they are about key material.
func ParseKey(der []byte) (crypto.Signer, error) {
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

// FileProblem says in one sentence why a file cannot be read, and what to do. It
// wraps err.
func FileProblem(path string, err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return &fileProblem{path + ": no such file: correct the path in the configuration, or put the file there", err}
	case errors.Is(err, os.ErrPermission):
		return &fileProblem{durable.Forbidden(path), err}
	}
	return fmt.Errorf("%s: %w", path, err)
}

// A fileProblem is an error of the system in our words.
type fileProblem struct {
	text  string
	cause error
}

func (p *fileProblem) Error() string { return p.text }
func (p *fileProblem) Unwrap() error { return p.cause }

// Day writes an instant for people.
func Day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// Stores are the four trust stores (profile section 3). They are never mixed:
// each is used for its own check only.
type Stores struct {
	EtablissementTLS       *Store // IGC-Santé, who may connect to us
	EtablissementSignature *Store // IGC-Santé, who may sign requests
	AMCTLS                 *Store // IGC OSI, to whom we connect
	AMCSignature           *Store // IGC OSI, who may sign answers
}

// StorePaths are the files or folders of the four stores.
type StorePaths struct {
	EtablissementTLS, EtablissementSignature, AMCTLS, AMCSignature []string
}

// StoreNames are the names of the four stores in the configuration, in the
// order of Stores.All.
func StoreNames() []string {
	return []string{"etablissements_tls", "etablissements_signature", "amc_tls", "amc_signature"}
}

// All returns the four stores, in the order of StoreNames.
func (s *Stores) All() []*Store {
	return []*Store{s.EtablissementTLS, s.EtablissementSignature, s.AMCTLS, s.AMCSignature}
}

// OpenStores reads the four stores, and says all that is wrong with them; those
// that cannot be read are nil then. The names in its errors are the configuration keys under prefix; more completes
// the options of each store, by its name.
func OpenStores(prefix string, p StorePaths, more func(name string, o StoreOptions) StoreOptions) (*Stores, error) {
	var opened [4]*Store
	var problems []error
	environment := false // that of one store was said
	paths := [][]string{p.EtablissementTLS, p.EtablissementSignature, p.AMCTLS, p.AMCSignature}
	for i, name := range StoreNames() {
		store, err := OpenStore(more(name, StoreOptions{Name: prefix + name, Paths: paths[i]}))
		switch {
		case err != nil && errors.Is(err, ErrEnvironment) && environment: // the others are likely to be of that environment too
		case err != nil:
			environment = environment || errors.Is(err, ErrEnvironment)
			problems = append(problems, err)
		}
		opened[i] = store
	}
	return &Stores{opened[0], opened[1], opened[2], opened[3]}, errors.Join(problems...)
}

// Prepare is Store.Prepare for the four; an error of one is an error of all.
func (s *Stores) Prepare(force bool) (Change, error) {
	var changes []Change
	var problems []error
	for _, store := range s.All() {
		c, err := store.Prepare(force)
		changes, problems = append(changes, c), append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return Change{}, err
	}
	return join(StoreNames(), changes), nil
}
