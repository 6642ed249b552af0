package revocation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// An ocspCache asks responders about the leaves seen, in the background, and
// remembers. Check looks here only: a responder that is down, slow or wrong
// changes nothing but a counter (it fails open, the lists do not).
type ocspCache struct {
	revocation *Checker
	queue      chan *ocspEntry

	mu      sync.Mutex // guards entries and what they hold
	entries map[[sha256.Size]byte]*ocspEntry
	asked   uint64
	failed  uint64
}

type ocspEntry struct {
	leaf, issuer *x509.Certificate
	seen         time.Time
	next         time.Time // when it is asked again
	failures     int
	revoked      *revocation
}

const (
	maxOCSP     = 64 << 10        // the largest answer read: a few hundred bytes and a certificate
	maxAsked    = 16_384          // leaves remembered; past it new ones are not asked about
	ocspWorkers = 4               // questions at once
	ocspForget  = 48 * time.Hour  // a leaf not seen for so long is no longer asked about
	ocspLeast   = 5 * time.Minute // between two questions about a leaf
)

func newOCSPCache(r *Checker) *ocspCache {
	return &ocspCache{revocation: r, queue: make(chan *ocspEntry, maxAsked), entries: map[[sha256.Size]byte]*ocspEntry{}}
}

// see makes sure that the leaf is asked about.
func (c *ocspCache) see(l *trust.Link) {
	if l.Issuer == nil || !slices.ContainsFunc(l.Cert.OCSPServer, isHTTP) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[l.ID]; e != nil {
		e.seen = c.revocation.o.Now()
		return
	}
	if len(c.entries) >= maxAsked {
		return
	}
	e := &ocspEntry{leaf: l.Cert, issuer: l.Issuer, seen: c.revocation.o.Now()}
	c.entries[l.ID] = e
	c.ask(e)
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
			delete(c.entries, print)
		case !at.Before(e.next):
			c.ask(e)
		}
	}
}

// learn asks about one leaf, and takes the answer.
func (c *ocspCache) learn(ctx context.Context, e *ocspEntry) {
	answer, err := c.question(ctx, e)
	if ctx.Err() != nil {
		return
	}
	at := c.revocation.o.Now()
	c.mu.Lock()
	c.asked++
	was := e.revoked != nil
	if err != nil {
		c.failed++
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
		c.revocation.o.Log.Debug("an OCSP responder gave no good answer", "event", "ocsp_failed", "certificate", trust.NameOf(e.leaf.Subject), "error", trust.Safe(err.Error()))
	}
}

func (c *ocspCache) question(ctx context.Context, e *ocspEntry) (*ocsp.Response, error) {
	if c.revocation.o.Client == nil {
		return nil, errNoClient
	}
	ctx, cancel := context.WithTimeout(ctx, c.revocation.o.Timeout)
	defer cancel()
	body, err := ocsp.CreateRequest(e.leaf, e.issuer, nil)
	if err != nil {
		return nil, err
	}
	where := e.leaf.OCSPServer[slices.IndexFunc(e.leaf.OCSPServer, isHTTP)]
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, where, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/ocsp-request")
	answer, err := c.revocation.o.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the responder answers %s", trust.Safe(answer.Status))
	}
	der, err := readAtMost(answer.Body, maxOCSP)
	if err != nil {
		return nil, err
	}
	return readOCSP(der, e.leaf, e.issuer, c.revocation.o.Now())
}

// readOCSP checks an answer: signed by the issuer, or by a certificate that it
// made for that (RFC 6960 section 4.2.2.2, which the library leaves to us),
// about this leaf, and of this time.
func readOCSP(der []byte, leaf, issuer *x509.Certificate, at time.Time) (*ocsp.Response, error) {
	answer, err := ocsp.ParseResponseForCert(der, leaf, issuer)
	if err != nil {
		return nil, err
	}
	if s := answer.Certificate; s != nil && !s.Equal(issuer) {
		if !slices.Contains(s.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) || at.Before(s.NotBefore) || at.After(s.NotAfter) {
			return nil, errors.New("the answer is signed by a certificate that is not one for OCSP")
		}
	}
	switch {
	case !trust.StrongSignature(answer.SignatureAlgorithm):
		return nil, fmt.Errorf("the answer is signed with %s", answer.SignatureAlgorithm)
	case answer.ThisUpdate.After(at.Add(clockSkew)):
		return nil, errors.New("the answer is of the future")
	case !answer.NextUpdate.IsZero() && at.After(answer.NextUpdate.Add(clockSkew)):
		return nil, errors.New("the answer has ended")
	case answer.NextUpdate.IsZero() && at.Sub(answer.ThisUpdate) > 24*time.Hour:
		return nil, errors.New("the answer is old")
	case answer.Status != ocsp.Good && answer.Status != ocsp.Revoked:
		return nil, errors.New("the responder does not know this certificate")
	}
	return answer, nil
}
