package tlsconf

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/piano-roc/rpn/internal/egress"
)

// probes are the addresses of connections that this process makes to itself.
type probes struct {
	mu  sync.Mutex // guards own
	own map[netip.AddrPort]bool
}

func (s *probes) add(a netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own == nil {
		s.own = map[netip.AddrPort]bool{}
	}
	s.own[a] = true
}

func (s *probes) remove(a netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.own, a)
}

func (s *probes) has(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := t.AddrPort()
	return s.own[netip.AddrPortFrom(at.Addr().Unmap(), at.Port())]
}

// Probe connects to the listener as an establishment does, and makes the
// handshake up to the proof that our certificate and key serve. It shows no
// certificate, and ends there. It has no slot of the queue: a flood that keeps
// others waiting is no reason to take this process for dead.
func (l *Listener) Probe(ctx context.Context) error {
	target, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return errors.New("tlsconf: the listener has no TCP address")
	}
	var own netip.AddrPort
	defer func() { l.probes.remove(own) }()
	conn, err := egress.DialOwn(ctx, target, func(from netip.AddrPort) { own = from; l.probes.add(own) })
	if err != nil {
		return fmt.Errorf("the listener does not accept: %w", err)
	}
	defer conn.Close()
	// What is shown is not verified: it is our own, by a name that nobody asked for.
	t := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}})
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("the listener makes no handshake: %w", err)
	}
	return nil
}

// answerProbe makes the handshake of a probe. It fails, since a probe shows no
// certificate: nobody is told.
func (l *Listener) answerProbe(ctx context.Context, c net.Conn) {
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, l.options.Deadline)
	defer cancel()
	t := tls.Server(c, l.config)
	t.HandshakeContext(ctx)
}
