package ops

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/words"
)

// A Summary counts what a register holds at an instant, and lists what looks
// wrong in it although it may be used.
type Summary struct {
	At             time.Time                `json:"at"`
	Digest         string                   `json:"digest"`
	Etablissements int                      `json:"etablissements"`
	Sites          int                      `json:"sites"`
	Etats          map[register.Etat]int    `json:"etats"`
	AMCs           int                      `json:"amcs"`
	Numeros        int                      `json:"numeros"`
	EtatsAMC       map[register.EtatAMC]int `json:"etats_amc"`
	Planned        []Planned                `json:"planned"`
	Warnings       []string                 `json:"warnings"`
}

// A Planned is a dated change of state in the future.
type Planned struct {
	Depuis register.Moment `json:"depuis"`
	EJ     roc.FINESS      `json:"finess_ej,omitzero"` // of an establishment
	AMC    roc.NumeroAMC   `json:"amc,omitzero"`       // of an AMC, its first number
	Who    string          `json:"who"`
	Nom    string          `json:"nom"`
	From   string          `json:"from"`
	To     string          `json:"to"`
	Motif  string          `json:"motif,omitzero"`
}

func (p Planned) String() string {
	return fmt.Sprintf("%s: %s %s: %s -> %s%s", p.Depuis, p.Who, p.Nom, p.From, p.To, words.Because(p.Motif))
}

// Check sums up a register at its moment.
func Check(l *register.List) *Summary {
	s := &Summary{At: l.Moment(), Digest: l.Digest(), Etats: map[register.Etat]int{}, EtatsAMC: map[register.EtatAMC]int{}, Planned: PlannedIn(l), Warnings: []string{}}
	s.Etablissements, s.Sites, s.Numeros = l.Size()
	platform := hasPlatform(l)
	for e := range l.Etablissements() {
		s.Etats[e.Etat]++
		s.Warnings = append(s.Warnings, warnings(l, e, platform)...)
	}
	named := map[string]*register.AMC{}
	for a := range l.AMCs() {
		if other := named[strings.ToLower(a.Nom)]; other != nil {
			s.Warnings = append(s.Warnings, fmt.Sprintf("AMC %s %s: the AMC %s has the same name: is it one AMC written twice, or is a name wrong?", a.Numeros[0], a.Nom, other.Numeros[0]))
		}
		named[strings.ToLower(a.Nom)] = a
		s.AMCs++
		s.EtatsAMC[a.Etat]++
		s.Warnings = append(s.Warnings, amcWarnings(a)...)
	}
	return s
}

// PlannedIn lists the changes of state to come, by date.
func PlannedIn(l *register.List) []Planned {
	out := []Planned{}
	for e := range l.Etablissements() {
		for before, next := range e.After(l.Moment()) {
			out = append(out, Planned{next.Depuis, e.EJ, "", string(e.EJ), e.Nom, words.State(before), words.State(next), next.Motif})
		}
	}
	for a := range l.AMCs() {
		for before, next := range a.After(l.Moment()) {
			out = append(out, Planned{next.Depuis, "", a.Numeros[0], "AMC " + string(a.Numeros[0]), a.Nom, words.AMCState(before.Etat), words.AMCState(next.Etat), next.Motif})
		}
	}
	slices.SortStableFunc(out, func(a, b Planned) int { return a.Depuis.Compare(b.Depuis.Time) })
	return out
}

// hasPlatform reports whether there is a validation platform: an AMC in
// validation that is not on trial with named establishments.
func hasPlatform(l *register.List) bool {
	for a := range l.AMCs() {
		if a.Etat == register.AMCValidation && !a.OnTrial() {
			return true
		}
	}
	return false
}

func warnings(l *register.List, e *register.Etablissement, platform bool) (out []string) {
	warn := func(format string, args ...any) {
		out = append(out, fmt.Sprintf("%s %s: ", e.EJ, e.Nom)+fmt.Sprintf(format, args...))
	}
	for _, f := range append([]roc.FINESS{e.EJ}, e.EGs...) {
		if !luhn(string(f)) {
			warn("the FINESS %s has a wrong check digit: a typing error?", f)
		}
	}
	if (e.Etat == register.Accrochage || e.Etat == register.Formation) && !platform {
		warn("it is in %s, and no AMC in validation is open to it: it reaches nobody", e.Etat)
	}
	if e.Etat == register.Surveillance {
		if amc, ok := l.AMC(e.Miroir); ok && amc.Etat != register.AMCCercle {
			warn("its AMC miroir %s %s is %s: it reaches nobody", e.Miroir, amc.Nom, words.AMCState(amc.Etat))
		}
	}
	if len(e.EGs) == 0 && e.Active() {
		warn("it has no site: a message with finess_eg is refused (RPN221)")
	}
	for _, m := range e.Delegations {
		if !m.Jusque.IsZero() && !m.Covers(l.Moment()) && l.Moment().After(m.Jusque.Time) {
			warn("the mandate of %s ended on %s", m.Structure, m.Jusque)
		}
	}
	return out
}

func amcWarnings(a *register.AMC) (out []string) {
	if len(a.Domaines) == 0 && (a.Etat.Open() || a.Etat == register.AMCMaintenance) {
		out = append(out, fmt.Sprintf("AMC %s %s: no domain is known: by default its messages are quarantined (RPN306)", a.Numeros[0], a.Nom))
	}
	for _, d := range a.Domaines {
		if d.SingleLabel() {
			out = append(out, fmt.Sprintf("AMC %s %s: the domain %s has one label: it covers that host alone", a.Numeros[0], a.Nom, d))
		}
	}
	return out
}

// luhn reports whether a number of digits passes the check of Luhn, as most
// FINESS do (domain 4.4). One with a letter has no check digit.
func luhn(s string) bool {
	sum := 0
	for i := range len(s) {
		c := s[len(s)-1-i]
		if c < '0' || c > '9' {
			return true
		}
		d := int(c - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// String writes the summary for people.
func (s *Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "register ok, at %s (digest %s)\n", words.Instant(s.At), s.Digest)
	var states, amcStates []string
	for _, e := range register.Etats() {
		if n := s.Etats[e]; n > 0 {
			states = append(states, fmt.Sprintf("%d %s", n, words.StateName(e)))
		}
	}
	for _, e := range register.EtatsAMC() {
		if n := s.EtatsAMC[e]; n > 0 {
			amcStates = append(amcStates, fmt.Sprintf("%d %s", n, words.AMCState(e)))
		}
	}
	fmt.Fprintf(&b, "  %s (%s), %s\n", words.Plural(s.Etablissements, "establishment"), strings.Join(states, ", "), words.Plural(s.Sites, "site"))
	fmt.Fprintf(&b, "  %s (%s), %s\n", words.Plural(s.AMCs, "AMC"), strings.Join(amcStates, ", "), words.Plural(s.Numeros, "number"))
	words.List(&b, words.Plural(len(s.Planned), "planned change"), s.Planned)
	words.List(&b, words.Plural(len(s.Warnings), "warning"), s.Warnings)
	return b.String()
}
