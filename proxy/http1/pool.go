package http1

import (
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A pool is the connections to one host and port. A kept connection goes on
// serving the establishment that used it last; another may take it only once it
// has rested without a byte: what an insurer answers twice is then never read
// as the answer to another establishment (docs/decisions/0009).
type pool struct {
	up   *Upstream
	host string // as TLS names it
	port string
	// classic: its ClientHello offers no post-quantum key exchange.
	classic bool
	used    time.Time // guarded by up.mu, as is lates
	lates   int       // connections whose answer is late

	mu     sync.Mutex // guards the fields below
	idle   []*upstreamConn
	open   int  // idle and in use
	gone   bool // another host took its place: it keeps no connection
	failed map[string]time.Time
	// apart: until then no connection serves two establishments, rested or not:
	// the host was seen to send what it was not asked.
	apart  time.Time
	warned time.Time // when that was logged last
}

// address is the host and port, as the breaker knows them.
func (p *pool) address() string { return net.JoinHostPort(p.host, p.port) }

// errAllBusy: as many connections as there may be, each in use.
var errAllBusy = errors.New("every connection to this host is in use")

// take gives a kept connection that owner may use now, or says that a fresh one
// is to be dialed, whose place is then taken. closing are connections to close:
// too old, or one that made way.
func (p *pool) take(owner roc.StructureID, now time.Time) (kept *upstreamConn, closing []*upstreamConn, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	closing = p.dropExpiredLocked(now)
	rested := -1
	for i := len(p.idle) - 1; i >= 0; i-- { // the last used first: the pool stays small
		c := p.idle[i]
		if c.owner == owner {
			return p.removeLocked(i), closing, nil
		}
		if rested < 0 && now.Sub(c.released) >= p.up.o.Rest && !now.Before(p.apart) {
			rested = i
		}
	}
	switch {
	case rested >= 0:
		return p.removeLocked(rested), closing, nil
	case p.open < p.up.o.MaxConns:
		p.open++
		return nil, closing, nil
	case len(p.idle) > 0: // it takes the place of the one that rests longest
		return nil, append(closing, p.removeLocked(0)), nil
	}
	return nil, closing, errAllBusy
}

func (p *pool) removeLocked(i int) *upstreamConn {
	c := p.idle[i]
	p.idle = slices.Delete(p.idle, i, i+1)
	return c
}

func (p *pool) dropExpiredLocked(now time.Time) (expired []*upstreamConn) {
	p.idle = slices.DeleteFunc(p.idle, func(c *upstreamConn) bool {
		old := now.Sub(c.released) >= p.up.o.IdleTimeout || now.Sub(c.made) >= p.up.o.LifeTime
		if old {
			expired = append(expired, c)
			p.open--
		}
		return old
	})
	return expired
}

// put gives back a connection that may serve again; false: it is not kept.
func (p *pool) put(c *upstreamConn, owner roc.StructureID, now time.Time) bool {
	c.owner, c.released = owner, now
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return false
	}
	p.idle = append(p.idle, c)
	return true
}

// lost takes the place of a connection back: it is closed, or was never made.
func (p *pool) lost() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open--
}

// keepApart is how long a host that sent what it was not asked has a connection
// an establishment. A rest is a bet on how late a second answer comes; from
// there on nothing is bet.
const keepApart = time.Hour

// distrust sets apart, and reports whether that is to be logged: at most once a
// minute.
func (p *pool) distrust(now time.Time) (say bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.apart = now.Add(keepApart)
	if say = p.warned.IsZero() || now.Sub(p.warned) >= time.Minute; say {
		p.warned = now
	}
	return say
}

// empty takes every idle connection out.
func (p *pool) empty() []*upstreamConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.emptyLocked()
}

// retire is empty, for good: the connections in use are closed once released.
func (p *pool) retire() []*upstreamConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = true
	return p.emptyLocked()
}

func (p *pool) emptyLocked() []*upstreamConn {
	all := p.idle
	p.idle = nil
	p.open -= len(all)
	return all
}

// expire takes those out that are too old, and those on which something waits:
// the end of the connection, or bytes that nobody asked for.
func (p *pool) expire(now time.Time) (expired, pending []*upstreamConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	expired = p.dropExpiredLocked(now)
	p.idle = slices.DeleteFunc(p.idle, func(c *upstreamConn) bool {
		if !hasPending(c.socket) {
			return false
		}
		pending = append(pending, c)
		p.open--
		return true
	})
	return expired, pending
}
