package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
)

// ACMEOptions are what an ACME needs (RFC 8555): for public names, or for a
// private CA that speaks it. IGC-Santé does not.
type ACMEOptions struct {
	Directory string // the CA's directory, an https URL. Required.
	// Roots are whom the CA's own https server is believed by. None: the
	// system's, which nothing else in this package consults.
	Roots []*x509.Certificate
	Names []string // DNS names, one certificate each. Required.
	Email string   // where the CA writes; optional
	// AgreedTerms says that somebody read the CA's terms. Required.
	AgreedTerms bool
	// EAB is the external account binding that some CAs ask for.
	EABKeyID, EABKey string
	// RSA asks for an RSA certificate beside the ECDSA one, for old clients.
	RSA bool
	// Storage is the folder of accounts, keys and certificates. Instances that
	// share it (a network file system with locks) share the certificates, and
	// one renews for all. Required, or Shared.
	Storage string
	// Shared is a storage in the folder's place, one for each kind of key
	// ("ecdsa", "rsa"): internal/redis/acme.
	Shared func(kind string) ACMEStorage
	// HTTP (port 80 as the CA sees it) or TLSALPN (port 443) is the address,
	// host:port, where challenges are answered, open during a challenge only.
	// It is never the establishments' listener, which lets nobody in without a
	// certificate. One of the two is required.
	HTTP, TLSALPN string
	// RenewEvery is how often it looks whether a renewal is due: past two
	// thirds of a certificate's life, or when the CA says so (RFC 9773).
	// 0: 10 min.
	RenewEvery time.Duration
	// Proxy is by which proxy a request goes; its error refuses one. The library
	// connects by itself, so this is how it leaves by the filter, to the host of
	// Directory alone (egress.Tunnel). Required.
	Proxy func(*http.Request) (*url.URL, error)
	Log   *slog.Logger // Required.
}

// An ACMEStorage keeps accounts, keys, certificates and locks.
type ACMEStorage = certmagic.Storage

// storage is where one kind of key is kept.
func (o ACMEOptions) storage(kind string) ACMEStorage {
	if o.Shared != nil {
		return o.Shared(kind)
	}
	return &certmagic.FileStorage{Path: filepath.Join(o.Storage, kind)}
}

// An ACME obtains certificates and renews them. It is a Source's, by
// SourceOptions.ACME. Safe for concurrent use.
type ACME struct {
	options ACMEOptions
	kinds   []acmeKind
	// one lets one certificate be asked for at a time: certmagic remembers the
	// challenge of a name by the name alone, and two kinds of key share it.
	one     sync.Mutex
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// A taker is an ACMEIssuer that waits for its turn.
type taker struct {
	*certmagic.ACMEIssuer
	one *sync.Mutex
}

func (t taker) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	t.one.Lock()
	defer t.one.Unlock()
	return t.ACMEIssuer.Issue(ctx, csr)
}

// An acmeKind is one kind of key: certmagic keeps one certificate a name in
// each storage, so each kind has its own storage and cache.
type acmeKind struct {
	name   string
	cache  *certmagic.Cache
	config *certmagic.Config
}

// NewACME checks its options. Nothing is asked of the CA before Start. Stop
// must be called, Start or not.
func NewACME(o ACMEOptions) (*ACME, error) {
	host, port, err := o.check()
	if err != nil {
		return nil, err
	}
	a := &ACME{options: o}
	a.kinds = append(a.kinds, a.newKind("ecdsa", certmagic.P256, host, port))
	if o.RSA {
		a.kinds = append(a.kinds, a.newKind("rsa", certmagic.RSA2048, host, port))
	}
	return a, nil
}

func (o ACMEOptions) check() (host string, port int, err error) {
	u, err := url.Parse(o.Directory)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "":
		return "", 0, fmt.Errorf("acme: directory %q is not an https URL: take it from the CA's documentation", o.Directory)
	case len(o.Names) == 0:
		return "", 0, errors.New("acme: no name: list the DNS names of the certificate")
	case o.Storage == "" && o.Shared == nil:
		return "", 0, errors.New("acme: no storage: name a folder that outlives the process")
	case !o.AgreedTerms:
		return "", 0, errors.New("acme: the CA's terms are not agreed to: read them, then set agree_terms: true")
	case (o.HTTP == "") == (o.TLSALPN == ""):
		return "", 0, errors.New("acme: give http or tls_alpn, one of them: where challenges are answered")
	case (o.EABKeyID == "") != (o.EABKey == ""):
		return "", 0, errors.New("acme: an external account has a key id and a key, both")
	case o.Log == nil || o.Proxy == nil:
		return "", 0, errors.New("tlsconf: an ACME needs its Log and its Proxy")
	}
	for _, n := range o.Names {
		if net.ParseIP(n) == nil && !certmagic.SubjectQualifiesForCert(n) {
			return "", 0, fmt.Errorf("acme: %q is not a DNS name", n)
		}
	}
	host, p, err := net.SplitHostPort(o.HTTP + o.TLSALPN)
	if err == nil {
		port, err = strconv.Atoi(p)
	}
	if err != nil || port <= 0 || port > 65535 {
		return "", 0, fmt.Errorf("acme: %q is not an address to answer challenges on: write host:port, 0.0.0.0:80", o.HTTP+o.TLSALPN)
	}
	return host, port, nil
}

func (a *ACME) newKind(name string, key certmagic.KeyType, host string, port int) acmeKind {
	o := a.options
	k := acmeKind{name: name}
	log := zapTo(o.Log)
	// The cache asks for the configuration of a certificate it must renew.
	k.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return k.config, nil },
		RenewCheckInterval: o.RenewEvery,
		Logger:             log,
	})
	k.config = certmagic.New(k.cache, certmagic.Config{
		Storage:   o.storage(name),
		KeySource: certmagic.StandardKeyGenerator{KeyType: key},
		Logger:    log,
		// Source.Staple asks for them, by the filter of addresses.
		OCSP: certmagic.OCSPConfig{DisableStapling: true},
	})
	issuer := certmagic.ACMEIssuer{
		CA: o.Directory, TestCA: o.Directory, Email: o.Email, Agreed: o.AgreedTerms,
		ListenHost:           host,
		DisableHTTPChallenge: o.HTTP == "", AltHTTPPort: port,
		DisableTLSALPNChallenge: o.TLSALPN == "", AltTLSALPNPort: port,
		Logger:    log,
		HTTPProxy: o.Proxy,
	}
	if len(o.Roots) > 0 {
		issuer.TrustedRoots = x509.NewCertPool()
		for _, c := range o.Roots {
			issuer.TrustedRoots.AddCert(c)
		}
	}
	if o.EABKeyID != "" {
		issuer.ExternalAccount = &acme.EAB{KeyID: o.EABKeyID, MACKey: o.EABKey}
	}
	k.config.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(k.config, issuer)}
	if o.RSA {
		k.config.Issuers = []certmagic.Issuer{taker{certmagic.NewACMEIssuer(k.config, issuer), &a.one}}
	}
	return k
}

// lookEvery is how often Start's changed may be called.
const lookEvery = 2 * time.Second

// Start obtains what is missing and renews from now on, in the background; a
// CA that does not answer is asked again later. changed is called when a
// certificate came (Source.Reload puts it in use).
func (a *ACME) Start(changed func()) error {
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	waiting, err := a.manage(ctx, a.kinds)
	if err != nil && a.options.Shared == nil {
		cancel()
		return fmt.Errorf("acme: %s: %w", a.options.Storage, err)
	}
	a.running.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		var before []*x509.Certificate
		for {
			if len(waiting) > 0 { // a storage that others keep may be away for a while
				a.options.Log.Error("acme: the storage cannot be read: it is tried again", "event", "acme_storage_unreadable", "error", err.Error())
				waiting, err = a.manage(ctx, waiting)
			}
			if now := a.leaves(); !slices.EqualFunc(before, now, (*x509.Certificate).Equal) {
				before = now
				changed()
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	return nil
}

// manage begins to manage these kinds, and returns those that it cannot yet:
// certmagic tries once to read its storage, so it begins when that can be read.
func (a *ACME) manage(ctx context.Context, kinds []acmeKind) (waiting []acmeKind, last error) {
	for _, k := range kinds {
		_, err := k.config.Storage.Stat(ctx, "certificates")
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = k.config.ManageAsync(ctx, a.options.Names)
		}
		if err != nil {
			waiting, last = append(waiting, k), err
		}
	}
	return waiting, last
}

// Stop ends renewals. Certificates in use stay in use.
func (a *ACME) Stop() {
	if a.cancel != nil {
		a.cancel()
	}
	a.running.Wait()
	for _, k := range a.kinds {
		k.cache.Stop()
	}
}

func (a *ACME) leaves() []*x509.Certificate {
	var leaves []*x509.Certificate
	for _, k := range a.kinds {
		for _, name := range a.options.Names {
			for _, c := range k.cache.AllMatchingCertificates(name) {
				leaves = append(leaves, c.Leaf)
			}
		}
	}
	return leaves
}

// certificates returns what has been obtained so far, from memory or from the
// storage; none is not an error.
func (a *ACME) certificates(o SourceOptions) ([]*tls.Certificate, error) {
	var all []*tls.Certificate
	for _, k := range a.kinds {
		for _, name := range a.options.Names {
			c, ok := k.latest(name)
			if !ok || o.Now().After(c.Leaf.NotAfter) {
				continue // an ended one, after a long stop, is renewed by Start
			}
			if err := checkOwn(c.Leaf, o); err != nil {
				return nil, fmt.Errorf("acme: %s (%s): %w", name, k.name, err)
			}
			all = append(all, c)
		}
	}
	return all, nil
}

// latest returns the certificate of a name that ends last.
func (k acmeKind) latest(name string) (*tls.Certificate, bool) {
	known := k.cache.AllMatchingCertificates(name)
	if len(known) == 0 {
		if c, err := k.config.CacheManagedCertificate(context.Background(), name); err == nil {
			known = []certmagic.Certificate{c}
		}
	}
	if len(known) == 0 {
		return nil, false
	}
	last := slices.MaxFunc(known, func(a, b certmagic.Certificate) int { return a.Leaf.NotAfter.Compare(b.Leaf.NotAfter) })
	c := last.Certificate
	if c.Leaf == nil {
		return nil, false
	}
	return &c, true
}
