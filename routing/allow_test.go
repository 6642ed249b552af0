package routing_test

import (
	"errors"
	"testing"
	"time"

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
		return &register.AMC{Numeros: []roc.NumeroAMC{key.AMC}, Etat: s, Ordinaire: register.AMCCercle, Versions: versions}
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
		{"suspended AMC", es(register.Cercle), amc(register.AMCSuspendu), roc.AMCSuspended},
		{"suspended AMC, which accrochage never reaches", es(register.Accrochage), amc(register.AMCSuspendu), roc.OutsideCircle},
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
	amc := &register.AMC{Numeros: []roc.NumeroAMC{key.AMC}, Etat: register.AMCCercle, Ordinaire: register.AMCCercle}
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

// A closed AMC is refused by its own state with since when, until when where a
// date says it, and a cause of its own; who could not reach it anyway is told
// that instead. One that comes back from a maintenance is what it was.
func TestAClosedAMCSaysSinceWhenAndUntilWhen(t *testing.T) {
	t.Parallel()
	const es = `etablissements:
  - {finess_ej: 010003812, nom: A, etat: cercle}
  - {finess_ej: 2A0000014, nom: B, etat: accrochage}
  - {finess_ej: 690000013, nom: C, etat: surveillance, amc_miroir: 0000000001}
  - {finess_ej: 750000018, nom: D, etat: suspendu}
`
	const amcs = `amcs:
  - {nom: Circle, numeros: [0000000001], etats: [{depuis: 2026-01-01, etat: cercle}, {depuis: 2026-11-20T22:00:00+01:00, etat: maintenance, jusque: 2026-11-21T12:00:00+01:00, motif: migration}]}
  - {nom: Platform, numeros: [0000000002], etats: [{depuis: 2026-01-01, etat: validation}, {depuis: 2026-11-21, etat: maintenance, jusque: 2026-11-21}]}
  - {nom: Suspended, numeros: [0000000003], etat: suspendu}
  - {nom: Dated, numeros: [0000000004], etats: [{depuis: 2026-11-01, etat: suspendu}, {depuis: 2026-12-01, etat: clos}]}
  - {nom: To come, numeros: [0000000005], etats: [{depuis: 2026-12-01, etat: cercle}]}
`
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	at := func(s string) time.Time {
		m, err := register.ParseMoment(s)
		if err != nil {
			t.Fatal(err)
		}
		return m.Time
	}
	none := time.Time{}
	l, err := register.Parse("e", []byte(es), "a", []byte(amcs), now)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ej           roc.FINESS
		amc          roc.NumeroAMC
		at           time.Time
		want         roc.Reason
		cause        roc.CauseCode
		since, until time.Time
	}{
		{"010003812", "0000000001", now, roc.AMCSuspended, roc.MaintainedAMC, at("2026-11-20T22:00:00+01:00"), at("2026-11-21T12:00:00+01:00")},
		{"690000013", "0000000001", now, roc.AMCSuspended, roc.MaintainedAMC, at("2026-11-20T22:00:00+01:00"), at("2026-11-21T12:00:00+01:00")},
		{"010003812", "0000000001", at("2026-11-20T21:59:59+01:00"), "", "", none, none},
		{"010003812", "0000000001", at("2026-11-21T12:00:00+01:00"), "", "", none, none},
		{"2A0000014", "0000000001", now, roc.OutsideCircle, "", none, none},
		{"750000018", "0000000001", now, roc.Suspended, "", none, none},
		{"2A0000014", "0000000002", now, roc.AMCSuspended, roc.MaintainedAMC, at("2026-11-21"), at("2026-11-22")},
		{"010003812", "0000000002", now, roc.OutsideCircle, "", none, none},
		{"2A0000014", "0000000002", at("2026-11-22"), "", "", none, none},
		{"010003812", "0000000003", now, roc.AMCSuspended, roc.SuspendedAMC, none, none},
		{"2A0000014", "0000000003", now, roc.OutsideCircle, "", none, none},
		{"010003812", "0000000004", now, roc.AMCSuspended, roc.SuspendedAMC, at("2026-11-01"), none},
		{"010003812", "0000000004", at("2026-12-02"), roc.AMCSuspended, roc.ClosedAMC, at("2026-12-01"), none},
		{"010003812", "0000000005", now, roc.OutsideCircle, "", none, none},
	} {
		settled := l.At(c.at)
		e, _ := settled.BySite(c.ej)
		amc, _ := settled.AMC(c.amc)
		_, err := routing.Allow(e, amc, roc.Key{AMC: c.amc, Domaine: roc.HOSP, Service: roc.IDB, Version: roc.V1}, routing.Policy{})
		if c.want == "" {
			if err != nil {
				t.Errorf("%s to %s at %v: %v", c.ej, c.amc, c.at, err)
			}
			continue
		}
		r := roc.RefusalOf(err)
		if err == nil || r.Reason != c.want || c.cause != "" && r.CauseCode != c.cause || !r.Since.Equal(c.since) || !r.Until.Equal(c.until) {
			t.Errorf("%s to %s at %v: %v, cause %q since %v until %v; want %s %q %v %v", c.ej, c.amc, c.at, err, r.CauseCode, r.Since, r.Until, c.want, c.cause, c.since, c.until)
		}
		if wait := r.Wait(now); c.until.IsZero() != (wait == 0) || !c.until.IsZero() && wait != c.until.Sub(now) {
			t.Errorf("%s to %s: it waits %v", c.ej, c.amc, wait)
		}
	}
}
