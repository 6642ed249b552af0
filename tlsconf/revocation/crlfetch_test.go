package revocation_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/http"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/tlsconf/revocation"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// run runs the registry until the test ends.
func run(t *testing.T, w *tlstest.Registry) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() { defer close(over); w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-over })
}

// However long a place waits to be asked, it waits once.
func TestAPlaceThatWaitsIsNotTakenAgain(t *testing.T) {
	t.Parallel()
	p := newPublisher(t)
	proceed := make(chan struct{})
	p.now(func(w http.ResponseWriter, r *http.Request) { <-proceed; http.NotFound(w, r) })
	w := tlstest.NewRegistry(t, func(o *revocation.Options) { o.Timeout = await.Patience })
	w.Open()
	var places []string
	for i := range 12 {
		places = append(places, fmt.Sprint(p.URL, "/", i))
	}
	w.Wanted(trust.LinksOf([]*x509.Certificate{{SerialNumber: big.NewInt(1), CRLDistributionPoints: places}, w.PKI.Intermediates(es)[0]}))
	run(t, w)
	await.Until(t, "four are asked", func() bool { return p.asked.Load() == 4 })
	for range 10 { // each was due again, had nobody been about to ask it
		w.Clock.Forward(2 * await.Patience)
		time.Sleep(2 * w.Options.Poll)
	}
	close(proceed)
	await.Until(t, "each was asked", func() bool {
		for _, s := range w.Sources() {
			if s.Failures == 0 {
				return false
			}
		}
		return true
	})
	if n := p.asked.Load(); n != 12 {
		t.Errorf("12 places were asked %d times", n)
	}
}

// What is to be asked again while it is being asked is asked once more: what comes
// of the first question may be out of date.
func TestAPlaceThatIsBeingAskedIsAskedOnceMore(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]func(*tlstest.Registry){
		"hurry":  func(w *tlstest.Registry) { w.Hurry() },
		"reload": func(w *tlstest.Registry) { w.Reread() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPublisher(t)
			w := tlstest.NewRegistry(t, func(o *revocation.Options) { o.Timeout = await.Patience })
			w.Open()
			proceed := make(chan struct{})
			p.now(func(w http.ResponseWriter, r *http.Request) { <-proceed; http.NotFound(w, r) })
			w.Wanted(trust.LinksOf([]*x509.Certificate{{SerialNumber: big.NewInt(1), CRLDistributionPoints: []string{p.URL}}, w.PKI.Intermediates(es)[0]}))
			run(t, w)
			await.Until(t, "it is asked", func() bool { return p.asked.Load() == 1 })
			over := make(chan struct{})
			go func() { defer close(over); again(w) }()
			if name == "hurry" {
				<-over
			}
			close(proceed)
			<-over
			await.Until(t, "it is asked once more", func() bool { return p.asked.Load() == 2 })
		})
	}
}

// The start waits for the places no longer than the time-out, however many they
// are.
func TestTheStartWaitsAtMostTheTimeOut(t *testing.T) {
	t.Parallel()
	p := newPublisher(t)
	p.now(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	w := tlstest.NewRegistry(t, nil)
	for i := range 40 { // ten times as many as are asked at once
		w.Options.Lists = append(w.Options.Lists, fmt.Sprint(p.URL, "/", i))
	}
	start := time.Now()
	w.Open()
	if d := time.Since(start); d >= 5*w.Options.Timeout {
		t.Errorf("the start took %s, and the time-out is %s", d, w.Options.Timeout)
	}
}
