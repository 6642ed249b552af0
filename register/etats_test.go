package register_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// today is the day of the tests.
var today = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

func moment(t testing.TB, s string) time.Time {
	t.Helper()
	m, err := register.ParseMoment(s)
	if err != nil {
		t.Fatal(err)
	}
	return m.Time
}

func parse(t testing.TB, es, amcs string, at time.Time) *register.List {
	t.Helper()
	l, err := register.Parse("e.yaml", []byte(es), "a.yaml", []byte(amcs), at)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

const datedEtablissements = `etablissements:
  - finess_ej: 010003812
    nom: CHU fictif
    contrat: 2026-10-15
    etats:
      - {depuis: 2026-10-01, etat: accrochage}
      - {depuis: 2026-11-01, etat: surveillance, amc_miroir: 0075500025, motif: PV du 28 octobre}
      - {depuis: 2026-12-01T08:00:00+01:00, etat: cercle}
      - {depuis: 2027-03-01, etat: clos}
    mandats:
      - "318751275100020"
      - {structure: 12A0000014, depuis: 2026-11-01, jusque: 2026-11-30}
`

const datedAMCs = `amcs:
  - nom: Mutuelle du Rhône fictive
    numeros: [0075500025]
    etats:
      - {depuis: 2026-01-01, etat: cercle}
      - {depuis: 2026-12-15, etat: suspendu, motif: fusion}
    domaines:
      - rhone.example
      - {nom: ancien.example, jusque: 2026-11-30}
      - {nom: nouveau.example, depuis: 2026-11-15}
`

// One line per rule of the dates. A day begins at midnight in Paris: 23:00 UTC
// the day before in winter, 22:00 in summer.
func TestWhatIsInForceAtADate(t *testing.T) {
	t.Parallel()
	l := parse(t, datedEtablissements, datedAMCs, today)
	for _, c := range []struct {
		at, why  string
		etat     register.Etat
		miroir   roc.NumeroAMC
		amc      register.EtatAMC
		domaines string
		mandats  int
	}{
		{"2025-12-31T22:59:59Z", "before everything", register.Attendu, "", register.AMCAttendue, "rhone.example ancien.example", 1},
		{"2026-10-10", "a state, but no contract yet", register.Attendu, "", register.AMCCercle, "rhone.example ancien.example", 1},
		{"2026-10-14T21:59:59Z", "the last second before the contract", register.Attendu, "", register.AMCCercle, "rhone.example ancien.example", 1},
		{"2026-10-14T22:00:00Z", "the contract: midnight in Paris, in summer", register.Accrochage, "", register.AMCCercle, "rhone.example ancien.example", 1},
		{"2026-10-31T22:59:59Z", "the last second of a state", register.Accrochage, "", register.AMCCercle, "rhone.example ancien.example", 1},
		{"2026-10-31T23:00:00Z", "midnight in Paris, in winter", register.Surveillance, "0075500025", register.AMCCercle, "rhone.example ancien.example", 2},
		{"2026-11-30T22:59:59Z", "the last day of a period is included", register.Surveillance, "0075500025", register.AMCCercle, "rhone.example ancien.example nouveau.example", 2},
		{"2026-12-01", "and not a second more", register.Surveillance, "0075500025", register.AMCCercle, "rhone.example nouveau.example", 1},
		{"2026-12-01T07:00:00Z", "a state from an instant", register.Cercle, "", register.AMCCercle, "rhone.example nouveau.example", 1},
		{"2026-12-15", "the AMC is suspended", register.Cercle, "", register.AMCSuspendu, "rhone.example nouveau.example", 1},
		{"2030-01-01", "the last state lasts", register.Clos, "", register.AMCSuspendu, "rhone.example nouveau.example", 1},
	} {
		n := l.At(moment(t, c.at))
		es, _ := n.ByStructure("1010003812")
		amc, _ := n.AMC("0075500025")
		var domains []string
		for _, d := range amc.Domaines {
			domains = append(domains, string(d))
		}
		if es.Etat != c.etat || es.Miroir != c.miroir || amc.Etat != c.amc || strings.Join(domains, " ") != c.domaines || len(es.Mandats) != c.mandats {
			t.Errorf("%s, %s: %q %q, AMC %q %v, mandates %v", c.at, c.why, es.Etat, es.Miroir, amc.Etat, domains, es.Mandats)
		}
	}
}

// Before its first state or its contract, an establishment is nobody, and is
// told from when it will be somebody.
func TestAnEstablishmentThatIsAwaited(t *testing.T) {
	t.Parallel()
	l := parse(t, datedEtablissements, datedAMCs, moment(t, "2026-10-10"))
	_, err := l.Admit("1010003812")
	if !roc.IsRefused(err, roc.UnknownStructure) || !strings.Contains(roc.RefusalOf(err).Detail, "2026-10-15") {
		t.Errorf("%v", err)
	}
	if _, err := l.At(moment(t, "2026-10-15")).Admit("1010003812"); err != nil {
		t.Error(err)
	}
	if _, err := l.At(moment(t, "2027-03-01")).Admit("1010003812"); !roc.IsRefused(err, roc.Suspended) {
		t.Errorf("%v", err)
	}
}

func TestMomentsAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for s, utc := range map[string]string{
		"2026-11-01":                "2026-10-31T23:00:00Z",
		"2026-07-01":                "2026-06-30T22:00:00Z",
		"2026-11-01T08:00:00+01:00": "2026-11-01T07:00:00Z",
		"2026-11-01T08:00:00Z":      "2026-11-01T08:00:00Z",
	} {
		m, err := register.ParseMoment(s)
		if err != nil || m.UTC().Format(time.RFC3339) != utc || m.String() != s {
			t.Errorf("%s: %v, %v", s, m.UTC(), err)
		}
	}
	for _, s := range []string{"", "2026-13-01", "2026-02-30", "01/11/2026", "2026-11-01T08:00:00", "2026-11-01 08:00", "2026-11", "demain", "1700000000"} {
		if m, err := register.ParseMoment(s); err == nil {
			t.Errorf("%q was read as %v", s, m)
		}
	}
}

// The register is asked at every exchange: a date that is reached takes effect
// then, although no file has changed.
func TestAFutureStateTakesEffectWithoutAReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := register.Options{Etablissements: filepath.Join(dir, "e.yaml"), AMC: filepath.Join(dir, "a.yaml")}
	write(t, o.Etablissements, datedEtablissements)
	write(t, o.AMC, datedAMCs)
	var clock atomic.Int64
	set := func(s string) { clock.Store(moment(t, s).Unix()) }
	o.Now = func() time.Time { return time.Unix(clock.Load(), 0) }
	set("2026-11-21")
	s := open(t, o)
	state := func() register.Etat {
		es, _ := s.Current().ByStructure("1010003812")
		return es.Etat
	}
	first := s.Current()
	if state() != register.Surveillance || first.Until().UTC().Format(time.RFC3339) != "2026-11-30T23:00:00Z" {
		t.Fatalf("%s until %v", state(), first.Until())
	}
	set("2026-11-30")
	if s.Current() != first {
		t.Error("nothing is reached: the snapshot must be the same")
	}
	set("2026-12-01T08:00:00+01:00")
	if state() != register.Cercle {
		t.Errorf("the state of today is %s", state())
	}
	if es, _ := first.ByStructure("1010003812"); es.Etat != register.Surveillance {
		t.Error("a snapshot already taken must not change under an exchange")
	}
	set("2028-01-01")
	if state() != register.Clos || !s.Current().Until().IsZero() {
		t.Errorf("%s until %v", state(), s.Current().Until())
	}
	if s.Current().Digest() != first.Digest() {
		t.Error("the files have not changed")
	}
	set("2026-11-21")
	if err := s.Reload(nil); err != nil || state() != register.Surveillance {
		t.Errorf("a reload settles by the clock: %s, %v", state(), err)
	}
}

// Exchanges that meet at the instant of a change all see it.
func TestManyReachADateTogether(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := register.Options{Etablissements: filepath.Join(dir, "e.yaml"), AMC: filepath.Join(dir, "a.yaml")}
	write(t, o.Etablissements, datedEtablissements)
	write(t, o.AMC, datedAMCs)
	var late atomic.Bool
	before, after := moment(t, "2026-11-21"), moment(t, "2026-12-02")
	o.Now = func() time.Time {
		if late.Load() {
			return after
		}
		return before
	}
	s := open(t, o)
	late.Store(true)
	seen := make(chan register.Etat)
	for range 16 {
		go func() {
			es, _ := s.Current().ByStructure("1010003812")
			seen <- es.Etat
		}()
	}
	for range 16 {
		if e := <-seen; e != register.Cercle {
			t.Errorf("one saw %s", e)
		}
	}
}

// For random dates, EtatAt and the list settled at an instant are the naive
// reading of the rule, and nothing changes between an instant and Until.
func TestTheStateInForceIsTheLastNotAfter(t *testing.T) {
	t.Parallel()
	states := []register.Etat{register.Accrochage, register.Cercle, register.Suspendu, register.Clos}
	epoch := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		hours := rapid.SliceOfNDistinct(rapid.IntRange(0, 300), 1, 6, rapid.ID).Draw(t, "hours")
		slices.Sort(hours)
		var b strings.Builder
		b.WriteString("etablissements:\n  - finess_ej: 010003812\n    nom: A\n")
		contract := rapid.IntRange(-1, 300).Draw(t, "contract")
		if contract >= 0 {
			fmt.Fprintf(&b, "    contrat: %s\n", epoch.Add(time.Duration(contract)*time.Hour).Format(time.RFC3339))
		}
		b.WriteString("    etats:\n")
		var etats []register.Etat
		for _, h := range hours {
			e := rapid.SampledFrom(states).Draw(t, "state")
			etats = append(etats, e)
			fmt.Fprintf(&b, "      - {depuis: %s, etat: %s}\n", epoch.Add(time.Duration(h)*time.Hour).Format(time.RFC3339), e)
		}
		at := rapid.IntRange(-1, 301).Draw(t, "at")
		naive := func(at int) register.Etat {
			state := register.Attendu
			for i, h := range hours {
				if h <= at {
					state = etats[i]
				}
			}
			if at < contract {
				return register.Attendu
			}
			return state
		}
		l, err := register.Parse("e", []byte(b.String()), "a", []byte(amcs(0, 1)), epoch.Add(time.Duration(at)*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		es, _ := l.ByStructure("1010003812")
		if es.Etat != naive(at) {
			t.Fatalf("%s\nat %d: %q, want %q", b.String(), at, es.Etat, naive(at))
		}
		end := 302
		if !l.Until().IsZero() {
			end = int(l.Until().Sub(epoch) / time.Hour)
		}
		for h := at; h < end; h++ {
			if naive(h) != es.Etat {
				t.Fatalf("%s\nat %d the state is %q, and yet Until is %d", b.String(), h, naive(h), end)
			}
		}
	})
}

const maintainedAMCs = `amcs:
  - nom: Mutuelle fictive
    numeros: [0075500025]
    etats:
      - {depuis: 2026-01-01, etat: cercle}
      - {depuis: 2026-10-24T22:00:00+02:00, etat: maintenance, jusque: 2026-10-25, motif: migration}
      - {depuis: 2026-11-01, etat: maintenance, jusque: 2026-11-02}
      - {depuis: 2026-11-03, etat: suspendu}
      - {depuis: 2026-11-10, etat: maintenance, jusque: 2026-11-10T12:00:00+01:00}
      - {depuis: 2026-12-01, etat: clos}
`

// A maintenance ends by itself, and then the AMC is what it was before. Its
// last day is included whole: the one on which the clocks go back has 25 hours.
func TestAMaintenanceEndsByItself(t *testing.T) {
	t.Parallel()
	l := parse(t, establishments(0, 1), maintainedAMCs, today)
	for _, c := range []struct {
		at    string
		etat  register.EtatAMC
		motif string
		fin   string
	}{
		{"2026-10-24T21:59:59+02:00", register.AMCCercle, "", ""},
		{"2026-10-24T22:00:00+02:00", register.AMCMaintenance, "migration", "2026-10-25T23:00:00Z"},
		{"2026-10-25T22:59:59Z", register.AMCMaintenance, "migration", "2026-10-25T23:00:00Z"},
		{"2026-10-25T23:00:00Z", register.AMCCercle, "", ""},
		{"2026-11-01", register.AMCMaintenance, "", ""}, // then suspended, and closed: no end is known
		{"2026-11-03", register.AMCSuspendu, "", ""},
		{"2026-11-10", register.AMCMaintenance, "", ""},
		{"2026-11-10T11:00:00Z", register.AMCSuspendu, "", ""},
		{"2026-12-01", register.AMCClos, "", ""},
	} {
		a, _ := l.At(moment(t, c.at)).AMC("0075500025")
		fin := ""
		if !a.Fin.IsZero() {
			fin = a.Fin.UTC().Format(time.RFC3339)
		}
		if a.Etat != c.etat || a.Motif != c.motif || fin != c.fin || a.Ordinaire != register.AMCCercle {
			t.Errorf("%s: %s (%s) until %q, else %s; want %s (%s) until %q", c.at, a.Etat, a.Motif, fin, a.Ordinaire, c.etat, c.motif, c.fin)
		}
	}
}

// What an AMC is outside a suspension is its last open state, not one to come;
// the circle when it had none; nothing before its first date.
func TestWhatAnAMCIsOutsideASuspension(t *testing.T) {
	t.Parallel()
	l := parse(t, establishments(0, 1), `amcs:
  - {nom: Jamais, numeros: ["0075500025"], etat: suspendu}
  - {nom: Essais, numeros: ["0075500033"], etats: [{depuis: 2026-01-01, etat: validation}, {depuis: 2026-03-01, etat: suspendu}, {depuis: 2026-06-01, etat: cercle}, {depuis: 2026-09-01, etat: clos}]}
`, today)
	for _, c := range []struct {
		at   string
		amc  roc.NumeroAMC
		want register.EtatAMC
	}{
		{"2026-04-01", "0075500025", register.AMCCercle},
		{"2025-12-01", "0075500033", register.AMCAttendue},
		{"2026-02-01", "0075500033", register.AMCValidation},
		{"2026-04-01", "0075500033", register.AMCValidation},
		{"2026-07-01", "0075500033", register.AMCCercle},
		{"2026-10-01", "0075500033", register.AMCCercle},
	} {
		if a, _ := l.At(moment(t, c.at)).AMC(c.amc); a.Ordinaire != c.want {
			t.Errorf("%s of %s: %q, want %q", c.at, c.amc, a.Ordinaire, c.want)
		}
	}
}

// The flags of a row hold for each of its states that they say something of,
// and those of an entry for that one.
func TestTheFlagsOfARow(t *testing.T) {
	t.Parallel()
	l := parse(t, `etablissements:
  - {finess_ej: 010003812, nom: A, accrochage_complet: true, formation: true, etats: [{depuis: 2026-01-01, etat: accrochage}, {depuis: 2026-02-01, etat: surveillance, amc_miroir: 0075500025}, {depuis: 2026-03-01, etat: cercle}]}
  - {finess_ej: 2A0000014, nom: B, etats: [{depuis: 2026-01-01, etat: accrochage, accrochage_complet: true}, {depuis: 2026-03-01, etat: cercle}, {depuis: 2026-04-01, etat: cercle, formation: true}]}
  - {finess_ej: 690000013, nom: C, etat: cercle, formation: true, motif: convention du 3 mars}
`, datedAMCs, today)
	for _, c := range []struct {
		at, ej             string
		complet, formation bool
	}{
		{"2026-01-15", "010003812", true, false}, {"2026-02-15", "010003812", false, false}, {"2026-03-15", "010003812", false, true},
		{"2026-01-15", "2A0000014", true, false}, {"2026-03-15", "2A0000014", false, false}, {"2026-04-15", "2A0000014", false, true},
		{"2026-04-15", "690000013", false, true},
	} {
		e, _ := l.At(moment(t, c.at)).BySite(roc.FINESS(c.ej))
		if e.AccrochageComplet != c.complet || e.Formation != c.formation {
			t.Errorf("%s of %s: complet %t, formation %t", c.at, c.ej, e.AccrochageComplet, e.Formation)
		}
	}
	if e, _ := l.BySite("690000013"); e.Motif != "convention du 3 mars" {
		t.Errorf("motif %q", e.Motif)
	}
}

// A SIRET or a SIREN stands for the establishment that the register gives it
// to; another one is refused with what is missing.
func TestASIRETStandsForItsEstablishment(t *testing.T) {
	t.Parallel()
	l := parse(t, `etablissements:
  - {finess_ej: 010003812, nom: A, etat: cercle, structures: ["355500000000019", "2555000000"]}
  - {finess_ej: 2A0000014, nom: B, etat: suspendu, structures: ["355500000000027"]}
`, datedAMCs, today)
	for _, id := range []roc.StructureID{"355500000000019", "2555000000", "1010003812"} {
		if e, err := l.Admit(id); err != nil || e.EJ != "010003812" {
			t.Errorf("%s: %v", id, err)
		} else if err := l.CheckSites(e, id, "010003812", ""); err != nil {
			t.Errorf("%s: %v", id, err)
		} else if err := l.CheckSites(e, id, "2A0000014", ""); !roc.IsRefused(err, roc.StructureMismatch) {
			t.Errorf("%s with another's FINESS: %v", id, err)
		}
	}
	if _, err := l.Admit("355500000000027"); !roc.IsRefused(err, roc.Suspended) {
		t.Errorf("a suspended one: %v", err)
	}
	if _, err := l.Admit("355500000000035"); !roc.IsRefused(err, roc.UnknownStructure) || !strings.Contains(roc.RefusalOf(err).Detail, "SIRET") {
		t.Errorf("nobody's: %v", err)
	}
}

// A clock that jumps five days forwards and back leaves nothing behind: what is
// in force is what the dates say now, each time. Days are calendar days in
// Paris, over both changes of the hour.
func TestAClockThatJumpsLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	const es = `etablissements:
  - {finess_ej: 010003812, nom: A, etats: [{depuis: 2026-01-01, etat: accrochage}, {depuis: 2026-03-29, etat: cercle}, {depuis: 2026-03-30, etat: suspendu}, {depuis: 2026-10-25, etat: cercle}, {depuis: 2026-10-26, etat: clos}]}
`
	want := func(at time.Time) register.Etat {
		switch day := register.DayOf(at).String(); {
		case day < "2026-03-29":
			return register.Accrochage
		case day < "2026-03-30":
			return register.Cercle
		case day < "2026-10-25":
			return register.Suspendu
		case day < "2026-10-26":
			return register.Cercle
		}
		return register.Clos
	}
	dir := t.TempDir()
	o := register.Options{Etablissements: filepath.Join(dir, "e.yaml"), AMC: filepath.Join(dir, "a.yaml")}
	write(t, o.Etablissements, es)
	write(t, o.AMC, maintainedAMCs)
	var now time.Time
	o.Now = func() time.Time { return now }
	for _, day := range []string{"2026-03-28", "2026-10-24"} {
		start := moment(t, day)
		now = start
		s := open(t, o)
		for h := range 72 {
			for _, jump := range []int{0, 120, 0, -120, 0} {
				now = start.Add(time.Duration(h+jump) * time.Hour)
				e, _ := s.Current().ByStructure("1010003812")
				if e.Etat != want(now) {
					t.Fatalf("%s + %d h, clock at %s: %s, want %s", day, h, register.InParis(now), e.Etat, want(now))
				}
			}
		}
	}
	now = moment(t, "2026-06-01")
	s := open(t, o)
	first := s.Current()
	now = now.Add(-time.Hour)
	if s.Current() != first {
		t.Error("a clock that goes back over no date makes a new list")
	}
}
