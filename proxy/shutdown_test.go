package proxy

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/proxy/http1/http1test"
)

func TestShutdownLosesNoExchange(t *testing.T) {
	t.Parallel()
	c := newCountry(t, func(o *Options) { o.DrainIdle = 200 * time.Millisecond })
	proceed := make(chan struct{})
	c.far.Does(func(conn net.Conn, r http1test.Got) { <-proceed; http1test.AnswerOK(conn, r) })
	inFlight, idle, fresh := c.call(), c.call(), c.call()
	inFlight.say(post(good(t)))
	await.Until(t, "the message has come", func() bool { return len(c.far.Received()) == 1 })

	stopped := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	go func() { stopped <- c.proxy.Shutdown(ctx) }()
	await.Until(t, "no new connection is accepted", func() bool { // no new connection is accepted
		conn, err := net.DialTimeout("tcp", c.addr, time.Second)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	idle.say(post(good(t))) // already on its way: it is served, and its connection ends
	await.Until(t, "both messages have come", func() bool { return len(c.far.Received()) == 2 })
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
	c.far.Does(func(conn net.Conn, _ http1test.Got) { conn.Read(make([]byte, 1)) }) // until we cut
	w := c.call()
	w.say(post(good(t)))
	await.Until(t, "the message has come", func() bool { return len(c.far.Received()) == 1 })
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
