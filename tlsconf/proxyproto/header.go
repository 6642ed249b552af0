// Package proxyproto reads the header by which a TCP load balancer says whose
// connection it forwards: PROXY protocol, version 2 alone
// (haproxy.org/download/3.0/doc/proxy-protocol.txt).
//
// It reads the bytes of the header and not one more, so that nothing is left
// between the socket and TLS (docs/decisions/0021-several-instances.md).
package proxyproto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// MaxBytes is the longest header that is read: the addresses, and what a
// balancer adds behind them (TLV), which is passed over.
const MaxBytes = fixedBytes + 1024

// fixedBytes is the signature, the version and command, the family and the
// length of the rest.
const fixedBytes = 16

// Signature begins every header of version 2. No TLS record begins like it.
const Signature = "\r\n\r\n\x00\r\nQUIT\n"

// A Header is what a balancer says of a connection.
type Header struct {
	// Local: the connection is the balancer's own, for a health check.
	Local bool
	// Source is the address and port of who connected to the balancer; zero
	// when Local.
	Source netip.AddrPort
}

// ErrMissing: what came is no header of version 2.
var ErrMissing = errors.New("there is no PROXY protocol header of version 2: give the server line of the balancer send-proxy-v2")

// A MalformedError is a header that begins well and is not one.
type MalformedError struct{ What string }

// Error says what is wrong, and nothing that was read.
func (e *MalformedError) Error() string { return "the PROXY protocol header is malformed: " + e.What }

func malformed(format string, args ...any) error {
	return &MalformedError{fmt.Sprintf(format, args...)}
}

// Bits of a header (section 2.2).
const (
	version2     = 0x2
	commandLocal = 0x0
	commandProxy = 0x1

	overTCP4 = 0x11 // AF_INET, STREAM
	overTCP6 = 0x21 // AF_INET6, STREAM
)

// families are all that exist; a health check may say any of them.
const families = "\x00\x11\x12\x21\x22\x31\x32"

// Read reads one header and nothing behind it. It is strict: a command, a
// family or a length that a balancer of TCP does not send is an error. Other
// errors are those of r; io.EOF when not one byte came.
func Read(r io.Reader) (Header, error) {
	var b [MaxBytes]byte
	if _, err := io.ReadFull(r, b[:fixedBytes]); err != nil {
		return Header{}, err
	}
	if string(b[:len(Signature)]) != Signature {
		return Header{}, ErrMissing
	}
	version, command := b[12]>>4, b[12]&0xf
	family, length := b[13], int(binary.BigEndian.Uint16(b[14:]))
	switch {
	case version != version2:
		return Header{}, malformed("it is of version %d", version)
	case command > commandProxy:
		return Header{}, malformed("command %d does not exist", command)
	case strings.IndexByte(families, family) < 0:
		return Header{}, malformed("family and protocol 0x%02x do not exist", family)
	case length > MaxBytes-fixedBytes:
		return Header{}, malformed("it says that %d bytes follow, and at most %d are read", length, MaxBytes-fixedBytes)
	}
	rest := b[fixedBytes : fixedBytes+length]
	if _, err := io.ReadFull(r, rest); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return Header{}, err
	}
	if command == commandLocal { // the addresses, if any, mean nothing
		return Header{Local: true}, nil
	}
	return forwarded(family, rest)
}

// forwarded reads the source of a forwarded connection: source and destination
// addresses, then their ports.
func forwarded(family byte, b []byte) (Header, error) {
	size := map[byte]int{overTCP4: 4, overTCP6: 16}[family]
	switch {
	case size == 0:
		return Header{}, malformed("family and protocol 0x%02x are not TCP over IPv4 or IPv6", family)
	case len(b) < 2*size+4:
		return Header{}, malformed("its addresses are cut: %d bytes of %d", len(b), 2*size+4)
	}
	address, _ := netip.AddrFromSlice(b[:size])
	address = address.Unmap()
	if !address.IsValid() || address.IsUnspecified() || address.IsMulticast() {
		return Header{}, malformed("its source is no address of a machine")
	}
	return Header{Source: netip.AddrPortFrom(address, binary.BigEndian.Uint16(b[2*size:]))}, nil
}
