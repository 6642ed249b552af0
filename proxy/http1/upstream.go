package http1

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/piano-roc/rpn/internal/roc"
)

// UpstreamOptions are what an Upstream needs. Handshake is required.
type UpstreamOptions struct {
	// Handshake makes a connection TLS, for a server of that DNS name, within
	// ctx; it closes the connection when it fails. It is asked for each
	// connection, so a reload takes effect (tlsconf.Client.Handshake).
	Handshake func(ctx context.Context, c net.Conn, serverName string) (*tls.Conn, error)

	// AllowedNetworks are the networks that may be dialed although they are
	// loopback, private or link-local (profile section 6).
	AllowedNetworks []netip.Prefix

	// Addresses gives the address of a name that DNS is not asked for. The
	// dial guard applies to it all the same. May be nil.
	Addresses func(host string) (netip.Addr, bool)

	// Resolver finds the addresses of the other names. The guard sees the very
	// address that is dialed, whatever it answered before. Default: the
	// system's.
	Resolver *net.Resolver

	// Breaker lets an address rest. nil: none rests.
	Breaker Breaker

	MaxConns    int           // at once to one host. Default: 256
	IdleTimeout time.Duration // of a kept connection. Default: 50 s
	LifeTime    time.Duration // of a connection: certificates change. Default: 10 min
	DialTimeout time.Duration // to connect and to shake hands. Default: 2 s
	AnswerBytes int           // the largest answer. Default: 8 MiB
	Hosts       int           // kept at once; the least recent goes. Default: 1024
	Now         func() time.Time
}

// An Upstream carries messages to the far ends: one pool of connections a host.
// Safe for concurrent use.
type Upstream struct {
	o UpstreamOptions

	mu      sync.Mutex // guards the fields below
	targets map[string]*target
	pools   map[string]*pool
	conns   map[*upstreamConn]bool // all that are open
	closed  bool
}

// A target is one address of a far end, parsed once.
type target struct {
	host      string // name only, for the record
	authority string // as Host says it
	path      string // with its query
	pool      *pool
}

// A pool is the connections to one host and port.
type pool struct {
	*fasthttp.HostClient
	sender *Upstream
	used   time.Time // guarded by sender.mu
}

// NewUpstream makes an Upstream. Close it.
func NewUpstream(o UpstreamOptions) *Upstream {
	orDefault(&o.MaxConns, 256)
	orDefault(&o.IdleTimeout, 50*time.Second)
	orDefault(&o.LifeTime, 10*time.Minute)
	orDefault(&o.DialTimeout, 2*time.Second)
	orDefault(&o.AnswerBytes, 8<<20)
	orDefault(&o.Hosts, 1024)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Breaker == nil {
		o.Breaker = noBreaker{}
	}
	return &Upstream{o: o, targets: map[string]*target{}, pools: map[string]*pool{}, conns: map[*upstreamConn]bool{}}
}

// AnswerBytes is the largest answer that is read.
func (s *Upstream) AnswerBytes() int { return s.o.AnswerBytes }

// Close ends every connection, exchanges in flight included.
func (s *Upstream) Close() {
	s.mu.Lock()
	s.closed = true
	for l := range s.conns {
		l.raw.Close()
	}
	pools := slices.Collect(maps.Values(s.pools))
	s.mu.Unlock()
	for _, p := range pools {
		p.CloseIdleConnections() // takes s.mu, by upstreamConn.Close
	}
}

// target returns the address of a URL: https, a host, no userinfo. routing has
// judged it already; this only makes sure that it is one.
func (s *Upstream) target(raw string) (*target, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errShutdown
	}
	if p := s.targets[raw]; p != nil {
		p.pool.used = s.o.Now()
		return p, nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Opaque != "" {
		return nil, roc.Refuse(roc.AnnuaireRefused, "the address is not an https URL with a host")
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	p := &target{host: u.Hostname(), authority: u.Host, path: u.RequestURI(), pool: s.poolLocked(u.Hostname(), port)}
	if len(s.targets) >= 4*s.o.Hosts {
		clear(s.targets)
	}
	s.targets[raw] = p
	return p, nil
}

func (s *Upstream) poolLocked(host, port string) *pool {
	key := net.JoinHostPort(host, port)
	p := s.pools[key]
	if p == nil {
		if len(s.pools) >= s.o.Hosts {
			s.dropOldestLocked()
		}
		p = &pool{sender: s, HostClient: &fasthttp.HostClient{
			Addr:                      key,
			MaxConns:                  s.o.MaxConns,
			MaxIdleConnDuration:       s.o.IdleTimeout,
			MaxIdemponentCallAttempts: 1,
			RetryIfErr:                func(*fasthttp.Request, int, error) (bool, bool) { return false, false },
			ConnPoolStrategy:          fasthttp.LIFO,
			WriteBufferSize:           16 << 10,
			SecureErrorLogMessage:     true,
			DialTimeout: func(addr string, timeout time.Duration) (net.Conn, error) {
				return s.dial(addr, host, timeout)
			},
		}}
		s.pools[key] = p
	}
	p.used = s.o.Now()
	return p
}

func (s *Upstream) dropOldestLocked() {
	oldest := ""
	for k, p := range s.pools {
		if oldest == "" || p.used.Before(s.pools[oldest].used) {
			oldest = k
		}
	}
	old := s.pools[oldest]
	delete(s.pools, oldest)
	for u, p := range s.targets {
		if p.pool == old {
			delete(s.targets, u)
		}
	}
	go old.CloseIdleConnections() // it takes s.mu, by upstreamConn.Close
}

// acquire returns a connection that is known alive: a kept one that the far
// end has not closed and on which nothing waits, or a fresh one.
func (p *target) acquire(deadline time.Time) (*upstreamConn, error) {
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return nil, roc.Refuse(roc.AMCSilent, "the deadline passed before anything was sent").
				Saying("Le délai est passé avant l'envoi : rien n'a été transmis à l'organisme.")
		}
		cc, err := p.pool.AcquireConn(left, false)
		if err != nil {
			return nil, err
		}
		l := cc.Conn().(*upstreamConn)
		l.drop = func(reusable bool) {
			if reusable && time.Since(cc.CreatedTime()) < p.pool.sender.o.LifeTime {
				p.pool.ReleaseConn(cc)
			} else {
				p.pool.CloseConn(cc)
			}
		}
		if !l.used || l.alive() {
			l.used = true
			return l, nil
		}
		l.drop(false)
	}
}

func (p *target) release(l *upstreamConn, reusable bool) { l.drop(reusable) }

// An upstreamConn is one connection to a far end.
type upstreamConn struct {
	*tls.Conn
	raw    net.Conn
	socket syscall.RawConn
	in     wire
	fields Fields
	used   bool
	drop   func(reusable bool) // of the current use
	sender *Upstream
}

// alive reports, before anything is written, that the connection is open and
// that nothing waits on it: bytes beyond the last answer would be read as the
// answer to the next request, which may be another establishment's.
func (l *upstreamConn) alive() bool {
	if l.in.buffered() > 0 || hasPending(l.socket) {
		return false
	}
	// What TLS has already read and not yet given: a deadline in the past
	// keeps Read from touching the socket.
	l.SetReadDeadline(time.Unix(1, 0))
	var b [1]byte
	n, err := l.Read(b[:])
	return n == 0 && IsTimeout(err)
}

// Close ends the connection and forgets it.
func (l *upstreamConn) Close() error {
	l.sender.mu.Lock()
	delete(l.sender.conns, l)
	l.sender.mu.Unlock()
	return l.Conn.Close()
}

// dial connects and shakes hands. The guard sees the very address dialed.
func (s *Upstream) dial(addr, serverName string, timeout time.Duration) (net.Conn, error) {
	if timeout <= 0 || timeout > s.o.DialTimeout {
		timeout = s.o.DialTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	d := net.Dialer{Control: s.guard, KeepAlive: 30 * time.Second, Resolver: s.o.Resolver}
	raw, err := d.DialContext(ctx, "tcp", s.known(addr))
	if err != nil {
		return nil, err
	}
	conn, err := s.o.Handshake(ctx, raw, serverName)
	if err != nil {
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	l := &upstreamConn{Conn: conn, raw: raw, socket: rawConn(raw), in: newWire(conn), sender: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		raw.Close()
		return nil, errShutdown
	}
	s.conns[l] = true
	return l, nil
}

// known replaces a name whose address is configured.
func (s *Upstream) known(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || s.o.Addresses == nil {
		return addr
	}
	if a, ok := s.o.Addresses(host); ok {
		return net.JoinHostPort(a.String(), port)
	}
	return addr
}

func orDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
