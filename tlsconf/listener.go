package tlsconf

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// ListenerOptions are what a Listener needs.
type ListenerOptions struct {
	Server *Server      // required
	Log    *slog.Logger // required

	// Deadline is how long a handshake may last. Required.
	Deadline time.Duration
	// Handshakes is how many may be under way at once, a quarter of them for
	// addresses that had a good one in the last day; past it, those that keep us
	// waiting are closed, oldest first. Required.
	Handshakes int
	// PerAddress is how many of them one address (IPv4, or IPv6 /64) may have.
	// Default: an eighth, at least 4.
	PerAddress int
	// Balancers are the networks of the load balancers that say whose connection
	// they forward (tlsconf/proxyproto): theirs must begin with that header, and
	// nobody else's may. HeaderDeadline is how long the header may take; required
	// with Balancers. Default: none.
	Balancers      []netip.Prefix
	HeaderDeadline time.Duration
	// Drain is how long handshakes under way may still last once the Listener
	// is closed. Default: 1 s.
	Drain time.Duration

	// OnHandshake is told of each handshake that ended well: "TLS 1.3", and
	// whether a session was resumed. OnFailure is told of each that did not.
	// Both are called from many goroutines, must not block, and may be nil.
	OnHandshake func(version string, resumed bool)
	OnFailure   func(*trust.Failure)
	// OnPeer is told by which chain each peer was accepted, its own certificate
	// first, once it has proved its key. As above.
	OnPeer func(chain []*x509.Certificate)
}

// A Listener makes the TLS handshakes of the connections it accepts, many at
// once, before it hands them out: who is handed out has an accepted
// certificate, and who is not has been counted and logged with the reason.
// A slow or silent peer delays nobody.
//
// It is a net.Listener; what Accept returns is a *Conn.
type Listener struct {
	inner   net.Listener
	options ListenerOptions
	config  *tls.Config
	queue   *handshakeQueue
	turns   chan struct{} // who computes now: a storm of handshakes leaves room for exchanges
	log     *failureLog
	probes  probes

	ready   chan *Conn
	closing chan struct{} // closed by Close
	drained chan struct{} // closed when no handshake is left
	close   sync.Once
	cut     context.CancelFunc // ends the handshakes under way
	failed  error              // why inner broke, if it did; read after drained
}

// A Conn is a TLS connection whose peer was accepted.
type Conn struct {
	*tls.Conn
	leaf   *x509.Certificate
	member *member
}

// Leaf returns the peer's certificate. It costs nothing: ask at each exchange.
func (c *Conn) Leaf() *x509.Certificate { return c.leaf }

// Refused says why a sweep closed the connection, or nil: a request that was
// read before may still be in hand, and must go no further.
func (c *Conn) Refused() error {
	if f := c.member.refused.Load(); f != nil {
		return f
	}
	return nil
}

// Handshake does nothing: it is over.
func (c *Conn) Handshake() error { return nil }

// NewListener starts to accept connections from inner, which it owns from now
// on. Close ends it.
func NewListener(inner net.Listener, o ListenerOptions) (*Listener, error) {
	if o.Server == nil || o.Log == nil || o.Deadline <= 0 || o.Handshakes <= 0 {
		return nil, errors.New("tlsconf: a listener needs Server, Log, Deadline and Handshakes")
	}
	if len(o.Balancers) > 0 && o.HeaderDeadline <= 0 {
		return nil, errors.New("tlsconf: a listener with Balancers needs HeaderDeadline")
	}
	o.Drain = or(o.Drain, time.Second)
	o.PerAddress = or(o.PerAddress, max(4, o.Handshakes/8))
	ctx, cut := context.WithCancel(context.Background())
	l := &Listener{
		inner:   inner,
		options: o,
		config:  o.Server.Config(),
		queue:   newHandshakeQueue(o.Handshakes, o.PerAddress),
		turns:   make(chan struct{}, runtime.GOMAXPROCS(0)),
		log:     newFailureLog(o.Log),
		ready:   make(chan *Conn),
		closing: make(chan struct{}),
		drained: make(chan struct{}),
		cut:     cut,
	}
	l.config.GetConfigForClient = l.configFor
	go l.run(ctx)
	return l, nil
}

func or[T time.Duration | int](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// configFor is asked once the ClientHello is there. Each handshake has its own
// copy: what it verified stays with it until the peer has proved its key.
func (l *Listener) configFor(h *tls.ClientHelloInfo) (*tls.Config, error) {
	config := l.options.Server.current().config
	p, ok := h.Conn.(*pending)
	if !ok {
		return config, nil
	}
	if err := p.saidHello(h); err != nil {
		return nil, err
	}
	config = config.Clone()
	config.VerifyConnection = func(cs tls.ConnectionState) (err error) {
		p.accepted, err = l.options.Server.verify(cs.PeerCertificates)
		return err
	}
	return config, nil
}

// Accept returns the next connection whose handshake ended well, a *Conn.
// After Close it still returns those under way, then net.ErrClosed: a peer
// that was about to be served during a stop is served.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.drained:
	}
	if l.failed != nil {
		return nil, l.failed
	}
	return nil, &net.OpError{Op: "accept", Net: l.inner.Addr().Network(), Addr: l.inner.Addr(), Err: net.ErrClosed}
}

// Close stops accepting. Handshakes under way have Options.Drain to end.
func (l *Listener) Close() error {
	err := net.ErrClosed
	l.close.Do(func() {
		close(l.closing)
		err = l.inner.Close()
	})
	return err
}

// Addr returns the address listened on.
func (l *Listener) Addr() net.Addr { return l.inner.Addr() }

// run accepts until the end, then lets the handshakes under way end.
func (l *Listener) run(ctx context.Context) {
	defer l.cut()
	var handshakes sync.WaitGroup
	l.failed = l.acceptAll(func(c net.Conn) {
		handshakes.Go(func() { l.welcome(ctx, c) })
	})
	timer := time.AfterFunc(l.options.Drain, l.cut)
	defer timer.Stop()
	handshakes.Wait()
	close(l.drained)
}

// acceptAll hands each connection to admit until Close (nil) or until inner
// breaks. It waits out what passes by itself, such as too many open files.
func (l *Listener) acceptAll(admit func(net.Conn)) error {
	var pause time.Duration
	for {
		c, err := l.inner.Accept()
		if err == nil {
			pause = 0
			admit(c)
			continue
		}
		select {
		case <-l.closing:
			return nil
		default:
		}
		if !passes(err) {
			l.inner.Close()
			return err
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		l.options.Log.Error("cannot accept connections for now", "event", "accept_failed", "error", err.Error(), "again_in", pause,
			"remedy", "raise the limit of open files (LimitNOFILE) if this repeats")
		select {
		case <-time.After(pause):
		case <-l.closing:
			return nil
		}
	}
}

func passes(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// welcome makes the handshake of c and waits until Accept takes it.
func (l *Listener) welcome(ctx context.Context, c net.Conn) {
	if l.probes.has(c.RemoteAddr()) {
		l.answerProbe(ctx, c)
		return
	}
	p := &pending{Conn: c, listener: l, peer: c.RemoteAddr()}
	var conn *Conn
	err := l.learnPeer(ctx, p)
	if err == nil {
		err = l.queued(p, false, func() (err error) { conn, err = l.handshake(ctx, p); return err })
	}
	if err != nil {
		f := l.failure(p, err)
		c.Close()
		l.report(p, f)
		return
	}
	select {
	case l.ready <- conn:
	case <-ctx.Done():
		conn.Close()
	}
}

// queued has do done while p has a slot of the queue. trusted: of a balancer,
// which has its slots beside the strangers.
func (l *Listener) queued(p *pending, trusted bool, do func() error) error {
	leaves, ok := l.queue.enter(p, trusted, time.Now())
	if !ok {
		return &trust.Failure{Reason: trust.Overloaded, Detail: "too many handshakes under way, in all or of its address"}
	}
	if leaves != nil {
		leaves.pushOut()
	}
	err := do()
	l.queue.leave(p, err == nil && !trusted, time.Now())
	return err
}

func (l *Listener) handshake(ctx context.Context, p *pending) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.options.Deadline)
	defer cancel()
	p.ctx = ctx
	defer func() {
		p.yield()
		p.over = true
	}()
	begun := l.options.Server.epoch()
	t := tls.Server(p, l.config)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	state := t.ConnectionState()
	if len(state.PeerCertificates) == 0 || p.accepted == nil { // verify saw to it; fail closed all the same
		return nil, &trust.Failure{Reason: trust.NoCertificate, Detail: "no certificate was presented"}
	}
	// The handshake is over: the peer has proved that it holds its key.
	p.accepted.Remember(l.options.Server.revocation)
	m := newMember(p.Conn, state.PeerCertificates, p.accepted, func() (*trust.Accepted, error) { return l.options.Server.verify(state.PeerCertificates) })
	p.member.Store(m)
	if err := l.options.Server.admit(m, begun); err != nil {
		return nil, err
	}
	if l.options.OnHandshake != nil {
		l.options.OnHandshake(tls.VersionName(state.Version), state.DidResume)
	}
	if l.options.OnPeer != nil {
		l.options.OnPeer(p.accepted.Chain())
	}
	return &Conn{Conn: t, leaf: state.PeerCertificates[0], member: m}, nil
}

// failure tells why a handshake failed.
func (l *Listener) failure(p *pending, err error) *trust.Failure {
	if p.pushed.Load() {
		return &trust.Failure{Reason: trust.Overloaded, Detail: "too many handshakes under way, in all or of its address, and this peer kept us waiting longest", Err: err}
	}
	if p.forwarding {
		return explainHeader(err)
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.Conn != nil && looksLikeHTTP(record) {
		answerHTTP(p.Conn)
	}
	return explain(err, p.hello)
}

// answerHTTP tells a client that forgot the s of https, in the only words it
// understands.
func answerHTTP(c net.Conn) {
	const body = "Ce port n'accepte que TLS : l'adresse doit commencer par https://\n"
	c.SetDeadline(time.Now().Add(time.Second))
	_, err := io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"+body)
	if half, ok := c.(interface{ CloseWrite() error }); ok && err == nil && half.CloseWrite() == nil {
		// What is left unread would turn our close into a reset, and the
		// answer would be lost.
		io.CopyN(io.Discard, c, 64<<10)
	}
}

func (l *Listener) report(p *pending, f *trust.Failure) {
	told := *f // f may be shared
	told.Peer = p.RemoteAddr().String()
	l.log.write(&told, p.hello)
	if l.options.OnFailure != nil {
		l.options.OnFailure(&told)
	}
}
