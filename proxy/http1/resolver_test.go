package http1

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
)

// namesOf is a resolver by which every name has these IPv4 addresses.
func namesOf(t testing.TB, addresses ...string) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			if a := dnsAnswer(b[:n], addresses); a != nil {
				server.WriteTo(a, from)
			}
		}
	}()
	t.Cleanup(func() { server.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// dnsAnswer answers a question of type A by these addresses, and any other by
// none (RFC 1035 section 4).
func dnsAnswer(query []byte, addresses []string) []byte {
	if len(query) < 12 {
		return nil
	}
	end := bytes.IndexByte(query[12:], 0)
	if end < 0 || len(query) < 12+end+5 {
		return nil
	}
	question := query[12 : 12+end+5]
	if binary.BigEndian.Uint16(question[end+1:]) != 1 { // type A
		addresses = nil
	}
	a := append([]byte(nil), query[:2]...)
	a = append(a, 0x81, 0x80, 0, 1, 0, byte(len(addresses)), 0, 0, 0, 0)
	a = append(a, question...)
	for _, text := range addresses {
		ip := netip.MustParseAddr(text).As4()
		a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
		a = append(a, ip[:]...)
	}
	return a
}
