package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Network says which addresses the RPN may connect to. Neither the annuaire
// nor an AMC is believed when its name leads to a loopback, private or
// link-local address: that is how a server is made to attack its neighbours.
type Network struct {
	// Allow lists the networks where an AMC may be although they are not
	// public: ["10.20.0.0/16"]. Default: none.
	Allow []netip.Prefix `yaml:"allow"`

	// Hosts gives the address of a name without asking DNS, as /etc/hosts
	// does: {"roc.amc.example": 10.20.0.7}. For tests and closed networks.
	// The name is still the one that the certificate must carry, and the
	// address must still be allowed. Default: none.
	Hosts map[string]netip.Addr `yaml:"hosts"`

	// Resolver is the DNS server that is asked for the names of the annuaire
	// and of the AMCs: "10.20.0.53:53". Default: the system's.
	Resolver netip.AddrPort `yaml:"resolver"`

	// StaleAddresses is how long the last addresses that DNS gave for a name
	// serve while it does not answer. 0s: they do not. Default: 24h.
	StaleAddresses time.Duration `yaml:"stale_addresses"`
}

// ProxyProtocol names the load balancers that forward the connections of
// establishments (TCP, not TLS: the RPN makes the handshake) and say whose each
// is, by PROXY protocol version 2: HAProxy's send-proxy-v2. The address that they
// give is the one of every share, of the log and of the record.
type ProxyProtocol struct {
	// From are their networks: ["10.20.0.5/32"]. A connection from there without
	// the header is refused, and so is one from elsewhere that has it: who could
	// choose its own address would have the shares of everybody. Name the
	// balancers alone. Default: none.
	From []netip.Prefix `yaml:"from"`
}

// widest is the largest network that may be one of balancers, in bits.
func widest(a netip.Addr) int {
	if a.Is4() {
		return 8
	}
	return 32
}

func isHTTPS(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != ""
}

func splitAddress(s string) (host string, port uint16, err error) {
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, errors.New("it has no port")
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return "", 0, errors.New("a port is a number from 0 to 65535")
	}
	if host != "" && host != "localhost" {
		if _, err := netip.ParseAddr(host); err != nil {
			return "", 0, errors.New("the address is an IP address of this machine, or localhost")
		}
	}
	return host, uint16(n), nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, errors.New("not a network")
	}
	if p != p.Masked() {
		return p, fmt.Errorf("the network is %s", p.Masked())
	}
	return p, nil
}

func parseAddrPort(s string) (netip.AddrPort, error) {
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		return a, errors.New("not an IP address and a port")
	}
	return a, nil
}

func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return a, errors.New("not an IP address")
	}
	return a, nil
}

// isHostName reports whether s is a DNS name and no address literal.
func isHostName(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil || s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if slices.ContainsFunc([]byte(label), func(b byte) bool {
			return (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '-'
		}) {
			return false
		}
	}
	return true
}
