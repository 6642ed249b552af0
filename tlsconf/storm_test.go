package tlsconf_test

import (
	"crypto/tls"
	"sync"
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
)

// Handshakes under way are not disturbed by reloads: CAs come and go, the
// good ones stay, and everyone comes in all the time.
func TestHandshakesDuringReloads(t *testing.T) {
	t.Parallel()
	p, other, dir := tlstest.NewPKI(), tlstest.NewPKI(), t.TempDir()
	store := openStore(t, p, dir, igc.EtablissementTLS)
	d := tlstest.OpenDoor(t, tlsconf.ServerOptions{
		Certificate: identity.FixedSource(p.Server(igc.EtablissementTLS, "rpn.test").TLS()),
		Clients:     store,
	}, nil)
	var visitors sync.WaitGroup
	for range 8 {
		config := tlstest.Client(p, p.Auth(chu, "CH"))
		config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
		visitors.Go(func() {
			for range 15 {
				if _, err := d.Knock(config); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 40 {
		roots := p.Roots(igc.EtablissementTLS)
		if i%2 == 0 {
			roots = append(roots, other.Roots(igc.EtablissementTLS)...)
		}
		writeStore(t, dir, igc.EtablissementTLS, roots, p.Intermediates(igc.EtablissementTLS))
		if changed, err := store.Reload(); !changed || err != nil {
			t.Error(changed, err)
		}
	}
	visitors.Wait()
}
