package tlsconf

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/piano-roc/rpn/tlsconf/proxyproto"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// learnPeer asks the balancer that forwards a connection whose it is; anybody
// else is who connected. While the header is awaited the connection has a slot
// of the queue, as its balancer's: one that says nothing makes room for the next.
func (l *Listener) learnPeer(ctx context.Context, p *pending) error {
	if !l.isBalancer(p.peer) {
		return nil
	}
	p.forwarding = true
	var h proxyproto.Header
	err := l.queued(p, true, func() (err error) {
		stop := context.AfterFunc(ctx, func() { p.Conn.SetReadDeadline(time.Unix(1, 0)) })
		defer stop()
		p.Conn.SetReadDeadline(time.Now().Add(l.options.HeaderDeadline))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if h, err = proxyproto.Read(p.Conn); err != nil {
			return err
		}
		return p.Conn.SetReadDeadline(time.Time{})
	})
	if err != nil {
		return err
	}
	p.forwarding = false
	if !h.Local {
		p.peer = net.TCPAddrFromAddrPort(h.Source)
	}
	return nil
}

// isBalancer reports whether an address is that of a balancer that is named.
func (l *Listener) isBalancer(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	if !ok || len(l.options.Balancers) == 0 {
		return false
	}
	ip := t.AddrPort().Addr().Unmap().WithZone("")
	return slices.ContainsFunc(l.options.Balancers, func(n netip.Prefix) bool { return n.Contains(ip) })
}

// explainHeader tells why no header of a balancer was read.
func explainHeader(err error) *trust.Failure {
	var malformed *proxyproto.MalformedError
	f := trust.AsFailure(err)
	switch {
	case f != nil:
		return f
	case errors.Is(err, proxyproto.ErrMissing), errors.As(err, &malformed), errors.Is(err, io.ErrUnexpectedEOF):
		return &trust.Failure{Reason: trust.BadForwarding, Detail: "of a load balancer of proxy_protocol.from: " + err.Error(), Err: err}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &trust.Failure{Reason: trust.TimedOut, Detail: "a load balancer of proxy_protocol.from connected and sent no whole PROXY protocol header in time", Err: err}
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, net.ErrClosed), errors.Is(err, context.Canceled):
		return &trust.Failure{Reason: trust.Closed, Detail: "a load balancer of proxy_protocol.from connected and closed without a header: perhaps a health check", Err: err}
	}
	return &trust.Failure{Reason: trust.Other, Detail: trust.Safe(err.Error()), Err: err}
}

// looksForwarded reports whether what came in the place of TLS begins like a
// PROXY protocol header, of version 1 or 2.
func looksForwarded(e tls.RecordHeaderError) bool {
	begins := string(e.RecordHeader[:])
	return begins == proxyproto.Signature[:len(begins)] || begins == "PROXY"
}
