package tlsconf_test

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/proxyproto"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// forwardedDoor is a door behind the balancer 127.0.0.1, which greets with the
// address of who came.
func forwardedDoor(t *testing.T, p *igc.PKI, more func(*tlsconf.ListenerOptions)) *tlstest.Door {
	t.Helper()
	d := tlstest.OpenDoor(t, tlsconf.ServerOptions{
		Certificate: identity.FixedSource(p.Server(igc.EtablissementTLS, "rpn.test").TLS()),
		Clients:     trust.FixedStore(tlstest.Trust(p, igc.EtablissementTLS)),
	}, func(o *tlsconf.ListenerOptions) {
		o.Balancers, o.HeaderDeadline = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, 10*time.Second
		if more != nil {
			more(o)
		}
	})
	d.Greet(func(c *tlsconf.Conn) { io.WriteString(c, c.RemoteAddr().String()+"\n") })
	return d
}

// forwardedFrom is the header that says that a connection comes from there.
func forwardedFrom(source string) string {
	at := netip.MustParseAddrPort(source)
	family, address := byte(0x21), at.Addr().AsSlice()
	if at.Addr().Is4() {
		family = 0x11
	}
	b := append([]byte(proxyproto.Signature), 0x21, family)
	b = binary.BigEndian.AppendUint16(b, uint16(2*len(address)+4))
	b = append(append(b, address...), address...)
	return string(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, at.Port()), 443))
}

// healthCheck is the header of a connection that is the balancer's own.
const healthCheck = proxyproto.Signature + "\x20\x00\x00\x00"

// reach connects to the door from an address of this machine and writes first.
func reach(t *testing.T, d *tlstest.Door, from, first string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 20 * time.Second}
	c, err := dialer.DialContext(t.Context(), "tcp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(c, first)
	return c
}

// enter makes the handshake on c, and returns the first line of the greeting.
func enter(c net.Conn, config *tls.Config) (string, error) {
	line, err := bufio.NewReader(tls.Client(c, config)).ReadString('\n')
	return strings.TrimSpace(line), err
}

func TestBehindABalancerThePeerIsWhoConnectedToIt(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	d := forwardedDoor(t, p, nil)
	good, bad := tlstest.Client(p, p.Auth(chu, "CH")), tlstest.Client(p, p.Auth(chu, "CH", igc.Expired()))
	for _, source := range []string{"192.0.2.7:40000", "[2001:db8::7]:40001"} {
		if at, err := enter(reach(t, d, "127.0.0.1", forwardedFrom(source)), good); err != nil || at != source {
			t.Errorf("%s is taken for %q, %v", source, at, err)
		}
		enter(reach(t, d, "127.0.0.1", forwardedFrom(source)), bad)
		if f := d.Failure(t); f.Reason != trust.Expired || f.Peer != source {
			t.Errorf("the failure of %s: %+v", source, f)
		}
	}
	// who is no balancer speaks for itself
	if at, err := enter(reach(t, d, "127.0.0.2", ""), good); err != nil || !strings.HasPrefix(at, "127.0.0.2:") {
		t.Errorf("127.0.0.2 is taken for %q, %v", at, err)
	}
	// and the balancer itself, in a health check
	if at, err := enter(reach(t, d, "127.0.0.1", healthCheck), good); err != nil || !strings.HasPrefix(at, "127.0.0.1:") {
		t.Errorf("a health check is taken for %q, %v", at, err)
	}
}

func TestAHeaderThatIsMissingWrongOrOfAnotherIsRefused(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	d := forwardedDoor(t, p, func(o *tlsconf.ListenerOptions) { o.HeaderDeadline = time.Second })
	good := tlstest.Client(p, p.Auth(chu, "CH"))
	for _, c := range []struct {
		name, from, first string
		reason            trust.Reason
		detail            string
	}{
		{"none, of a balancer", "127.0.0.1", "", trust.BadForwarding, "send-proxy-v2"},
		{"version 1, of a balancer", "127.0.0.1", "PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n", trust.BadForwarding, "send-proxy-v2"},
		{"malformed, of a balancer", "127.0.0.1", proxyproto.Signature + "\x21\x12\x00\x00", trust.BadForwarding, "0x12"},
		{"version 2, of another", "127.0.0.2", forwardedFrom("192.0.2.7:40000"), trust.BadForwarding, "proxy_protocol.from"},
		{"version 1, of another", "127.0.0.2", "PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n", trust.BadForwarding, "proxy_protocol.from"},
		{"twice", "127.0.0.1", forwardedFrom("192.0.2.7:1") + forwardedFrom("192.0.2.8:1"), trust.BadForwarding, "proxy_protocol.from"},
	} {
		if at, err := enter(reach(t, d, c.from, c.first), good); err == nil {
			t.Errorf("%s: let in as %s", c.name, at)
		}
		if f := d.Failure(t); f.Reason != c.reason || !strings.Contains(f.Detail, c.detail) {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
	for name, c := range map[string]struct {
		first  string
		end    bool
		reason trust.Reason
	}{
		"a balancer that says nothing":         {"", false, trust.TimedOut},
		"half a header":                        {forwardedFrom("192.0.2.7:40000")[:20], false, trust.TimedOut},
		"half a header and its end":            {forwardedFrom("192.0.2.7:40000")[:20], true, trust.BadForwarding},
		"a balancer that connects and closes":  {"", true, trust.Closed},
		"a health check that says so and ends": {healthCheck, true, trust.Closed},
	} {
		conn := reach(t, d, "127.0.0.1", c.first)
		if c.end {
			conn.Close()
		}
		if f := d.Failure(t); f.Reason != c.reason {
			t.Errorf("%s: %+v", name, f)
		}
		if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection stays open", name)
		}
	}
}

// The shares are of the addresses that the balancer gives: one that fills its
// own leaves the others theirs. And a balancer that says nothing on thousands of
// connections holds no more than its share, and puts out its own only.
func TestBehindABalancerSharesAreOfTheAddressesItGives(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	d := forwardedDoor(t, p, func(o *tlsconf.ListenerOptions) { o.Handshakes, o.PerAddress = 64, 8 })
	good := tlstest.Client(p, p.Auth(chu, "CH"))
	for range 20 {
		reach(t, d, "127.0.0.1", forwardedFrom("192.0.2.66:40000"))
	}
	for range 12 { // all beyond its share are put out
		if f := d.Failure(t); f.Reason != trust.Overloaded || !strings.HasPrefix(f.Peer, "192.0.2.66:") {
			t.Errorf("%+v", f)
		}
	}
	for i := range 20 { // each puts out the oldest silent one of the balancer, once there are 8
		reach(t, d, "127.0.0.1", "")
		if i < 8 {
			continue
		}
		if f := d.Failure(t); f.Reason != trust.Overloaded || !strings.HasPrefix(f.Peer, "127.0.0.1:") {
			t.Errorf("%+v", f)
		}
	}
	if at, err := enter(reach(t, d, "127.0.0.1", forwardedFrom("192.0.2.7:40000")), good); err != nil || at != "192.0.2.7:40000" {
		t.Errorf("another address behind the balancer: %q, %v", at, err)
	}
}
