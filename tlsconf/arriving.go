package tlsconf

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
)

// An arriving is a connection whose handshake is under way. It sits below
// crypto/tls: it knows when the ClientHello came, and sees each Read and Write.
type arriving struct {
	net.Conn
	listener *Listener
	place    *list.Element // in the lobby, guarded by its mu
	pushed   atomic.Bool   // another took its place

	member atomic.Pointer[member] // once the handshake ended well

	// hello and turn belong to the handshake's goroutine; once it is over they
	// do not change, and Read and Write may look from any goroutine.
	hello offered
	turn  bool
}

// said records the ClientHello, and waits for a turn to compute.
func (a *arriving) said(h *tls.ClientHelloInfo) error {
	a.hello = offered{seen: true, versions: h.SupportedVersions, name: h.ServerName}
	a.listener.lobby.speaks(a)
	select {
	case a.listener.turns <- struct{}{}:
		a.turn = true
		return nil
	case <-h.Context().Done():
		return context.Cause(h.Context())
	}
}

// pushOut ends the handshake: its Read fails.
func (a *arriving) pushOut() {
	a.pushed.Store(true)
	a.Conn.Close()
}

// NetConn is the connection beneath: whoever asks the kernel about the socket
// goes down through it.
func (a *arriving) NetConn() net.Conn { return a.Conn }

// Close takes it out of the open connections.
func (a *arriving) Close() error {
	a.listener.options.Server.live.leave(a.member.Load())
	return a.Conn.Close()
}

// yield gives the turn back. The costly part of a handshake, our signature,
// lies between the ClientHello and our first write: a peer that then reads or
// answers slowly holds nobody up.
func (a *arriving) yield() {
	if a.turn {
		a.turn = false
		<-a.listener.turns
	}
}

func (a *arriving) Read(b []byte) (int, error) {
	a.yield()
	return a.Conn.Read(b)
}

func (a *arriving) Write(b []byte) (int, error) {
	a.yield()
	return a.Conn.Write(b)
}

// A lobby holds the connections whose handshake is under way, in order of
// arrival, the silent ones apart. When it is full the oldest silent one makes
// place: those who open connections and say nothing push out one another, not
// the peers that speak.
type lobby struct {
	size int

	mu     sync.Mutex
	silent *list.List // of *arriving, oldest first
	count  int        // silent and speaking
}

func newLobby(size int) *lobby { return &lobby{size: size, silent: list.New()} }

// enter lets a in, or reports false when the lobby is full of peers that
// speak. It returns who must leave for it, or nil.
func (l *lobby) enter(a *arriving) (leaves *arriving, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count >= l.size {
		oldest := l.silent.Front()
		if oldest == nil {
			return nil, false
		}
		leaves = oldest.Value.(*arriving)
		l.removeSilent(leaves)
	}
	l.count++
	a.place = l.silent.PushBack(a)
	return leaves, true
}

// speaks takes a from among the silent.
func (l *lobby) speaks(a *arriving) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removeSilent(a)
}

// leave is called once for each that entered, pushed out or not.
func (l *lobby) leave(a *arriving) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removeSilent(a)
	l.count--
}

func (l *lobby) removeSilent(a *arriving) {
	if a.place != nil {
		l.silent.Remove(a.place)
		a.place = nil
	}
}
