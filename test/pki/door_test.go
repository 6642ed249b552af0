package pki

import (
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/revocation"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

var quiet = slog.New(slog.DiscardHandler)

// A door is the listener of the RPN. It greets who comes in with a small HTTP
// answer, and tells who did and who did not.
type door struct {
	*tlsconf.Listener
	server   *tlsconf.Server
	failures chan *trust.Failure
	welcomes chan string // the CN
	made     chan string // "TLS 1.3", "TLS 1.3 resumed"
	gate     atomic.Pointer[chan struct{}]
}

// holdWhoComes keeps who comes in without its greeting, until the channel
// it returns is closed.
func (d *door) holdWhoComes() chan struct{} {
	gate := make(chan struct{})
	d.gate.Store(&gate)
	return gate
}

func openDoor(t *testing.T, pki *igc.PKI, r *revocation.Checker, options ...igc.Option) *door {
	t.Helper()
	side := igc.EtablissementTLS
	server, err := tlsconf.NewServer(tlsconf.ServerOptions{
		Certificate: identity.FixedSource(pki.Server(side, "rpn.test", append([]igc.Option{igc.Names("127.0.0.1")}, options...)...).TLS()),
		Clients:     trust.FixedStore(trust.NewTrust(pki.Roots(side), pki.Intermediates(side))),
		Revocation:  r,
	})
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{server: server, failures: make(chan *trust.Failure, 100), welcomes: make(chan string, 100), made: make(chan string, 100)}
	d.Listener, err = tlsconf.NewListener(inner, tlsconf.ListenerOptions{
		Server: server, Log: quiet, OnFailure: func(f *trust.Failure) { d.failures <- f },
		OnHandshake: func(version string, resumed bool) {
			if resumed {
				version += " resumed"
			}
			d.made <- version
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var talks sync.WaitGroup
	talks.Go(func() {
		for {
			c, err := d.Accept()
			if err != nil {
				return
			}
			talks.Go(func() {
				defer c.Close()
				d.welcomes <- c.(*tlsconf.Conn).Leaf().Subject.CommonName
				if gate := d.gate.Load(); gate != nil {
					<-*gate
				}
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nbonjour\n")
				c.(*tlsconf.Conn).CloseWrite()
				io.Copy(io.Discard, c)
			})
		}
	})
	t.Cleanup(func() {
		d.Close()
		talks.Wait()
	})
	return d
}
