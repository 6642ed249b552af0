package portal

import (
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// The bounds of connections: browsers keep a few each.
const (
	maxConnections = 1024
	maxPerNetwork  = 64 // of one address, or one IPv6 /64: an establishment behind one proxy
)

// NewServer makes the server of pages: it waits for nobody.
func NewServer(h http.Handler, errors *log.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second, // the handshake too
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          errors,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 32},
	}
}

// Listen speaks TLS on the connections of ln, as many as are bounded: the one
// that is too many is closed at once.
func Listen(ln net.Listener, config *tls.Config) net.Listener {
	return tls.NewListener(&bounded{Listener: ln, open: map[string]int{}}, config)
}

type bounded struct {
	net.Listener

	mu   sync.Mutex // guards the rest
	open map[string]int
	all  int
}

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := network(c.RemoteAddr().String())
		if b.take(from) {
			return &boundedConn{Conn: c, leave: sync.OnceFunc(func() { b.give(from) })}, nil
		}
		c.Close()
	}
}

func (b *bounded) take(from string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all >= maxConnections || b.open[from] >= maxPerNetwork {
		return false
	}
	b.all++
	b.open[from]++
	return true
}

func (b *bounded) give(from string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all--
	if b.open[from]--; b.open[from] == 0 {
		delete(b.open, from)
	}
}

type boundedConn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}
