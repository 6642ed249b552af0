package http1

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// maxAddresses of a name are tried.
const maxAddresses = 8

// An attempt is how long the parts of connecting took, over all addresses.
type attempt struct{ lookup, connect time.Duration }

// dial connects to the first address of the host that accepts and shakes hands:
// no byte of the message has left, so the next one may be tried. An address that
// failed less than a minute ago comes last.
func (p *pool) dial(ctx context.Context, spent *attempt) (*upstreamConn, error) {
	s := p.up
	ctx, cancel := context.WithTimeout(ctx, s.o.DialTimeout)
	defer cancel()
	start := time.Now()
	found, err := s.o.Egress.Lookup(ctx, p.host)
	spent.lookup += time.Since(start)
	if err != nil {
		return nil, err
	}
	start = time.Now()
	defer func() { spent.connect += time.Since(start) }()
	addresses := p.inOrder(found.Addresses[:min(len(found.Addresses), maxAddresses)], start)
	var last error
	for i, a := range addresses {
		c, err := p.dialOne(ctx, a, len(addresses)-i)
		if err == nil {
			return c, nil
		}
		if last = err; ctx.Err() != nil {
			break
		}
		p.remember(a)
	}
	return nil, found.Because(last)
}

// dialOne connects and shakes hands with one address, in its share of the time
// that is left.
func (p *pool) dialOne(ctx context.Context, a netip.Addr, left int) (*upstreamConn, error) {
	s := p.up
	if end, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(left))
		defer cancel()
	}
	raw, err := s.o.Egress.DialContext(ctx, "tcp", net.JoinHostPort(a.String(), p.port))
	if err != nil {
		return nil, err
	}
	handshake := s.o.Handshake
	if p.classic && s.o.ClassicHandshake != nil {
		handshake = s.o.ClassicHandshake
	}
	conn, err := handshake(ctx, raw, p.host)
	if err != nil {
		if s.o.WrongTime != nil && s.o.WrongTime(err) && s.clock.bad(p.host) {
			err = fmt.Errorf("%w: %w", errOurClock, err)
		}
		return nil, &tlsError{err}
	}
	s.clock.good()
	c := &upstreamConn{Conn: conn, raw: raw, socket: rawConn(raw), in: newWire(conn), made: s.o.Now()}
	if !s.register(c) {
		raw.Close()
		return nil, errShutdown
	}
	return c, nil
}

// A tlsError is a handshake that failed.
type tlsError struct{ err error }

func (e *tlsError) Error() string { return fmt.Sprintf("TLS handshake: %v", e.err) }
func (e *tlsError) Unwrap() error { return e.err }

// inOrder puts the addresses that failed of late last.
func (p *pool) inOrder(all []netip.Addr, now time.Time) []netip.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	for a, at := range p.failed {
		if now.Sub(at) > time.Minute {
			delete(p.failed, a)
		}
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b netip.Addr) int {
		return p.failed[a.String()].Compare(p.failed[b.String()])
	})
	return all
}

// remember keeps that an address failed: of one host, as many as are tried.
func (p *pool) remember(a netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed == nil || len(p.failed) >= 4*maxAddresses {
		p.failed = map[string]time.Time{}
	}
	p.failed[a.String()] = time.Now()
}
