package revocation

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// What is remembered to ask responders is bounded in number, in bytes and for
// one owner; it keeps no certificate of whoever came; one that is revoked is not
// pushed out.
func TestWhatIsAskedOfRespondersIsBounded(t *testing.T) {
	t.Parallel()
	p := igc.New(igc.Options{ECDSA: true})
	issuer := p.Intermediates(igc.EtablissementTLS)[0]
	at := time.Now()
	open := func() *ocspCache {
		r, err := Open(t.Context(), Options{
			Authorities: func() []*x509.Certificate { return nil }, Log: slog.New(slog.DiscardHandler), OCSP: true, Every: time.Hour, Timeout: time.Second, MaxBytes: 1 << 20,
			Age: AgePolicy{Warn: time.Hour, Grace: time.Hour, Then: FailClosed}, Unannounced: FailOpen, Now: func() time.Time { return at },
		})
		if err != nil {
			t.Fatal(err)
		}
		return r.ocsp
	}
	n := int64(0)
	see := func(c *ocspCache, owner int, weight int, issuer *x509.Certificate) roc.CertificateID {
		n++
		at = at.Add(time.Second)
		leaf := &x509.Certificate{
			Raw: make([]byte, weight), SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: "feuille"}, RawSubject: fmt.Append(nil, owner),
			OCSPServer: []string{"http://ocsp.example/" + strings.Repeat("a", 900)},
		}
		id := roc.CertificateID(sha256.Sum256(fmt.Append(nil, n)))
		c.see(&trust.Link{Cert: leaf, Issuer: issuer, ID: id, Serial: leaf.SerialNumber.Bytes()})
		return id
	}

	c := open()
	first := see(c, 0, 100, issuer)
	c.entries[first].revoked = &revocation{at, 1}
	for range 100 {
		see(c, 0, 100, issuer)
	}
	if len(c.entries) != maxAskedPerOwner || c.entries[first] == nil {
		t.Errorf("%d leaves of one owner, want %d, the revoked one among them: %t", len(c.entries), maxAskedPerOwner, c.entries[first] != nil)
	}
	for id := range c.entries {
		c.entries[id].revoked = &revocation{at, 1}
	}
	if late := see(c, 0, 100, issuer); c.entries[late] != nil || len(c.entries) != maxAskedPerOwner {
		t.Error("an owner all of whose leaves are revoked has one more")
	}
	for id := range c.entries {
		c.forget(id)
	}
	if c.bytes != 0 || len(c.owned) != 0 || len(c.issuers) != 0 {
		t.Errorf("%d bytes, %d owners, %d issuers of nobody", c.bytes, len(c.owned), len(c.issuers))
	}

	// As many owners as one likes, whose certificates are the largest there are.
	c = open()
	for owner := range maxAsked + 500 {
		see(c, owner, 32<<10, issuer)
	}
	if len(c.entries) != maxAsked || c.bytes > maxAskedBytes {
		t.Errorf("%d leaves, %d bytes, want %d and at most %d", len(c.entries), c.bytes, maxAsked, maxAskedBytes)
	}

	// And each under a CA of its own.
	c = open()
	for owner := range 2000 {
		own := *issuer
		own.Raw, own.RawTBSCertificate = make([]byte, 10<<10), fmt.Append(nil, owner)
		see(c, owner, 100, &own)
	}
	if c.bytes > maxAskedBytes || len(c.entries) < 500 || len(c.entries) > 1100 {
		t.Errorf("%d leaves under CAs of 10 kB each, %d bytes", len(c.entries), c.bytes)
	}

	// An address is no way to fill it either.
	c = open()
	c.see(&trust.Link{Cert: &x509.Certificate{SerialNumber: big.NewInt(1), OCSPServer: []string{"http://ocsp.example/" + strings.Repeat("a", maxPlace)}}, Issuer: issuer, Serial: []byte{1}})
	if len(c.entries) != 0 {
		t.Error("an address of more than 1 kB is kept")
	}
}
