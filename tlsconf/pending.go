package tlsconf

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
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
	slot     *list.Element // in the queue, guarded by its mu
	pushed   atomic.Bool   // another took its slot

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
	select {
	case p.listener.turns <- struct{}{}:
		p.turn = true
		return nil
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
}

// yield gives the turn back, before the peer is waited for: one that reads or
// answers slowly holds nobody up.
func (p *pending) yield() {
	if p.turn {
		p.turn = false
		<-p.listener.turns
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

// A handshakeQueue holds the connections whose handshake is under way, in order
// of arrival, the silent ones apart. When it is full the oldest silent one makes
// room: those who open connections and say nothing push out one another, not the
// peers that speak.
type handshakeQueue struct {
	size int

	mu     sync.Mutex
	silent *list.List // of *pending, oldest first
	count  int        // silent and speaking
}

func newHandshakeQueue(size int) *handshakeQueue {
	return &handshakeQueue{size: size, silent: list.New()}
}

// enter lets p in, or reports false when the queue is full of peers that speak.
// It returns who must leave for it, or nil.
func (q *handshakeQueue) enter(p *pending) (leaves *pending, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count >= q.size {
		oldest := q.silent.Front()
		if oldest == nil {
			return nil, false
		}
		leaves = oldest.Value.(*pending)
		q.removeSilent(leaves)
	}
	q.count++
	p.slot = q.silent.PushBack(p)
	return leaves, true
}

// speaks takes p from among the silent.
func (q *handshakeQueue) speaks(p *pending) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.removeSilent(p)
}

// leave is called once for each that entered, pushed out or not.
func (q *handshakeQueue) leave(p *pending) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.removeSilent(p)
	q.count--
}

func (q *handshakeQueue) removeSilent(p *pending) {
	if p.slot != nil {
		q.silent.Remove(p.slot)
		p.slot = nil
	}
}
