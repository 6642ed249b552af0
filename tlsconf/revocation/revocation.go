package revocation

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// Options are what a Checker needs; only Authorities and Log are
// required.
type Options struct {
	// Folder is where the last good data is kept. It is made when it is not
	// there. What is in it needs no protection but against deletion: lists are
	// checked again when they are read. "": nothing is kept, and a restart knows
	// only what it can obtain.
	Folder string
	// ReadOnly writes nothing in Folder, and asks no URL when there is no client
	// for it: for a command that only looks.
	ReadOnly bool

	// Authorities returns the CAs of every trust store. A list counts for the
	// CA that signed it, and for no other.
	Authorities func() []*x509.Certificate

	Log *slog.Logger

	// Lists are files, looked at each Poll, and http URLs, fetched each
	// Every.
	Lists []string
	// NoFollow leaves alone the distribution points that certificates name.
	// By default each one over http, of a certificate whose chain is accepted,
	// is fetched like those of Lists.
	NoFollow bool
	// Poll is how often files, the deny list among them, are looked at.
	// Default: 1 s.
	Poll time.Duration
	// Every is how often a URL is asked, give or take a tenth. Required.
	Every time.Duration
	// Timeout is how long one answer may take, whole. Required.
	Timeout time.Duration
	// MaxBytes is the largest list read. Required.
	MaxBytes int64

	// Age says how long the last good list of a CA serves, and each field of it is
	// required; Ages, by the common name of the CA, those that differ: a zero
	// field is as in Age.
	Age  AgePolicy
	Ages map[string]AgePolicy
	// Unannounced is what is done with the certificates of a CA for which no
	// list is configured, and that name none themselves: nothing can be
	// waited for, and the deny list reaches them. Required.
	Unannounced FailureMode

	// OCSP asks the responder that a certificate names, in the background. It
	// can refuse a certificate; it never makes one wait, nor refuses one
	// because of a silence.
	OCSP bool

	// Deny is the emergency deny list; nil: none.
	Deny *DenyOptions

	// Client asks the places that certificates name, lists and responders;
	// Own, the URLs of Lists. The first goes by a filter of addresses, because
	// a certificate may name anything (package egress). Nil: nothing is asked.
	Client, Own *http.Client

	Now func() time.Time // nil: time.Now
}

// A Checker knows which certificates are revoked: by the lists of their
// CAs, by the emergency deny list, by OCSP. What it knows is gathered in the
// background (Run) and kept on disk; Check looks it up in memory. Safe for
// concurrent use.
type Checker struct {
	o Options

	lists      atomic.Pointer[lists]
	generation atomic.Uint64 // changes when an answer of Check may
	deny       *deny         // nil: none
	ocsp       *ocspCache    // nil: none

	unknownMu sync.Mutex           // guards unknown
	unknown   map[string]time.Time // the CAs whose certificates were refused as unknown, and when

	mu        sync.Mutex // guards what follows, and every change of lists
	sources   map[string]*source
	waiting   atomic.Int32      // sources of Lists that never gave a list
	standings map[*crl]standing // as last told
	known     [sha256.Size]byte // the authorities that lists were checked against
	toldFull  bool              // that no more places are followed
	wake      chan struct{}     // a source was added
	places    chan struct{}     // bounds how many URLs are asked at once
}

// maxFollowed bounds the distribution points that are followed: the two IGC
// have a handful.
const maxFollowed = 256

// maxPlace is the longest address that is asked, in bytes.
const maxPlace = 1 << 10

// Open reads the last good data of the folder, then what is
// configured: files at once, URLs within the time-out, all together: one that
// did not answer by then is asked again by Run. A source that cannot be
// read is logged and waited for; a folder that cannot be used, or a deny list
// that was never valid, is an error.
func Open(ctx context.Context, o Options) (*Checker, error) {
	if o.Authorities == nil || o.Log == nil {
		return nil, errors.New("tlsconf: a revocation needs its Authorities and Log")
	}
	if a := o.Age; o.Every <= 0 || o.Timeout <= 0 || o.MaxBytes <= 0 || o.Unannounced == "" || a.Warn <= 0 || a.Grace <= 0 || a.Then == "" {
		return nil, errors.New("tlsconf: a revocation needs Every, Timeout, MaxBytes, Unannounced and each field of Age")
	}
	if o.Poll <= 0 {
		o.Poll = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Folder != "" && !o.ReadOnly {
		if err := os.MkdirAll(o.Folder, 0o750); err != nil {
			return nil, fmt.Errorf("the folder of revocation data: %w", err)
		}
	}
	r := &Checker{o: o, sources: map[string]*source{}, wake: make(chan struct{}, 1), places: make(chan struct{}, fetchers)}
	r.lists.Store(&lists{of: map[trust.IssuerKey]*issuerLists{}, names: map[string]bool{}})
	r.known = fingerprintOf(o.Authorities())
	if o.Deny != nil {
		var err error
		if r.deny, err = openDeny(*o.Deny, o.Folder, o.ReadOnly, o.Log, func() { r.generation.Add(1) }); err != nil {
			return nil, err
		}
	}
	if o.OCSP {
		r.ocsp = newOCSPCache(r)
	}
	for _, l := range o.Lists {
		r.sources[l] = &source{location: l, configured: true, age: o.Age}
	}
	if err := r.restore(); err != nil {
		return nil, err
	}
	r.waiting.Store(r.countWaiting())
	first, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	r.refresh(first)
	r.watchStandings()
	return r, nil
}

// restore takes up what an earlier run kept.
func (r *Checker) restore() error {
	if r.o.Folder == "" {
		return nil
	}
	all, err := readKept(r.o.Folder, r.o.ReadOnly)
	if r.o.ReadOnly && errors.Is(err, os.ErrNotExist) {
		return nil // the RPN makes it at its first start
	}
	if len(all) == 0 && err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			return fmt.Errorf("the folder of revocation data: %w", err)
		}
	}
	if err != nil {
		r.o.Log.Warn("kept revocation data is damaged", "event", "crl_kept_damaged", "error", err.Error())
	}
	// A delta may lie before its complete list.
	for _, k := range r.restoreEach(all) {
		r.restoreEach([]kept{k})
	}
	for _, s := range r.sources {
		s.again = false
	}
	return nil
}

// restoreEach takes up these lists, and returns the deltas whose complete list
// is not there yet.
func (r *Checker) restoreEach(all []kept) (orphans []kept) {
	for _, k := range all {
		s := r.sources[k.Location]
		if s == nil {
			if r.o.NoFollow || !isHTTP(k.Location) || len(r.sources) >= maxFollowed+len(r.o.Lists) {
				continue // no longer configured
			}
			s = &source{location: k.Location}
			r.sources[k.Location] = s
		}
		if err := r.take(s, k.body); len(all) > 1 && errors.Is(err, errNoBase) {
			orphans = append(orphans, k)
			continue
		} else if err != nil {
			r.o.Log.Warn("a kept revocation list is not used", "event", "crl_kept_refused", "from", k.Location, "error", err.Error())
			continue
		}
		s.confirmed, s.etag, s.lastModified = k.Fetched, k.ETag, k.LastModified
	}
	return orphans
}

// Run gathers revocation data until ctx ends.
func (r *Checker) Run(ctx context.Context) {
	var helpers sync.WaitGroup
	defer helpers.Wait()
	if r.deny != nil {
		helpers.Go(func() { r.deny.watch(ctx, r.o.Poll) })
	}
	if r.ocsp != nil {
		helpers.Go(func() { r.ocsp.run(ctx) })
	}
	helpers.Go(func() { r.watchFiles(ctx) })
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
			if r.deny != nil {
				r.deny.reload() // it says what is wrong itself
			}
		case <-time.After(jitter(r.o.Poll)):
		}
		r.watchAuthorities()
		helpers.Go(func() { r.refresh(ctx) }) // one slow server must not hold up the others
		r.watchStandings()
	}
}

// jitter is d, give or take a tenth: what started together must not ask together.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// Reload looks at the deny list and at every file and URL, now: an answer to
// what was asked before does not count.
func (r *Checker) Reload(ctx context.Context) error {
	var err error
	if r.deny != nil {
		err = r.deny.reload()
	}
	r.settle(ctx)
	r.mu.Lock()
	for _, s := range r.sources {
		s.next, s.stamp = time.Time{}, ""
	}
	r.mu.Unlock()
	r.refresh(ctx)
	r.settle(ctx) // what Run was first to ask
	return errors.Join(err, r.Problems())
}

// Hurry has Run ask every URL again at once.
func (r *Checker) Hurry() {
	if r == nil {
		return
	}
	r.mu.Lock()
	for _, s := range r.sources {
		s.again = true
	}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Generation changes when an answer of Check may have. Whoever remembers an
// answer, or let somebody in on one, must ask again.
func (r *Checker) Generation() uint64 {
	if r == nil {
		return 0
	}
	return r.generation.Load()
}

// Check says whether a chain, leaf first, root last, is revoked at that time:
// nil, or a *Failure of reason Revoked, Denied or RevocationUnknown.
//
// Every certificate but the root is looked up in the lists of the CA above it.
// It fails closed where a list is announced and none serves, unless the policy
// of that CA says open; it fails open for a CA that announces none, unless
// Unannounced says closed; and OCSP fails open. A revocation found is never
// too old to count.
func (r *Checker) Check(chain []*x509.Certificate, at time.Time) error {
	if r == nil {
		return nil
	}
	if len(chain) == 0 {
		return &trust.Failure{Reason: trust.RevocationUnknown, Detail: "no chain"}
	}
	links := trust.LinksOf(chain)
	r.Seen(links)
	if f := r.CheckLinks(links, at); f != nil {
		return f.Presented(chain[0])
	}
	return nil
}

// CheckLinks is Check for links that are known.
func (r *Checker) CheckLinks(links []trust.Link, at time.Time) *trust.Failure {
	if r == nil {
		return nil
	}
	if r.deny != nil {
		if f := r.deny.check(links); f != nil {
			return f
		}
	}
	known := r.lists.Load()
	var unsure *trust.Failure
	for i := range links {
		l := &links[i]
		if l.Issuer == nil {
			continue
		}
		if len(l.Serial) > maxSerial {
			return &trust.Failure{Reason: trust.RevocationUnknown, Detail: trust.Whose(i, l.Cert) + " has a serial number that no list can hold"}
		}
		of := known.of[l.IssuerKey]
		if found, yes := of.find(l.Serial); yes {
			return &trust.Failure{Reason: trust.Revoked, Detail: trust.Whose(i, l.Cert) + " is revoked " + found.String() + ": another one is needed"}
		}
		if r.ocsp != nil && i == 0 {
			if f := r.ocsp.check(l); f != nil {
				return f
			}
		}
		if f := r.sure(i, l, known, at); f != nil && unsure == nil {
			unsure = f
			r.refusedUnknown(l.Issuer, at)
		}
	}
	return unsure
}

// sure says whether an absence from the lists can be relied on.
func (r *Checker) sure(i int, l *trust.Link, known *lists, at time.Time) *trust.Failure {
	of := known.of[l.IssuerKey]
	mode := r.o.Age.Then
	if of != nil {
		mode = of.age.Then
	} else if p, ok := r.o.Ages[l.Issuer.Subject.CommonName]; ok {
		mode = p.complete(r.o.Age).Then
	}
	is := of.standing(l.Cert, at)
	// Nothing is announced when the certificate names no place, no configured
	// list is waited for, and no list is held of a CA of that name: one that has
	// a new key publishes a list for the old one too.
	unannounced := is == unheard && of == nil && !announces(l.Cert) && r.waiting.Load() == 0 && !known.names[trust.NameKey(l.Issuer.RawSubject)]
	if unannounced {
		mode = r.o.Unannounced
	}
	if is == current || is == late || mode == FailOpen {
		return nil
	}
	ca := trust.NameOf(l.Issuer.Subject)
	why := "no revocation list of " + ca + " was obtained yet"
	switch {
	case is == stale:
		why = "the revocation list of " + ca + " ended too long ago"
	case unannounced:
		why = ca + " publishes no revocation list"
	case of == nil && known.names[trust.NameKey(l.Issuer.RawSubject)]:
		why = "no revocation list of this key of " + ca + " was obtained, though one of another of its keys was: both are needed in revocation.lists"
	case of == nil && announces(l.Cert) && !slices.ContainsFunc(l.Cert.CRLDistributionPoints, isHTTP):
		why = "the revocation list of " + ca + " is announced where nothing is fetched (not http): put it in revocation.lists"
	case of != nil:
		why = "no revocation list of " + ca + " speaks of it: the list of its own distribution point is needed"
	}
	return &trust.Failure{Reason: trust.RevocationUnknown, Detail: "whether " + trust.Whose(i, l.Cert) + " is revoked cannot be known: " + why}
}

// Seen notes the places that the certificates of an accepted chain name. It is
// called once for each chain, not at each check.
func (r *Checker) Seen(links []trust.Link) {
	if r == nil {
		return
	}
	if r.ocsp != nil && len(links) > 1 {
		r.ocsp.see(&links[0])
	}
	r.Wanted(links)
}

// Wanted notes where the lists of a chain are: of one that is accepted, or that
// would be if they were known. It asks for no more than maxFollowed places,
// each named by a CA of a trust store.
func (r *Checker) Wanted(links []trust.Link) {
	if r == nil || r.o.NoFollow {
		return
	}
	var places []string
	for i := range links {
		if links[i].Issuer != nil {
			places = append(places, links[i].Cert.CRLDistributionPoints...)
			places = append(places, freshestOf(links[i].Cert)...)
		}
	}
	r.follow(places)
}

func freshestOf(c *x509.Certificate) []string {
	for _, e := range c.Extensions {
		if e.Id.Equal(oidFreshestCRL) {
			return pointURLs(e.Value)
		}
	}
	return nil
}

func (r *Checker) follow(places []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range places {
		if len(p) > maxPlace || !isHTTP(p) || r.sources[p] != nil {
			continue
		}
		if len(r.sources) >= maxFollowed+len(r.o.Lists) {
			if r.toldFull {
				return
			}
			r.toldFull = true
			r.o.Log.Error("too many distribution points are followed: this one is not", "event", "crl_too_many_points", "from", trust.Safe(p),
				"remedy", "configure the lists of the CAs, and no longer follow")
			return
		}
		r.sources[p] = &source{location: p}
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// watchAuthorities checks every list again when the CAs change: a list that
// was of no known CA may be now.
func (r *Checker) watchAuthorities() {
	now := fingerprintOf(r.o.Authorities())
	r.mu.Lock()
	defer r.mu.Unlock()
	if now == r.known {
		return
	}
	r.known = now
	for _, s := range r.sources {
		s.again, s.etag, s.lastModified, s.stamp = true, "", "", ""
	}
}

func fingerprintOf(authorities []*x509.Certificate) [sha256.Size]byte {
	h := sha256.New()
	for _, c := range authorities {
		sum := sha256.Sum256(c.Raw)
		h.Write(sum[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// watchStandings tells when a list is late or too old: time alone changes
// answers too.
func (r *Checker) watchStandings() {
	at := r.o.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	now := map[*crl]standing{}
	for _, of := range r.lists.Load().of {
		for where, l := range of.complete {
			is := of.age.standing(l, of.delta[where], at)
			was, known := r.standings[l]
			now[l] = is
			if known && is == was || !known && is == current {
				continue
			}
			r.notifyStanding(of, l, is)
			if known && (is == stale) != (was == stale) {
				r.generation.Add(1)
			}
		}
	}
	r.standings = now
}

func (r *Checker) notifyStanding(of *issuerLists, l *crl, is standing) {
	ca, ended := trust.NameOf(of.ca.Subject), l.to.UTC()
	switch is {
	case late:
		r.o.Log.Warn("the revocation list of a CA should have been replaced by now: it serves for a while", "event", "crl_late", "ca", ca, "ended", ended,
			"serves_until", l.to.Add(of.age.Grace).UTC(), "then", string(of.age.Then), "remedy", "ask the CA; a newer list in a file of revocation.lists is taken up at once")
	case stale:
		r.o.Log.Error("the revocation list of a CA is too old to rely on", "event", "crl_too_old", "ca", ca, "ended", ended, "now", string(of.age.Then),
			"remedy", "obtain the list of this CA by any means and put it in a file of revocation.lists")
	}
}

// Status is what is known of each CA's list.
func (r *Checker) Status() []ListStatus {
	if r == nil {
		return nil
	}
	return r.lists.Load().status(r.o.Now())
}

// refusedUnknown notes that a certificate of that CA, which is one of a trust
// store, was refused because nothing certain is known.
func (r *Checker) refusedUnknown(ca *x509.Certificate, at time.Time) {
	r.unknownMu.Lock()
	defer r.unknownMu.Unlock()
	if r.unknown == nil {
		r.unknown = map[string]time.Time{}
	}
	r.unknown[trust.NameOf(ca.Subject)] = at
}

// refusedFor is how long a CA is told to be closed after the last certificate
// of it that was refused.
const refusedFor = 10 * time.Minute

// Closed names the CAs whose certificates are refused because it cannot be
// known whether they are revoked: those whose list is too old, and those of
// which somebody was refused for that in the last ten minutes.
func (r *Checker) Closed(at time.Time) []string {
	if r == nil {
		return nil
	}
	var names []string
	for _, l := range r.Status() {
		if l.State == stale.String() && l.Then == FailClosed {
			names = append(names, l.CA)
		}
	}
	r.unknownMu.Lock()
	defer r.unknownMu.Unlock()
	for name, last := range r.unknown {
		if at.Sub(last) <= refusedFor {
			names = append(names, name)
		} else {
			delete(r.unknown, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// DenyStatus is what the deny list in force holds; ok is false without one.
func (r *Checker) DenyStatus() (s DenyStatus, ok bool) {
	if r == nil || r.deny == nil {
		return DenyStatus{}, false
	}
	return r.deny.status(), true
}
