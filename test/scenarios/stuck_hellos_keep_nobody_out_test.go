package scenarios

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/test/nation"
)

// clientHello is the first flight of a client.
func clientHello(t *testing.T) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer far.Close()
	go tls.Client(near, &tls.Config{ServerName: "localhost", InsecureSkipVerify: true}).Handshake() // it goes no further
	b := make([]byte, 16<<10)
	n, err := far.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// 2 000 connections that say hello, and then nothing, from many addresses and
// from the address of the establishment itself: new ones still come in.
func TestStuckHellosKeepNobodyOut(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	hello := clientHello(t)
	u, err := url.Parse(n.URL())
	if err != nil {
		t.Fatal(err)
	}
	stuck, newcomers := 0, 0
	flood := func(count int) {
		for range count {
			from := "127.0.0.1"
			if stuck%2 == 0 {
				from = fmt.Sprintf("127.0.1.%d", stuck/2%200+1)
			}
			stuck++
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: await.Patience}
			c, err := d.DialContext(t.Context(), "tcp", "127.0.0.1:"+u.Port())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			c.Write(hello)
		}
	}
	for range 100 { // they come in the middle of the flood
		flood(20)
		c, err := connect(t, n, nil, chu.TLS)
		if err == nil {
			c.Write([]byte("GET /roc?wsdl HTTP/1.1\r\nHost: x\r\n\r\n"))
			_, err = c.Read(make([]byte, 1))
			c.Close()
		}
		if err == nil {
			newcomers++
		} else {
			t.Log(err)
		}
	}
	t.Logf("%d of 100 came in beside %d stuck hellos", newcomers, stuck)
	if newcomers < 99 {
		t.Errorf("%d of 100 establishments came in beside %d stuck hellos", newcomers, stuck)
	}
}
