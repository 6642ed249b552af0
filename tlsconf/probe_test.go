package tlsconf_test

import (
	"context"
	"testing"
	"time"

	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
)

// A probe succeeds while the listener serves, full or not, and a balancer's
// address or not; it is no failure of anybody. It fails once the listener is
// closed.
func TestAProbeIsAHandshakeWithItself(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	d := forwardedDoor(t, p, func(o *tlsconf.ListenerOptions) { o.Handshakes, o.PerAddress = 4, 4 })
	for range 8 {
		reach(t, d, "127.0.0.2", "")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for range 3 {
		if err := d.Probe(ctx); err != nil {
			t.Error(err)
		}
	}
	d.Close()
	if err := d.Probe(ctx); err == nil {
		t.Error("a closed listener is taken for one that serves")
	}
	for {
		select {
		case f := <-d.Failures:
			if f.Reason == "no-certificate" || f.Reason == "bad-forwarding" {
				t.Errorf("a probe is a failure of %s: %v", f.Peer, f)
			}
			continue
		default:
		}
		break
	}
}
