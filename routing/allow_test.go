package routing_test

import (
	"errors"
	"testing"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/routing"
)

// What the register alone refuses is refused before the annuaire is asked, with
// the refusal that Choose gives.
func TestAllowRefusesWhatNoAnswerCanHelp(t *testing.T) {
	t.Parallel()
	key := roc.Key{AMC: "0075500025", Domaine: roc.HOSP, Service: roc.IDB, Version: roc.V2}
	amc := func(s register.EtatAMC, versions ...roc.Version) *register.AMC {
		return &register.AMC{Numeros: []roc.NumeroAMC{key.AMC}, Etat: s, Versions: versions}
	}
	es := func(s register.Etat) *register.Etablissement { return &register.Etablissement{Etat: s} }
	for _, c := range []struct {
		name string
		es   *register.Etablissement
		amc  *register.AMC
		want roc.Reason
	}{
		{"accrochage, an AMC of the circle", es(register.Accrochage), amc(register.AMCCercle), roc.OutsideCircle},
		{"suspended establishment", es(register.Suspendu), amc(register.AMCCercle), roc.Suspended},
		{"suspended AMC", es(register.Cercle), amc(register.AMCSuspendu), roc.OutsideCircle},
		{"an AMC that speaks V1 only", es(register.Cercle), amc(register.AMCCercle, roc.V1), roc.ServiceNotOffered},
		{"in the circle, both", es(register.Cercle), amc(register.AMCCercle), ""},
	} {
		permit, err := routing.Allow(c.es, c.amc, key, routing.Policy{})
		_, chosen := routing.Choose(c.es, c.amc, key, annuaire.Entry{AMC: key.AMC, ROC: true, Adresses: []annuaire.Adresse{{Service: key.Service, Version: key.Version, URL: "https://amc.example/"}}}, routing.Policy{NewDomain: routing.Accept})
		if c.want == "" {
			if err != nil || permit.Key() != key || chosen != nil {
				t.Errorf("%s: %v, then %v", c.name, err, chosen)
			}
			continue
		}
		if !roc.IsRefused(err, c.want) || !roc.IsRefused(chosen, c.want) {
			t.Errorf("%s: Allow says %v, Choose %v; want %s", c.name, err, chosen, c.want)
		}
		if _, err := permit.Choose(annuaire.Entry{}); err == nil {
			t.Errorf("%s: a refused permit chooses a route", c.name)
		}
	}
}

// What is quarantined names the insurer and the host; what an operator approved
// passes, for that insurer and that host alone, and never for an AMC that is
// not in the register.
func TestAnApprovedHostPasses(t *testing.T) {
	t.Parallel()
	key := roc.Key{AMC: "0075500025", Domaine: roc.HOSP, Service: roc.IDB, Version: roc.V2}
	amc := &register.AMC{Numeros: []roc.NumeroAMC{key.AMC}, Etat: register.AMCCercle}
	es := &register.Etablissement{Etat: register.Cercle}
	at := func(a *register.AMC, host string, p routing.Policy) (routing.Route, error) {
		return routing.Choose(es, a, key, annuaire.Entry{AMC: key.AMC, ROC: true, Adresses: []annuaire.Adresse{{Service: key.Service, Version: key.Version, URL: "https://" + host + "/"}}}, p)
	}
	_, err := at(amc, "new.example", routing.Policy{})
	var q *routing.Quarantined
	if !errors.As(err, &q) || q.AMC != key.AMC || q.Host != "new.example" || q.NewAMC {
		t.Fatalf("refused by %v, want the insurer and the host named", err)
	}
	approved := routing.Policy{Approved: func(n roc.NumeroAMC, h register.DNSName) bool { return n == key.AMC && h == "new.example" }}
	if r, err := at(amc, "new.example", approved); err != nil || r.NewDomain() {
		t.Errorf("approved: %v, new %v; want it like a known domain", err, r.NewDomain())
	}
	if _, err := at(amc, "other.example", approved); !roc.IsRefused(err, roc.Quarantined) {
		t.Errorf("another host: %v", err)
	}
	if _, err := at(nil, "new.example", approved); !roc.IsRefused(err, roc.Quarantined) {
		t.Errorf("an AMC that is not in the register: %v", err)
	}
}

// Whether an AMC that is not in the register exists at all is for the annuaire
// to say.
func TestAnAMCThatIsNotInTheRegisterWaitsForTheAnnuaire(t *testing.T) {
	t.Parallel()
	key := roc.Key{AMC: "0075500025", Domaine: roc.HOSP, Service: roc.IDB, Version: roc.V2}
	permit, err := routing.Allow(&register.Etablissement{Etat: register.Cercle}, nil, key, routing.Policy{})
	if err != nil {
		t.Fatalf("refused before the annuaire is asked: %v", err)
	}
	if _, err := permit.Choose(annuaire.Entry{AMC: key.AMC, ROC: true}); !roc.IsRefused(err, roc.Quarantined) {
		t.Errorf("once the annuaire knows it: %v, want quarantined", err)
	}
}
