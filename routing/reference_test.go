package routing_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/routing"
)

// naive is the choice of addresses as one would say it: of those of the service
// and version asked, the ones that are https at a name under a known domain (or
// anywhere, when the policy accepts), in order, each once.
func naive(e annuaire.Entry, key roc.Key, domains []string, accept bool) []string {
	var out []string
	for _, a := range e.Adresses {
		if a.Service != key.Service || a.Version != key.Version {
			continue
		}
		u, err := url.Parse(a.URL)
		if err != nil || u.Scheme != "https" || u.User != nil || !strings.Contains(u.Hostname(), ".") || strings.Trim(u.Hostname(), "0123456789.") == "" {
			continue
		}
		host := strings.ToLower(u.Hostname())
		known := slices.ContainsFunc(domains, func(d string) bool { return host == d || strings.HasSuffix(host, "."+d) })
		u.Host = strings.ToLower(u.Host)
		if u.Path == "" {
			u.Path = "/"
		}
		if s := u.String(); (known || accept) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// For random answers of the annuaire, domains and policies, Choose takes what
// the naive reading takes, in the same order.
func TestAddressesAreThoseOfANaiveReading(t *testing.T) {
	t.Parallel()
	places := []string{
		"https://roc.amc.example/idb", "https://ROC.amc.example/idb", "https://amc.example", "https://amc.example/", "https://b.amc.example:8443/x?y=1",
		"https://evilamc.example/", "https://autre.example/", "https://roc.autre.example/", "http://roc.amc.example/", "https://192.0.2.7/", "https://u@amc.example/", "https://localhost/",
	}
	rapid.Check(t, func(t *rapid.T) {
		key := roc.Key{AMC: numero, Service: rapid.SampledFrom([]roc.Service{roc.IDB, roc.CLC}).Draw(t, "service"), Version: rapid.SampledFrom([]roc.Version{roc.V1, roc.V2}).Draw(t, "version")}
		e := annuaire.Entry{AMC: numero, ROC: true}
		for range rapid.IntRange(1, 10).Draw(t, "n") {
			e.Adresses = append(e.Adresses, annuaire.Adresse{
				Service: rapid.SampledFrom([]roc.Service{roc.IDB, roc.CLC}).Draw(t, "of"), Version: rapid.SampledFrom([]roc.Version{roc.V1, roc.V2}).Draw(t, "in"),
				URL: rapid.SampledFrom(places).Draw(t, "at"),
			})
		}
		domains := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"amc.example", "roc.amc.example", "autre.example"}), 0, 3, rapid.ID).Draw(t, "domains")
		amc := &register.AMC{Numeros: []roc.NumeroAMC{numero}, Etat: register.AMCCercle, Ordinaire: register.AMCCercle}
		for _, d := range domains {
			amc.Domaines = append(amc.Domaines, register.DNSName(d))
		}
		p := routing.Policy{NewDomain: rapid.SampledFrom([]routing.NewcomerPolicy{routing.Quarantine, routing.Accept}).Draw(t, "policy")}
		want := naive(e, key, domains, p.NewDomain == routing.Accept)
		route, err := routing.Choose(&register.Etablissement{Etat: register.Cercle}, amc, key, e, p)
		var got []string
		if err == nil {
			got = append([]string{route.URL()}, route.Alternatives()...)
		}
		if !slices.Equal(got, want[:min(8, len(want))]) {
			t.Fatalf("%v\n got %q (%v)\nwant %q", e.Adresses, got, err, want)
		}
	})
}
