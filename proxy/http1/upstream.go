package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/egress"
	"github.com/piano-roc/rpn/internal/roc"
)

// UpstreamOptions are what an Upstream needs. Handshake is required.
type UpstreamOptions struct {
	// Handshake makes a connection TLS, for a server of that DNS name, within
	// ctx; it closes the connection when it fails. It is asked for each
	// connection, so a reload takes effect (tlsconf.Client.Handshake).
	Handshake func(ctx context.Context, c net.Conn, serverName string) (*tls.Conn, error)

	// ClassicHandshake is Handshake for an insurer that is to be offered no
	// post-quantum key exchange. nil: Handshake.
	ClassicHandshake func(ctx context.Context, c net.Conn, serverName string) (*tls.Conn, error)

	// WrongTime reports whether a handshake failed because the far end's
	// certificate is not valid at our time. nil: none does.
	WrongTime func(handshake error) bool

	// OwnFault says why the certificate that we show is not to be accepted now: it
	// has ended, or is revoked. A far end that ends a connection then is not at
	// fault. nil: ours is always sound.
	OwnFault func() error

	// Egress finds the addresses of a host, and says which may be dialed: it sees
	// the very address, whatever the name resolved to before. nil: public ones
	// alone, found by the system.
	Egress *egress.Filter

	// Breaker lets an address rest. nil: none rests.
	Breaker Breaker

	// Rest is how long a kept connection waits, without a byte, before it may
	// serve another establishment than its last one. Default: 200 ms.
	Rest time.Duration

	// OnUnsolicited is told of each time a host sent what it was not asked. May
	// be nil.
	OnUnsolicited func(host string)

	// OnLate is told of each answer that began after its deadline, within
	// LateWait. May be nil. It must not block.
	OnLate   func(Late)
	LateWait time.Duration // Default: 60 s

	MaxConns    int           // at once to one host. Required
	IdleTimeout time.Duration // of a kept connection. Default: 50 s
	LifeTime    time.Duration // of a connection: certificates change. Default: 10 min
	DialTimeout time.Duration // to connect and to shake hands, all addresses together. Required
	AnswerBytes int           // the largest answer, in bytes. Required
	Hosts       int           // kept at once; the least recent goes. Default: 1024
	Now         func() time.Time
	Log         *slog.Logger // default: nothing is logged
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
	stop    chan struct{} // ends the sweep; nil until a first connection
	swept   chan struct{} // closed when it has ended
	lates   int           // connections whose answer is late

	latecomers sync.WaitGroup // who waits for them

	clock clockDoubt
}

// A target is one URL of a far end, parsed once.
type target struct {
	host      string // name only, for the record
	authority string // as Host says it
	path      string // with its query
	pool      *pool
}

// NewUpstream makes an Upstream. Close it.
func NewUpstream(o UpstreamOptions) *Upstream {
	if o.MaxConns <= 0 || o.DialTimeout <= 0 || o.AnswerBytes <= 0 {
		panic("http1: MaxConns, DialTimeout and AnswerBytes are required")
	}
	orDefault(&o.Rest, 200*time.Millisecond)
	orDefault(&o.LateWait, time.Minute)
	orDefault(&o.IdleTimeout, 50*time.Second)
	orDefault(&o.LifeTime, 10*time.Minute)
	orDefault(&o.Hosts, 1024)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Egress == nil {
		o.Egress = new(egress.Filter)
	}
	if o.Breaker == nil {
		o.Breaker = noBreaker{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Upstream{o: o, targets: map[string]*target{}, pools: map[string]*pool{}, conns: map[*upstreamConn]bool{}}
}

// AnswerBytes is the largest answer that is read.
func (s *Upstream) AnswerBytes() int { return s.o.AnswerBytes }

var errShutdown = errors.New("the RPN stops")

// Close ends every connection, exchanges in flight included.
func (s *Upstream) Close() {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	for c := range s.conns {
		c.raw.Close()
	}
	for _, p := range s.pools {
		p.empty()
	}
	stop, swept := s.stop, s.swept
	s.mu.Unlock()
	if first && stop != nil {
		close(stop)
		<-swept
	}
	s.latecomers.Wait()
}

// register takes in an open connection; false once closed. The first one starts
// the sweep of the idle ones.
func (s *Upstream) register(c *upstreamConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = true
	if s.stop == nil {
		s.stop, s.swept = make(chan struct{}), make(chan struct{})
		go s.sweep()
	}
	return true
}

// drop closes a connection and forgets it.
func (s *Upstream) drop(c *upstreamConn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	c.SetWriteDeadline(time.Now().Add(time.Second)) // for the close_notify
	c.Conn.Close()
}

// sweep looks at the idle connections once a second: what is too old goes, and
// what a far end says unasked is seen although nobody is about to use it.
func (s *Upstream) sweep() {
	defer close(s.swept)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		for _, p := range s.allPools() {
			expired, pending := p.expire(s.o.Now())
			for _, c := range expired {
				s.drop(c)
			}
			for _, c := range pending {
				if c.look() == unsolicited {
					p.foul()
				}
				s.drop(c)
			}
		}
	}
}

func (s *Upstream) allPools() []*pool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*pool, 0, len(s.pools))
	for _, p := range s.pools {
		all = append(all, p)
	}
	return all
}

func (s *Upstream) toldUnsolicited(p *pool, idle int, say bool) {
	if say {
		s.logUnsolicited(p, idle)
	}
	if s.o.OnUnsolicited != nil {
		s.o.OnUnsolicited(p.host)
	}
}

func (s *Upstream) logUnsolicited(p *pool, idle int) {
	s.o.Log.Warn("a far end sent bytes that answer nothing: its idle connections were closed", "event", "unsolicited_answer",
		"host", p.host, "port", p.port, "closed", idle, "remedy", "the insurer answers some messages twice: tell it")
}

// target returns the parts of a URL: https, a host, no userinfo. routing has
// checked it already; this only makes sure that it is one.
func (s *Upstream) target(raw string, classic bool) (*target, error) {
	key := strconv.FormatBool(classic) + " " + raw
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errShutdown
	}
	if t := s.targets[key]; t != nil {
		t.pool.used = s.o.Now()
		return t, nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Opaque != "" {
		return nil, roc.Refuse(roc.AnnuaireRefused, "the address is not an https URL with a host").Because(roc.UnusableAddress)
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	t := &target{host: u.Hostname(), authority: u.Host, path: u.RequestURI(), pool: s.poolLocked(u.Hostname(), port, classic)}
	if !isVisible(t.path) || !isVisible(t.authority) {
		return nil, roc.Refuse(roc.AnnuaireRefused, "the address has a character that HTTP does not carry").Because(roc.UnusableAddress)
	}
	if len(s.targets) >= 4*s.o.Hosts {
		clear(s.targets)
	}
	s.targets[key] = t
	return t, nil
}

func (s *Upstream) poolLocked(host, port string, classic bool) *pool {
	key := strconv.FormatBool(classic) + " " + net.JoinHostPort(host, port)
	p := s.pools[key]
	if p == nil {
		if len(s.pools) >= s.o.Hosts {
			s.dropOldestLocked()
		}
		p = &pool{up: s, host: host, port: port, classic: classic}
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
	for u, t := range s.targets {
		if t.pool == old {
			delete(s.targets, u)
		}
	}
	for _, c := range old.retire() {
		delete(s.conns, c)
		c.raw.Close()
	}
}

func orDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
