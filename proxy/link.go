package proxy

import (
	"context"
	"crypto/tls"
	"errors"
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

// SenderOptions are what a Sender needs. Handshake is required.
type SenderOptions struct {
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

	MaxConns    int           // at once to one host. Default: 256
	IdleTimeout time.Duration // of a kept connection. Default: 50 s
	LifeTime    time.Duration // of a connection: certificates change. Default: 10 min
	DialTimeout time.Duration // to connect and to shake hands. Default: 5 s
	AnswerBytes int           // the largest answer. Default: 8 MiB
	Hosts       int           // kept at once; the least recent goes. Default: 1024
	Now         func() time.Time
}

// A Sender carries messages to the far ends: one pool of connections a host.
// Safe for concurrent use.
type Sender struct {
	o SenderOptions

	mu     sync.Mutex // guards the fields below
	places map[string]*place
	pools  map[string]*pool
	links  map[*link]bool // all that are open
	closed bool
}

// A place is one address of a far end, parsed once.
type place struct {
	host      string // name only, for the record
	authority string // as Host says it
	path      string // with its query
	pool      *pool
}

// A pool is the connections to one host and port.
type pool struct {
	*fasthttp.HostClient
	sender *Sender
	used   time.Time // guarded by sender.mu
}

// NewSender makes a Sender. Close it.
func NewSender(o SenderOptions) *Sender {
	orDefault(&o.MaxConns, 256)
	orDefault(&o.IdleTimeout, 50*time.Second)
	orDefault(&o.LifeTime, 10*time.Minute)
	orDefault(&o.DialTimeout, 5*time.Second)
	orDefault(&o.AnswerBytes, 8<<20)
	orDefault(&o.Hosts, 1024)
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Sender{o: o, places: map[string]*place{}, pools: map[string]*pool{}, links: map[*link]bool{}}
}

// Close ends every connection, exchanges in flight included.
func (s *Sender) Close() {
	s.mu.Lock()
	s.closed = true
	for l := range s.links {
		l.raw.Close()
	}
	pools := slices.Collect(maps.Values(s.pools))
	s.mu.Unlock()
	for _, p := range pools {
		p.CloseIdleConnections() // takes s.mu, by link.Close
	}
}

// place returns the address of a URL: https, a host, no userinfo. routing has
// judged it already; this only makes sure that it is one.
func (s *Sender) place(raw string) (*place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errShutdown
	}
	if p := s.places[raw]; p != nil {
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
	p := &place{host: u.Hostname(), authority: u.Host, path: u.RequestURI(), pool: s.poolLocked(u.Hostname(), port)}
	if len(s.places) >= 4*s.o.Hosts {
		clear(s.places)
	}
	s.places[raw] = p
	return p, nil
}

func (s *Sender) poolLocked(host, port string) *pool {
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

func (s *Sender) dropOldestLocked() {
	oldest := ""
	for k, p := range s.pools {
		if oldest == "" || p.used.Before(s.pools[oldest].used) {
			oldest = k
		}
	}
	old := s.pools[oldest]
	delete(s.pools, oldest)
	for u, p := range s.places {
		if p.pool == old {
			delete(s.places, u)
		}
	}
	go old.CloseIdleConnections() // it takes s.mu, by link.Close
}

// acquire returns a connection that is known alive: a kept one that the far
// end has not closed and on which nothing waits, or a fresh one.
func (p *place) acquire(deadline time.Time) (*link, error) {
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
		l := cc.Conn().(*link)
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

func (p *place) release(l *link, reusable bool) { l.drop(reusable) }

// A link is one connection to a far end.
type link struct {
	*tls.Conn
	raw    net.Conn
	socket syscall.RawConn
	in     wire
	fields fields
	used   bool
	drop   func(reusable bool) // of the current use
	sender *Sender
}

// alive reports, before anything is written, that the connection is open and
// that nothing waits on it: bytes beyond the last answer would be read as the
// answer to the next request, which may be another establishment's.
func (l *link) alive() bool {
	if l.in.buffered() > 0 || hasPending(l.socket) {
		return false
	}
	// What TLS has already read and not yet given: a deadline in the past
	// keeps Read from touching the socket.
	l.SetReadDeadline(time.Unix(1, 0))
	var b [1]byte
	n, err := l.Read(b[:])
	return n == 0 && isTimeout(err)
}

// Close ends the connection and forgets it.
func (l *link) Close() error {
	l.sender.mu.Lock()
	delete(l.sender.links, l)
	l.sender.mu.Unlock()
	return l.Conn.Close()
}

// dial connects and shakes hands. The guard sees the very address dialed.
func (s *Sender) dial(addr, serverName string, timeout time.Duration) (net.Conn, error) {
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
	l := &link{Conn: conn, raw: raw, socket: rawConn(raw), in: newWire(conn), sender: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		raw.Close()
		return nil, errShutdown
	}
	s.links[l] = true
	return l, nil
}

// known replaces a name whose address is configured.
func (s *Sender) known(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || s.o.Addresses == nil {
		return addr
	}
	if a, ok := s.o.Addresses(host); ok {
		return net.JoinHostPort(a.String(), port)
	}
	return addr
}

var errForbiddenAddress = errors.New("address not allowed")

// guard refuses to dial an address that no insurer has: loopback, private,
// link-local (cloud metadata with it), multicast, unspecified, shared or
// reserved, unless the configuration allows its network. It runs after the
// name is resolved, on the address of the socket: a name that changes its mind
// between a check and a dial gains nothing. It fails closed.
func (s *Sender) guard(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return errForbiddenAddress
	}
	ip := ap.Addr().Unmap().WithZone("")
	for _, n := range s.o.AllowedNetworks {
		if n.Contains(ip) {
			return nil
		}
	}
	if !isPublic(ip) {
		return errForbiddenAddress
	}
	return nil
}

// notPublic is what net/netip has no word for (IANA special-purpose registries).
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // shared, RFC 6598
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), // documentation
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), // NAT64: an IPv4 address inside
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4: an IPv4 address inside
	netip.MustParsePrefix("fec0::/10"),
}

func isPublic(ip netip.Addr) bool {
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, n := range notPublic {
		if n.Contains(ip) {
			return false
		}
	}
	return true
}
