package revocation

import (
	"context"
	"crypto/x509"
	"math/big"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// An ocspCache asks responders about the leaves seen, in the background, and
// remembers. Check looks here only: a responder that is down, slow or wrong
// changes nothing but a counter (it fails open, the lists do not).
type ocspCache struct {
	revocation *Checker
	queue      chan *ocspEntry

	mu      sync.Mutex // guards what follows, and what entries hold
	entries map[roc.CertificateID]*ocspEntry
	owned   map[trust.Owner]int // how many of each owner
	issuers map[roc.CertificateID]*ocspIssuer
	bytes   int
}

// An ocspEntry is one leaf that is asked about: what the question takes, not the
// certificate, of which its owner may make 32 KiB.
type ocspEntry struct {
	name      string // for the log
	owner     trust.Owner
	serial    *big.Int
	responder string
	issuer    *ocspIssuer
	seen      time.Time
	next      time.Time // when it is asked again
	failures  int
	revoked   *revocation
}

// An ocspIssuer is a CA of leaves that are asked about, kept once.
type ocspIssuer struct {
	id     roc.CertificateID
	cert   *x509.Certificate
	leaves int
}

func (e *ocspEntry) size() int  { return 512 + len(e.name) + len(e.responder) + len(e.serial.Bytes()) }
func (i *ocspIssuer) size() int { return 1<<10 + 3*len(i.cert.Raw) } // as parsed

const (
	maxAsked         = 16_384          // leaves remembered; past it new ones are not asked about
	maxAskedBytes    = 32 << 20        // of them all: some 1 kB each is used
	maxAskedPerOwner = 32              // of one owner: past it the one seen longest ago goes
	ocspWorkers      = 4               // questions at once
	ocspForget       = 48 * time.Hour  // a leaf not seen for so long is no longer asked about
	ocspLeast        = 5 * time.Minute // between two questions about a leaf
)

func newOCSPCache(r *Checker) *ocspCache {
	return &ocspCache{revocation: r, queue: make(chan *ocspEntry, maxAsked), entries: map[roc.CertificateID]*ocspEntry{},
		owned: map[trust.Owner]int{}, issuers: map[roc.CertificateID]*ocspIssuer{}}
}

// see makes sure that the leaf is asked about. Its owner has proved its key.
func (c *ocspCache) see(l *trust.Link) {
	i := slices.IndexFunc(l.Cert.OCSPServer, func(u string) bool { return len(u) <= maxPlace && isHTTP(u) })
	if l.Issuer == nil || i < 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[l.ID]; e != nil {
		e.seen = c.revocation.o.Now()
		return
	}
	e := &ocspEntry{
		name: trust.NameOf(l.Cert.Subject), owner: trust.OwnerOf(l.Cert), serial: new(big.Int).SetBytes(l.Serial), responder: l.Cert.OCSPServer[i], seen: c.revocation.o.Now(),
	}
	id := roc.IDOfCertificate(l.Issuer)
	if e.issuer = c.issuers[id]; e.issuer == nil {
		e.issuer = &ocspIssuer{id: id, cert: l.Issuer}
	}
	if c.owned[e.owner] >= maxAskedPerOwner && !c.dropOldest(e.owner) {
		return
	}
	if len(c.entries) >= maxAsked || c.bytes+e.size()+e.issuer.size() > maxAskedBytes {
		return
	}
	if e.issuer.leaves++; e.issuer.leaves == 1 {
		c.issuers[id] = e.issuer
		c.bytes += e.issuer.size()
	}
	c.entries[l.ID] = e
	c.owned[e.owner]++
	c.bytes += e.size()
	c.ask(e)
}

// dropOldest makes room for another leaf of an owner; those that are revoked
// stay.
func (c *ocspCache) dropOldest(owner trust.Owner) bool {
	var oldest roc.CertificateID
	var found *ocspEntry
	for id, e := range c.entries {
		if e.owner == owner && e.revoked == nil && (found == nil || e.seen.Before(found.seen)) {
			oldest, found = id, e
		}
	}
	if found != nil {
		c.forget(oldest)
	}
	return found != nil
}

func (c *ocspCache) forget(id roc.CertificateID) {
	e := c.entries[id]
	delete(c.entries, id)
	c.bytes -= e.size()
	if c.owned[e.owner]--; c.owned[e.owner] == 0 {
		delete(c.owned, e.owner)
	}
	if e.issuer.leaves--; e.issuer.leaves == 0 {
		delete(c.issuers, e.issuer.id)
		c.bytes -= e.issuer.size()
	}
}

// ask puts a question in the queue; mu is held.
func (c *ocspCache) ask(e *ocspEntry) {
	e.next = c.revocation.o.Now().Add(c.revocation.o.Every)
	select {
	case c.queue <- e:
	default:
	}
}

func (c *ocspCache) check(l *trust.Link) *trust.Failure {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[l.ID]
	if e == nil || e.revoked == nil {
		return nil
	}
	return &trust.Failure{Reason: trust.Revoked, Detail: "the certificate is revoked " + e.revoked.String() + ", says its OCSP responder: another one is needed"}
}

func (c *ocspCache) run(ctx context.Context) {
	var workers sync.WaitGroup
	defer workers.Wait()
	for range ocspWorkers {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case e := <-c.queue:
					c.learn(ctx, e)
				}
			}
		})
	}
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.again()
		}
	}
}

// again asks about those whose answer gets old.
func (c *ocspCache) again() {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.revocation.o.Now()
	for print, e := range c.entries {
		switch {
		case e.revoked == nil && at.Sub(e.seen) > ocspForget:
			c.forget(print)
		case !at.Before(e.next):
			c.ask(e)
		}
	}
}

// learn asks about one leaf, and takes the answer.
func (c *ocspCache) learn(ctx context.Context, e *ocspEntry) {
	answer, err := c.answerTo(ctx, e)
	if ctx.Err() != nil {
		return
	}
	at := c.revocation.o.Now()
	c.mu.Lock()
	was := e.revoked != nil
	if err != nil {
		e.failures++
		e.next = at.Add(jitter(min(time.Minute<<min(e.failures-1, 10), c.revocation.o.Every)))
	} else {
		e.failures, e.revoked = 0, nil
		e.next = at.Add(jitter(c.revocation.o.Every))
		if soon := answer.NextUpdate; !soon.IsZero() && soon.Before(e.next) {
			e.next = soon
		}
		if least := at.Add(ocspLeast); e.next.Before(least) {
			e.next = least
		}
		if answer.Status == ocsp.Revoked {
			e.revoked = &revocation{answer.RevokedAt, byte(answer.RevocationReason)}
		}
	}
	changed := was != (e.revoked != nil)
	c.mu.Unlock()
	if changed {
		c.revocation.generation.Add(1)
	}
	if err != nil {
		c.revocation.o.Log.Debug("an OCSP responder gave no good answer", "event", "ocsp_failed", "certificate", e.name, "responder", trust.Safe(e.responder), "error", trust.Safe(err.Error()))
	}
}

func (c *ocspCache) answerTo(ctx context.Context, e *ocspEntry) (*ocsp.Response, error) {
	if c.revocation.o.Client == nil {
		return nil, errNoClient
	}
	ctx, cancel := context.WithTimeout(ctx, c.revocation.o.Timeout)
	defer cancel()
	return trust.AskResponder(ctx, c.revocation.o.Client, e.responder, e.serial, e.issuer.cert, c.revocation.o.Now())
}
