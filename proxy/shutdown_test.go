package proxy

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

func TestShutdownLosesNoExchange(t *testing.T) {
	t.Parallel()
	c := newCountry(t, func(o *Options) { o.DrainIdle = 200 * time.Millisecond })
	proceed := make(chan struct{})
	c.far.does(func(conn net.Conn, r farRequest) { <-proceed; answerOK(conn, r) })
	inFlight, idle, fresh := c.call(), c.call(), c.call()
	inFlight.say(post(good(t)))
	waitFor(t, func() bool { return len(c.far.received()) == 1 })

	stopped := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	go func() { stopped <- c.proxy.Shutdown(ctx) }()
	waitFor(t, func() bool { return c.proxy.server.draining.Load() })
	if conn, err := net.DialTimeout("tcp", c.addr, time.Second); err == nil {
		conn.Close()
		t.Error("a new connection is accepted while stopping")
	}
	idle.say(post(good(t))) // already on its way: it is served, and its connection ends
	waitFor(t, func() bool { return len(c.far.received()) == 2 })
	close(proceed)
	for _, w := range []*caller{inFlight, idle} {
		if r := w.hear(); r.StatusCode != 200 || !r.Close {
			t.Errorf("status %d, close %v", r.StatusCode, r.Close)
		}
		w.wantClosed()
	}
	fresh.wantClosed()
	if err := <-stopped; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	for range 2 {
		if rec := c.record(); rec.Outcome != roc.Answered {
			t.Errorf("%s", rec.Outcome)
		}
	}
	if n := c.proxy.InFlight(); n != 0 {
		t.Errorf("%d in flight after the end", n)
	}
}

func TestShutdownCutsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	c.far.does(func(conn net.Conn, _ farRequest) { conn.Read(make([]byte, 1)) }) // until we cut
	w := c.call()
	w.say(post(good(t)))
	waitFor(t, func() bool { return len(c.far.received()) == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := c.proxy.Shutdown(ctx); err == nil {
		t.Error("Shutdown says that nothing was cut")
	}
	w.wantClosed()
	rec := c.record()
	if rec.Outcome == roc.Answered {
		t.Errorf("%s", rec.Outcome)
	}
	c.noMore()
}
