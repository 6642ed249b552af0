package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// StapleOptions are what Staple needs.
type StapleOptions struct {
	Log   *slog.Logger
	Every time.Duration // how often it looks whether one is due; 0: 1 min
	// Client asks the responders, which a certificate names: it goes by a
	// filter of addresses (package egress). Nil: none is asked.
	Client *http.Client
}

// Staple keeps beside each certificate of the Source that names an OCSP
// responder its latest answer, so that clients need not ask, until ctx ends.
// A responder that is down costs nothing but the staple once it is too old:
// the handshake goes on without.
func (s *Source) Staple(ctx context.Context, o StapleOptions) {
	if o.Every <= 0 {
		o.Every = time.Minute
	}
	if o.Client == nil {
		return
	}
	tick := time.NewTicker(o.Every)
	defer tick.Stop()
	for {
		for _, c := range s.Certificates() {
			s.refresh(ctx, c, o)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// refresh asks for a staple past the middle of the life of the present one.
func (s *Source) refresh(ctx context.Context, c *tls.Certificate, o StapleOptions) {
	issuer := issuerOf(c)
	if issuer == nil || len(c.Leaf.OCSPServer) == 0 {
		return
	}
	now := s.now()
	old, err := ocsp.ParseResponseForCert(c.OCSPStaple, c.Leaf, issuer)
	if err == nil && now.Before(old.ThisUpdate.Add(old.NextUpdate.Sub(old.ThisUpdate)/2)) {
		return
	}
	staple, err := askResponder(ctx, o.Client, c.Leaf, issuer, now)
	if err != nil {
		if ctx.Err() == nil {
			o.Log.Warn("no OCSP answer for our own certificate", slog.String("event", "ocsp_staple_missing"), slog.String("certificate", trust.Describe(c.Leaf)),
				slog.String("responder", trust.Safe(c.Leaf.OCSPServer[0])), slog.String("error", trust.Safe(err.Error())))
		}
		if old == nil || now.Before(old.NextUpdate) {
			return
		}
		staple = nil // too old to show
	}
	s.staple(c, staple)
}

// staple puts a copy of the certificate with this staple in its place, unless
// a reload has replaced it meanwhile.
func (s *Source) staple(c *tls.Certificate, staple []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.Certificates())
	i := slices.Index(all, c)
	if i < 0 {
		return
	}
	stapled := *c
	stapled.OCSPStaple = staple
	all[i] = &stapled
	s.current.Store(&own{all, s.current.Load().unlinked})
}

func (s *Source) now() time.Time {
	if s.options.Now == nil {
		return time.Now()
	}
	return s.options.Now()
}

func issuerOf(c *tls.Certificate) *x509.Certificate {
	if len(c.Certificate) < 2 {
		return nil
	}
	issuer, err := roc.ParseCertificate(c.Certificate[1])
	if err != nil {
		return nil
	}
	return issuer
}

// askResponder returns the responder's signed answer when it says good, now.
func askResponder(ctx context.Context, client *http.Client, leaf, issuer *x509.Certificate, now time.Time) ([]byte, error) {
	said, err := trust.AskResponder(ctx, client, leaf.OCSPServer[0], leaf.SerialNumber, issuer, now)
	switch {
	case err != nil:
		return nil, err
	case said.Status == ocsp.Revoked:
		return nil, fmt.Errorf("OUR CERTIFICATE IS REVOKED, since %s: ask for another one now", trust.Day(said.RevokedAt))
	case !now.Before(said.NextUpdate):
		return nil, fmt.Errorf("the answer is for %s to %s", trust.Day(said.ThisUpdate), trust.Day(said.NextUpdate))
	}
	return said.Raw, nil
}
