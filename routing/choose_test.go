package routing_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/routing"
)

const (
	numero = roc.NumeroAMC("0075500025") // the AMC asked
	autre  = roc.NumeroAMC("0075500033") // another number of the same AMC
	tiers  = roc.NumeroAMC("0075500041") // an AMC that is somebody else
)

// A situation is one cell of the space of rules.
type situation struct {
	es      register.Etat
	amc     register.EtatAMC // "" : not in the register
	miroir  roc.NumeroAMC    // AMC miroir of the establishment
	speaks  []roc.Version
	service roc.Service
	version roc.Version
	offered string // "both", "V1", "V2", "none", "not-roc"
	newAMC  routing.NewcomerPolicy
	amcOnly roc.Version // the one version the AMC speaks by the register; NoVersion: both
	more    string      // "", "complet", "formation" (of the establishment), "named", "others" (essais_avec of the AMC)
}

func (s situation) String() string {
	return fmt.Sprint([]any{s.es, s.amc, s.miroir, s.speaks, s.service, s.version, s.offered, s.newAMC, s.amcOnly, s.more})
}

// onTrial: the AMC is in validation and its row names the establishment.
func (s situation) onTrial() bool { return s.amc == register.AMCValidation && s.more == "named" }

// rows are the two rows of the register; of the AMC nil when it is not there.
func (s situation) rows() (es *register.Etablissement, amc *register.AMC) {
	es = &register.Etablissement{EJ: "010003812", Structure: "1010003812", Etat: s.es, Miroir: s.miroir, Versions: s.speaks,
		AccrochageComplet: s.more == "complet", Formation: s.more == "formation"}
	if s.amc != "" {
		ordinary := s.amc
		switch s.amc {
		case register.AMCMaintenance, register.AMCSuspendu, register.AMCClos:
			ordinary = register.AMCCercle
		}
		amc = &register.AMC{Nom: "Mutuelle fictive", Numeros: []roc.NumeroAMC{numero, autre}, Etat: s.amc, Ordinaire: ordinary, Domaines: []register.DNSName{"amc.example"}}
		switch s.more {
		case "named":
			amc.EssaisAvec = []register.Essai{"690000013", register.Essai(es.EJ)}
		case "others":
			amc.EssaisAvec = []register.Essai{"690000013"}
		}
		if s.amcOnly != roc.NoVersion {
			amc.Versions = []roc.Version{s.amcOnly}
		}
	}
	return es, amc
}

func (s situation) choose() (routing.Route, error) {
	es, amc := s.rows()
	key := roc.Key{AMC: numero, Domaine: roc.HOSP, Service: s.service, Version: s.version}
	return routing.Choose(es, amc, key, entry(s.offered), routing.Policy{NewAMC: s.newAMC})
}

func entry(offered string) annuaire.Entry {
	e := annuaire.Entry{AMC: numero, Nom: "Mutuelle fictive", ROC: offered != "not-roc"}
	for _, v := range []roc.Version{roc.V1, roc.V2} {
		if offered != "both" && offered != "not-roc" && offered != v.String() { // who takes no part may have addresses
			continue
		}
		for _, s := range roc.AMCServices {
			e.Adresses = append(e.Adresses, annuaire.Adresse{Service: s, Version: v, URL: "https://roc.amc.example/" + s.String() + v.String()})
		}
	}
	return e
}

// The table of profile section 6, one line per rule. Lines are tried in order;
// the first that applies says the outcome ("" : it goes).
var rules = []struct {
	source  string
	applies func(situation) bool
	want    roc.Reason
}{
	{"profile 6: suspendu reaches nobody", func(s situation) bool { return s.es == register.Suspendu }, roc.Suspended},
	{"profile 6: clos reaches nobody", func(s situation) bool { return s.es == register.Clos }, roc.Suspended},
	{"profile 6: a state that is none reaches nobody", func(s situation) bool { return s.es == "" }, roc.OutsideCircle},
	{"profile 6: an AMC in validation is reached by those its row names, and by nobody else", func(s situation) bool {
		return s.amc == register.AMCValidation && s.more == "others"
	}, roc.OutsideCircle},
	{"profile 6: an AMC in a state that is none is reached by nobody", func(s situation) bool { return s.amc == "autre" }, roc.OutsideCircle},

	{"profile 6: accrochage reaches no AMC that is not in the register", func(s situation) bool { return s.es == register.Accrochage && s.amc == "" }, roc.OutsideCircle},
	{"profile 6: accrochage reaches no AMC of the circle, be it its miroir, be it suspended", func(s situation) bool { return s.es == register.Accrochage && s.amc != register.AMCValidation }, roc.OutsideCircle},
	{"profile 6: accrochage is IDB only, unless complete or on trial", func(s situation) bool {
		return s.es == register.Accrochage && s.service != roc.IDB && s.more != "complet" && s.more != "named"
	}, roc.OutsideCircle},
	{"profile 6: formation reaches the Mutuelle ANS only", func(s situation) bool { return s.es == register.Formation && s.amc != register.AMCValidation }, roc.OutsideCircle},

	{"profile 6: surveillance has no AMC outside the register", func(s situation) bool { return s.es == register.Surveillance && s.amc == "" }, roc.OutsideCircle},
	{"profile 6: surveillance without an AMC miroir reaches nobody", func(s situation) bool { return s.es == register.Surveillance && s.miroir == "" && !s.onTrial() }, roc.OutsideCircle},
	{"profile 6: surveillance reaches its one AMC miroir only", func(s situation) bool { return s.es == register.Surveillance && s.miroir == tiers && !s.onTrial() }, roc.OutsideCircle},
	{"domain 1.4: surveillance is production, not for the validation platform", func(s situation) bool {
		return s.es == register.Surveillance && s.amc == register.AMCValidation && s.more != "named"
	}, roc.OutsideCircle},

	{"profile 6: the validation platform is not of the circle, unless for formation or on trial", func(s situation) bool {
		return s.es == register.Cercle && s.amc == register.AMCValidation && s.more != "formation" && s.more != "named"
	}, roc.OutsideCircle},
	{"profile 7: an AMC that is suspended, closed or in maintenance, of an establishment that could reach it", func(s situation) bool {
		return s.amc == register.AMCSuspendu || s.amc == register.AMCClos || s.amc == register.AMCMaintenance
	}, roc.AMCSuspended},

	{"register: the establishment does not speak that version", func(s situation) bool { return len(s.speaks) == 1 && s.speaks[0] != s.version }, roc.OutsideCircle},
	{"policy: an AMC not in the register is quarantined", func(s situation) bool { return s.amc == "" && s.newAMC == routing.Quarantine }, roc.Quarantined},

	{"annuaire: the AMC takes no part in ROC", func(s situation) bool { return s.offered == "not-roc" }, roc.ServiceNotOffered},
	{"register: the AMC does not speak that version, whatever the annuaire offers", func(s situation) bool {
		return s.amc != "" && s.amcOnly != roc.NoVersion && s.amcOnly != s.version
	}, roc.ServiceNotOffered},
	{"annuaire: no address of the service at all", func(s situation) bool { return s.offered == "none" }, roc.ServiceNotOffered},
	{"annuaire: an address in the other version only", func(s situation) bool { return s.offered != "both" && s.offered != s.version.String() }, roc.ServiceNotOffered},

	{"policy: an AMC not in the register is accepted, from the circle", func(s situation) bool {
		return s.es == register.Cercle && s.amc == "" && s.newAMC == routing.Accept
	}, ""},
	{"profile 6: accrochage reaches the validation platform, IDB", func(s situation) bool {
		return s.es == register.Accrochage && s.amc == register.AMCValidation
	}, ""},
	{"profile 6: formation reaches the Mutuelle ANS, every service", func(s situation) bool {
		return s.es == register.Formation && s.amc == register.AMCValidation
	}, ""},
	{"profile 6: an AMC in validation is reached by those its row names, every service", func(s situation) bool {
		return s.amc == register.AMCValidation && s.more == "named"
	}, ""},
	{"profile 6: formation: true opens the Mutuelle ANS beside the circle", func(s situation) bool {
		return s.es == register.Cercle && s.amc == register.AMCValidation && s.more == "formation"
	}, ""},
	{"profile 6: surveillance reaches its AMC miroir, by whichever of its numbers", func(s situation) bool {
		return s.es == register.Surveillance && s.amc == register.AMCCercle && (s.miroir == numero || s.miroir == autre)
	}, ""},
	{"profile 6: cercle reaches every AMC of the circle", func(s situation) bool { return s.es == register.Cercle && s.amc == register.AMCCercle }, ""},
}

func situations(each func(situation)) {
	for _, es := range register.Etats() {
		for _, amc := range append(register.EtatsAMC(), "autre") {
			for _, miroir := range []roc.NumeroAMC{numero, autre, tiers, ""} {
				for _, speaks := range [][]roc.Version{nil, {roc.V1}, {roc.V2}, {roc.V1, roc.V2}} {
					for _, service := range roc.AMCServices {
						for _, version := range []roc.Version{roc.V1, roc.V2} {
							for _, offered := range []string{"both", "V1", "V2", "none", "not-roc"} {
								for _, p := range []routing.NewcomerPolicy{routing.Quarantine, routing.Accept} {
									for _, only := range []roc.Version{roc.NoVersion, roc.V1, roc.V2} {
										for _, more := range []string{"", "complet", "formation", "named", "others"} {
											each(situation{es, amc, miroir, speaks, service, version, offered, p, only, more})
										}
									}
								}
							}
						}
					}
				}
			}
		}
	}
}

// Every cell of states x AMC x miroir x versions x service x offer x policy
// has the outcome of the first rule that applies, and every rule decides some
// cell.
func TestWhoMayReachWhom(t *testing.T) {
	t.Parallel()
	decided := make([]int, len(rules))
	situations(func(s situation) {
		for i, r := range rules {
			if !r.applies(s) {
				continue
			}
			decided[i]++
			route, err := s.choose()
			if !as(route, err, r.want, s) {
				t.Errorf("%s\n%s: got %q, %v, want %q", r.source, s, route.URL(), err, r.want)
			}
			return
		}
		t.Errorf("no rule for %s", s)
	})
	for i, n := range decided {
		if n == 0 {
			t.Errorf("the rule decides nothing: %s", rules[i].source)
		}
	}
}

func as(route routing.Route, err error, want roc.Reason, s situation) bool {
	if want != "" {
		return roc.IsRefused(err, want) && roc.RefusalOf(err).Detail != "" && route.URL() == "" && route.Host() == ""
	}
	name := "Mutuelle fictive"
	if s.amc == "" {
		name = ""
	}
	return err == nil && route.URL() == "https://roc.amc.example/"+s.service.String()+s.version.String() &&
		route.Host() == "roc.amc.example" && route.AMCName() == name && len(route.Alternatives()) == 0 &&
		route.NewAMC() == (s.amc == "") && route.NewDomain() == (s.amc == "")
}

// What only a mistake of the program can bring is refused as internal.
func TestMistakesOfTheProgramGoNowhere(t *testing.T) {
	t.Parallel()
	es := &register.Etablissement{Etat: register.Cercle}
	amc := &register.AMC{Numeros: []roc.NumeroAMC{numero}, Etat: register.AMCCercle, Ordinaire: register.AMCCercle, Domaines: []register.DNSName{"amc.example"}}
	key := roc.Key{AMC: numero, Service: roc.IDB, Version: roc.V1}
	with := func(change func(*roc.Key)) roc.Key { k := key; change(&k); return k }
	for name, c := range map[string]struct {
		es     *register.Etablissement
		amc    *register.AMC
		key    roc.Key
		entry  annuaire.Entry
		reason roc.Reason
	}{
		"no establishment":            {nil, amc, key, entry("both"), roc.Internal},
		"the row of another AMC":      {es, amc, with(func(k *roc.Key) { k.AMC = tiers }), entry("both"), roc.Internal},
		"the annuaire has no route":   {es, amc, with(func(k *roc.Key) { k.Service = roc.Annuaire }), entry("both"), roc.Internal},
		"no service":                  {es, amc, with(func(k *roc.Key) { k.Service = roc.NoService }), entry("both"), roc.Internal},
		"no version":                  {es, amc, with(func(k *roc.Key) { k.Version = roc.NoVersion }), entry("both"), roc.Internal},
		"an answer about another AMC": {es, amc, key, annuaire.Entry{AMC: tiers, ROC: true}, roc.AnnuaireRefused},
		"no answer":                   {es, amc, key, annuaire.Entry{}, roc.AnnuaireRefused},
	} {
		if route, err := routing.Choose(c.es, c.amc, c.key, c.entry, routing.Policy{}); !roc.IsRefused(err, c.reason) || route.URL() != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if (routing.Route{}).URL() != "" || (routing.Route{}).Host() != "" || (routing.Route{}).Alternatives() != nil {
		t.Error("the zero Route leads somewhere")
	}
}

// to asks for a route in the circle to an AMC known by those domains, with an
// annuaire that gives those addresses.
func to(p routing.Policy, domains []register.DNSName, urls ...string) (routing.Route, error) {
	e := annuaire.Entry{AMC: numero, ROC: true}
	for _, u := range urls {
		e.Adresses = append(e.Adresses, annuaire.Adresse{Service: roc.IDB, Version: roc.V1, URL: u})
	}
	return routing.Choose(
		&register.Etablissement{Etat: register.Cercle},
		&register.AMC{Nom: "Mutuelle fictive", Numeros: []roc.NumeroAMC{numero}, Etat: register.AMCCercle, Ordinaire: register.AMCCercle, Domaines: domains},
		roc.Key{AMC: numero, Service: roc.IDB, Version: roc.V1}, e, p)
}

// The address policy: profile section 6, last paragraph.
func TestAddressesThatAreNeverUsed(t *testing.T) {
	t.Parallel()
	everything := routing.Policy{NewAMC: routing.Accept, NewDomain: routing.Accept}
	for _, u := range []string{
		"", "https", "https:", "https://", "https:///roc", "//roc.amc.example/", "roc.amc.example", "/roc",
		"http://roc.amc.example/", "HTTP://roc.amc.example/", "ftp://roc.amc.example/", "javascript:alert(1)", "file:///etc/passwd", "https:roc.amc.example", "https:/roc.amc.example",
		"https://u@roc.amc.example/", "https://u:p@roc.amc.example/", "https://@roc.amc.example/", "https://roc.amc.example@evil.example/", "https://roc.amc.example:443@evil.example/",
		"https://roc.amc.example/#f", "https://roc.amc.example#f", "https://evil.example#@roc.amc.example/", "https://evil.example#.amc.example/",
		"https://127.0.0.1/", "https://192.0.2.1:443/", "https://[::1]/", "https://[2001:db8::1]:443/", "https://[::ffff:127.0.0.1]/", "https://[fe80::1%25eth0]/", "https://2001:db8::1/",
		"https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://127.1/", "https://127.0.0.1./", "https://0/", "https://1.2.3.4.5/", "https://amc.0x7f/", "https://amc.127/",
		"https://roc.amc.example./", "https://.amc.example/", "https://roc..amc.example/", "https://-roc.amc.example/", "https://roc-.amc.example/", "https://r_oc.amc.example/", "https://*.amc.example/",
		"https://" + strings.Repeat("a", 64) + ".amc.example/", "https://" + strings.Repeat("a.", 130) + "amc.example/", "https://roc.amc.example/" + strings.Repeat("a", 2048),
		"https://rôc.amc.example/", "https://roc.amc.example/é", "https://roc。amc.example/", "https://roc%2eamc.example/", "https://roc.amc.example%2f.evil.example/", "https://roc.amc.example%00.evil.example/",
		"https://roc.amc.example:/", "https://roc.amc.example:0/", "https://roc.amc.example:65536/", "https://roc.amc.example:0443/", "https://roc.amc.example:+443/", "https://roc.amc.example:https/", "https://roc.amc.example:443:443/", "https://roc.amc.example: 443/",
		`https://roc.amc.example\@evil.example/`, `https:\\roc.amc.example\`, `https://evil.example\.amc.example/`, "https://roc.amc.example/\\..\\x",
		"https://roc.amc.example/a b", " https://roc.amc.example/", "https://roc.amc.example/ ", "https://roc.amc.example/\r\nHost: evil.example", "https://roc.amc.example\t/", "https://roc.amc.example/\x00", "https://roc.amc.example/\x7f", "ht\ntps://roc.amc.example/",
		"https://roc.amc.example/%", "https://roc.amc.example/%4", "https://roc.amc.example/%zz", "https://roc.amc.example/?a=%1",
		"https://roc.amc.example/../x", "https://roc.amc.example/a/./b", "https://roc.amc.example/..", "https://roc.amc.example/%2e%2E/x", "https://roc.amc.example/.%2e",
		"https://roc.amc.example/<x>", "https://roc.amc.example/\"", "https://roc.amc.example/{id}", "https://roc.amc.example/[x]", "https://roc.amc.example/a|b", "https://roc.amc.example/`", "https://roc.amc.example/^",
		"https://localhost/", "https://redis:443/", // one label, not in the register
	} {
		route, err := to(everything, []register.DNSName{"amc.example"}, u)
		if !roc.IsRefused(err, roc.AnnuaireRefused) || route.URL() != "" || roc.RefusalOf(err).Detail == "" {
			t.Errorf("%q: %q, %v", u, route.URL(), err)
		}
	}
}

func TestAddressesThatAreUsed(t *testing.T) {
	t.Parallel()
	known := []register.DNSName{"amc.example", "localhost"}
	for u, want := range map[string]string{
		"https://amc.example":                        "https://amc.example/",
		"https://amc.example/":                       "https://amc.example/",
		"https://roc.amc.example/idb/v1":             "https://roc.amc.example/idb/v1",
		"HTTPS://ROC.Amc.Example/IDB":                "https://roc.amc.example/IDB",
		"https://roc.amc.example:8443/idb":           "https://roc.amc.example:8443/idb",
		"https://roc.amc.example?wsdl":               "https://roc.amc.example/?wsdl",
		"https://roc.amc.example/a%20b/?x=1&y=/../?": "https://roc.amc.example/a%20b/?x=1&y=/../?",
		"https://a.b.c.amc.example//double/...":      "https://a.b.c.amc.example//double/...",
		"https://1.2.3.4.amc.example/":               "https://1.2.3.4.amc.example/",
		"https://xn--rc-fka.amc.example/":            "https://xn--rc-fka.amc.example/",
		"https://localhost:8443/idb":                 "https://localhost:8443/idb",
	} {
		route, err := to(routing.Policy{}, known, u)
		if err != nil || route.URL() != want || route.NewDomain() || route.NewAMC() || route.AMCName() != "Mutuelle fictive" {
			t.Errorf("%q: %q, %v; want %q", u, route.URL(), err, want)
		}
	}
}

// An address at an unknown place: profile section 6, the policy of the
// configuration.
func TestNewDomains(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		domains []register.DNSName
		url     string
		isNew   bool
	}{
		{"the domain itself", []register.DNSName{"amc.example"}, "https://amc.example/", false},
		{"a subdomain", []register.DNSName{"amc.example"}, "https://roc.amc.example/", false},
		{"the second of the list", []register.DNSName{"autre.example", "amc.example"}, "https://roc.amc.example/", false},
		{"another domain", []register.DNSName{"amc.example"}, "https://roc.autre.example/", true},
		{"the parent domain", []register.DNSName{"roc.amc.example"}, "https://amc.example/", true},
		{"a sister", []register.DNSName{"roc.amc.example"}, "https://www.amc.example/", true},
		{"a name that ends alike", []register.DNSName{"amc.example"}, "https://evilamc.example/", true},
		{"a name that starts alike", []register.DNSName{"amc.example"}, "https://amc.example.evil.example/", true},
		{"no domain known yet", nil, "https://roc.amc.example/", true},
		{"a top-level domain covers nobody", []register.DNSName{"example"}, "https://amc.example/", true},
	} {
		route, err := to(routing.Policy{}, c.domains, c.url)
		if c.isNew != roc.IsRefused(err, roc.Quarantined) || c.isNew == (route.URL() != "") {
			t.Errorf("%s, quarantine: %q, %v", c.name, route.URL(), err)
		}
		route, err = to(routing.Policy{NewDomain: routing.Accept}, c.domains, c.url)
		if err != nil || route.NewDomain() != c.isNew {
			t.Errorf("%s, accept: new %t, %v", c.name, route.NewDomain(), err)
		}
		if _, err := to(routing.Policy{NewAMC: routing.Accept}, c.domains, c.url); c.isNew != roc.IsRefused(err, roc.Quarantined) {
			t.Errorf("%s: the policy on new AMCs must not open a known one: %v", c.name, err)
		}
	}
}

// Several addresses, one line per rule: the order in which they are tried (by
// host), or the refusal.
func TestTheOrderOfSeveralAddresses(t *testing.T) {
	t.Parallel()
	known := []register.DNSName{"amc.example"}
	many := make([]string, 20)
	for i := range many {
		many[i] = fmt.Sprintf("https://h%d.amc.example/", i)
	}
	for _, c := range []struct {
		rule    string
		policy  routing.Policy
		urls    []string
		want    string
		aside   int
		refused roc.Reason
	}{
		{"the annuaire's order is kept", routing.Policy{}, []string{"https://b.amc.example/", "https://a.amc.example/"}, "https://b.amc.example/ https://a.amc.example/", 0, ""},
		{"the same address once, however written", routing.Policy{}, []string{"https://a.amc.example/", "https://A.amc.example", "HTTPS://a.amc.example/"}, "https://a.amc.example/", 0, ""},
		{"two paths of a host are two addresses", routing.Policy{}, []string{"https://a.amc.example/1", "https://a.amc.example/2"}, "https://a.amc.example/1 https://a.amc.example/2", 0, ""},
		{"one that is quarantined is passed over, not tried last", routing.Policy{}, []string{"https://new.example/", "https://a.amc.example/"}, "https://a.amc.example/", 1, ""},
		{"a new one accepted by policy keeps its rank", routing.Policy{NewDomain: routing.Accept}, []string{"https://new.example/", "https://a.amc.example/"}, "https://new.example/ https://a.amc.example/", 0, ""},
		{"one that can never be used is passed over under every policy", routing.Policy{NewDomain: routing.Accept}, []string{"https://127.0.0.1/", "https://a.amc.example/"}, "https://a.amc.example/", 1, ""},
		{"eight at most", routing.Policy{}, many, strings.Join(many[:8], " "), 0, ""},
		{"none passes: the refusal of the first", routing.Policy{}, []string{"https://new.example/", "http://a.amc.example/"}, "", 0, roc.Quarantined},
		{"none passes: the refusal of the first, the other way", routing.Policy{}, []string{"http://a.amc.example/", "https://new.example/"}, "", 0, roc.AnnuaireRefused},
	} {
		route, err := to(c.policy, known, c.urls...)
		if c.refused != "" {
			if !roc.IsRefused(err, c.refused) {
				t.Errorf("%s: %v", c.rule, err)
			}
			continue
		}
		got := strings.Join(append([]string{route.URL()}, route.Alternatives()...), " ")
		if err != nil || got != c.want || len(route.SetAside()) != c.aside {
			t.Errorf("%s: %q, %d set aside, %v", c.rule, got, len(route.SetAside()), err)
		}
	}
}

// Reaches is the part of Choose that the states decide, and no other.
func TestReachesIsWhatTheStatesLetThrough(t *testing.T) {
	t.Parallel()
	situations(func(s situation) {
		if s.amc == "" || s.speaks != nil || s.offered != "both" || s.amcOnly != roc.NoVersion {
			return
		}
		es, amc := s.rows()
		if _, err := s.choose(); routing.Reaches(es, amc, s.service) != (err == nil) {
			t.Errorf("%s: Reaches is not what Choose says (%v)", s, err)
		}
	})
}

func TestSeveralAddresses(t *testing.T) {
	t.Parallel()
	known := []register.DNSName{"amc.example"}
	route, err := to(routing.Policy{}, known, "https://a.amc.example/", "https://evil.example/", "http://b.amc.example/", "https://c.amc.example/", "https://d.amc.example/")
	if err != nil || route.URL() != "https://a.amc.example/" || strings.Join(route.Alternatives(), " ") != "https://c.amc.example/ https://d.amc.example/" {
		t.Errorf("%q %q, %v", route.URL(), route.Alternatives(), err)
	}
	if aside := route.SetAside(); len(aside) != 2 || aside[0].Reason != roc.Quarantined || aside[1].Reason != roc.AnnuaireRefused {
		t.Errorf("set aside: %v", aside)
	}
	route, err = to(routing.Policy{}, known, "https://evil.example/", "https://c.amc.example/")
	if err != nil || route.URL() != "https://c.amc.example/" || route.Host() != "c.amc.example" {
		t.Errorf("a known place behind a quarantined one: %q, %v", route.URL(), err)
	}
	_, err = to(routing.Policy{}, known, "https://evil.example/", "http://b.amc.example/")
	if !roc.IsRefused(err, roc.Quarantined) {
		t.Errorf("the refusal is that of the first address: %v", err)
	}
	route, err = to(routing.Policy{NewDomain: routing.Accept}, known, "https://a.amc.example/", "https://new.example/")
	if err != nil || !route.NewDomain() {
		t.Errorf("a new domain among the alternatives is said: %v", err)
	}
}
