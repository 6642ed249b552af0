package roc

import (
	"net/netip"
	"testing"
	"time"
)

func TestAPeerIsAnIPv4AddressOrAnIPv6Network(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := PeerNetwork(netip.MustParseAddr(text)).String(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if PeerNetwork(netip.Addr{}).IsValid() {
		t.Error("no address is a network")
	}
}

func TestAnExchangeIDSaysWhenItWasOpened(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_795_000_123_456)
	if got, ok := NewExchangeID(at).Opened(); !ok || !got.Equal(at) {
		t.Errorf("opened at %s, %v, want %s", got, ok, at)
	}
	for _, id := range []ExchangeID{"", "6ba7b810-9dad-41d1-80b4-00c04fd430c8", "01890a5d-ac96-774b-bcce-b302099a805", "01890a5dxac96-774b-bcce-b302099a8057", "0189-a5d-ac96-774b-bcce-b302099a8057"} {
		if _, ok := id.Opened(); ok {
			t.Errorf("%q says when it was opened", id)
		}
	}
}
