package proxyproto

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	oracle "github.com/pires/go-proxyproto"
)

// header is a header of that command and family, with these bytes behind it.
func header(command, family byte, rest []byte) []byte {
	b := append([]byte(Signature), command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(rest)))
	return append(b, rest...)
}

// tcp4 is 192.0.2.7:40000 to 198.51.100.1:443.
var tcp4 = []byte{192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x40, 0x01, 0xbb}

// tcp6 is [2001:db8::7]:40000 to [2001:db8::1]:443.
func tcp6() []byte {
	a, b := netip.MustParseAddr("2001:db8::7").As16(), netip.MustParseAddr("2001:db8::1").As16()
	return append(append(append([]byte{}, a[:]...), b[:]...), 0x9c, 0x40, 0x01, 0xbb)
}

func TestAHeaderSaysWhoConnected(t *testing.T) {
	t.Parallel()
	mapped := append([]byte{}, tcp6()...)
	copy(mapped, net.ParseIP("192.0.2.7").To16())
	for name, c := range map[string]struct {
		b    []byte
		want Header
	}{
		"IPv4":                     {header(0x21, 0x11, tcp4), Header{Source: netip.MustParseAddrPort("192.0.2.7:40000")}},
		"IPv6":                     {header(0x21, 0x21, tcp6()), Header{Source: netip.MustParseAddrPort("[2001:db8::7]:40000")}},
		"IPv4 in IPv6":             {header(0x21, 0x21, mapped), Header{Source: netip.MustParseAddrPort("192.0.2.7:40000")}},
		"IPv4, and more behind":    {header(0x21, 0x11, append(tcp4[:12:12], make([]byte, 1012)...)), Header{Source: netip.MustParseAddrPort("192.0.2.7:40000")}},
		"a health check":           {header(0x20, 0x00, nil), Header{Local: true}},
		"a health check of a port": {header(0x20, 0x11, tcp4), Header{Local: true}},
	} {
		r := bytes.NewReader(append(c.b, "\x16\x03\x01"...))
		got, err := Read(r)
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
		if r.Len() != 3 {
			t.Errorf("%s: %d bytes of the TLS behind it are left, want 3", name, r.Len())
		}
	}
}

func TestWhatIsNoHeaderIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"TLS":                 {[]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefgh"), "no PROXY protocol header"},
		"version 1":           {[]byte("PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n"), "no PROXY protocol header"},
		"version 3":           {header(0x31, 0x11, tcp4), "version 3"},
		"unknown command":     {header(0x22, 0x11, tcp4), "command 2"},
		"no family":           {header(0x21, 0x00, nil), "0x00"},
		"family 4 of a check": {header(0x20, 0x41, nil), "0x41"},
		"UDP":                 {header(0x21, 0x12, tcp4), "0x12"},
		"a unix socket":       {header(0x21, 0x31, make([]byte, 216)), "0x31"},
		"cut addresses":       {header(0x21, 0x21, tcp4), "12 bytes of 36"},
		"no address at all":   {header(0x21, 0x11, make([]byte, 12)), "no address"},
		"multicast":           {header(0x21, 0x11, append([]byte{224, 0, 0, 1}, tcp4[4:]...)), "no address"},
		"too long":            {header(0x21, 0x11, make([]byte, 1025)), "1025 bytes"},
		"ended early":         {header(0x21, 0x11, tcp4)[:20], "unexpected EOF"},
		"ended at once":       {header(0x21, 0x11, tcp4)[:16], "unexpected EOF"},
		"nothing":             {nil, "EOF"},
	} {
		if got, err := Read(bytes.NewReader(c.b)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v; want %q", name, got, err, c.want)
		}
	}
}

// FuzzRead: what is read as a header is one for another implementation too, with
// the same source, and no byte behind it is taken.
func FuzzRead(f *testing.F) {
	for _, b := range [][]byte{header(0x21, 0x11, tcp4), header(0x21, 0x21, tcp6()), header(0x20, 0x00, nil), header(0x20, 0x11, tcp4),
		header(0x21, 0x11, append(tcp4[:12:12], 4, 0, 3, 'a', 'b', 'c')), header(0x21, 0x31, make([]byte, 216)), []byte("PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n")} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		sent := slices.Concat(b, []byte("behind"))
		r := bytes.NewReader(sent)
		h, err := Read(r)
		if err != nil {
			var m *MalformedError
			if h != (Header{}) || !errors.Is(err, ErrMissing) && !errors.As(err, &m) && err != io.EOF && err != io.ErrUnexpectedEOF {
				t.Fatalf("%+v, %v", h, err)
			}
			return
		}
		if taken := len(sent) - r.Len(); taken > MaxBytes {
			t.Fatalf("%d bytes were taken", taken)
		}
		theirs, err := oracle.Read(bufio.NewReader(bytes.NewReader(sent)))
		if err != nil {
			t.Fatalf("%+v, and the oracle says %v", h, err)
		}
		if h.Local != theirs.Command.IsLocal() {
			t.Fatalf("local %v, and the oracle says %v", h.Local, theirs.Command)
		}
		if h.Local {
			return
		}
		source, ok := theirs.SourceAddr.(*net.TCPAddr)
		if !ok {
			t.Fatalf("%s, and the oracle says %v", h.Source, theirs.SourceAddr)
		}
		if at := source.AddrPort(); netip.AddrPortFrom(at.Addr().Unmap(), at.Port()) != h.Source {
			t.Fatalf("%s, and the oracle says %s", h.Source, at)
		}
	})
}
