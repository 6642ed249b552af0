package app

import (
	"cmp"
	"context"
	"crypto/x509"
	"log/slog"
	"slices"
	"time"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/indicators/live"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/tlsconf/expiry"
	"github.com/piano-roc/rpn/tlsconf/identity"
)

// sawCaller tells the inventory which certificate an establishment connected
// with.
func (a *App) sawCaller(presented []*x509.Certificate) {
	a.inventory.Saw(expiry.CallerTLS, ownerOf(presented[0]), presented)
}

// sawServer is sawCaller for the servers that we connect to.
func (a *App) sawServer(name string, presented []*x509.Certificate) {
	a.inventory.Saw(expiry.PeerTLS, name, presented)
}

// ownerOf is the structure id of a certificate, or its common name.
func ownerOf(c *x509.Certificate) string {
	if id, err := roc.StructureOfCertificate(c); err == nil {
		return string(id)
	}
	return c.Subject.CommonName
}

// countCertificates counts an exchange for the certificates that it used.
func (a *App) countCertificates(rec *roc.Record) {
	if rec.From != "" {
		a.inventory.Used(expiry.CallerTLS, string(rec.From))
	}
	if rec.SignerSerial != "" {
		a.inventory.Signed(expiry.CallerSignature, rec.SignerSerial)
	}
	if rec.Target != "" && rec.AMC > 0 {
		a.inventory.Used(expiry.PeerTLS, rec.Target)
	}
}

// expiries is the inventory: what was seen, what is configured, the nearest end
// first, with the names of the register.
func (a *App) expiries() []expiry.Expiry {
	var given []expiry.Expiry
	kinds := map[identity.Purpose]expiry.Kind{identity.ForServer: expiry.OwnServer, identity.ForClient: expiry.OwnClient, identity.ForSignature: expiry.OwnSignature}
	for _, own := range a.own {
		for _, c := range own.Certificates() {
			given = append(given, expiry.ExpiryOf(kinds[own.Purpose()], own.Name, c.Leaf))
		}
	}
	for _, s := range storesOf(a.config, a.stores) {
		t := s.store.Trust()
		for _, c := range slices.Concat(t.Roots(), t.Intermediates()) {
			given = append(given, expiry.ExpiryOf(expiry.Authority, "trust."+s.name, c))
		}
	}
	all := a.inventory.Expiries(given...)
	calls := map[expiry.Kind]int{}
	for _, e := range all {
		calls[e.Kind] += e.Calls
	}
	list := a.register.Current()
	for i := range all {
		e := &all[i]
		switch e.Kind {
		case expiry.OwnServer: // every exchange rests on them
			e.Calls = calls[expiry.CallerTLS]
		case expiry.OwnClient:
			e.Calls = calls[expiry.PeerTLS]
		case expiry.CallerTLS, expiry.CallerSignature:
			if es, ok := list.ByStructure(roc.StructureID(e.Owner)); ok {
				e.Nom, e.Departement, e.Region = es.Nom, es.Departement, es.Region
			}
		case expiry.PeerTLS:
			e.Nom = amcOfHost(list, e.Owner)
		}
	}
	return all
}

// amcOfHost is the name of the AMC that has this host among its domains.
func amcOfHost(l *register.List, host string) string {
	for amc := range l.AMCs() {
		if slices.ContainsFunc(amc.Domaines, func(name register.DNSName) bool {
			d := string(name)
			return host == d || len(host) > len(d) && host[len(host)-len(d)-1] == '.' && host[len(host)-len(d):] == d
		}) {
			return amc.Nom
		}
	}
	return ""
}

// certificateCounts is the inventory for /metrics.
func (a *App) certificateCounts() []live.CertificateCount {
	type key struct{ kind, level string }
	counts := map[key]*live.CertificateCount{}
	for _, e := range a.expiries() {
		if e.Renewed {
			continue
		}
		k := key{string(e.Kind), string(e.Level)}
		n := counts[k]
		if n == nil {
			n = &live.CertificateCount{Kind: k.kind, Level: k.level}
			counts[k] = n
		}
		n.Count++
		n.Calls += e.Calls
		if e.Level != expiry.Ended && (n.FirstEnd.IsZero() || e.End.Before(n.FirstEnd)) {
			n.FirstEnd = e.End
		}
	}
	var all []live.CertificateCount
	for _, n := range counts {
		all = append(all, *n)
	}
	return all
}

// territories counts what was seen by région and département.
func (a *App) territories(all []expiry.Expiry) []admin.Territory {
	type place struct{ region, departement string }
	places := map[place]*admin.Territory{}
	at := func(p place) *admin.Territory {
		if places[p] == nil {
			places[p] = &admin.Territory{Region: p.region, Departement: p.departement}
		}
		return places[p]
	}
	for es := range a.register.Current().Etablissements() {
		if es.Etat != register.Clos {
			at(place{es.Region, es.Departement}).Etablissements++
		}
	}
	type whose struct {
		kind  expiry.Kind
		owner string
	}
	counted := map[whose]bool{}
	for _, e := range all {
		if e.Kind != expiry.CallerTLS && e.Kind != expiry.CallerSignature {
			continue
		}
		t := at(place{e.Region, e.Departement})
		k := whose{e.Kind, e.Owner}
		switch {
		case e.Level == expiry.Ended || counted[k]:
		case e.Kind == expiry.CallerTLS:
			t.TLS++
			counted[k] = true
		default:
			t.Signature++
			counted[k] = true
		}
		switch {
		case e.Renewed || e.Level == expiry.FarEnough:
		case e.Level == expiry.Ended:
			t.Ended++
			t.Calls += e.Calls
		default:
			t.Soon++
			t.Calls += e.Calls
		}
	}
	var list []admin.Territory
	for _, t := range places {
		list = append(list, *t)
	}
	slices.SortFunc(list, func(a, b admin.Territory) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Departement, b.Departement))
	})
	return list
}

// watchExpiries logs each certificate once at each level that it comes to, 60,
// 30, 14, 7 and 1 days before its end and when it is over, until ctx ends.
func (a *App) watchExpiries(ctx context.Context) {
	told := map[string]expiry.Level{}
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		a.logExpiries(told)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (a *App) logExpiries(told map[string]expiry.Level) {
	for _, e := range a.expiries() {
		key := string(e.Kind) + e.Owner + e.Issuer + e.Serial
		if e.Renewed || e.Level == expiry.FarEnough || told[key] == e.Level {
			continue
		}
		told[key] = e.Level
		level := slog.LevelWarn
		if e.Level == expiry.Ended || e.Level == expiry.Within1 || e.Level == expiry.Within7 {
			level = slog.LevelError
		}
		a.log.Log(context.Background(), level, "a certificate is near its end: have it renewed", slog.String("event", "certificate_near_end"),
			slog.String("kind", string(e.Kind)), slog.String("owner", e.Owner), slog.String("name", e.Nom), slog.String("subject", e.Subject), slog.String("serial", e.Serial),
			slog.Time("end", e.End), slog.Int("days_left", e.Days), slog.Int("calls_24h", e.Calls))
	}
}
