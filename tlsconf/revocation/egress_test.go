package revocation_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/egress"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf/revocation"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
)

// A responder and a distribution point that a certificate names answer with a
// redirection to our own admin listener: nothing comes to it. Nor does anything
// to an address that the filter does not permit.
func TestAResponderCannotHaveUsCallAnother(t *testing.T) {
	t.Parallel()
	admin := newPublisher(t)
	var acts atomic.Int32
	admin.now(func(http.ResponseWriter, *http.Request) { acts.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		p := newPublisher(t)
		var posts, gets atomic.Int32
		p.now(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				posts.Add(1)
			} else {
				gets.Add(1)
			}
			http.Redirect(w, r, admin.URL+"/-/reload?force=register", status)
		})
		w := tlstest.NewRegistry(t, func(o *revocation.Options) { o.OCSP = true })
		pair := w.PKI.Auth(chu, "CH", igc.Responder(p.URL), igc.Points(p.URL+"/es.crl"))
		w.Open()
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { w.Run(ctx) })
		w.Says(pair)
		await.Until(t, "both were asked", func() bool { return posts.Load() > 0 && gets.Load() > 0 })
		cancel()
		running.Wait()
	}
	if acts.Load() != 0 {
		t.Errorf("%d requests came to the admin listener", acts.Load())
	}
}

func TestAPlaceOnAForbiddenAddressIsNotAsked(t *testing.T) {
	t.Parallel()
	p := newPublisher(t)
	var asked atomic.Int32
	p.now(func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	w := tlstest.NewRegistry(t, func(o *revocation.Options) {
		o.OCSP = true
		o.Client = new(egress.Filter).Client(nil, 0) // public addresses alone
	})
	pair := w.PKI.Auth(chu, "CH", igc.Responder(p.URL), igc.Points(p.URL+"/es.crl"))
	w.Open()
	w.Says(pair)
	w.Reread()
	sources := w.Sources()
	if len(sources) != 1 || !strings.Contains(sources[0].Problem, "network.allow") {
		t.Errorf("sources: %+v", sources)
	}
	if asked.Load() != 0 {
		t.Errorf("%d requests came", asked.Load())
	}
}
