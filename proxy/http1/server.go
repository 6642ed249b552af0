package http1

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// ServerOptions are what a server needs; every field is required.
type ServerOptions struct {
	// Handle answers one request. done, which may be nil, is called once, when
	// the answer is written or has failed.
	Handle func(q *Request) (a Answer, done func(writeErr error))

	// Abort ends what the handlers wait for.
	Abort func()

	Connections                                         int // at once
	IdleTimeout, HeadTimeout, BodyTimeout, WriteTimeout time.Duration
	DrainIdle                                           time.Duration

	Now func() time.Time
	Log *slog.Logger
}

// A Server is the HTTP/1.1 leg toward the establishments: fasthttp runs the
// connections and writes the answers, clients read the requests.
type Server struct {
	o    ServerOptions
	fast *fasthttp.Server

	draining atomic.Bool // each answer ends its connection
	ended    atomic.Bool // no request is waited for any more

	lingering atomic.Int32

	mu        sync.Mutex            // guards the fields below
	listeners map[net.Listener]bool // being served
	clients   map[*clientConn]bool
	empty     chan struct{} // once draining: closed when nothing of both is left
}

// NewServer makes a Server.
func NewServer(o ServerOptions) *Server {
	s := &Server{o: o, listeners: map[net.Listener]bool{}, clients: map[*clientConn]bool{}}
	s.fast = &fasthttp.Server{
		Handler:                       s.serve,
		Concurrency:                   o.Connections,
		ReadBufferSize:                256, // of the constant request of a client connection
		WriteBufferSize:               16 << 10,
		WriteTimeout:                  o.WriteTimeout,
		NoDefaultServerHeader:         true,
		NoDefaultContentType:          true,
		DisableHeaderNamesNormalizing: true,
		SecureErrorLogMessage:         true,
		Logger:                        fastLog{o.Log},
	}
	return s
}

// serve is called by fasthttp once a client connection has read a request.
func (s *Server) serve(ctx *fasthttp.RequestCtx) {
	g := ctx.Conn().(*clientConn)
	a, done := s.o.Handle(&g.request)
	g.finish = done
	if !g.keepable() {
		g.last = true
		ctx.SetConnectionClose()
	}
	a.write(&ctx.Response)
}

// Serve accepts connections until the listener is closed. Each connection must
// be verified TLS and say whose it is (certified).
func (s *Server) Serve(ln net.Listener) error {
	s.mu.Lock()
	if s.draining.Load() {
		s.mu.Unlock()
		ln.Close()
		return net.ErrClosed
	}
	s.listeners[ln] = true
	s.mu.Unlock()
	err := s.fast.Serve(clientListener{ln, s})
	s.mu.Lock()
	delete(s.listeners, ln)
	s.checkEmptyLocked()
	s.mu.Unlock()
	if s.draining.Load() {
		return nil
	}
	return err
}

// certified is a connection whose peer has proved the certificate. Leaf
// returns it: verified, never nil (tlsconf.Conn).
type certified interface{ Leaf() *x509.Certificate }

// A clientListener puts a clientConn on each connection.
type clientListener struct {
	net.Listener
	server *Server
}

// Accept refuses a connection that does not say whose it is: the wiring would
// be wrong, and no caller could be told from another.
func (l clientListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		who, ok := c.(certified)
		if !ok || who.Leaf() == nil {
			l.server.o.Log.Error("connection without a verified certificate refused", "peer", c.RemoteAddr().String())
			c.Close()
			continue
		}
		g := &clientConn{Conn: c, server: l.server, leaf: who.Leaf(), peer: hostOf(c.RemoteAddr()), socket: rawConn(c), in: newWire(c)}
		if l.server.remember(g) {
			return g, nil
		}
		c.Close()
	}
}

// remember takes a connection in. One whose handshake ended while the server
// drains is served: its first answer will end it.
func (s *Server) remember(g *clientConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended.Load() {
		return false
	}
	s.clients[g] = true
	return true
}

func (s *Server) forget(g *clientConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, g)
	s.checkEmptyLocked()
}

func (s *Server) checkEmptyLocked() {
	if s.empty != nil && len(s.clients) == 0 && len(s.listeners) == 0 {
		close(s.empty)
		s.empty = nil
	}
}

// Shutdown stops accepting, says Connection: close on each answer, ends the
// connections that stay idle for DrainIdle, and waits for the exchanges in
// flight. When ctx ends first it cuts what is left and says how many.
func (s *Server) Shutdown(ctx context.Context) error {
	empty := s.drain()
	idle := time.NewTimer(s.o.DrainIdle)
	defer idle.Stop()
	for {
		select {
		case <-empty:
			return nil
		case <-idle.C:
			s.ended.Store(true)
			s.endWaiting()
		case <-ctx.Done():
			s.ended.Store(true)
			n := s.cut()
			s.o.Abort()
			<-empty
			return fmt.Errorf("%d connections were cut: %w", n, context.Cause(ctx))
		}
	}
}

// drain closes the listeners, and returns what is closed with the last of
// them and of the clients.
func (s *Server) drain() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining.Store(true)
	for ln := range s.listeners {
		ln.Close()
	}
	empty := make(chan struct{})
	s.empty = empty
	s.checkEmptyLocked()
	return empty
}

// endWaiting ends the connections that wait for a request, but not one whose
// request is already in the socket.
func (s *Server) endWaiting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for g := range s.clients {
		if g.state.Load() == waiting && hasPending(g.socket) && !g.gone() {
			continue
		}
		if g.state.CompareAndSwap(waiting, ending) {
			g.Conn.SetReadDeadline(time.Unix(1, 0)) // its own goroutine closes it
		}
	}
}

// Departed is how many connections have a caller that hung up.
func (s *Server) Departed() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for g := range s.clients {
		if g.gone() {
			n++
		}
	}
	return n
}

func (s *Server) cut() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for g := range s.clients {
		if u, ok := g.Conn.(interface{ NetConn() net.Conn }); ok {
			u.NetConn().Close() // tls.Conn.Close would wait for a write that hangs
		} else {
			g.Conn.Close()
		}
	}
	return len(s.clients)
}

// fastLog keeps fasthttp's own lines for debugging: what matters about an
// exchange is in its record.
type fastLog struct{ log *slog.Logger }

func (l fastLog) Printf(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("fasthttp: " + fmt.Sprintf(format, args...))
	}
}

func hostOf(a net.Addr) string {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.IP.String()
	}
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}

var errShutdown = errors.New("the RPN stops")
