package explain_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/routing"
	"github.com/piano-roc/rpn/routing/explain"
)

// answers is an annuaire that gives these addresses for IDB V1 and V2.
func answers(urls ...string) func(context.Context, roc.Key) (annuaire.Entry, error) {
	return func(_ context.Context, k roc.Key) (annuaire.Entry, error) {
		e := annuaire.Entry{AMC: k.AMC, Nom: "Mutuelle fictive", ROC: true, At: today.Add(-12 * time.Minute), Remembered: true,
			Debut: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Fin: time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)}
		for _, u := range urls {
			e.Adresses = append(e.Adresses, annuaire.Adresse{Service: roc.IDB, Version: roc.V1, URL: u})
		}
		return e, nil
	}
}

func silent(context.Context, roc.Key) (annuaire.Entry, error) {
	return annuaire.Entry{}, roc.Refuse(roc.AnnuaireSilent, "nobody answers")
}

func question(structure roc.StructureID, amc roc.NumeroAMC) explain.Question {
	return explain.Question{Structure: structure, Key: roc.Key{AMC: amc, Domaine: roc.HOSP, Service: roc.IDB, Version: roc.V1}}
}

// One line per place where a message may be refused, in the order of the path.
func TestWhatWouldBecomeOfAMessage(t *testing.T) {
	t.Parallel()
	l := load(t, "before.yaml", "amc.yaml")
	good := answers("https://roc.rhone.example/idb", "https://b.rhone.example/idb")
	for _, c := range []struct {
		name   string
		q      explain.Question
		find   func(context.Context, roc.Key) (annuaire.Entry, error)
		policy routing.Policy
		want   roc.Reason // "": it goes
		step   string
		says   []string
	}{
		{"unknown structure", question("1990000018", "0075500025"), good, routing.Policy{}, roc.UnknownStructure, "establishment", nil},
		{"suspended", question("1690000013", "0075500025"), good, routing.Policy{}, roc.Suspended, "establishment", []string{"RPN102", "suspendu"}},
		{"a site of another", explain.Question{Structure: "12A0000014", EG: "010003820", Key: question("", "0075500025").Key}, good, routing.Policy{}, roc.StructureMismatch, "establishment", nil},
		{"annuaire silent", question("12A0000014", "0075500025"), silent, routing.Policy{}, roc.AnnuaireSilent, "annuaire", []string{"RPN304"}},
		{"outside the circle", question("1010003812", "0075500041"), answers("https://prevoyance.example/"), routing.Policy{}, roc.OutsideCircle, "choice", []string{"does not reach it for IDB", "AMC miroir (0075500025)"}},
		{"an AMC that is not in the register", question("12A0000014", "0075500090"), good, routing.Policy{}, roc.Quarantined, "addresses", []string{"by policy such an AMC is quarantined"}},
		{"service not offered", question("12A0000014", "0075500025"), answers(), routing.Policy{}, roc.ServiceNotOffered, "choice", nil},
		{"a domain nobody knows", question("12A0000014", "0075500025"), answers("https://evil.example/"), routing.Policy{}, roc.Quarantined, "addresses", []string{"evil.example"}},
		{"an address that cannot be", question("12A0000014", "0075500025"), answers("http://roc.rhone.example/"), routing.Policy{}, roc.AnnuaireRefused, "addresses", nil},

		{"it goes, and to the other if nothing could be sent", question("12A0000014", "0075500025"), good, routing.Policy{}, "", "choice",
			[]string{"cached, 12m0s old", "valid from 2026-01-01 to 2026-12-31", "then, only if nothing could be sent: https://b.rhone.example/idb", "it would go to https://roc.rhone.example/idb", "2 addresses"}},
		{"one address is set aside", question("12A0000014", "0075500025"), answers("https://evil.example/", "https://roc.rhone.example/"), routing.Policy{}, "", "choice", []string{"set aside: RPN306", "it would go to https://roc.rhone.example/"}},
		{"the AMC miroir, by its other number", question("1010003812", "0075500033"), good, routing.Policy{}, "", "choice", []string{"surveillance (AMC miroir 0075500025) since 2026-11-01", "then cercle on 2027-01-01"}},
		{"a new AMC by policy", question("12A0000014", "0075500090"), good, routing.Policy{NewAMC: routing.Accept}, "", "choice", []string{"accepted by policy"}},
		{"a new domain by policy", question("12A0000014", "0075500025"), answers("https://new.example/"), routing.Policy{NewDomain: routing.Accept}, "", "choice", []string{"outside the known domains"}},
		{"a site's own certificate", question("1010003820", "0075500025"), good, routing.Policy{}, "", "choice", []string{"010003812 CH fictif des Lilas"}},
	} {
		x := explain.Explain(t.Context(), explain.Parts{List: l, Find: c.find, Policy: c.policy, Now: today}, c.q)
		last := x.Steps[len(x.Steps)-1]
		if x.Reason != c.want || x.Pass != (c.want == "") || last.Name != c.step || last.OK != x.Pass || (x.Code == "") != x.Pass || (x.URL == "") == x.Pass {
			t.Errorf("%s: %s at %s, pass %t\n%s", c.name, x.Reason, last.Name, x.Pass, x)
		}
		for _, s := range c.says {
			if !strings.Contains(x.String(), s) {
				t.Errorf("%s: it does not say %q:\n%s", c.name, s, x)
			}
		}
		var back explain.Explanation
		if data, err := json.Marshal(x); err != nil || json.Unmarshal(data, &back) != nil || back.Pass != x.Pass || back.String() != x.String() {
			t.Errorf("%s: JSON does not say the same: %v", c.name, err)
		}
	}
}

// At another date the register is that of the date, and the answer of today is
// said not to cover it.
func TestWhatWouldBecomeOfItAtAnotherDate(t *testing.T) {
	t.Parallel()
	l := load(t, "before.yaml", "amc.yaml").At(time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC))
	x := explain.Explain(t.Context(), explain.Parts{List: l, Find: answers("https://roc.rhone.example/"), Now: today}, question("1010003812", "0075500025"))
	if s := x.String(); !x.Pass || !strings.Contains(s, "cercle since 2027-01-01") || !strings.Contains(s, "does not cover 2027-02-01") {
		t.Errorf("%s", s)
	}
}

func TestQuestionsAsTheyAreTyped(t *testing.T) {
	t.Parallel()
	good := map[string]string{"structure": "010003812", "amc": "75500025", "convention": "RO", "csr": "030255400", "domaine": "HOSP", "service": "IDB", "version": "V1"}
	with := func(name, value string) func(string) string {
		return func(n string) string {
			if n == name {
				return value
			}
			return good[n]
		}
	}
	q, err := explain.ParseQuestion(with("", ""))
	if err != nil || q.Structure != "1010003812" || q.Key.AMC != "0075500025" || q.Key.Convention != "RO" || q.Key.CSR != "030255400" || q.Key.Service != roc.IDB {
		t.Errorf("%+v, %v", q, err)
	}
	for _, optional := range []string{"convention", "csr", "eg"} {
		if _, err := explain.ParseQuestion(with(optional, "")); err != nil {
			t.Errorf("%s is optional: %v", optional, err)
		}
	}
	for name, value := range map[string]string{"structure": "1234", "amc": "12", "convention": "ro", "csr": "?", "domaine": "", "service": "ANNUAIRE", "version": "V3", "eg": "1"} {
		if _, err := explain.ParseQuestion(with(name, value)); err == nil || !strings.HasPrefix(err.Error(), name+" ") {
			t.Errorf("%s %q: %v", name, value, err)
		}
	}
}

func TestDomainsInUseAtADate(t *testing.T) {
	t.Parallel()
	l := load(t, "before.yaml", "amc.yaml")
	hour := func(s string) time.Time {
		m, err := register.ParseMoment(s)
		if err != nil {
			t.Fatal(err)
		}
		return m.Time
	}
	hosts := []annuaire.Host{
		{AMC: "0075500025", Name: "roc.rhone.example", First: hour("2026-10-01"), Last: hour("2026-11-20")},
		{AMC: "0075500033", Name: "roc.rhone.example", First: hour("2026-09-01"), Last: hour("2026-11-21")}, // the same insurer
		{AMC: "0075500025", Name: "gone.example", First: hour("2026-01-01"), Last: hour("2026-09-15")},
		{AMC: "0075500090", Name: "unknown.example", First: hour("2026-11-20"), Last: hour("2026-11-20")},
		{AMC: "0075500041", Name: "roc.prevoyance.example", First: hour("2026-11-01"), Last: hour("2026-12-16")},
	}
	names := func(list []explain.Domain) string {
		var s []string
		for _, d := range list {
			mark := ""
			if !d.Known {
				mark = "!"
			}
			s = append(s, mark+d.Name+"/"+d.Source[:1])
		}
		return strings.Join(s, " ")
	}
	const month = 30 * 24 * time.Hour
	for at, want := range map[string]string{
		"2026-10-05": "validation.mutuelle-ans.example/r ancien.example/r rhone.example/r !gone.example/a roc.rhone.example/a prevoyance.example/r",
		"2026-11-21": "validation.mutuelle-ans.example/r ancien.example/r nouveau.example/r rhone.example/r roc.rhone.example/a prevoyance.example/r roc.prevoyance.example/a !unknown.example/a",
		"2026-12-16": "validation.mutuelle-ans.example/r nouveau.example/r rhone.example/r roc.rhone.example/a !unknown.example/a", // an AMC is suspended: none of its domains is in use
		"2025-12-31": "validation.mutuelle-ans.example/r ancien.example/r rhone.example/r",
	} {
		if got := names(explain.Domains(l, hosts, hour(at), month)); got != want {
			t.Errorf("%s\n got %s\nwant %s", at, got, want)
		}
	}
	before, after := explain.Domains(l, hosts, hour("2026-10-05"), month), explain.Domains(l, hosts, hour("2026-12-16"), month)
	var b strings.Builder
	if err := explain.WriteDomainDelta(&b, explain.DomainDelta(before, after), true); err != nil {
		t.Fatal(err)
	}
	golden(t, "domains-delta.want", strings.ReplaceAll(b.String(), "\r\n", "\n"))
	if d := explain.DomainDelta(before, before); len(d) != 0 {
		t.Errorf("a list differs from itself: %v", d)
	}
	if merged := explain.Domains(l, hosts, hour("2026-11-21"), month); merged[4].Depuis != "2026-09-01" || merged[4].LastSeen != "2026-11-21" {
		t.Errorf("two numbers of an insurer name one host: %+v", merged[4])
	}
}
