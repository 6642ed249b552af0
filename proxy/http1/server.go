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
)

// ServerOptions are what a server needs; every field is required.
type ServerOptions struct {
	// Handle answers one request. done, which may be nil, is called once, when
	// the answer is written or has failed.
	Handle func(q *Request) (a Answer, done func(writeErr error))

	// Abort ends what the handlers wait for.
	Abort func()

	IdleTimeout, HeadTimeout, BodyTimeout, WriteTimeout time.Duration
	DrainIdle                                           time.Duration

	// MinRate is the fewest bytes a second, both ways, of a body and of an answer
	// under way, once Grace has passed: who is slower is given up.
	MinRate int
	Grace   time.Duration

	// Admit counts one more connection, of who presented leaf.
	Admit func(leaf *x509.Certificate) Place

	// OnTurnedAway is told whose each connection is that was closed without a
	// word: there were already too many to be told that there is no room.
	OnTurnedAway func(owner string)

	Now func() time.Time
	Log *slog.Logger
}

// A Place is room for one connection, or why there is none.
type Place struct {
	Owner string
	Full  error  // why there is no room, as its one request is told; nil: there is
	Leave func() // gives it back; never nil
}

// A Server is the HTTP/1.1 leg toward the establishments: one goroutine a
// connection, and its state in a clientConn.
type Server struct {
	o    ServerOptions
	date date

	draining atomic.Bool // each answer ends its connection
	ended    atomic.Bool // no request is waited for any more

	lingering atomic.Int32
	refusals  refusals

	mu          sync.Mutex            // guards the fields below
	listeners   map[net.Listener]bool // being served
	clients     map[*clientConn]bool
	unplaced    map[string]int // how many of clients have no place, by owner
	allUnplaced int
	empty       chan struct{} // once draining: closed when nothing of both is left
}

// NewServer makes a Server.
func NewServer(o ServerOptions) *Server {
	s := &Server{o: o, listeners: map[net.Listener]bool{}, clients: map[*clientConn]bool{}, unplaced: map[string]int{}, refusals: refusals{by: map[string]*refusalRow{}}}
	return s
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
	err := s.acceptAll(ln)
	s.mu.Lock()
	delete(s.listeners, ln)
	s.checkEmptyLocked()
	s.mu.Unlock()
	if s.draining.Load() {
		return nil
	}
	return err
}

func (s *Server) acceptAll(ln net.Listener) error {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		c, err := s.client(conn)
		if err != nil {
			s.o.Log.Error("connection refused: the listener is not wired as it must be", "event", "listener_miswired", "error", err, "peer", conn.RemoteAddr().String())
			conn.Close()
			continue
		}
		if !s.remember(c) {
			conn.Close()
			continue
		}
		go c.serve()
	}
}

// certified is a connection whose peer has proved the certificate. Leaf
// returns it: verified, never nil (tlsconf.Conn).
type certified interface{ Leaf() *x509.Certificate }

// client takes in a connection that says whose it is and whose socket can be
// looked at. Any other is refused: no caller could be told from another, or one
// that has left from one that waits. It fails closed.
func (s *Server) client(conn net.Conn) (*clientConn, error) {
	who, ok := conn.(certified)
	if !ok || who.Leaf() == nil {
		return nil, errors.New("it has no verified certificate")
	}
	socket := rawConn(conn)
	if socket == nil {
		return nil, fmt.Errorf("the socket under %T cannot be reached: a wrapper has no NetConn", conn)
	}
	c := &clientConn{Conn: conn, server: s, leaf: who.Leaf(), peer: conn.RemoteAddr().String(), socket: socket}
	c.in = newWire(c)
	return c, nil
}

// remember takes a connection in. One whose handshake ended while the server
// drains is served: its first answer will end it. An unplaced one, which has
// no place, is served one request that says so; when there are too many, it is
// closed.
func (s *Server) remember(c *clientConn) bool {
	c.place = s.o.Admit(c.leaf)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended.Load():
		c.place.Leave()
		return false
	case c.place.Full == nil:
	case s.allUnplaced >= mostUnplaced || s.unplaced[c.place.Owner] >= mostUnplacedOfOne:
		c.place.Leave()
		s.o.OnTurnedAway(c.place.Owner)
		return false
	default:
		s.allUnplaced++
		s.unplaced[c.place.Owner]++
	}
	s.clients[c] = true
	return true
}

// Unplaced connections that are served at once: in all, and of one owner, so
// that who has too many does not keep others from hearing why.
const (
	mostUnplaced      = 64
	mostUnplacedOfOne = 16
	unplacedWait      = 5 * time.Second // for the request of such a connection
)

func (s *Server) forget(c *clientConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients[c] {
		delete(s.clients, c)
		if c.place.Full != nil {
			s.allUnplaced--
			if s.unplaced[c.place.Owner]--; s.unplaced[c.place.Owner] == 0 {
				delete(s.unplaced, c.place.Owner)
			}
		}
		c.place.Leave()
	}
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
func (s *Server) Shutdown(ctx context.Context) error { return s.ShutdownIdle(ctx, s.o.DrainIdle) }

// ShutdownIdle is Shutdown, with another DrainIdle.
func (s *Server) ShutdownIdle(ctx context.Context, after time.Duration) error {
	empty := s.drain()
	idle := time.NewTimer(after)
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
