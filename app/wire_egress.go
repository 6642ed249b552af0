package app

import (
	"crypto/tls"
	"net/http"
	"net/netip"

	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/egress"
)

// anybody is the filter for hosts that somebody else names: the annuaire, a
// certificate.
func (a *App) anybody() *egress.Filter { return a.filter(egress.Filter{Allow: a.config.Network.Allow}) }

// written is the filter for hosts that stand in the configuration.
func (a *App) written() *egress.Filter { return a.filter(egress.Filter{Allow: egress.Everywhere()}) }

func (a *App) filter(f egress.Filter) *egress.Filter {
	f.Hosts, f.Resolver = address(&a.config.Network), egress.ResolverAt(a.config.Network.Resolver)
	return &f
}

// lists makes a client that fetches revocation lists. A list is signed: TLS
// adds nothing to it, and a list that cannot be fetched because of a
// certificate is how outages feed themselves.
func lists(f *egress.Filter) *http.Client {
	return f.Client(&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, 0)
}

// address is network.hosts: the address of a name that DNS is not asked for.
func address(n *config.Network) func(host string) (netip.Addr, bool) {
	return func(host string) (netip.Addr, bool) {
		a, ok := n.Hosts[host]
		return a, ok
	}
}
