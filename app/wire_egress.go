package app

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"time"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/egress"
)

// anybody is the filter for hosts that somebody else names: the annuaire, a
// certificate.
func (a *App) anybody() *egress.Filter { return a.filter(egress.Filter{Allow: a.config.Network.Allow}) }

// written is the filter for hosts that stand in the configuration.
func (a *App) written() *egress.Filter { return a.filter(egress.Filter{Allow: egress.Everywhere()}) }

func (a *App) filter(f egress.Filter) *egress.Filter {
	f.Hosts, f.Names = address(&a.config.Network), a.names
	return &f
}

// openNames makes the one memory of what DNS says.
func (a *App) openNames() {
	n := a.config.Network
	a.names = egress.NewNames(egress.NamesOptions{Ask: egress.ResolverAt(n.Resolver).LookupNetIP, Serve: n.StaleAddresses, Now: a.now, OnFailing: a.logDNS})
}

func (a *App) logDNS(err error) {
	if err == nil {
		a.log.Info("DNS answers again", "event", "dns_answers_again")
		return
	}
	a.log.Warn("DNS does not answer: the last addresses known serve, and who was never called cannot be", "event", "dns_failing",
		"error", err.Error(), "for", a.config.Network.StaleAddresses.String(), "remedy", "bring the resolver back (network.resolver, or that of the system)")
}

// checkDNS degrades while DNS does not answer: the names that were asked before
// are served.
func (a *App) checkDNS(time.Time) admin.Health {
	if err := a.names.Failing(); err != nil {
		return admin.Health{Name: "dns", OK: true, Degraded: true, Detail: err.Error()}
	}
	return admin.Health{Name: "dns", OK: true, Detail: "it answers, or was not asked"}
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
