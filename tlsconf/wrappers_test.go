package tlsconf_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"syscall"
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// Whoever asks the kernel about a connection (has the caller left? does
// something wait?) goes down from wrapper to wrapper by NetConn. Each of ours
// must let it pass, on both sides: one that does not makes the answer always no.
func TestTheSocketIsReachedThroughEveryWrapper(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	server, err := tlsconf.NewServer(tlsconf.ServerOptions{
		Certificate: identity.FixedSource(p.Server(igc.EtablissementTLS, "rpn.test").TLS()),
		Clients:     trust.FixedStore(tlstest.Trust(p, igc.EtablissementTLS)),
	})
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tlsconf.NewListener(inner, tlstest.Listener(tlsconf.ListenerOptions{Server: server, Log: slog.New(slog.DiscardHandler)}))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := tls.Dial("tcp", ln.Addr().String(), tlstest.Client(p, p.Auth(chu, "CH")))
		if err == nil {
			io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	reaches(t, "a caller's connection", c)
	c.Close()
	<-done

	client, err := tlsconf.NewClient(tlsconf.ClientOptions{
		Certificate: identity.FixedSource(p.Auth("2000000026", "RPN").TLS()),
		Servers:     trust.FixedStore(tlstest.Trust(p, igc.AMCTLS)),
	})
	if err != nil {
		t.Fatal(err)
	}
	far, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{p.Server(igc.AMCTLS, "amc.test").TLS()}, ClientAuth: tls.RequireAnyClientCert})
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	go func() {
		if c, err := far.Accept(); err == nil {
			io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	raw, err := net.Dial("tcp", far.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := client.Handshake(context.Background(), raw, "amc.test")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reaches(t, "a connection to an insurer", conn)
}

// reaches goes down to the socket.
func reaches(t *testing.T, what string, c net.Conn) {
	t.Helper()
	for range 8 {
		if _, ok := c.(syscall.Conn); ok {
			return
		}
		under, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			t.Errorf("%s: %T has no NetConn", what, c)
			return
		}
		c = under.NetConn()
	}
	t.Errorf("%s: no socket within 8 wrappers", what)
}
