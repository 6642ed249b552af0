package tlsconf

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// maxHandshakeBytes is how much a peer may send before it is accepted: a
// ClientHello with its ticket, and the certificates that trust.Present takes,
// with room. crypto/tls alone would read and parse 256 kB for anybody.
const maxHandshakeBytes = 64 << 10

var errTooMuch = errors.New("tlsconf: the peer sends more than a handshake needs")

// A pending connection is one whose handshake is under way. It sits below
// crypto/tls: it knows when the ClientHello came, and sees each Read and Write.
type pending struct {
	net.Conn
	listener *Listener
	slot     slot        // in the queue, guarded by its mu
	pushed   atomic.Bool // another took its slot
	ours     atomic.Bool // it waits for us: for a turn, or for what we compute

	peer       net.Addr // who connected: to us, or to the balancer that says so
	forwarding bool     // the header of its balancer is being read

	member atomic.Pointer[member] // once the handshake ended well

	// What follows belongs to the handshake's goroutine; once it is over it does
	// not change, and Read and Write may look from any goroutine.
	hello    offered
	ctx      context.Context // of the handshake
	read     int             // bytes, of the handshake
	turn     bool            // holds one of the listener's turns
	over     bool            // the handshake is
	accepted *trust.Accepted // what was verified, to be remembered once it is proved
}

// saidHello records the ClientHello, and waits for a turn to compute.
func (p *pending) saidHello(h *tls.ClientHelloInfo) error {
	p.hello = offered{seen: true, versions: h.SupportedVersions, name: h.ServerName}
	p.listener.queue.speaks(p)
	return p.takeTurn()
}

// pushOut ends the handshake: its Read fails.
func (p *pending) pushOut() {
	p.pushed.Store(true)
	p.Conn.Close()
}

// NetConn is the connection beneath: whoever asks the kernel about the socket
// goes down through it.
func (p *pending) NetConn() net.Conn { return p.Conn }

// RemoteAddr is who connected: behind a balancer, to the balancer.
func (p *pending) RemoteAddr() net.Addr { return p.peer }

// Close takes it out of the open connections.
func (p *pending) Close() error {
	p.listener.options.Server.live.leave(p.member.Load())
	return p.Conn.Close()
}

// takeTurn waits for one of the turns to compute. All that a handshake computes
// from its ClientHello on, our signature, the parsing and verifying of what the
// peer presents, is done in a turn: a storm of handshakes leaves room for
// exchanges, whatever they hold.
func (p *pending) takeTurn() error {
	if p.turn || p.over {
		return nil
	}
	p.ours.Store(true)
	select {
	case p.listener.turns <- struct{}{}:
		p.turn = true
		return nil
	case <-p.ctx.Done():
		p.ours.Store(false)
		return context.Cause(p.ctx)
	}
}

// yield gives the turn back, before the peer is waited for: one that reads or
// answers slowly holds nobody up.
func (p *pending) yield() {
	if p.turn {
		p.turn = false
		<-p.listener.turns
		p.ours.Store(false)
	}
}

// Read counts what the handshake reads, and waits for a turn to compute on it.
func (p *pending) Read(b []byte) (int, error) {
	if p.over {
		return p.Conn.Read(b)
	}
	p.yield()
	n, err := p.Conn.Read(b)
	if p.read += n; p.read > maxHandshakeBytes {
		return 0, errTooMuch
	}
	if err == nil && p.hello.seen {
		err = p.takeTurn()
	}
	return n, err
}

// Write gives the turn back: the network may be slow.
func (p *pending) Write(b []byte) (int, error) {
	if p.over {
		return p.Conn.Write(b)
	}
	p.yield()
	return p.Conn.Write(b)
}
